"""Members of a sweep, or any runs, beside each other: the best first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pizzeria.errors import DataError, NotFoundError, nearest
from pizzeria.fingerprint import digest, flatten
from pizzeria.loading import load_resolved
from pizzeria.report.prices import Charge, training_charge
from pizzeria.report.run_folder import RunFolder
from pizzeria.runs.store import Run, Store
from pizzeria.sweeping.description import describe
from pizzeria.sweeping.objective import metric_of
from pizzeria.sweeping.records import Member, State, Sweep, find_sweep
from pizzeria.tasks import task

_NOT_COMPARED = ("name", "cost", "sweep")
"""Sections that say nothing of how a model came to be."""


@dataclass(frozen=True)
class Comparison:
    """What was compared.

    Attributes:
        title: The sweep's id, or `runs`.
        metric: What members are ordered by, on the validation split.
        members: The best first; those without the metric last.
        expected: How many there are to be; more than `members` while a sweep is at work or was cut off.
        sweep: None for runs that were named one by one.
    """

    title: str
    metric: str
    better: Literal["higher", "lower"]
    members: tuple[Member, ...]
    expected: int
    sweep: Sweep | None = None

    @property
    def best(self) -> Member | None:
        """The best that meets the success criteria; where none does, the best of the others."""
        measured = [member for member in self.members if self.value(member) is not None]
        return next((member for member in measured if member.state == "done"), measured[0] if measured else None)

    @property
    def settings(self) -> list[str]:
        """Keys that were varied, in the order in which members name them."""
        return list(dict.fromkeys(key for member in self.members for key in member.settings))

    def value(self, member: Member) -> float | None:
        """Its metric on the validation split."""
        return member.validation.get(self.metric)

    def row(self, member: Member) -> dict[str, Any]:
        """A member as plain data, for the table and for `--json`."""
        charge = cost_of(member)
        return {
            "number": member.number + 1,
            "run": member.run,
            "state": member.state,
            "settings": dict(member.settings),
            "validation": self.value(member),
            "test": member.test.get(self.metric),
            "interval": list(member.intervals.get(self.metric) or ()) or None,
            "seconds": sum(member.seconds.values()),
            "training_seconds": member.training.get("seconds"),
            "cost": None if charge is None else {"hours": charge.hours, "unit": charge.unit, "price": charge.price},
            "message": member.message,
        }

    def plain(self) -> dict[str, Any]:
        """All of it, for programs."""
        best = self.best
        return {
            "title": self.title,
            "metric": self.metric,
            "split": "validation",
            "better": self.better,
            "expected": self.expected,
            "best": None if best is None else best.number + 1,
            "members": [self.row(member) for member in self.members],
        }


def compare(names: Sequence[str], store: Store) -> Comparison:
    """Compare the members of a sweep, or runs.

    Args:
        names: One sweep (its id, or its spec's name), or runs; none: the newest sweep.

    Raises:
        NotFoundError: there is no such sweep or run.
        DataError: the runs are of different tasks.
    """
    if len(names) < 2:
        try:
            return of_sweep(find_sweep(store.root, names[0] if names else None))
        except NotFoundError as error:
            if not names or (store.root / ".sweeps" / names[0]).exists():
                raise
            try:
                return of_runs([store.run(names[0])])
            except NotFoundError:
                hint = error.hint or nearest(names[0], [run.id for run in store.runs()])
                raise NotFoundError(f"there is no sweep and no run {names[0]!r} in {store.root}", hint=hint) from None
    return of_runs([store.run(name) for name in names])


def of_sweep(sweep: Sweep) -> Comparison:
    """Members of a sweep that came to an end so far."""
    members = _ordered(sweep.ended(), sweep.metric, sweep.better)
    return Comparison(sweep.id, sweep.metric, sweep.better, members, sweep.members, sweep)


def of_runs(runs: Sequence[Run]) -> Comparison:
    """Runs, by what of their specs differs."""
    specs = [load_resolved(run.folder / "spec.yaml") for run in runs]
    tasks = sorted({spec.problem.task for spec in specs})
    if len(tasks) > 1:
        raise DataError(f"the runs are of different tasks: {', '.join(tasks)}", hint="compare runs of one task")
    metric = metric_of(specs[0])
    better = task(specs[0].problem.task).METRICS[metric].better
    varied = _differences([spec.resolved() for spec in specs])
    members = [
        describe(i, spec, run, varied[i], *_state(run)) for i, (spec, run) in enumerate(zip(specs, runs, strict=True))
    ]
    title = f"{len(runs)} runs" if len(runs) > 1 else runs[0].id
    return Comparison(title, metric, better, _ordered(members, metric, better), len(runs))


def cost_of(member: Member) -> Charge | None:
    """What its training cost, at its own spec's prices; None where nothing was trained."""
    return training_charge(member.spec.get("cost") or {}, member.training)


def folder_of(comparison: Comparison, store: Store) -> Path:
    """Where page and best spec of a comparison are written."""
    if comparison.sweep is not None:
        return comparison.sweep.folder
    return store.root / ".sweeps" / f"compared-{digest(sorted(member.run for member in comparison.members))[:8]}"


def _ordered(members: Sequence[Member], metric: str, better: Literal["higher", "lower"]) -> tuple[Member, ...]:
    def key(member: Member) -> tuple[bool, float, int]:
        value = member.validation.get(metric)
        return value is None, 0.0 if value is None else value if better == "lower" else -value, member.number

    return tuple(sorted(members, key=key))


def _state(run: Run) -> tuple[State, str, str]:
    """How a run ended: state, message and hint."""
    found = RunFolder(run.folder)
    if found.refusal is not None:
        stage, said = found.refusal
        return ("missed" if stage == "evaluate" else "failed"), said.get("message", ""), said.get("hint", "")
    if found.file("evaluate", "metrics.json") is None:
        return "failed", "it was not evaluated", "run it again, to its end or until evaluate"
    return "done", "", ""


def _differences(specs: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Of each resolved spec, what the others have otherwise or lack.

    Example:
        >>> _differences([{"name": "a", "model": {"depth": 3}}, {"name": "b", "model": {"depth": 4}}])
        [{'model.depth': 3}, {'model.depth': 4}]
    """
    flat = [{k: v for k, v in flatten(spec) if k.split(".")[0] not in _NOT_COMPARED} for spec in specs]
    keys = list(dict.fromkeys(key for one in flat for key in one))
    differing = [key for key in keys if any(one.get(key) != flat[0].get(key) for one in flat)]
    return [{key: one[key] for key in differing if key in one} for one in flat]
