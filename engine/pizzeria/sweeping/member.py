"""One member of a sweep: Hydra's launcher calls it, here or in a process of its own."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pizzeria.contracts import Progress
from pizzeria.errors import GateError, PizzeriaError
from pizzeria.execution import execute
from pizzeria.graph import plan, run_id
from pizzeria.hiding import said
from pizzeria.loading import load_spec
from pizzeria.progress import PlainProgress, open_progress
from pizzeria.runs.artifacts import Artifacts
from pizzeria.runs.store import Run, Store
from pizzeria.spec.spec import Spec
from pizzeria.sweeping.description import describe
from pizzeria.sweeping.records import Member, State, Sweep
from pizzeria.sweeping.space import settings


@dataclass(frozen=True)
class Members:
    """What Hydra calls its task function: runs the member whose overrides its sweeper has chosen.

    Attributes:
        head: The user's own file, where there is one.
        typed: Overrides of the whole sweep.
        folder: Where the user is: paths of a spec begin there.
        alone: Whether one member runs at a time, in this process.
        strict: Whether a failed member is to be raised, because the sweeper counts them.
        on_end: Called with each run that ran; writes its report.
    """

    sweep: Sweep
    store: Path
    head: Sequence[str]
    typed: Sequence[str]
    folder: Path
    alone: bool
    strict: bool
    on_end: Callable[[Run], object]

    def __call__(self, _: Any) -> float | None:
        """Run it; returns its metric on the validation split, or None where there is none."""
        from hydra.core.hydra_config import HydraConfig

        job = HydraConfig.get()
        os.chdir(self.folder)
        member = self.run(int(job.job.num), [str(text) for text in job.overrides.task])
        self.sweep.keep(member)
        if member.state == "failed" and self.strict:
            raise RuntimeError(member.message)
        return member.validation.get(self.sweep.metric)

    def run(self, number: int, overrides: Sequence[str]) -> Member:
        """Take a member as far as the sweep goes; whatever stops it is in its record."""
        name = f"[{number + 1}/{self.sweep.members}]"
        _say(f"{name} {' '.join([*self.head, *overrides])}")
        spec, store = load_spec([*self.head, *overrides]), Store(self.store, Artifacts.of_environment())
        varied = settings(overrides, self.typed)
        state: State = "failed"
        try:
            with _progress(self.alone, name) as progress:
                done = execute(spec, store, progress, until=self.sweep.until, on_end=self.on_end, wait=True)
            return describe(number, spec, done.run, varied)
        except GateError as error:
            state, message, hint = "missed", error.message, error.hint
        except PizzeriaError as error:
            message, hint = error.message, error.hint
        except Exception as error:  # a fault of a plugin stops one member, and not those after it
            message, hint = said(error), ""
        _say(f"{name} {state}: {message}")
        return describe(number, spec, _run_of(spec, store), varied, state, message, hint)


def _run_of(spec: Spec, store: Store) -> Run | None:
    with suppress(PizzeriaError):
        return Run(store.root / run_id(spec, plan(spec, store)))
    return None


@contextmanager
def _progress(alone: bool, name: str) -> Iterator[Progress]:
    """Bars for a member that runs alone; lines with its number for one that runs beside others."""
    if alone:
        with open_progress() as progress:
            yield progress
    else:
        yield _Numbered(name)


class _Numbered(PlainProgress):
    def __init__(self, name: str) -> None:
        super().__init__(every_s=30.0)
        self._name = name

    def say(self, text: str) -> None:
        _say(f"{self._name} {text}")


def _say(text: str) -> None:
    """A line in one write, so that lines of two processes do not mix."""
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()
