"""What most commands begin with: the store, a run in it, a time as typed, and a bar that shows progress."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import click

if TYPE_CHECKING:
    from pizzeria.contracts import Progress
    from pizzeria.runs.store import Run, Store
    from pizzeria.spec.spec import Spec

T = TypeVar("T")


def open_store() -> Store:
    """The store of all runs, with the stages of other machines where `PIZZERIA_ARTIFACTS` says."""
    from pizzeria.runs.artifacts import Artifacts
    from pizzeria.runs.store import Store

    return Store(artifacts=Artifacts.of_environment())


def open_run(name: str) -> tuple[Store, Run, Spec]:
    """A run by its id, folder or spec's name, with its store and its spec as resolved."""
    from pizzeria.loading import load_resolved

    store = open_store()
    found = store.run(name)
    return store, found, load_resolved(found.folder / "spec.yaml")


def render_report(run: Run) -> Path:
    """Write the run's page anew; returns where it is."""
    from pizzeria.monitoring.watched import watched
    from pizzeria.report import render

    return render(run.folder, watched(run.folder))


def with_progress(work: Callable[[Progress], T]) -> T:
    """Do `work` while the user sees how far it is."""
    from pizzeria.progress import open_progress

    with open_progress() as progress:
        return work(progress)


def seconds_of(text: str, option: str) -> float:
    """`30s`, `5m`, `1h` or `1d` in seconds.

    Example:
        >>> seconds_of("5m", "--step-time")
        300.0
    """
    number, unit = text[:-1], text[-1:]
    if not (number.isascii() and number.isdigit() and len(number) < 7 and unit in ("s", "m", "h", "d")):
        raise click.BadParameter(f"{text!r} is no time; write 30s, 5m or 1h", param_hint=option)
    return float(int(number) * {"s": 1, "m": 60, "h": 3600, "d": 86400}[unit])
