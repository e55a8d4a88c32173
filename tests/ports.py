"""Ports for services that tests start."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import closing, contextmanager


@contextmanager
def held_port() -> Iterator[int]:
    """A port of this machine that nobody else is given in the block, however long its service takes to come, or to come
    again: it is bound here and not listened on. A service that sets SO_REUSEADDR, as servers do, may listen on it."""
    with closing(socket.socket()) as holder:
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        holder.bind(("127.0.0.1", 0))
        yield int(holder.getsockname()[1])
