"""Keys of elliptic curves in PEM files: private ones that sign, public ones that are trusted."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pizzeria.errors import SignatureError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric import ec

VARIABLE = "PIZZERIA_PUBLIC_KEYS"
"""Paths of public keys, with colons between: on this machine they alone are trusted, whatever a spec says."""

CURVES = ("secp256r1", "secp384r1", "secp521r1")
_MOST_BYTES = 1 << 16
_MAKE = "openssl ecparam -name prime256v1 -genkey -noout -out private.pem; openssl ec -in private.pem -pubout"


@dataclass(frozen=True)
class PublicKey:
    """A key that checks signatures.

    Attributes:
        id: sha256 of its PEM text, in hex: what a signature calls its key.
    """

    path: Path
    id: str
    key: ec.EllipticCurvePublicKey


@dataclass(frozen=True)
class PrivateKey:
    """A key that signs."""

    path: Path
    public: PublicKey
    key: ec.EllipticCurvePrivateKey


def read_public(path: Path) -> PublicKey:
    """The public key in a PEM file.

    Raises:
        SignatureError: the file cannot be read, or holds no public key of a curve that can be used.
    """
    data = _read(path, "PUBLIC")
    serialization = _serialization()
    try:
        key = serialization.load_pem_public_key(data)
    except Exception as error:
        _refuse_other(path, data, error)
    return _public(path, key)


def read_private(path: Path, passphrase: str | None = None) -> PrivateKey:
    """The private key in a PEM file.

    Raises:
        SignatureError: the file cannot be read, holds no private key of a curve that can be used, or the passphrase
            does not open it. The passphrase is in no message.
    """
    data = _read(path, "PRIVATE")
    serialization = _serialization()
    try:
        key = serialization.load_pem_private_key(data, None if passphrase is None else passphrase.encode())
    except TypeError:
        if passphrase is None:
            hint = "set signing.passphrase_from, or --passphrase-from, to the name of the variable that holds it"
            raise SignatureError(f"{path} is locked by a passphrase, and none was given", hint=hint) from None
        hint = "leave signing.passphrase_from, or --passphrase-from, out"
        raise SignatureError(f"{path} has no passphrase, and one was given", hint=hint) from None
    except Exception as error:
        if passphrase is not None and b"ENCRYPTED" in data:
            raise SignatureError(f"{path} is not opened by the passphrase that was given") from None
        _refuse_other(path, data, error)
    found = _public(path, key.public_key() if hasattr(key, "public_key") else key)
    return PrivateKey(path, found, key)


def passphrase_of(name: str | None) -> str | None:
    """The passphrase in an environment variable; None where none is named.

    Raises:
        SignatureError: the variable is not set.
    """
    if name is None:
        return None
    if not os.environ.get(name):
        raise SignatureError(
            f"the passphrase of the private key is to come from {name}, and the environment lacks it",
            hint=f"export {name}=...",
        )
    return os.environ[name]


def exposed(path: Path) -> str:
    """What to tell of a private key that others than its owner may read; empty where nobody may."""
    mode = path.expanduser().stat().st_mode
    if mode & (stat.S_IRWXG | stat.S_IRWXO):
        return f"others than its owner may read the private key {path} ({stat.filemode(mode)}): chmod 600 {path}"
    return ""


def trusted(public_keys: Sequence[Path]) -> tuple[Path, ...]:
    """Absolute paths of the keys that are trusted here: those of `$PIZZERIA_PUBLIC_KEYS`, or else a spec's.

    Whoever can write to the store can change the spec of a run, but not the environment of who deploys it.
    """
    told = [Path(part) for part in os.environ.get(VARIABLE, "").split(os.pathsep) if part]
    return tuple(path.expanduser().absolute() for path in told or public_keys)


def key_id(key: ec.EllipticCurvePublicKey) -> str:
    """sha256 of the key's PEM text, in hex."""
    serialization = _serialization()
    pem = key.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    return hashlib.sha256(pem).hexdigest()


def _public(path: Path, key: Any) -> PublicKey:
    curve = getattr(getattr(key, "curve", None), "name", "")
    if curve not in CURVES:
        what = f"of the curve {curve}" if curve else f"of another kind ({type(key).__name__.strip('_')})"
        raise SignatureError(f"{path} holds a key {what}", hint=f"make one of {', '.join(CURVES)}: {_MAKE}")
    return PublicKey(path, key_id(key), key)


def _read(path: Path, kind: str) -> bytes:
    try:
        with open(path.expanduser(), "rb") as stream:
            return stream.read(_MOST_BYTES)
    except OSError as error:
        raise SignatureError(f"the {kind.lower()} key {path} cannot be read: {error.strerror}", hint=_MAKE) from None


def _refuse_other(path: Path, data: bytes, error: Exception) -> Any:
    if b"PUBLIC KEY" in data:
        raise SignatureError(f"{path} holds a public key, and a private one signs") from None
    if b"PRIVATE KEY" in data:
        hint = f"give its public half: openssl ec -in {path} -pubout"
        raise SignatureError(f"{path} holds a private key, and a public one checks signatures", hint=hint) from None
    raise SignatureError(f"{path} holds no key in PEM: {str(error).splitlines()[0][:120]}", hint=_MAKE) from None


def _serialization() -> Any:
    try:
        from cryptography.hazmat.primitives import serialization
    except ImportError:
        raise SignatureError(
            "signatures need the package cryptography, which is not installed", hint="pip install 'pizzeria[signing]'"
        ) from None
    return serialization
