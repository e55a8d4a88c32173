"""Pages of long lists, by links that keep the rest of the address."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from starlette.requests import Request


@dataclass(frozen=True)
class Page:
    """A part of a list.

    Attributes:
        number: From 1 on.
        total: How many things there are in all.
        asked: What else the address asks for.
    """

    number: int
    limit: int
    total: int
    asked: Mapping[str, Any]

    @classmethod
    def of(cls, request: Request, total: int, limit: int) -> Page:
        """As the address says; a number beyond the end is the last page."""
        last = max(1, -(-total // limit))
        asked = {key: value for key, value in request.query_params.items() if key != "page" and value}
        return cls(min(max(integer(request, "page", 1), 1), last), limit, total, asked)

    @property
    def offset(self) -> int:
        return (self.number - 1) * self.limit

    @property
    def last(self) -> int:
        return max(1, -(-self.total // self.limit))

    @property
    def first_shown(self) -> int:
        return min(self.offset + 1, self.total)

    @property
    def last_shown(self) -> int:
        return min(self.offset + self.limit, self.total)

    def to(self, number: int) -> str:
        """The address of another page of the list."""
        return f"?{urlencode({**self.asked, 'page': number})}"


def integer(request: Request, key: str, default: int) -> int:
    """A number of an address; what is none is the default.

    Args:
        key: In the query.
    """
    text = request.query_params.get(key, "")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else default
