"""How long work tells the user where it is: bars on a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TextIO

from pizzeria.contracts import Progress


class PlainProgress:
    """A line now and then, for logs and pipes.

    Args:
        stream: Where to write; standard error by default, so that standard output stays for results.
        every_s: Least seconds between two lines of one label.
    """

    def __init__(self, stream: TextIO | None = None, every_s: float = 5.0) -> None:
        self._stream = stream or sys.stderr
        self._every_s = every_s
        self._last: dict[str, float] = {}

    def track(self, items: Sequence[Any], label: str) -> Iterator[Any]:
        for i, item in enumerate(items):
            yield item
            self.update(label, i + 1, len(items))

    def update(self, label: str, done: int, total: int, **figures: float) -> None:
        now = time.monotonic()
        if now - self._last.setdefault(label, now) >= self._every_s:
            self._last[label] = now
            self.say(f"{label} {done}/{total}{_figures(figures)}")

    def say(self, text: str) -> None:
        print(text, file=self._stream, flush=True)


class TerminalProgress:
    """Rich bars that go away when done, with lines that stay above them."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
        from rich.progress import Progress as Bars

        self._console = Console(stderr=True, highlight=False)
        self.bars = Bars(
            TextColumn("  {task.description}"),
            BarColumn(bar_width=30),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            TextColumn("[dim]{task.fields[figures]}"),
            console=self._console,
            transient=True,
        )
        self._tasks: dict[str, Any] = {}

    def track(self, items: Sequence[Any], label: str) -> Iterator[Any]:
        for i, item in enumerate(items):
            yield item
            self.update(label, i + 1, len(items))

    def update(self, label: str, done: int, total: int, **figures: float) -> None:
        if label not in self._tasks:
            self._tasks[label] = self.bars.add_task(label, total=total, figures="")
        self.bars.update(self._tasks[label], completed=done, total=total, figures=_figures(figures))
        if done >= total:
            self.bars.remove_task(self._tasks.pop(label))

    def say(self, text: str) -> None:
        self._console.print(text, markup=False)


@contextmanager
def open_progress() -> Iterator[Progress]:
    """Bars when standard error is a terminal, plain lines otherwise."""
    if not sys.stderr.isatty():
        yield PlainProgress()
        return
    terminal = TerminalProgress()
    with terminal.bars:
        yield terminal


def _figures(figures: dict[str, float]) -> str:
    return "".join(f"  {name} {value:.4g}" for name, value in figures.items())
