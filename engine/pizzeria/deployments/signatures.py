"""Signs what a run has packed, and lets nothing go live that is not signed as it must be."""

from __future__ import annotations

from pathlib import Path

from pizzeria.contracts import Progress, Release
from pizzeria.errors import SignatureError
from pizzeria.inference.bundle import Bundle, open_bundle
from pizzeria.runs.store import Store
from pizzeria.signing.checking import check_signed, sign_bundle, signer
from pizzeria.signing.keys import PrivateKey, exposed, passphrase_of, read_private
from pizzeria.signing.shelf import FOLDER, Shelf
from pizzeria.spec.signing import Signing


def shelf_of(store: Store) -> Shelf:
    """Where the signatures of a store's bundles lie."""
    return Shelf(store.root / FOLDER, None if store.artifacts is None else store.artifacts.place)


def sign_packed(bundle: Path, signing: Signing, store: Store, progress: Progress) -> None:
    """Sign a bundle with the private key of its spec, if there is one and it has not signed it yet.

    Raises:
        SignatureError: the key cannot be used.
    """
    if signing.private_key is None:
        return
    key = read_private(signing.private_key, passphrase_of(signing.passphrase_from))
    warning = exposed(signing.private_key)
    if warning:
        progress.say(warning)
    opened = open_bundle(bundle)
    if not _signed_by(opened, key, store):
        path = shelf_of(store).put(opened.sha256, sign_bundle(opened, key))
        progress.say(f"signed with the key {key.public.id[:12]}: {path}")


def require_signed(release: Release, store: Store) -> None:
    """Hold a release, and the bundle that tells its rooms apart, to their signatures, where its keys ask for them.

    Raises:
        SignatureError: unsigned, signed by another key, or another bundle than was signed.
    """
    if not release.public_keys:
        return
    _require(release.bundle, release, store)
    if release.serving.verification.rooms is not None:
        _require(Path(release.serving.verification.rooms).expanduser(), release, store)


def _require(path: Path, release: Release, store: Store) -> None:
    bundle = open_bundle(path)
    try:
        check_signed(bundle, release.public_keys, release.signatures)
    except SignatureError:
        shelf = shelf_of(store)
        if shelf.place is None:
            raise
        shelf.fetch(bundle.sha256)  # another machine may have signed it, or signed it anew
        check_signed(bundle, release.public_keys, release.signatures)


def _signed_by(bundle: Bundle, key: PrivateKey, store: Store) -> bool:
    try:
        signer(bundle, [key.public], shelf_of(store).folder)
    except SignatureError:
        return False
    return True
