"""What an address may look like: a path, or a URL that fsspec knows, with a hash at its end if need be."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import parse_qsl, unquote, urlsplit

from pydantic import BeforeValidator

_URL = re.compile(r"^([A-Za-z][A-Za-z0-9+.-]*)(::.*)?://")
_PIN = re.compile(r"#sha256=([^#]*)$")
_SECRETS = ("signature", "x-amz-signature", "x-goog-signature", "x-amz-security-token", "sig", "token", "access_token")
"""Query parameters that open a door to whoever has them."""


def _checked(value: Any) -> str:
    if isinstance(value, os.PathLike):
        value = os.fspath(value)
    if not isinstance(value, str):
        raise ValueError(f"expected a path or an address, found {type(value).__name__}")
    if not value.strip():
        raise ValueError("the path or address is empty")
    if "\0" in value:
        raise ValueError("a path or an address has no NUL in it")
    pin = _PIN.search(value)
    if pin is not None and not re.fullmatch(r"[0-9a-fA-F]{64}", pin[1]):
        raise ValueError(f"#sha256={pin[1]} is no hash: 64 hexadecimal digits follow #sha256=")
    found = _URL.match(value)
    if found is None:
        return value
    if found[2] or re.search(r"::[A-Za-z][A-Za-z0-9+.-]*://", value):
        raise ValueError("addresses are not chained with :: here; write that of the file, folder or archive itself")
    try:
        parts = urlsplit(value)
        password = parts.password
    except ValueError as error:
        raise ValueError(f"this is no address: {error}") from error
    if password is not None:
        raise ValueError("the address holds a password; leave it out, the store's library finds it in the environment")
    secret = [name for name, _ in parse_qsl(parts.query) if name.lower() in _SECRETS]
    if secret:
        raise ValueError(
            f"the address holds a secret ({secret[0]}); leave it out, the store's library finds its own in the "
            "environment"
        )
    return value


Address = Annotated[str, BeforeValidator(_checked)]
"""A path of this machine, or an address that fsspec knows such as `s3://bucket/folder`; as the user wrote it.

`#sha256=<64 hex digits>` at the end says what content a file must have. One with a password in it is refused.
"""


def is_remote(address: str | Path) -> bool:
    """Whether it must be brought here first; `file://` is a path in disguise.

    Example:
        >>> is_remote("photos"), is_remote("file:///data/photos"), is_remote("s3://bucket/photos")
        (False, False, True)
    """
    found = _URL.match(str(address))
    return found is not None and found[1].lower() not in ("file", "local")


def split_pin(address: str | Path) -> tuple[str, str | None]:
    """The address without its hash, and the hash.

    Example:
        >>> split_pin("https://there/a.csv#sha256=" + "AB" * 32)[1][:4]
        'abab'
    """
    text = str(address)
    pin = _PIN.search(text)
    return (text, None) if pin is None else (text[: pin.start()], pin[1].lower())


def as_path(address: str | Path) -> Path:
    """The path of an address that is not remote.

    Example:
        >>> as_path("file:///data/a%20b.csv").as_posix(), as_path("photos").as_posix()
        ('/data/a b.csv', 'photos')
    """
    if isinstance(address, Path):
        return address
    found = _URL.match(address)
    if found is None:
        return Path(address)
    return Path(unquote(address[found.end() :]))
