"""How a command starts a keeper, and what it says to it: one request as a line of JSON, answered by lines of JSON."""

from __future__ import annotations

import json
import os
import socket
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

from pizzeria.errors import DeploymentError
from pizzeria_plugins.targets import processes
from pizzeria_plugins.targets.local_keeper.deployment import KEEPER_LOG

_LONGEST_PATH = 90
"""Bytes of a socket's path, which the system limits to 107."""
_START_S = 60.0
_GIVE_UP_S = 30.0
_STATE_S = 20.0
"""A keeper that listens and says nothing for so long is no keeper; a busy machine takes a second or two."""


def start(folder: Path, listener: socket.socket) -> tuple[str, str]:
    """Start a keeper, which takes the listening socket; without an order it ends after half a minute.

    Returns:
        Where it listens for commands, and the token of its process.

    Raises:
        DeploymentError: it does not come up.
    """
    token = uuid.uuid4().hex
    room = folder
    if len(os.fsencode(folder)) > _LONGEST_PATH - 20:
        room = Path(tempfile.mkdtemp(prefix="pizzeria-"))
    control = str(room / f"keeper-{token[:8]}.sock")
    argv = [sys.executable, "-P", "-m", "pizzeria_plugins.targets.local_keeper"]
    argv += [str(folder), token, control, str(listener.fileno())]
    log = folder / KEEPER_LOG
    processes.start(argv, {**os.environ, **processes.marks(token, folder)}, folder, log, listener.fileno())
    deadline = time.monotonic() + _START_S
    while not _answers(control):
        if not processes.marked(token) or time.monotonic() > deadline:
            processes.stop(lambda: processes.marked(token), 0)
            raise DeploymentError(f"the keeper of {folder.name} does not come up", hint=f"{log} may say why")
        time.sleep(0.02)
    return control, token


def ask(control: str, request: Mapping[str, Any], timeout_s: float) -> Iterator[dict[str, Any]]:
    """The answers to a request, as they come; the last one has `done` or `error`.

    A caller that is interrupted tells the keeper so, and waits until the keeper has given the request up, or done it.

    Args:
        timeout_s: The longest pause between two of them.

    Raises:
        OSError: nobody listens there, or it ended in the middle; TimeoutError among them.
    """
    with closing(_connect(control, timeout_s)) as connection, connection.makefile("r", encoding="utf-8") as answers:
        connection.sendall(json.dumps(request).encode() + b"\n")
        whole = False
        try:
            for line in answers:
                answer = json.loads(line)
                whole = "done" in answer or "error" in answer
                yield answer
                if whole:
                    return
        except BaseException:
            if not whole:
                # Its order is withdrawn; it says when that has been done.
                with suppress(OSError):
                    connection.shutdown(socket.SHUT_WR)
                    connection.settimeout(_GIVE_UP_S)
                    while connection.recv(65_536):
                        pass
            raise
        raise ConnectionResetError("the keeper ended")


def alive(control: str) -> bool:
    """Whether a keeper listens there."""
    return bool(control) and _answers(control)


def state(control: str) -> dict[str, Any]:
    """How its service is, as the keeper sees it; nothing where there is no keeper."""
    with suppress(OSError, ValueError):
        for answer in ask(control, {"do": "status"}, _STATE_S):
            return answer
    return {}


def _answers(control: str) -> bool:
    with suppress(OSError), closing(_connect(control, 2)):
        return True
    return False


def _connect(control: str, timeout_s: float) -> socket.socket:
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        connection.settimeout(timeout_s)
        connection.connect(control)
    except BaseException:
        connection.close()
        raise
    return connection
