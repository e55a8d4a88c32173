"""In the function: a service whose predictions are in their log before its answer goes out.

A platform may stop the clock of a function that has answered, and end it later without a word.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Protocol

Message = MutableMapping[str, Any]


class Flushing(Protocol):
    """An ASGI app that may have something to write."""

    async def __call__(self, scope: Message, receive: Any, send: Any) -> None:
        """One request."""

    def flush(self, timeout_s: float = 2) -> bool:
        """Write it."""


class Flushed:
    """The same app; its answers are kept back until what it has to write is written.

    Example:
        >>> class App:
        ...     async def __call__(self, scope, receive, send):
        ...         await send({"type": "http.response.start", "status": 200, "headers": []})
        ...     def flush(self):
        ...         print("flush")
        >>> async def send(message):
        ...     print(message["type"])
        >>> asyncio.run(Flushed(App())({"type": "http"}, None, send))
        flush
        http.response.start
    """

    def __init__(self, app: Flushing) -> None:
        self._app = app

    async def __call__(
        self, scope: Message, receive: Callable[[], Awaitable[Message]], send: Callable[[Message], Awaitable[None]]
    ) -> None:
        """One request, or one life."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        kept: list[Message] = []

        async def keep(message: Message) -> None:
            kept.append(message)

        await self._app(scope, receive, keep)
        await asyncio.to_thread(self._app.flush)
        for message in kept:
            await send(message)
