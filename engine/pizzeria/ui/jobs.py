"""Actions at work: each in a thread of its own, with what it says for its page."""

from __future__ import annotations

import secrets
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from pizzeria.clock import now
from pizzeria.contracts import Progress
from pizzeria.errors import PizzeriaError
from pizzeria.hiding import said

_KEPT = 100
_LINES = 500


@dataclass
class Job:
    """One action, from its beginning on; its `Progress` too.

    Attributes:
        lines: What it said, each with its time.
        bar: Where it is, in words.
        told: How it ended.
    """

    id: str
    name: str
    title: str
    began: str
    state: Literal["at work", "done", "failed"] = "at work"
    lines: list[tuple[str, str]] = field(default_factory=list)
    bar: str = ""
    told: str = ""
    hint: str = ""
    ended: str = ""

    def track(self, items: Sequence[Any], label: str) -> Iterator[Any]:
        for i, item in enumerate(items):
            yield item
            self.update(label, i + 1, len(items))

    def update(self, label: str, done: int, total: int, **figures: float) -> None:
        self.bar = f"{label} {done} of {total}"

    def say(self, text: str) -> None:
        self.lines.append((now(), text))
        del self.lines[:-_LINES]


class Jobs:
    """All actions since the application began."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._jobs: dict[str, Job] = {}
        self._threads: dict[str, threading.Thread] = {}

    def start(self, name: str, title: str, work: Callable[[Progress], str]) -> Job:
        """Begin an action; one at a time for each name.

        Raises:
            PizzeriaError: another one of the name is at work.
        """
        with self._lock:
            busy = self.at_work(name)
            if busy is not None:
                raise PizzeriaError(f"{busy.title} is at work on {name} since {busy.began}", hint="wait for its end")
            job = Job(secrets.token_hex(8), name, title, now())
            self._jobs[job.id] = job
            for old in list(self._threads)[:-_KEPT]:
                if self._jobs[old].state != "at work":
                    del self._jobs[old], self._threads[old]
            thread = threading.Thread(target=_work, args=(job, work), name=title, daemon=True)
            self._threads[job.id] = thread
            thread.start()  # before anybody can wait for it
        return job

    def get(self, id: str) -> Job | None:
        return self._jobs.get(id)

    def at_work(self, name: str) -> Job | None:
        """The action that is at work on a name."""
        jobs = list(self._jobs.values())  # a copy: another page may begin one meanwhile
        return next((job for job in jobs if job.name == name and job.state == "at work"), None)

    def wait(self) -> None:
        """Until all have ended: a change of what is live is not to be cut off."""
        for thread in list(self._threads.values()):
            thread.join()


def _work(job: Job, work: Callable[[Progress], str]) -> None:
    try:
        job.told = work(job)
        state: Literal["done", "failed"] = "done"
    except PizzeriaError as error:
        job.told, job.hint, state = error.message, error.hint or "", "failed"
    except Exception as error:  # nobody would see a traceback
        job.told, state = said(error), "failed"
    job.ended, job.state = now(), state
