"""A service's processes, known by a token in their environment.

A process id says little: it may be used again, and the worker processes of a server that is killed survive it, in
sessions of their own. The token is inherited by all of them and by nobody else.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import psutil

_TOKEN = "PIZZERIA_DEPLOYMENT"  # noqa: S105 (a name, not a secret)
_started: list[subprocess.Popen[bytes]] = []
"""What this process started: it must collect their exit status, or they stay as zombies."""


def start(argv: Sequence[str], environment: Mapping[str, str], folder: Path, log: Path, token: str) -> int:
    """Start a process that outlives this one, in a session of its own, with stdout and stderr in `log`.

    Args:
        environment: Added to this process's own.
        folder: Its working folder.
        token: Marks it and its children.

    Returns:
        Its process id.

    Raises:
        OSError: the program cannot be run.
    """
    with open(log, "wb") as stream:
        process = subprocess.Popen(
            list(argv),
            env={**os.environ, **environment, _TOKEN: token},
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    _started.append(process)
    return process.pid


def marked(token: str) -> list[psutil.Process]:
    """All live processes with this token."""
    import psutil

    _collect()
    found = []
    for process in psutil.process_iter():
        # A process that just ended, and one of another user, have no environment to read.
        with contextlib.suppress(psutil.Error, OSError):
            if process.environ().get(_TOKEN) == token and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
    return found


def stop(pid: int, token: str, patience_s: float) -> None:
    """End all processes with this token; returns when none is left.

    SIGTERM goes to `pid`, which ends its workers (to them, where `pid` is gone); after `patience_s`, SIGKILL to all.
    """
    import psutil

    processes = marked(token)
    first = [process for process in processes if process.pid == pid] or processes
    for process in first:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.terminate()
    deadline = time.monotonic() + patience_s
    while marked(token) and time.monotonic() < deadline:
        time.sleep(0.05)
    while left := marked(token):  # again and again: a supervisor may have started one more worker just now
        for process in left:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        time.sleep(0.02)


def _collect() -> None:
    _started[:] = [process for process in _started if process.poll() is None]
