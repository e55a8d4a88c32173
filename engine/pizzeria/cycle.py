"""`pizzeria cycle`: monitors and maintains a live model by the clock, in the foreground.

Each pass is a process of its own, so that nothing that goes wrong in one, and no memory that it took, outlives it. What
is due comes from the ledger: a cycle that starts again, after a restart of the machine say, goes on in the old rhythm.
Passes of a kind follow each other; a monitoring pass waits for no training, which may take hours, and `maintain` begins
when the monitoring pass at work has ended, so that it decides on the newest.
"""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime, timedelta
from types import FrameType
from typing import Any, Literal

from pizzeria.clock import now, utcnow
from pizzeria.deployments import champion
from pizzeria.deployments.turn import turn_if_free
from pizzeria.errors import BusyError, PizzeriaError
from pizzeria.runs.ledger import Event, Ledger
from pizzeria.runs.store import Store

Kind = Literal["monitor", "maintain"]

DEFAULT_S: Mapping[Kind, float] = {"monitor": 3600, "maintain": 86400}
_MADE: Mapping[Kind, Event] = {"monitor": "monitored", "maintain": "decided"}
_OUTCOMES = {0: "done", 10: "alert", 11: "undecided", 130: "interrupted"}
_PATIENCE_S = 30.0
_LOOK_S = 0.5
_SHOWN = 300


def intervals(name: str, store: Store, given: Mapping[Kind, float | None]) -> dict[Kind, float]:
    """Seconds between two passes of each kind: as given, or as the deployment's schedule says, or the default.

    Raises:
        NotFoundError: nothing of this name is deployed.
    """
    from pizzeria.maintenance.decided import interval

    _, _, spec = champion(name, store)
    said = spec.deployment.schedule.model_dump()
    out: dict[Kind, float] = {}
    for kind, default_s in DEFAULT_S.items():
        own = interval(said[kind]).total_seconds() if said[kind] else default_s
        out[kind] = given.get(kind) or own
    return out


def due(kind: Kind, name: str, store: Store, every_s: float) -> datetime:
    """When the next pass is due, with a time zone: so long after the last one, whoever made it; now without one."""
    last = Ledger(store.root).entries(name, _MADE[kind], last=1)
    if not last:
        return utcnow()
    return max(utcnow(), datetime.fromisoformat(last[0].at) + timedelta(seconds=every_s))


def go_round(name: str, store: Store, every_s: Mapping[Kind, float], say: Callable[[str], object]) -> None:
    """Make a pass of each kind when it is due, and then at its intervals, until SIGTERM or Ctrl-C.

    Several passes of a kind that fell due while one was at work become one. What a pass says and how it ended is one
    line; a failed one stops nothing.

    Raises:
        BusyError: another cycle of this name is going.
        PizzeriaError: APScheduler is not installed.
    """
    try:
        from apscheduler.executors.pool import ThreadPoolExecutor
        from apscheduler.schedulers.background import BackgroundScheduler
    except ImportError:
        raise PizzeriaError("the cycle needs APScheduler", hint="pip install 'pizzeria[cycle]'") from None
    logging.getLogger("apscheduler").setLevel(logging.ERROR)
    with turn_if_free(name, f"cycle {name}", store, of="cycle") as holder:
        if holder is not None:
            raise BusyError(
                f"{holder} goes round for {name}", hint="one cycle of a name is enough; stop that one first"
            )
        passes = _Passes(name, store, say)
        scheduler = BackgroundScheduler(
            executors={"default": ThreadPoolExecutor(len(every_s))},
            job_defaults={"coalesce": True, "max_instances": 1, "misfire_grace_time": None},
            timezone="UTC",
        )
        with _until_told() as told:  # before it says anything: whoever has read that may end it
            for i, (kind, seconds) in enumerate(every_s.items()):
                first = due(kind, name, store, seconds)
                at = "at once" if first <= utcnow() else f"at {first.isoformat(timespec='seconds')}"
                say(f"{now()}  {kind} of {name} every {seconds:g} s, next {at}")
                first += timedelta(milliseconds=10 * i)  # in the order given
                scheduler.add_job(passes.make, "interval", (kind,), id=kind, seconds=seconds, next_run_time=first)
            scheduler.start()
            while not told.is_set():  # no wait without an end: a signal that comes as it begins is heard after it
                time.sleep(_LOOK_S)
        passes.end()
        scheduler.shutdown(wait=True)
        say(f"{now()}  the cycle of {name} ends")


