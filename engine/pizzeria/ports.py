"""A free TCP port, for what is started here to listen on."""

from __future__ import annotations

import errno
import random
import socket
import sys
from contextlib import closing, suppress

_given: set[int] = set()


def free_port() -> int:
    """A TCP port of this machine that nobody listens on; another one each time, whichever process asks.

    It lies below those that systems give to outgoing connections, and to servers that take any: those begin at 32768,
    and one of them may be somebody else's before it is used here.

    Example:
        >>> free_port() in range(20_000, 32_768)
        True
    """
    while True:
        port = random.SystemRandom().randrange(20_000, 32_768)
        if _is_free(port) and _reserve(port):
            return port


def _is_free(port: int) -> bool:
    with closing(socket.socket()) as probe, suppress(OSError):
        probe.bind(("127.0.0.1", port))
        return True
    return False


def _reserve(port: int) -> bool:
    """Take it for this process until that ends, so that no other one of this machine is given it before it is used.

    Linux alone has names that go with the process; elsewhere it is only not given twice here.
    """
    if port in _given:
        return False
    if sys.platform == "linux":
        name = socket.socket(socket.AF_UNIX)
        try:
            name.bind(f"\0pizzeria-port-{port}")
        except OSError as error:
            name.close()
            if error.errno == errno.EADDRINUSE:
                return False
        else:
            name.detach()  # it stays open
    _given.add(port)
    return True
