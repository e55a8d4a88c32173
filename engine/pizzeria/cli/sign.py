"""The command `sign`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from pizzeria.cli.opening import open_run

if TYPE_CHECKING:
    from pizzeria.signing.shelf import Shelf
    from pizzeria.spec.signing import Signing

_PEM = click.Path(dir_okay=False, path_type=Path)


@click.command()
@click.argument("run_or_bundle", metavar="RUN_OR_BUNDLE")
@click.option("--key", type=_PEM, help="Private key (elliptic curve, PEM).  [default: signing.private_key of the run]")
@click.option("--passphrase-from", metavar="NAME", help="Environment variable with its passphrase.")
@click.option("--check", is_flag=True, help="Sign nothing: say who signed it; exits with 5 unless a trusted key did.")
@click.option("--trust", type=_PEM, multiple=True, help="With --check: a public key, instead of those of the run.")
def sign(
    run_or_bundle: str, key: Path | None, passphrase_from: str | None, check: bool, trust: tuple[Path, ...]
) -> None:
    """Sign the bundle of a run, or say who signed it.

    RUN_OR_BUNDLE is a run's id or folder, a spec's name for its newest run, or the folder or zip of a bundle, whose
    signature lies beside it. The signature has the format of OpenSSF's model-signing; the bundle stays as it is.
    """
    from pizzeria import atomic
    from pizzeria.inference.bundle import open_bundle
    from pizzeria.signing.checking import check_signed, sign_bundle
    from pizzeria.signing.keys import exposed, passphrase_of, read_private, trusted
    from pizzeria.signing.shelf import beside

    if check and (key is not None or passphrase_from is not None):
        raise click.UsageError("--check signs nothing: leave --key and --passphrase-from out")
    if trust and not check:
        raise click.UsageError("--trust is for --check")
    path, signing, shelf = _subject(run_or_bundle)
    bundle = open_bundle(path)
    if check:
        signer = check_signed(bundle, trust or trusted(signing.public_keys), None if shelf is None else shelf.folder)
        if signer is None:
            raise click.UsageError("name a key to trust: --trust PUBLIC.pem")
        click.echo(f"{bundle.sha256[:12]} is signed by {signer.path} ({signer.id[:12]})")
        return
    private = key or signing.private_key
    if private is None:
        raise click.UsageError("name the private key: --key PRIVATE.pem")
    own = signing.passphrase_from if key is None else None
    signature = sign_bundle(bundle, read_private(private, passphrase_of(passphrase_from or own)))
    if warning := exposed(private):
        click.echo(warning, err=True)
    if shelf is None:
        atomic.write_bytes(beside(path), signature)
    click.echo(beside(path) if shelf is None else shelf.put(bundle.sha256, signature))


def _subject(name: str) -> tuple[Path, Signing, Shelf | None]:
    """The bundle, what its run says of keys, and where its signature lies: None for beside it."""
    from pizzeria.deployments import packed
    from pizzeria.deployments.signatures import shelf_of
    from pizzeria.spec.signing import Signing

    if (Path(name) / "bundle.json").is_file() or Path(name).is_file():
        return Path(name).absolute(), Signing(), None
    store, run, spec = open_run(name)
    return packed(run, spec, store).bundle, spec.signing, shelf_of(store)