def once(name: str, store: Store, kinds: Mapping[Kind, float], say: Callable[[str], object]) -> int:
    """One pass of each kind; returns the exit code of the first that failed, or 0. An alert is no failure."""
    passes = _Passes(name, store, say)
    codes = [passes.make(kind) for kind in kinds]
    return next((code for code in codes if code not in _OUTCOMES), 0)


class _Passes:
    """Makes passes: those of a kind one after the other."""

    def __init__(self, name: str, store: Store, say: Callable[[str], object]) -> None:
        self._name = name
        self._store = store
        self._say = say
        self._lock = threading.Lock()
        self._monitoring = threading.Lock()
        self._processes: dict[Kind, subprocess.Popen[str]] = {}
        self._ended = False

    def make(self, kind: Kind) -> int:
        """One pass, to its end; returns its exit code."""
        if kind == "monitor":
            with self._monitoring:
                return self._make(kind)
        with self._monitoring:  # the pass at work shall be seen; one that comes later need not wait for this
            pass
        return self._make(kind)

    def _make(self, kind: Kind) -> int:
        begun = now()
        process = self._start(kind)
        if process is None:
            return 130
        out, err = process.communicate()
        code = process.returncode
        outcome = _OUTCOMES.get(code, f"failed with {code}")
        text = _one_line(out if code in _OUTCOMES and out.strip() else err)
        self._say(f"{begun}  {kind} of {self._name}: {outcome}: {text}".rstrip(": "))
        return code

    def end(self) -> None:
        """Interrupt the passes at work, as Ctrl-C would, and make no other."""
        with self._lock:
            self._ended = True
            at_work = [process for process in self._processes.values() if process.poll() is None]
        for process in at_work:
            process.send_signal(signal.SIGINT)
        until = time.monotonic() + _PATIENCE_S
        for process in at_work:
            try:
                process.wait(max(0.0, until - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.kill()

    def _start(self, kind: Kind) -> subprocess.Popen[str] | None:
        # What is live is looked up for each pass: it may have changed.
        entry = Ledger(self._store.root).champion(self._name)
        subject = self._name if kind == "maintain" or entry is None else entry.run
        command = [sys.executable, "-m", "pizzeria.cli", "--store", str(self._store.root), kind, subject]
        with self._lock:
            if self._ended:
                return None
            # In a session of its own: Ctrl-C reaches this process alone, which passes it on.
            self._processes[kind] = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                start_new_session=True,
                env={**os.environ, "COLUMNS": "200"},
            )
            return self._processes[kind]


@contextmanager
def _until_told() -> Iterator[threading.Event]:
    """An event that SIGTERM and Ctrl-C set; what they did before comes back in the end."""
    told = threading.Event()

    def tell(_signal: int, _frame: FrameType | None) -> None:
        told.set()

    before: dict[signal.Signals, Any] = {one: signal.signal(one, tell) for one in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield told
    finally:
        for one, handler in before.items():
            signal.signal(one, handler)


def _one_line(text: str) -> str:
    """All of it on one line, cut where it gets long.

    Example:
        >>> _one_line("12 predictions judged\\n\\nno alert\\n")
        '12 predictions judged; no alert'
    """
    line = "; ".join(part.strip() for part in text.splitlines() if part.strip())
    return line if len(line) <= _SHOWN else f"{line[:_SHOWN]} ..."
