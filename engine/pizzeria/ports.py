"""A free TCP port, for what is started here to listen on."""

from __future__ import annotations

import fcntl
import os
import random
import socket
import tempfile
from contextlib import closing, suppress
from functools import cache
from pathlib import Path

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
    """Take it for this process until that ends, so that no other one is given it before it is used: a lock on one byte
    of a file for each port, which goes with the process."""
    if port in _given:
        return False
    with suppress(OSError):  # without a folder for it, ports differ in this process alone
        try:
            fcntl.lockf(_file(), fcntl.LOCK_EX | fcntl.LOCK_NB, 1, port)
        except BlockingIOError:
            return False
    _given.add(port)
    return True


@cache
def _file() -> int:
    name = Path(tempfile.gettempdir(), f".pizzeria-ports-{os.getuid()}")
    return os.open(name, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
