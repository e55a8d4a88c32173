"""One command at a time changes what is live under a name, and one at a time watches it; others wait, or look on."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Literal

from pizzeria.clock import now
from pizzeria.contracts import Progress
from pizzeria.deployments.release import state_folder
from pizzeria.holding import is_gone, is_held, mark, take
from pizzeria.runs.store import Store

Kind = Literal["turn", "pass", "maintain", "cycle"]
"""`turn`: to change what is live. `pass`: to monitor it. `maintain`: to decide on it, which may take hours of training
and keeps no monitor waiting. `cycle`: to do both by the clock."""


@dataclass(frozen=True)
class Holder:
    """Who has a turn: the command, its process and since when.

    Attributes:
        mark: Of the process (`pizzeria.holding.mark`).
    """

    what: str
    pid: int
    since: str
    mark: str = ""


def holder(name: str, store: Store, *, of: Kind = "turn") -> Holder | None:
    """Who has the turn now; None when nobody has it, whatever a killed command left written."""
    path = _path(name, store, of)
    if not path.exists() or not is_held(path):
        return None
    found = _read(path.read_text())
    return None if found is None or is_gone(found.mark) else found


@contextmanager
def turn(name: str, what: str, store: Store, progress: Progress, *, of: Kind = "turn") -> Iterator[None]:
    """Wait until no other command is at work on the name, saying whose turn it is, and keep them out.

    The kernel gives the turn back when the process ends, however it ends.

    Args:
        what: The command, for whoever waits.
        of: What for; who has several took `turn` last.
    """
    with _opened(name, store, of) as lock:
        if not take(lock):
            progress.say(f"waiting for {_said(lock)}")
            fcntl.flock(lock, fcntl.LOCK_EX)
        with _held(lock, what):
            yield


@contextmanager
def turn_if_free(name: str, what: str, store: Store, *, of: Kind = "turn") -> Iterator[str | None]:
    """Take the turn if nobody has it; yields None then, and otherwise who has it."""
    with _opened(name, store, of) as lock:
        if not take(lock):
            yield _said(lock)
            return
        with _held(lock, what):
            yield None


def _path(name: str, store: Store, of: Kind) -> Path:
    return state_folder(store) / f".{name}.{of}"


@contextmanager
def _opened(name: str, store: Store, of: Kind) -> Iterator[IO[str]]:
    path = _path(name, store, of)
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "a+") as lock:
        yield lock


@contextmanager
def _held(lock: IO[str], what: str) -> Iterator[None]:
    lock.truncate(0)
    lock.write(json.dumps({"what": what, "pid": os.getpid(), "since": now(), "mark": mark()}))
    lock.flush()
    try:
        yield
    finally:
        lock.truncate(0)


def _said(lock: IO[str]) -> str:
    lock.seek(0)
    found = _read(lock.read())
    if found is None:
        return "another command, which begins or ends just now"
    return f"`pizzeria {found.what}` (process {found.pid}, since {found.since})"


def _read(text: str) -> Holder | None:
    try:
        plain = json.loads(text)
        return Holder(str(plain["what"]), int(plain["pid"]), str(plain["since"]), str(plain.get("mark", "")))
    except (ValueError, KeyError, TypeError):
        return None
