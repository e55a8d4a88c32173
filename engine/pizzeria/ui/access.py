"""Who may read the pages, and who may act.

Reading from the machine itself needs nothing. Acting, and reading over the network, needs the token that the command
prints when it starts: its link is changed for a signed cookie, so that the token stays in no address. Each form carries
a word that only pages of that session know. A page of another site can neither read nor act: its requests come with
another `Host` (a name that was made to point here), or without the cookie.
"""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

_HOURS = 12
_LOOPBACK = ("localhost", "127.0.0.1", "::1")


@dataclass(frozen=True)
class Session:
    """Somebody who had the token.

    Attributes:
        word: What the forms of the session carry.
    """

    word: str


@dataclass(frozen=True)
class Access:
    """The rules of one running application.

    Attributes:
        host, port: Where it listens.
        actions: Whether anything can be done at all.
        names: Further names under which it is reached, such as that of a proxy.
        token: What opens a session.
    """

    host: str = "127.0.0.1"
    port: int = 8501
    actions: bool = False
    names: Collection[str] = ()
    token: str = field(default_factory=lambda: secrets.token_urlsafe(24), repr=False)
    _secret: str = field(default_factory=lambda: secrets.token_urlsafe(32), repr=False)

    @property
    def here_alone(self) -> bool:
        """Whether only this machine can reach it."""
        return is_loopback(self.host)

    @property
    def asks_readers(self) -> bool:
        """Whether reading needs a session too."""
        return not self.here_alone

    @property
    def cookie(self) -> str:
        """The cookie's name; cookies know no ports, and several applications may run."""
        return f"pizzeria_{self.port}"

    def knows(self, host: str) -> bool:
        """Whether a `Host` header is one of ours. An address is: only a name can be made to point here by a stranger.

        Example:
            >>> access = Access(names=("pizzeria.example",))
            >>> [access.knows(host) for host in ("localhost:8501", "10.0.0.4", "[::1]:80", "pizzeria.example")]
            [True, True, True, True]
            >>> access.knows("evil.test"), access.knows("")
            (False, False)
        """
        name = urlsplit(f"//{host}").hostname or ""
        if name in (*_LOOPBACK, self.host, *self.names):
            return True
        try:
            ip_address(name)
        except ValueError:
            return False
        return True

    def opened(self, token: str) -> str | None:
        """A signed cookie for the right token; None for another."""
        if not hmac.compare_digest(token.encode(), self.token.encode()):
            return None
        return str(self._signer().dumps({"word": secrets.token_urlsafe(18)}))

    def session(self, cookies: Mapping[str, str]) -> Session | None:
        """The session of a cookie that was signed here, and is not old."""
        from itsdangerous import BadData

        try:
            plain = self._signer().loads(cookies.get(self.cookie, ""), max_age=_HOURS * 3600)
        except BadData:
            return None
        return Session(str(plain["word"]))

    def may_act(self, session: Session | None, word: str, headers: Mapping[str, str]) -> str:
        """Why a form must not be acted on; empty where it may."""
        if not self.actions:
            return "this application only reads; start it with --actions"
        if session is None:
            return "open the link that `pizzeria ui --actions` printed first"
        if not hmac.compare_digest(word.encode(), session.word.encode()):
            return "the form is not of this session; open its page anew"
        origin = headers.get("origin")
        if origin is not None and urlsplit(origin).netloc != headers.get("host", ""):
            return "the form comes from another site"
        if headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
            return "the form comes from another site"
        return ""

    def _signer(self) -> Any:
        from itsdangerous import URLSafeTimedSerializer

        return URLSafeTimedSerializer(self._secret, salt="session")


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches an address.

    Example:
        >>> is_loopback("127.0.0.1"), is_loopback("::1"), is_loopback("localhost"), is_loopback("0.0.0.0")
        (True, True, True, False)
    """
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
