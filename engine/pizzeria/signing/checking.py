"""Whether a bundle is signed by a key that is trusted, and is what was signed."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

from pizzeria.errors import SignatureError
from pizzeria.inference.bundle import MANIFEST, Bundle
from pizzeria.signing.envelope import MOST_BYTES, sign, signed_files
from pizzeria.signing.keys import PrivateKey, PublicKey, read_public
from pizzeria.signing.shelf import signatures_of


def check_signed(bundle: Bundle, public_keys: Sequence[Path], folder: Path | None) -> PublicKey | None:
    """Hold a bundle to its signature.

    Args:
        bundle: As opened, so that every file was held against its hash.
        public_keys: Whom to trust; any one of them is enough. Empty: nothing is asked.
        folder: The shelf of signatures; None: only a signature beside the bundle counts.

    Returns:
        The key that signed it; None where nothing was asked.

    Raises:
        SignatureError: a key cannot be read, or the bundle is unsigned, signed by another key, or another one than was
            signed.
    """
    if not public_keys:
        return None
    return signer(bundle, [read_public(path) for path in public_keys], folder)


def signer(bundle: Bundle, keys: Sequence[PublicKey], folder: Path | None) -> PublicKey:
    """Which of the keys has signed a bundle.

    Raises:
        SignatureError: none has; see `check_signed`.
    """
    path = Path(bundle.location)
    trouble: SignatureError | None = None
    for found in signatures_of(path, bundle.sha256, folder):
        try:
            return _check(bundle, found, keys)
        except SignatureError as error:
            trouble = trouble or error
    raise trouble or SignatureError(
        f"{path} ({bundle.sha256[:12]}) is not signed, and only signed bundles may go live here",
        hint="whoever may let it go live signs it: pizzeria sign RUN --key PRIVATE.pem",
    )


def sign_bundle(bundle: Bundle, key: PrivateKey) -> bytes:
    """The signature of a bundle."""
    return sign(_files_of(bundle), bundle.name, key)


def _check(bundle: Bundle, signature: Path, keys: Sequence[PublicKey]) -> PublicKey:
    try:
        with open(signature, "rb") as stream:
            data = stream.read(MOST_BYTES + 1)
    except OSError as error:
        raise SignatureError(f"the signature {signature} cannot be read: {error.strerror}") from None
    if len(data) > MOST_BYTES:
        raise SignatureError(f"{signature} is no signature: it has more than {MOST_BYTES} bytes")
    key, signed = signed_files(data, keys, str(signature))
    there = _files_of(bundle)
    differ = sorted(name for name in signed.keys() | there.keys() if signed.get(name) != there.get(name))
    if differ:
        raise SignatureError(
            f"{bundle.location} is not the bundle that {signature} signs: {', '.join(differ)} differ",
            hint="take the bundle that was signed, or have this one looked at and signed by who may",
        )
    return key


def _files_of(bundle: Bundle) -> dict[str, str]:
    """sha256 of every file of a bundle, its manifest among them."""
    return {**bundle.hashes, MANIFEST: hashlib.sha256(bundle.files.read(MANIFEST)).hexdigest()}
