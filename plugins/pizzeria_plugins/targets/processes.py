"""A deployment's processes, known by marks in their environment.

A process id says little: it may be used again, and the worker processes of a server that is killed survive it, in
sessions of their own. Marks are inherited by all of them and by nobody else: a token for one service or one keeper, and
the deployment's folder for all of them.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import psutil

_TOKEN = "PIZZERIA_DEPLOYMENT"  # noqa: S105 - a name, not a secret
_FOLDER = "PIZZERIA_DEPLOYMENT_FOLDER"
_KEEPS_MARKS = {"SPT_NOENV": "1"}
"""Where setproctitle is installed, BentoML names its supervisor by it, over the environment unless told not to."""
_LOOK_S = 0.5
"""Looking through all processes of the machine takes time; known ones are looked at more often."""
_LOAD_S = 10.0
_THREADS_S = 10.0
_VSIZE, _ENV_END = 20, 48
"""Places in `/proc/<pid>/stat` behind the name."""
_started: list[subprocess.Popen[bytes]] = []
"""What this process started: it must collect their exit status, or they stay as zombies."""


def marks(token: str, folder: Path) -> dict[str, str]:
    """The variables that mark a process.

    Args:
        folder: The deployment's, absolute.
    """
    return {_TOKEN: token, _FOLDER: str(folder), **_KEEPS_MARKS}


def start(argv: Sequence[str], environment: Mapping[str, str], folder: Path, log: Path, inherited: int) -> int:
    """Start a process that outlives this one, in a session of its own, with stdout and stderr added to `log`,
    which only the owner may read. It can be found by its marks when this returns, unless it has ended already.

    Args:
        environment: All of it, the marks too.
        folder: Its working folder.
        inherited: A file descriptor that it inherits, under the same number.

    Returns:
        Its process id.

    Raises:
        OSError: the program cannot be run.
    """
    with open(os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "ab") as stream:
        process = subprocess.Popen(
            list(argv),
            env=dict(environment),
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            pass_fds=(inherited,),
        )
    _started.append(process)
    _until_marked(process, environment[_TOKEN])
    return process.pid


def _until_marked(process: subprocess.Popen[bytes], token: str) -> None:
    """Popen is back when the program is being loaded, and for a moment more it has no environment that can be read."""
    import psutil

    with contextlib.suppress(psutil.NoSuchProcess):
        started, deadline = psutil.Process(process.pid), time.monotonic() + _LOAD_S
        while process.poll() is None and _variable(started, _TOKEN) != token and time.monotonic() < deadline:
            time.sleep(0.001)


def marked(token: str) -> list[psutil.Process]:
    """All live processes with this token."""
    return _with(_TOKEN, token)


def others(folder: Path, tokens: Collection[str] = ()) -> list[psutil.Process]:
    """All live processes of the deployment in this folder, but for those with one of the tokens."""
    return [one for one in _with(_FOLDER, str(folder)) if _variable(one, _TOKEN) not in tokens]


def stop(find: Callable[[], list[psutil.Process]], patience_s: float) -> None:
    """End all processes that `find` finds; returns when it finds none any more.

    SIGTERM goes to those whose parent is none of them: a keeper ends its service, and a service its workers. After
    `patience_s`, SIGKILL goes to all.
    """
    import psutil

    deadline = time.monotonic() + patience_s
    told: set[int] = set()
    seen: dict[int, psutil.Process] = {}
    while found := find():  # again and again: one more may have been started just now
        seen |= {process.pid: process for process in found}
        late = time.monotonic() >= deadline
        pids = {process.pid for process in found}
        for process in found:
            with contextlib.suppress(psutil.NoSuchProcess):
                if late:
                    process.kill()
                elif process.pid not in told and process.ppid() not in pids:
                    told.add(process.pid)
                    process.terminate()
        next_look = time.monotonic() + (0.02 if late else min(_LOOK_S, max(0, deadline - time.monotonic())))
        while any(map(_is_there, found)) and time.monotonic() < next_look:
            time.sleep(0.02)
    # Of one that was killed, the first thread may go before the others, which hold its port until they are gone, too.
    deadline = time.monotonic() + _THREADS_S
    while any(map(_has_threads, seen.values())) and time.monotonic() < deadline:
        time.sleep(0.005)


def _has_threads(process: psutil.Process) -> bool:
    import psutil

    with contextlib.suppress(psutil.Error):
        return process.is_running() and process.num_threads() > 1
    return False


def _is_there(process: psutil.Process) -> bool:
    import psutil

    with contextlib.suppress(psutil.NoSuchProcess):
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    return False


def _with(name: str, value: str) -> list[psutil.Process]:
    _started[:] = [process for process in _started if process.poll() is None]
    return [one for one in _all() if _variable(one, name) == value]


def _all() -> Iterator[psutil.Process]:
    """Each looked at anew: `psutil.process_iter` remembers them, and of one that has the id of another one that is gone
    it says once that it is that one, and once nothing."""
    import psutil

    for pid in psutil.pids():
        with contextlib.suppress(psutil.Error):
            yield psutil.Process(pid)


def _variable(process: psutil.Process, name: str) -> str | None:
    import psutil

    deadline, loads = time.monotonic() + _LOAD_S, True
    # A process that just ended, and one of another user, have no environment to read.
    with contextlib.suppress(psutil.Error, OSError):
        while process.status() != psutil.STATUS_ZOMBIE:
            found = process.environ()
            if found or not loads or time.monotonic() > deadline:
                return found.get(name)
            if loads := _loads(process.pid):
                time.sleep(0.001)
    return None


def _loads(pid: int) -> bool:
    """Whether its program is being loaded: it has memory then, and no environment yet, not even an empty one."""
    try:
        words = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()
    except OSError:
        return False
    return len(words) > _ENV_END and words[_VSIZE] != b"0" and words[_ENV_END] == b"0"
