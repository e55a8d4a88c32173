"""System calls as strace tells them, and the faults that it injects: an error instead of a call, SIGKILL before one."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

WRITES = ("write", "pwrite64", "writev", "pwritev", "sendfile", "copy_file_range", "ftruncate", "fallocate")
SYNCS = ("fsync", "fdatasync")
NAMES = ("rename", "renameat", "renameat2", "link", "linkat", "symlink", "symlinkat", "mkdir", "mkdirat")
REMOVALS = ("unlink", "unlinkat", "rmdir")
_CALLS = (*WRITES, *SYNCS, *NAMES, *REMOVALS)
_LINE = re.compile(r"(?P<thread>\d+) +(?P<call>\w+)\((?P<rest>.*)")
_PATH = re.compile(r'<(/[^>]*)>(?:, "([^"]*)")?|"([^"]*)"')
_PATIENCE_S = 300.0

Ending = Literal["well", "error", "injected", "killed"]


@dataclass(frozen=True)
class Call:
    """One system call.

    Attributes:
        name: Such as `fsync`.
        number: It is the number-th of its name in its thread, counted from 1.
        paths: That it names, absolute; of an open file the path that it had.
        ended: How: `well`, with an `error`, with one that was `injected`, or `killed` before anything was done.
    """

    name: str
    number: int
    paths: tuple[str, ...]
    ended: Ending

    def within(self, folder: Path) -> bool:
        """Whether it has to do with something in that folder."""
        return any(path.startswith(f"{folder}/") or path == str(folder) for path in self.paths)


@dataclass(frozen=True)
class Fault:
    """What happens instead of a call.

    Attributes:
        how: `ENOSPC` or `EIO`, or `KILL`: the process gets SIGKILL before the call is made.
    """

    call: str
    number: int
    how: str

    @property
    def option(self) -> str:
        """For strace."""
        how = "signal=KILL" if self.how == "KILL" else f"error={self.how}"
        return f"inject={self.call}:{how}:when={self.number}"


def faults(call: Call) -> list[Fault]:
    """What can happen to a call. There is room for a removal."""
    hows = ("EIO", "KILL") if call.name in REMOVALS else ("ENOSPC", "EIO", "KILL")
    return [Fault(call.name, call.number, how) for how in hows]


def calls(log: str) -> list[Call]:
    """What strace wrote (`-f -y`), in its order.

    Example:
        >>> calls('7  fsync(3</tmp/a>) = -1 EIO (Input/output error) (INJECTED)')
        [Call(name='fsync', number=1, paths=('/tmp/a',), ended='injected')]
    """
    found, counted = [], Counter[tuple[str, str]]()
    for line in log.splitlines():
        match = _LINE.match(line)
        if match is None or match["call"] not in _CALLS:
            continue
        counted[match["thread"], match["call"]] += 1
        rest, _, result = match["rest"].rpartition(" = ")
        number = counted[match["thread"], match["call"]]
        found.append(Call(match["call"], number, _paths(rest or match["rest"]), _ending(result)))
    return found


def _ending(result: str) -> Ending:
    if result.startswith("?"):
        return "killed"
    if result.startswith("-1"):
        return "injected" if "(INJECTED)" in result else "error"
    return "well"


def _paths(arguments: str) -> tuple[str, ...]:
    """Names that start at an open folder are put behind it."""
    found = []
    for folder, name, alone in _PATH.findall(arguments):
        path = f"{folder}/{name}" if name and not name.startswith("/") else name or folder or alone
        if path.startswith("/"):
            found.append(path)
    return tuple(found)


class CannotTraceError(Exception):
    """There is no strace, or it may not look at a process of its own user."""


@contextmanager
def traced(pid: int, log: Path, fault: Fault | None = None) -> Iterator[None]:
    """Let a process that has stopped itself go on while strace looks on, to the end of the process.

    Args:
        log: Where strace writes to.

    Raises:
        CannotTraceError: it cannot.
    """
    program = shutil.which("strace")
    if program is None:
        raise CannotTraceError("strace is not installed: apt-get install strace, say")
    _wait_until_stopped(pid)
    options = [] if fault is None else ["-e", fault.option]
    with subprocess.Popen(
        [program, "-f", "-y", "-s", "0", "-o", str(log), "-e", f"trace={','.join(_CALLS)}", *options, "-p", str(pid)],
        stderr=subprocess.PIPE,
        text=True,
    ) as strace:
        try:
            assert strace.stderr is not None
            said = strace.stderr.readline()
            if "attached" not in said:
                raise CannotTraceError(f"{said.strip() or 'strace said nothing'}; it takes the right to trace")
            os.kill(pid, signal.SIGCONT)
            yield
            strace.wait(_PATIENCE_S)
        finally:
            if strace.poll() is None:
                strace.kill()
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)


def _wait_until_stopped(pid: int) -> None:
    until = time.monotonic() + _PATIENCE_S
    while time.monotonic() < until:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        if state == "T":
            return
        if state == "Z":
            raise RuntimeError(f"the process {pid} ended before anything was tried")
        time.sleep(0.002)
    raise RuntimeError(f"the process {pid} did not stop itself")
