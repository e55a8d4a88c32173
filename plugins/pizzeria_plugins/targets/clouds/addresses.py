"""Addresses that a user gives: of a gateway, of another cloud, of an emulator."""

from __future__ import annotations

from ipaddress import ip_address
from urllib.parse import urlsplit


def checked_address(address: str) -> str:
    """`https://host[:port][/path]`, without a slash at the end; `http` for this machine alone.

    Example:
        >>> checked_address("https://api.example.com/rooms/")
        'https://api.example.com/rooms'
        >>> checked_address("http://example.com")
        Traceback (most recent call last):
        ValueError: 'http://example.com' is no address; write https://example.com, say
    """
    fault = ValueError(f"{address[:80]!r} is no address; write https://example.com, say")
    if not address.isascii() or not address.isprintable() or any(sign in address for sign in " \"'`<>\\^{}|?#@$"):
        raise fault
    try:
        parts = urlsplit(address)
        host, _ = parts.hostname, parts.port
    except ValueError:
        raise fault from None
    if not host or parts.scheme not in ("http", "https") or (parts.scheme == "http" and not is_here(address)):
        raise fault
    return address.rstrip("/")


def is_here(address: str) -> bool:
    """Whether it is an address of this machine.

    Example:
        >>> is_here("http://127.0.0.1:10000"), is_here("https://example.com")
        (True, False)
    """
    host = urlsplit(address).hostname or ""
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False
