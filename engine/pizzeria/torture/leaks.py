"""What living processes hold, sampled while they work, and whether it grows."""

from __future__ import annotations

import statistics
import threading
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import psutil

_ALLOWED = {"memory_mb": (0.10, 8.0), "files": (0.0, 3.0), "threads": (0.0, 2.0)}
"""How much more may be held at the end than after the warm-up: a share of it, or so many, whichever is more."""
_LEAST = 12
"""Samples below which nothing is said of a process."""
_WARM_UP_S = 30.0
"""A worker that begins on a busy machine needs seconds to load its libraries and its model."""


@dataclass(frozen=True)
class Held:
    """What a process holds at a moment: memory resident, in MB, open file descriptors (sockets too), threads."""

    at: float
    memory_mb: float
    files: int
    threads: int


@dataclass
class Watch:
    """Samples the long-lived processes whose store lies in a folder, from a thread of its own.

    Args:
        store: As `PIZZERIA_STORE` has it in their environment.
        every_s: Seconds from one sample to the next.
    """

    store: Path
    every_s: float
    samples: dict[tuple[int, float], list[Held]] = field(default_factory=lambda: defaultdict(list))
    names: dict[tuple[int, float], str] = field(default_factory=dict)
    _stop: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    def __enter__(self) -> Watch:
        self._thread = threading.Thread(target=self._run, name="watch")
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        if self._thread is not None:
            self._thread.join()

    def _run(self) -> None:
        import psutil

        while not self._stop.wait(self.every_s):
            for process in living(self.store):
                try:
                    with process.oneshot():
                        key = (process.pid, process.create_time())
                        memory = process.memory_info().rss / 1e6
                        held = Held(time.monotonic(), memory, process.num_fds(), process.num_threads())
                        self.names.setdefault(key, _name(process.cmdline()))
                except psutil.Error:
                    continue  # it has just ended
                self.samples[key].append(held)

    def found(self) -> dict[str, list[Held]]:
        """Samples by process, such as `worker 4711`."""
        return {f"{self.names[key]} {key[0]}": samples for key, samples in list(self.samples.items())}


def living(store: Path) -> list[psutil.Process]:
    """Processes that work for a store, without the commands that a user types."""
    import psutil

    found = []
    for pid in psutil.pids():  # `process_iter` remembers whom it has seen, also under an id that is another one's now
        try:
            process = psutil.Process(pid)
            ours = process.environ().get("PIZZERIA_STORE") == str(store)
            if ours and process.status() != psutil.STATUS_ZOMBIE and "pizzeria.cli" not in process.cmdline():
                found.append(process)
        except psutil.Error:
            continue
    return found


def growth(samples: Sequence[Held], warm_up_s: float = _WARM_UP_S) -> dict[str, float]:
    """By how much more is held in the last quarter of a life than in the quarter after the first; medians.

    Empty where there are too few samples to tell.

    Args:
        warm_up_s: The beginning of a life, which does not count.

    Example:
        >>> steady = [Held(i, 100.0, 20, 4) for i in range(60)]
        >>> growth(steady)
        {'memory_mb': 0.0, 'files': 0.0, 'threads': 0.0}
    """
    early, late = _quarters(samples, warm_up_s)
    return {name: _median(late, name) - _median(early, name) for name in _ALLOWED} if early else {}


def leaks(watched: Mapping[str, Sequence[Held]], warm_up_s: float = _WARM_UP_S) -> list[str]:
    """Processes that hold more and more, with how much more; empty when none does.

    Example:
        >>> leaks({"worker 1": [Held(i, 100.0 + i, 20, 4) for i in range(70)]})
        ['worker 1: memory_mb grew from 144.5 by 20']
    """
    found = []
    for name, samples in watched.items():
        for what, grown in growth(samples, warm_up_s).items():
            share, least = _ALLOWED[what]
            before = _median(_quarters(samples, warm_up_s)[0], what)
            if grown > max(share * before, least):
                found.append(f"{name}: {what} grew from {before:g} by {grown:g}")
    return found


def _quarters(samples: Sequence[Held], warm_up_s: float) -> tuple[Sequence[Held], Sequence[Held]]:
    """The second and the last of a life after its warm-up."""
    warm = [one for one in samples if one.at - samples[0].at >= warm_up_s]
    if len(warm) < _LEAST:
        return [], []
    quarter = len(warm) // 4
    return warm[quarter : 2 * quarter], warm[-quarter:]


def _median(samples: Sequence[Held], what: str) -> float:
    return float(statistics.median(getattr(one, what) for one in samples))


def _name(command: Sequence[str]) -> str:
    text = " ".join(command)
    named = {"local_keeper": "keeper", "worker.service": "worker", "circus": "supervisor", "bentoml": "supervisor"}
    return next((name for part, name in named.items() if part in text), "process")
