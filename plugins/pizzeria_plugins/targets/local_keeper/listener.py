"""The listening socket of a deployment."""

from __future__ import annotations

import ctypes
import os
import socket
from collections.abc import Sequence
from contextlib import closing, suppress
from typing import TYPE_CHECKING

from pizzeria.errors import DeploymentError

if TYPE_CHECKING:
    import psutil

_BACKLOG = 2048
_PIDFD_GETFD = 438  # the same number on every processor


def bind(host: str, port: int, holder: str = "") -> socket.socket:
    """A new one.

    Args:
        holder: Said of a port that is taken: who has it.

    Raises:
        DeploymentError: it is taken, or not to be had.
    """
    listener = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # a port in TIME_WAIT is free
        listener.bind((host, port))
        listener.listen(_BACKLOG)
    except OSError as error:
        listener.close()
        raise DeploymentError(
            f"cannot listen on {host} port {port}: {error.strerror}{holder}",
            hint="give another one: deployment.port=...",
        ) from error
    return listener


def fetch(processes: Sequence[psutil.Process], host: str, port: int) -> socket.socket | None:
    """A socket that one of the processes listens on at this address, as a copy; None where it cannot be had.

    A service whose keeper was killed holds the socket still. Linux lets the same user copy it (`pidfd_getfd`), unless
    tracing other processes is forbidden (`kernel.yama.ptrace_scope`).
    """
    import psutil

    for process in processes:
        with suppress(psutil.Error, OSError, AttributeError):
            for connection in process.net_connections("tcp"):
                listens = connection.status == psutil.CONN_LISTEN and tuple(connection.laddr) == (host, port)
                if listens and (copy := _copy(process.pid, connection.fd)) is not None:
                    return copy
    return None


def _copy(pid: int, number: int) -> socket.socket | None:
    handle = os.pidfd_open(pid)
    try:
        copied = ctypes.CDLL(None, use_errno=True).syscall(_PIDFD_GETFD, handle, number, 0)
    finally:
        os.close(handle)
    if copied < 0:
        return None
    with closing(socket.socket(fileno=copied)) as found:
        return found.dup()
