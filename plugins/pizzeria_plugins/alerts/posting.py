"""Sends a body to an address by HTTP, once: no redirects, certificates verified, and no secret in any message."""

from __future__ import annotations

import ipaddress
import json
import logging
import os
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field

from pizzeria.errors import PizzeriaError
from pizzeria_plugins.alerts.texts import clean

if TYPE_CHECKING:
    import httpx

TIMEOUT_S = 10.0
_ANSWER = 2000
"""Bytes of an answer that are read."""

Variable = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,99}$")]
"""The name of an environment variable."""


_QUIET: ContextVar[bool] = ContextVar("quiet", default=False)


class _Hush(logging.Filter):
    """httpx logs each address that it asks, and here an address may be a secret."""

    def filter(self, record: logging.LogRecord) -> bool:
        return not _QUIET.get()


_HUSH = _Hush()


def _checked(url: str) -> str:
    fault = address_fault(url)
    if fault:
        raise ValueError(fault)
    return url


Url = Annotated[str, AfterValidator(_checked)]
"""An address that holds no secret, and so may stand in a spec."""


def address_fault(url: str) -> str:
    """What is wrong with an address in a spec, or nothing.

    Example:
        >>> address_fault("https://hooks.example/alerts"), address_fault("ftp://there")
        ('', "'ftp://there' is no address; write https://host/path")
    """
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        return "this is no address; write https://host/path"
    if parts.username is not None or parts.password is not None:
        return "the address holds a user or password; name a variable of the environment that has it instead"
    if parts.scheme not in ("http", "https") or not parts.hostname or url != clean(url, 2000).replace(" ", ""):
        return f"{clean(url, 200)!r} is no address; write https://host/path"
    return ""


def secret(variable: str, what: str) -> str:
    """The value of an environment variable.

    Raises:
        PizzeriaError: it is not set, or has a line break in it, which no header or address has.
    """
    value = os.environ.get(variable, "")
    if not value.strip():
        raise PizzeriaError(f"the environment variable {variable} is not set", hint=f"it must hold {what}")
    if value != value.strip() or not value.isprintable() or not value.isascii():
        raise PizzeriaError(
            f"the value of {variable} has spaces around it, or characters that cannot be sent",
            hint=f"it must hold {what}",
        )
    return value


@dataclass(frozen=True)
class Receiver:
    """Where to send.

    Attributes:
        url: All of it.
        called: How messages call it: never by a secret.
        hidden: Texts that no message may contain.
        ca: PEM file of a certificate authority of one's own.
    """

    url: str
    called: str
    hidden: Sequence[str] = ()
    ca: Path | None = None
    headers: Mapping[str, str] = field(default_factory=dict)


@contextmanager
def connected(receiver: Receiver) -> Iterator[httpx.Client]:
    """A client for one receiver; what fails with it is a PizzeriaError.

    Raises:
        PizzeriaError: httpx is not installed, the authority cannot be read, or the receiver cannot be reached.
    """
    try:
        import httpx
    except ImportError:
        raise PizzeriaError("this channel needs httpx", hint="pip install 'pizzeria[alerts]'") from None
    logging.getLogger("httpx").addFilter(_HUSH)
    quiet = _QUIET.set(True)
    try:
        # No proxy between a machine and itself.
        with httpx.Client(
            timeout=TIMEOUT_S,
            follow_redirects=False,
            verify=_verification(receiver.ca),
            trust_env=not _is_here(receiver.url),
            headers={"User-Agent": "pizzeria"},
        ) as client:
            yield client
    except (httpx.HTTPError, httpx.InvalidURL, UnicodeError) as error:
        said = _without(clean(f"{type(error).__name__}: {error}", 300), receiver)
        raise PizzeriaError(f"{receiver.called} cannot be reached: {said}") from None
    finally:
        _QUIET.reset(quiet)


def post(
    client: httpx.Client,
    receiver: Receiver,
    body: bytes,
    content_type: str = "application/json",
    *,
    method: str = "POST",
    path: str = "",
) -> None:
    """Send once.

    Args:
        path: Below the receiver's address.

    Raises:
        PizzeriaError: it was not taken: the status is none of 200 to 299.
    """
    headers = {**receiver.headers, "Content-Type": content_type}
    deadline = time.monotonic() + TIMEOUT_S
    with client.stream(
        method, receiver.url.rstrip("/") + path if path else receiver.url, content=body, headers=headers
    ) as got:
        answer = b""
        # Read, so that the connection can be used again; but no endless answer.
        for piece in got.iter_raw(_ANSWER):
            answer += piece
            if len(answer) >= _ANSWER or time.monotonic() > deadline:
                break
    if got.is_success:
        return
    # Cut after the secrets went, so that no part of one is left at the edge.
    said = clean(_without(answer[:_ANSWER].decode("utf-8", "replace"), receiver), 200)
    hint = "it points elsewhere; write the address where it ends up" if got.is_redirect else ""
    raise PizzeriaError(f"{receiver.called} answered {got.status_code}{f': {said}' if said else ''}", hint=hint)


def as_json(value: Any) -> bytes:
    """JSON in ASCII, as every receiver reads it."""
    return json.dumps(value, allow_nan=False, separators=(",", ":")).encode("ascii")


def _without(text: str, receiver: Receiver) -> str:
    """The text without the secrets of the receiver, also where a part of an address is one."""
    hidden = list(receiver.hidden)
    for one in receiver.hidden:
        path = urlsplit(one).path if "://" in one else ""
        hidden += [path, *(part for part in path.split("/") if len(part) > 5)]
    for one in sorted(filter(None, hidden), key=len, reverse=True):
        text = text.replace(one, "[hidden]")
    return text


def _verification(ca: Path | None) -> Any:
    import ssl

    if ca is None:
        return True
    try:
        return ssl.create_default_context(cafile=str(ca))
    except (OSError, ssl.SSLError) as error:
        raise PizzeriaError(
            f"the certificates of {ca} cannot be read: {error.strerror or error}", hint="ca is a PEM file"
        ) from None


def _is_here(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def header_name_fault(name: str) -> str:
    """What is wrong with the name of a header, or nothing.

    Example:
        >>> header_name_fault("X-Token"), header_name_fault("no header")
        ('', "'no header' is no name of a header")
    """
    return (
        ""
        if re.fullmatch(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}", name)
        else f"{clean(name, 100)!r} is no name of a header"
    )
