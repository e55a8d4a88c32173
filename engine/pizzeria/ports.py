"""A free TCP port, for what is started here to listen on."""

from __future__ import annotations

import random
import socket
from contextlib import closing, suppress

_given: set[int] = set()


def free_port() -> int:
    """A TCP port of this machine that nobody listens on; another one each time.

    It lies below those that systems give to outgoing connections, and to servers that take any: those begin at 32768,
    and one of them may be somebody else's before it is used here.

    Example:
        >>> free_port() in range(20_000, 32_768)
        True
    """
    while True:
        port = random.SystemRandom().randrange(20_000, 32_768)
        with closing(socket.socket()) as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            if port not in _given:
                _given.add(port)
                return port
