"""The headers of every answer, whoever wrote it: the contract, the pages, or the protocol itself."""

from __future__ import annotations

from pizzeria.inference.contract import Reply

SECURITY = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
"""What an answer says unless it says otherwise itself, as the pages do."""

Encoded = list[tuple[bytes, bytes]]


def encode(reply: Reply) -> Encoded:
    """The reply's headers as ASGI wants them: its own, and those of `SECURITY` that it does not set.

    Example:
        >>> dict(encode(Reply(200, b"{}", headers={"Cache-Control": "no-cache"})))[b"cache-control"]
        b'no-cache'
    """
    own = [(name.lower().encode(), value.encode("latin-1")) for name, value in reply.headers.items()]
    if reply.status not in _WITHOUT_BODY:
        own.append((b"content-type", reply.content_type.encode()))
        own.append((b"content-length", str(len(reply.body)).encode()))
    if reply.status in _OF_STATUS:
        own.append(_OF_STATUS[reply.status])
    if not reply.headers:
        return own + _SECURITY
    there = {name for name, _ in own}
    return own + [(name, value) for name, value in _SECURITY if name not in there]


_WITHOUT_BODY = (204, 304)
_OF_STATUS = {
    401: (b"www-authenticate", b"Bearer"),
    429: (b"retry-after", b"1"),
    503: (b"retry-after", b"1"),
}
_SECURITY: Encoded = [(name.lower().encode(), value.encode()) for name, value in SECURITY.items()]
