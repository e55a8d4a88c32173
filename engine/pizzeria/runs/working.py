"""Which runs are at work, and which were cut off: each process at work on a run has a file there, which it holds.

    runs/<run>/.at_work/<token>.json    process, since when, and the fingerprint of each of its stages

The kernel lets go of the file however the process ends, so a killed run is known as dead at once. Its file stays until
the run is taken up again: what it names is worth going on with. So does that of a run that was interrupted, or failed,
and has begun a stage; it says when it ended.
"""

from __future__ import annotations

import fcntl
import json
import os
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any

from pizzeria import atomic
from pizzeria.clock import now
from pizzeria.holding import held_if_free, is_gone, is_held, mark
from pizzeria.runs.ledger import Ledger
from pizzeria.runs.store import Run, Store

FOLDER = ".at_work"


@dataclass(frozen=True)
class Work:
    """A process's work on a run.

    Attributes:
        path: Its file.
        name: Of the spec.
        since: ISO 8601; empty where the process died before it had said so.
        stages: Those of the run up to where it was to go: name to fingerprint.
        alive: Whether the process lives.
        ended: When it ended by itself, without having come to its end; empty where it was killed, or is at work.
        seen: When it last did something that can be seen, ISO 8601.
        at: The stage that it is at, or was; empty between two.
    """

    run: str
    path: Path
    name: str
    pid: int
    since: str
    stages: Mapping[str, str]
    alive: bool
    seen: str
    at: str
    ended: str

    def plain(self) -> dict[str, Any]:
        """For JSON."""
        state = "running" if self.alive else "dead"
        return {
            "run": self.run,
            "state": state,
            "stage": self.at,
            "pid": self.pid,
            "since": self.since,
            "seen": self.seen,
        }

    def told(self) -> str:
        """One sentence for people."""
        where = f" at {self.at}" if self.at else ""
        if self.alive:
            return f"run {self.run} is at work{where} since {self.since} (process {self.pid})"
        how = f"ended{where} {self.ended}" if self.ended else f"was killed{where}, last seen at work {self.seen}"
        return f"run {self.run} {how}; the same command goes on"


@contextmanager
def at_work(run: Run, name: str, stages: Mapping[str, str]) -> Iterator[None]:
    """Say that this process is at work on a run, for as long as it lives; what dead ones said of the run goes.

    Args:
        name: Of the spec.
        stages: Name to fingerprint.
    """
    folder = run.folder / FOLDER
    for path in _notes(folder):
        if not is_held(path) or is_gone(_mark_in(path)):
            path.unlink(missing_ok=True)
    said = {"name": name, "pid": os.getpid(), "mark": mark(), "since": now(), "stages": dict(stages)}
    stream, path = _announced(folder, json.dumps(said))
    with stream:
        try:
            yield
        except BaseException:
            if any((run.folder.parent / ".cache" / f"{one}.partial").is_dir() for one in stages.values()):
                with suppress(OSError):  # such as a full disk, which is why it ended; it is told as killed then
                    atomic.write_json(path, said | {"ended": now()})
            else:
                _forget(path)
            raise
        _forget(path)


def _forget(path: Path) -> None:
    path.unlink(missing_ok=True)
    with suppress(OSError):
        path.parent.rmdir()


def _announced(folder: Path, text: str) -> tuple[IO[str], Path]:
    """A file with that text, whole when it is there, and the stream that holds it."""
    token = secrets.token_hex(8)
    temporary, path = folder / f".{token}.tmp", folder / f"{token}.json"
    while True:
        with suppress(FileExistsError):  # of another process, which may have removed it again by now
            folder.mkdir()
        try:
            stream = open(temporary, "x")  # noqa: SIM115 - closed by whoever holds it
        except FileNotFoundError:  # another process that was at work here has just ended, and the folder with it
            continue
        try:
            fcntl.flock(stream, fcntl.LOCK_EX)
            stream.write(text)
            stream.flush()
            os.fsync(stream.fileno())
            atomic.rename(temporary, path)
        except BaseException:
            stream.close()
            temporary.unlink(missing_ok=True)
            raise
        return stream, path


def works(store: Store, run: str = "*") -> list[Work]:
    """All work that is going on or was cut off, or that of one run; the oldest first."""
    runs = store.root.iterdir() if run == "*" else [store.root / run]
    found = [_read(path, store) for one in runs for path in _notes(one / FOLDER)]
    return sorted((one for one in found if one is not None), key=lambda one: (one.since, one.run))


def settle(store: Store) -> list[Work]:
    """What is at work, and what was killed, after the ledger was told of it; what ended by itself told it itself."""
    found = [one for one in works(store) if not one.ended]
    ledger = Ledger(store.root)
    for one in found:
        if one.alive:
            continue
        with held_if_free(one.path) as free:
            last = ledger.entries(one.name, ("run_started", "run_finished", "run_stopped"), run=one.run, last=1)
            if free and one.path.exists() and last and last[0].event == "run_started":
                message = f"its process was killed; last seen at work {one.seen}; the same command goes on"
                ledger.add("run_stopped", one.name, run=one.run, detail={"message": message, "killed": True})
    return found


def _notes(folder: Path) -> list[Path]:
    """The files in it; none where there is no such folder, or the last process at work there has just removed it, for
    which `glob` raises."""
    try:
        return [path for path in folder.iterdir() if path.suffix == ".json"]
    except (FileNotFoundError, NotADirectoryError, PermissionError):
        return []


def _mark_in(path: Path) -> str:
    try:
        return str(json.loads(path.read_text())["mark"])
    except (OSError, ValueError, KeyError, TypeError):
        return ""


def _read(path: Path, store: Store) -> Work | None:
    alive = is_held(path) and not is_gone(_mark_in(path))
    try:
        plain = json.loads(path.read_text())
        stages = {str(name): str(fingerprint) for name, fingerprint in plain["stages"].items()}
        name, pid, since = str(plain["name"]), int(plain["pid"]), str(plain["since"])
        ended = str(plain.get("ended", ""))
        times = [path.stat().st_mtime]
    except FileNotFoundError:
        return None  # it ended just now
    except (ValueError, KeyError, TypeError, AttributeError):
        return None  # no file of ours
    at = ""
    for stage, fingerprint in stages.items():
        partial = store.cache / f"{fingerprint}.partial"
        if partial.is_dir():
            at = stage
            times += _times(partial)
    seen = datetime.fromtimestamp(max(times), UTC).isoformat(timespec="seconds")
    return Work(path.parents[1].name, path, name, pid, since, stages, alive, seen, at, ended)


def _times(folder: Path) -> list[float]:
    """When it and what lies in it, two levels deep, was changed."""
    paths = [folder]
    for at, folders, files in os.walk(folder):  # which passes over what is renamed or removed meanwhile
        paths += [Path(at, name) for name in (*folders, *files)]
        if at != os.fspath(folder):
            folders.clear()
    out = []
    for path in paths:
        with suppress(OSError):
            out.append(path.lstat().st_mtime)
    return out
