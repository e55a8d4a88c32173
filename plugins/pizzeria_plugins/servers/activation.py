"""What a service manager tells the supervisor, and is told by it, as systemd does it.

- Socket activation: with `LISTEN_FDS=1`, file descriptor 3 is a listening socket that somebody else has bound and goes
  on holding. Two services may then serve on one socket at a time, and one may go while no connection is refused.
- `sd_notify`: with `NOTIFY_SOCKET`, `READY=1` and `X_SHA256=` (the bundle's identity) are sent there once all first
  workers accept connections, which they do when their model has repeated its golden answer; `STOPPING=1` at the end.
"""

from __future__ import annotations

import logging
import os
import socket
import threading
from collections.abc import MutableMapping
from typing import Any

from pizzeria.errors import DeploymentError

_logger = logging.getLogger("bentoml.pizzeria")
_FIRST_FD = 3
_READY = "PIZZERIA_READY_FD"
_API_SOCKET = "_bento_api_server"
"""BentoML's name for the socket of the service itself."""


def begin(environment: MutableMapping[str, str], workers: int) -> None:
    """Take over what the supervisor was told; its workers are not told again.

    BentoML's supervisor imports the service before it makes its sockets and starts its workers.

    Args:
        environment: `os.environ`.
        workers: Number of first workers, all of which must be ready.

    Raises:
        DeploymentError: it was told of a socket, and there is none.
    """
    inherited = _takes_socket(environment)
    address = environment.pop("NOTIFY_SOCKET", "")
    if inherited:
        _check(_FIRST_FD)
    _serve_on_own_socket_until_stopped(inherited, address)
    if address:
        reading, writing = os.pipe()
        os.set_inheritable(writing, True)
        environment[_READY] = str(writing)
        threading.Thread(target=_wait_for, args=(reading, workers, address), name="ready", daemon=True).start()


def worker_is_ready(sha256: str) -> None:
    """Let the supervisor know that this worker accepts connections."""
    if _READY in os.environ:
        try:
            os.write(int(os.environ[_READY]), f"{sha256}\n".encode())  # shorter than PIPE_BUF, so never torn
        except OSError as error:
            _logger.warning("the supervisor cannot be told that this worker is ready: %s", error)


def notify(address: str, **variables: str) -> None:
    """Send variables to a notification socket.

    Args:
        address: A path, or an abstract name that begins with `@`.
    """
    message = "\n".join(f"{name}={value}" for name, value in variables.items()).encode()
    target = f"\0{address[1:]}" if address.startswith("@") else address
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
            sender.sendto(message, target)
    except OSError as error:
        _logger.warning("the service manager at %s cannot be told: %s", address, error)


def _takes_socket(environment: MutableMapping[str, str]) -> bool:
    """Whether a socket was passed to this very process.

    `LISTEN_PID` says to whom it was passed: a child that merely inherited the variables must leave them alone. A
    manager that cannot know the process id before the process runs, as Pizzeria's own keeper, leaves the variable out.
    """
    count = environment.pop("LISTEN_FDS", "")
    meant = environment.pop("LISTEN_PID", "") or str(os.getpid())
    environment.pop("LISTEN_FDNAMES", None)
    if not count or meant != str(os.getpid()):
        return False
    if count != "1":
        raise DeploymentError(f"LISTEN_FDS={count}", hint="pass one listening socket; the service serves on one")
    return True


def _check(number: int) -> None:
    try:
        with socket.socket(fileno=os.dup(number)) as passed:
            listens = passed.type == socket.SOCK_STREAM
    except OSError as error:
        raise DeploymentError(f"LISTEN_FDS=1, and file descriptor {number} is no socket: {error.strerror}") from error
    if not listens:
        raise DeploymentError(f"LISTEN_FDS=1, and file descriptor {number} is no stream socket")


def _serve_on_own_socket_until_stopped(inherited: bool, address: str) -> None:
    """Teach circus, which supervises BentoML's workers, both ends of a service's life.

    It keeps its own listening socket until its last worker is gone. Connections would wait there for nobody, and be
    reset at last; a socket that is closed at once refuses them, and they go elsewhere.
    """
    from circus.arbiter import Arbiter
    from circus.sockets import CircusSocket

    bind_and_listen, stop_watchers = CircusSocket.bind_and_listen, Arbiter._stop_watchers

    def take(own: Any) -> None:
        if own.name != _API_SOCKET or not inherited:
            bind_and_listen(own)
            return
        os.dup2(_FIRST_FD, own.fileno(), inheritable=True)
        os.close(_FIRST_FD)
        own.setblocking(False)
        own.host, own.port = own.getsockname()[:2]

    def stop(arbiter: Any, *arguments: Any, **options: Any) -> Any:
        if address:
            notify(address, STOPPING="1")
        arbiter.sockets.close_all()
        return stop_watchers(arbiter, *arguments, **options)

    CircusSocket.bind_and_listen = take
    Arbiter._stop_watchers = stop


def _wait_for(reading: int, workers: int, address: str) -> None:
    """Tell the service manager when as many workers as there are at first have said that they are ready."""
    with open(reading) as lines:
        for _, line in zip(range(workers), lines, strict=False):
            sha256 = line.strip()
        notify(address, READY="1", X_SHA256=sha256, STATUS=f"serving {sha256[:12]}")
        for _ in lines:  # workers that are started later
            pass
