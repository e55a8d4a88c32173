"""Asking a service on this machine, past every proxy."""

from __future__ import annotations

import contextlib
import http.client
import json
import ssl
import time
from typing import Any

_READY_S = 10.0
"""A busy machine takes a second or two; by this answer it is decided whether nginx has what it was told."""


def ask(
    address: dict[str, Any],
    path: str,
    headers: dict[str, str] | None = None,
    body: bytes | None = None,
    wait_s: float = 5,
) -> tuple[int, bytes]:
    """Status and body of an answer; 0 and nothing where there was none.

    Args:
        address: `host`, `port`, maybe `tls` and `name` (the Host that is asked for).
        body: Sent with POST; GET without one.
    """
    head = dict(headers or {})
    if address.get("name"):
        head["Host"] = address["name"]
    if address.get("tls"):
        # This machine asks itself, whatever name its certificate has: the answer's sha256 says whether it is the one.
        unchecked = ssl._create_unverified_context()  # noqa: S323  # nosec B323  # nosemgrep: unverified-tls  # it asks itself; the sha256 is what counts
        connection: http.client.HTTPConnection = http.client.HTTPSConnection(
            address["host"], address["port"], timeout=wait_s, context=unchecked
        )
    else:
        connection = http.client.HTTPConnection(address["host"], address["port"], timeout=wait_s)
    with contextlib.closing(connection):
        try:
            connection.request("GET" if body is None else "POST", path, body, head)
            answer = connection.getresponse()
            return answer.status, answer.read(10_000_000)
        except (OSError, http.client.HTTPException):
            return 0, b""


def readiness(address: dict[str, Any]) -> dict[str, Any]:
    """What `/readyz` says when it is ready; nothing otherwise."""
    status, body = ask(address, "/readyz", wait_s=_READY_S)
    if status != 200:
        return {}
    try:
        value = json.loads(body)
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}


def probe(address: dict[str, Any], headers: dict[str, str], body: bytes, times: int, wait_s: float) -> dict[str, Any]:
    """Ask the same prediction again and again.

    Returns:
        `requests`, `errors` (status of 500 or more, or none) and `seconds` of each answer.
    """
    errors, seconds = 0, []
    for _ in range(times):
        begun = time.monotonic()
        status, _ = ask(address, "/predict", headers, body, wait_s)
        errors += status == 0 or status >= 500
        if status:
            seconds.append(time.monotonic() - begun)
    return {"requests": times, "errors": errors, "seconds": seconds}
