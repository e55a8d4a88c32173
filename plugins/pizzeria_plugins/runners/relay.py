"""How the processes of a training tell the one that waits for them: small files in a folder that all of them see.

job.json          what is to be done
progress.jsonl    what rank 0 says, one line each
facts.json        what its trainer returned
error-<rank>.json what ended a process
torchrun.log      what torchrun and its processes printed
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from pizzeria import errors
from pizzeria.atomic import write_json
from pizzeria.contracts import Progress
from pizzeria.errors import PizzeriaError

_PROGRESS = "progress.jsonl"
_EVERY_S = 0.2


class Told:
    """Progress of rank 0, as lines of a file.

    Args:
        folder: That of the relay.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / _PROGRESS
        self._last: dict[str, float] = {}

    def track(self, items: Sequence[Any], label: str) -> Iterator[Any]:
        for i, item in enumerate(items):
            yield item
            self.update(label, i + 1, len(items))

    def update(self, label: str, done: int, total: int, **figures: float) -> None:
        now = time.monotonic()
        if done < total and now - self._last.get(label, -_EVERY_S) < _EVERY_S:
            return
        self._last[label] = now
        self._add({"update": [label, done, total], "figures": figures})

    def say(self, text: str) -> None:
        self._add({"say": text})

    def _add(self, line: dict[str, Any]) -> None:
        with open(self._path, "a", encoding="utf-8") as stream:
            stream.write(json.dumps(line) + "\n")


class Silent:
    """Progress of all other ranks, which would say the same."""

    def track(self, items: Sequence[Any], label: str) -> Iterator[Any]:
        yield from items

    def update(self, label: str, done: int, total: int, **figures: float) -> None:
        pass

    def say(self, text: str) -> None:
        pass


@contextmanager
def retold(folder: Path, progress: Progress) -> Iterator[None]:
    """Say what rank 0 says, as long as the block lasts."""
    over = threading.Event()
    thread = threading.Thread(target=_retell, args=(folder / _PROGRESS, progress, over), daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def fail(folder: Path, rank: int, error: PizzeriaError) -> None:
    """Leave the error that ended a process."""
    told = {"error": type(error).__name__, "message": error.message, "hint": error.hint}
    write_json(folder / f"error-{rank}.json", told)


def failure(folder: Path) -> PizzeriaError | None:
    """The error that ended the process of the lowest rank that left one, as the class that it was."""
    for path in sorted(folder.glob("error-*.json"), key=lambda path: int(path.stem.partition("-")[2])):
        told = json.loads(path.read_text())
        kind = getattr(errors, told["error"], PizzeriaError)
        with suppress(TypeError):
            found: PizzeriaError = kind(told["message"], hint=told["hint"])
            return found
        return PizzeriaError(told["message"], hint=told["hint"])
    return None


def _retell(path: Path, progress: Progress, over: threading.Event) -> None:
    at, last = 0, False
    while not last:
        last = over.wait(_EVERY_S)
        if not path.exists():
            continue
        with open(path, encoding="utf-8") as stream:
            stream.seek(at)
            while (line := stream.readline()).endswith("\n"):
                at = stream.tell()
                told = json.loads(line)
                if "say" in told:
                    progress.say(told["say"])
                else:
                    progress.update(*told["update"], **told["figures"])
