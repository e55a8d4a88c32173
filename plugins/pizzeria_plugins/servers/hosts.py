"""Which names a service answers to: `serving.hosts`, against a page whose own name is made to point here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from ipaddress import ip_address
from urllib.parse import urlsplit

from pizzeria.errors import RequestError

FOR_ALL = ("/healthz", "/readyz")
"""Asked by whoever watches the service, under whatever name."""


class Hosts:
    """Refuses requests to a name that the service does not go by.

    A browser sends the name that its page has (DNS rebinding), so that the page could read the answers. An address is
    always ours: only a name can be made to point here by a stranger.

    Args:
        names: None: every name.
    """

    def __init__(self, names: Sequence[str] | None) -> None:
        self._names = None if names is None else frozenset(name.lower() for name in names)

    def knows(self, host: str) -> bool:
        """Whether the header `Host` is one of ours.

        Example:
            >>> hosts = Hosts(["pizzeria.example"])
            >>> [hosts.knows(host) for host in ("localhost:3000", "10.0.0.4", "[::1]:80", "Pizzeria.example")]
            [True, True, True, True]
            >>> hosts.knows("evil.example"), hosts.knows(""), Hosts(None).knows("evil.example")
            (False, False, True)
        """
        if self._names is None:
            return True
        try:
            name = urlsplit(f"//{host}").hostname or ""
        except ValueError:
            return False
        return name == "localhost" or name in self._names or _is_address(name)

    def check(self, path: str, headers: Mapping[str, str]) -> None:
        """Look at a request.

        Raises:
            RequestError: 421, it is for somebody else.
        """
        if path not in FOR_ALL and not self.knows(headers.get("host", "")):
            hint = "ask it by its address, or by a name of serving.hosts"
            raise RequestError(421, "unknown_host", "this service does not go by that name", hint=hint)


def _is_address(name: str) -> bool:
    try:
        ip_address(name)
    except ValueError:
        return False
    return True
