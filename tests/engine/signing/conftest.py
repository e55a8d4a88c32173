"""Keys as openssl makes them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

Make = Callable[..., tuple[Path, Path]]


@pytest.fixture
def make_key(tmp_path: Path) -> Make:
    """Writes a pair of keys; returns the paths of the private and of the public one."""

    def make(name: str, curve: str = "SECP256R1", passphrase: str | None = None) -> tuple[Path, Path]:
        if curve == "RSA":
            key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey = rsa.generate_private_key(65537, 2048)
        else:
            key = ec.generate_private_key(getattr(ec, curve)())
        pem, locked = serialization.Encoding.PEM, serialization.NoEncryption()
        if passphrase is not None:
            locked = serialization.BestAvailableEncryption(passphrase.encode())  # type: ignore[assignment]
        private, public = tmp_path / f"{name}.pem", tmp_path / f"{name}.pub.pem"
        private.write_bytes(key.private_bytes(pem, serialization.PrivateFormat.PKCS8, locked))
        private.chmod(0o600)
        public.write_bytes(key.public_key().public_bytes(pem, serialization.PublicFormat.SubjectPublicKeyInfo))
        return private, public

    return make
