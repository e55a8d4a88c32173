"""The command `sbom`."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import click

from pizzeria.cli.opening import open_run

if TYPE_CHECKING:
    from pizzeria.deployments import Packed
    from pizzeria.runs.store import Store
    from pizzeria.sbom.model import Origin
    from pizzeria.sbom.packages import Package, Platform, Python


@click.command()
@click.argument("run_name", metavar="RUN")
@click.option("--image", is_flag=True, help="Of what the run's target ships: bundle, Pizzeria and every package.")
@click.option("--python", type=click.Choice(["3.11", "3.12"]), help="Python of the image.  [default: the target's]")
@click.option("--platform", type=click.Choice(["linux/amd64", "linux/arm64"]), help="Its platform.")
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), help="File to write.  [default: print it]")
def sbom(run_name: str, image: bool, python: Python | None, platform: Platform | None, out: Path | None) -> None:
    """Say what the bundle of a run is made of, or the image that ships it, as CycloneDX 1.6 (JSON).

    RUN is a run's id or folder, or a spec's name for its newest run. Of a bundle: its files, a model card, the lineage
    of its data, what made it. The same bundle gives the same bytes.
    """
    from pizzeria import atomic
    from pizzeria.deployments import packed
    from pizzeria.inference.bundle import open_bundle
    from pizzeria.sbom.bills import bundle_bill, check_bill, image_bill
    from pizzeria.sbom.model import described_model

    if not image and (python or platform):
        raise click.UsageError("--python and --platform are of an image: add --image")
    store, run, spec = open_run(run_name)
    found = packed(run, spec, store)
    bundle, origin = open_bundle(found.bundle), _origin(found, store)
    if image:
        text = image_bill(spec.name, described_model(bundle, origin), _packages(found, store, python, platform))
    else:
        text = bundle_bill(bundle, origin)
    check_bill(text)
    if out is None:
        click.echo(text, nl=False)
        return
    atomic.write_bytes(out, text.encode())
    click.echo(out)


def _origin(found: Packed, store: Store) -> Origin:
    """The spec, and the figures of the stages that brought and cut the data, so far as they are still there."""
    from pizzeria.errors import NotFoundError
    from pizzeria.sbom.model import Origin

    facts = {}
    for stage in ("collect", "split"):
        with suppress(NotFoundError):
            result = store.load(found.run.stage(stage).name)
            facts[stage] = {} if result is None else result.facts
    return Origin(found.spec, facts)


def _packages(found: Packed, store: Store, python: Python | None, platform: Platform | None) -> list[Package]:
    """What the target ships: its lock, and what the prediction log needs besides."""
    from pizzeria import registry
    from pizzeria.deployments import release_of
    from pizzeria.errors import DeploymentError
    from pizzeria.sbom.packages import locked
    from pizzeria.shipment import log_lock

    deployment = found.spec.deployment
    lock = getattr(registry.load("targets", deployment.use), "LOCK", None)
    if lock is None:
        raise DeploymentError(
            f"the target {deployment.use} ships no packages: the service runs with those that are installed here",
            hint="name a run whose target is container, kubernetes, vm or a function; or leave --image out",
        )
    on = (
        python or getattr(deployment.options, "python", None) or "3.11",
        platform or getattr(deployment.options, "platform", None) or "linux/amd64",
    )
    if on[0] not in ("3.11", "3.12"):
        raise DeploymentError(
            f"deployment.python says {on[0]!r}, and not which version that is", hint="add --python 3.11, or 3.12"
        )
    log = log_lock(release_of(found.spec, found.bundle, found.sha256, store))
    packages = locked(lock, *on)
    more = set(locked(f"serve{log}", *on)) - set(locked("serve", *on))
    return sorted({*packages, *more}, key=lambda one: one.name.lower())
