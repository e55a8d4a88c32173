"""`pizzeria cycle`: monitors and maintains a live model by the clock, in the foreground.

Each pass is a process of its own, so that nothing that goes wrong in one, and no memory that it took, outlives it.
"""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime, timedelta
from types import FrameType
from typing import Any, Literal

from pizzeria.clock import now
from pizzeria.deployments import champion
from pizzeria.errors import PizzeriaError
from pizzeria.runs.ledger import Ledger
from pizzeria.runs.store import Store

Kind = Literal["monitor", "maintain"]

DEFAULT_S: Mapping[Kind, float] = {"monitor": 3600, "maintain": 86400}
_OUTCOMES = {0: "done", 10: "alert", 11: "undecided", 130: "interrupted"}
_PATIENCE_S = 30.0
_SHOWN = 300


def intervals(name: str, store: Store, given: Mapping[Kind, float | None]) -> dict[Kind, float]:
    """Seconds between two passes of each kind: as given, or as the deployment's schedule says, or the default.

    Raises:
        NotFoundError: nothing of this name is deployed.
    """
    from pizzeria.maintenance.decisions import interval

    _, _, spec = champion(name, store)
    said = spec.deployment.schedule.model_dump()
    out: dict[Kind, float] = {}
    for kind, default_s in DEFAULT_S.items():
        own = interval(said[kind]).total_seconds() if said[kind] else default_s
        out[kind] = given.get(kind) or own
    return out


def go_round(name: str, store: Store, every_s: Mapping[Kind, float], say: Callable[[str], object]) -> None:
    """Make a pass of each kind now, and then at its intervals, one at a time, until SIGTERM or Ctrl-C.

    A pass that falls due while another is at work follows it; several of a kind become one. What a pass says and how it
    ended is one line; a failed one stops nothing.
    """
    try:
        from apscheduler.executors.pool import ThreadPoolExecutor
        from apscheduler.schedulers.background import BackgroundScheduler
    except ImportError:
        raise PizzeriaError("the cycle needs APScheduler", hint="pip install 'pizzeria[cycle]'") from None
    logging.getLogger("apscheduler").setLevel(logging.ERROR)
    passes = _Passes(name, store, say)
    scheduler = BackgroundScheduler(
        executors={"default": ThreadPoolExecutor(1)},
        job_defaults={"coalesce": True, "max_instances": 1, "misfire_grace_time": None},
        timezone="UTC",
    )
    for i, (kind, seconds) in enumerate(every_s.items()):
        first = datetime.now().astimezone() + timedelta(milliseconds=10 * i)  # in the order given
        scheduler.add_job(passes.make, "interval", (kind,), id=kind, seconds=seconds, next_run_time=first)
        say(f"{now()}  {kind} of {name} every {seconds:g} s")
    with _until_told() as told:
        scheduler.start()
        told.wait()
    passes.end()
    scheduler.shutdown(wait=True)
    say(f"{now()}  the cycle of {name} ends")


def once(name: str, store: Store, kinds: Mapping[Kind, float], say: Callable[[str], object]) -> int:
    """One pass of each kind; returns the exit code of the first that failed, or 0. An alert is no failure."""
    passes = _Passes(name, store, say)
    codes = [passes.make(kind) for kind in kinds]
    return next((code for code in codes if code not in _OUTCOMES), 0)


class _Passes:
    """Makes one pass after the other."""

    def __init__(self, name: str, store: Store, say: Callable[[str], object]) -> None:
        self._name = name
        self._store = store
        self._say = say
        self._lock = threading.Lock()
        self._process: subprocess.Popen[str] | None = None
        self._ended = False

    def make(self, kind: Kind) -> int:
        """One pass, to its end; returns its exit code."""
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
        """Interrupt the pass at work, as Ctrl-C would, and make no other."""
        with self._lock:
            self._ended = True
            process = self._process
        if process is not None and process.poll() is None:
            process.send_signal(signal.SIGINT)
            try:
                process.wait(_PATIENCE_S)
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
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                start_new_session=True,
                env={**os.environ, "COLUMNS": "200"},
            )
            return self._process


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
