"""The section `signing`: who signs the bundle, and whose signature it needs to go live."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field, model_validator

from pizzeria.spec.section import Section


class Signing(Section):
    """Signatures on the bundle, by keys of elliptic curves in PEM files. No part of a fingerprint: signing anew trains
    nothing anew."""

    private_key: Path | None = Field(
        default=None, description="Private key that signs the bundle as soon as it is packed; null: nobody does."
    )
    passphrase_from: str | None = Field(
        default=None,
        pattern=r"^[A-Za-z_][A-Za-z0-9_]*$",
        description="Environment variable with the passphrase of the private key; null: it has none.",
    )
    public_keys: tuple[Path, ...] = Field(
        default=(),
        description="Only a bundle that one of these keys has signed goes live; none: nothing is asked. Two while a "
        "key is replaced by another.",
    )

    @model_validator(mode="after")
    def _of_something(self) -> Signing:
        if self.passphrase_from is not None and self.private_key is None:
            raise ValueError("passphrase_from is there without private_key, whose passphrase it is; name the key, too")
        return self
