"""One tracker with a thread of its own, in which all its calls are made, so that a slow server slows no training."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

from pizzeria.contracts import Progress, TrackedRun
from pizzeria.errors import PizzeriaError
from pizzeria.hiding import said
from pizzeria.tracking.curves import rows_after

LOOK_EVERY_S = 2.0
"""Seconds from one look for new epochs to the next."""

_SHOWN = 200

Work = Callable[[TrackedRun], None]


class Teller:
    """Tells one tracker of one run.

    Args:
        use: The tracker's name, for messages.
        prepare: Imports its libraries; called at once, in the thread of the caller.
        begin: Opens the run there.
        curves: Folders in which `curves.csv` of the training may lie.
        progress: Told once when the tracker fails; from then on the run goes on without it.
    """

    def __init__(
        self,
        use: str,
        prepare: Callable[[], object] | None,
        begin: Callable[[], TrackedRun],
        curves: Sequence[Path],
        progress: Progress,
    ) -> None:
        self._use = use
        self._begin = begin
        self._curves = curves
        self._progress = progress
        self._waiting: queue.SimpleQueue[Work | None] = queue.SimpleQueue()
        self._failed = False
        self._step = 0
        self._thread = threading.Thread(target=self._guarded, args=[self._work], name=f"tracking {use}", daemon=True)
        if prepare is not None:
            self._guarded(prepare)

    def start(self) -> None:
        """Begin, once all trackers are prepared."""
        if not self._failed:
            self._thread.start()

    def tell(self, work: Work) -> None:
        """Have the thread do something with the tracked run, in its turn."""
        self._waiting.put(work)

    def end(self, patience_s: float) -> bool:
        """Wait until all is told, but not for ever; whether it was."""
        self._waiting.put(None)
        if not self._failed:
            self._thread.join(patience_s)
        if self._thread.is_alive():
            self._progress.say(
                f"tracking: {self._use} did not take all of it within {patience_s:g} s; the next run tells it again"
            )
            return False
        return not self._failed

    @property
    def step(self) -> int:
        """The last epoch that was told."""
        return self._step

    def curves(self, run: TrackedRun) -> None:
        """Tell the epochs that are new."""
        for step, figures in rows_after(self._step, self._curves):
            run.metrics(figures, step)
            self._step = step

    def _guarded(self, work: Callable[[], object]) -> None:
        try:
            work()
        except Exception as error:  # whatever a tracker raises: the run does not need it
            self._failed = True
            told = error.message if isinstance(error, PizzeriaError) else said(error)
            first = (told.strip().splitlines() or [""])[0]
            self._progress.say(f"tracking: {self._use} failed, and the run goes on without it: {first[:_SHOWN]}")

    def _work(self) -> None:
        run = self._begin()
        self._step = run.steps
        self._progress.say(f"tracking: {self._use}: {run.where}")
        while True:
            try:
                work = self._waiting.get(timeout=LOOK_EVERY_S)
            except queue.Empty:
                work = self.curves
            if work is None:
                return
            work(run)
