"""How a worker begins and ends: uvicorn's server, which says when it accepts, and drains without a lost request.

From SIGTERM on no connection is accepted. `pizzeria_plugins.servers.protocol` answers what was begun, and what a client
sends on a connection that it had open, with `Connection: close`.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from typing import ClassVar

import uvicorn

from pizzeria_plugins.servers.protocol import begin_drain


def install(accepts: Callable[[], None]) -> None:
    """Make every uvicorn server that this process starts one that drains.

    Args:
        accepts: Called once it accepts connections.
    """
    Server.accepts = staticmethod(accepts)
    uvicorn.Server = Server  # type: ignore[misc]


class Server(uvicorn.Server):
    """One worker's."""

    accepts: ClassVar[Callable[[], None]]

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            self.accepts()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        begin_drain(self.server_state, asyncio.get_running_loop().time())
        await super().shutdown(sockets)
