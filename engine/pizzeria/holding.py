"""Who is alive: a process holds a lock (flock) on what it works at, and the kernel lets it go however the process ends.

So nobody takes what a killed process left for something at work, or another process that was given the same number for
the one that died. Whoever writes something temporary holds it, or the folder that it lies in, until it has its name.

A process that was forked off inherits a lock, and may outlive the one that took it for some seconds, such as one that
loads photos. So whoever is to be told of by name leaves a `mark`, too.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

_PATIENCE_S, _PAUSE_S = 0.5, 0.02


def take(handle: int | IO[str]) -> bool:
    """Lock what is open here, alone, if nobody holds it; returns whether that is so.

    It is tried for a while, since whoever only looks whether it is held (`is_held`) holds it for that moment, and a
    busy machine may stop him in the middle of it.
    """
    until = time.monotonic() + _PATIENCE_S
    while True:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > until:
                return False
            time.sleep(_PAUSE_S)
        else:
            return True


@contextmanager
def held(path: Path, *, shared: bool = False) -> Iterator[None]:
    """Hold a file or folder that is there; others that want it wait.

    Args:
        shared: Others may hold it so too; who wants it alone waits for all of them.
    """
    handle = os.open(path, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_SH if shared else fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


@contextmanager
def in_turn(path: Path) -> Iterator[None]:
    """Hold a file that is there for this alone, and is made where it is not; others that want it wait."""
    with open(path, "ab") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        yield


@contextmanager
def held_if_free(path: Path) -> Iterator[bool]:
    """Hold a file or folder alone if nobody holds it; yields whether that is so. What is not there is free."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:  # gone, a link, or a socket: nothing that anybody could hold
        yield True
        return
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
            return
        yield True
    finally:
        os.close(handle)


def is_held(path: Path) -> bool:
    """Whether a living process holds it.

    Example:
        >>> import tempfile
        >>> folder = Path(tempfile.mkdtemp())
        >>> with held(folder):
        ...     is_held(folder)
        True
        >>> is_held(folder)
        False
    """
    with held_if_free(path) as free:
        return not free


def is_held_within(path: Path) -> bool:
    """Whether a living process holds a file or folder, or anything in it."""
    if is_held(path):
        return True
    if path.is_symlink() or not path.is_dir():
        return False
    return any(is_held(Path(at) / name) for at, folders, files in os.walk(path) for name in (*folders, *files))


def mark() -> str:
    """Says which process this is; no other one has the same, not even one that gets its number later. Empty where the
    system does not say (it has no /proc)."""
    try:
        return f"{_space()}/{os.getpid()}/{_born(os.getpid())}"
    except (OSError, ValueError):
        return ""


def is_gone(mark: str) -> bool:
    """Whether the process of a mark has surely ended. False, too, where that cannot be seen from here: for a process of
    another machine or container.

    Example:
        >>> is_gone(mark())
        False
    """
    space, _, process = mark.partition("/")
    pid, _, born = process.partition("/")
    try:
        return space == _space() and _born(int(pid)) != born
    except (OSError, ValueError):
        return False


def _space() -> str:
    """This machine since it was switched on, and who sees which process numbers on it."""
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    return f"{boot}:{Path('/proc/self/ns/pid').readlink()}"


def _born(pid: int) -> str:
    """When a process began, in ticks since the machine was switched on; empty when there is none, or it has ended and
    nobody has asked how."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return ""
    return "" if fields[0] in "ZX" else fields[19]
