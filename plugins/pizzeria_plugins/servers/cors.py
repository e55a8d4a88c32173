"""Which pages of other sites may call the service: none, unless the spec names their origins."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from pizzeria.inference.contract import Reply

_MAY_SEND = "Authorization, Content-Type, X-API-Key"
_MAY_READ = "Retry-After"
_REMEMBER_S = 600


class Cors:
    """Answers browsers that ask for another site's page.

    Origins are compared letter by letter. Cookies are never welcome: a key is sent by the page's own code.

    Args:
        origins: Such as `https://example.com`; none: browsers keep every other site out.

    Example:
        >>> cors = Cors(["https://a.example"])
        >>> cors.share(Reply(200, b"{}"), {"origin": "https://a.example"}).headers["Access-Control-Allow-Origin"]
        'https://a.example'
        >>> "Access-Control-Allow-Origin" in cors.share(Reply(200, b"{}"), {"origin": "https://b.example"}).headers
        False
    """

    def __init__(self, origins: Sequence[str]) -> None:
        self._origins = frozenset(origins)

    def __bool__(self) -> bool:
        return bool(self._origins)

    def preflight(self, method: str, headers: Mapping[str, str], allowed: Sequence[str]) -> Reply | None:
        """The answer to a browser that asks whether it may ask; None for any other request.

        Args:
            method: Of the request.
            headers: Names in lower case.
            allowed: Methods of the route.
        """
        if method != "OPTIONS" or "access-control-request-method" not in headers:
            return None
        if headers.get("origin") not in self._origins:
            return None
        may = {
            "Access-Control-Allow-Methods": ", ".join(allowed),
            "Access-Control-Allow-Headers": _MAY_SEND,
            "Access-Control-Max-Age": str(_REMEMBER_S),
        }
        return Reply(204, b"", headers=may)

    def share(self, reply: Reply, headers: Mapping[str, str]) -> Reply:
        """The reply, readable by the page that asked, where its origin is welcome."""
        if not self._origins:
            return reply
        told = {"Vary": ", ".join(filter(None, (reply.headers.get("Vary"), "Origin")))}
        origin = headers.get("origin")
        if origin in self._origins:
            told |= {"Access-Control-Allow-Origin": origin, "Access-Control-Expose-Headers": _MAY_READ}
        return replace(reply, headers={**reply.headers, **told})
