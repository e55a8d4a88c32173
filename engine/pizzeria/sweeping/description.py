"""A run as a member: what it was set to, what it is worth, what it took."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pizzeria.report.run_folder import RunFolder
from pizzeria.runs.store import Run
from pizzeria.spec.spec import Spec
from pizzeria.sweeping.objective import on_validation
from pizzeria.sweeping.records import Member, State


def describe(
    number: int,
    spec: Spec,
    run: Run | None,
    settings: Mapping[str, Any],
    state: State = "done",
    message: str = "",
    hint: str = "",
) -> Member:
    """Read of a run what a comparison needs.

    Args:
        run: None where there is none, because not even its data could be found.
        settings: What it has that others may not.
    """
    found = RunFolder(run.folder) if run is not None and run.folder.is_dir() else None
    if found is None:
        return Member(number, dict(settings), spec.resolved(), "", state, message=message, hint=hint)
    seconds = {stage: found.result(stage).get("seconds") for stage in found.stages}
    measured = found.json("evaluate", "metrics.json") or {}
    evaluated = found.file("evaluate", "calibration.json")
    return Member(
        number=number,
        settings=dict(settings),
        spec=spec.resolved(),
        run=found.id,
        state=state,
        validation=on_validation(spec, evaluated.parent) if evaluated is not None else {},
        test=measured.get("metrics") or {},
        intervals=measured.get("intervals") or {},
        seconds={stage: float(taken) for stage, taken in seconds.items() if isinstance(taken, int | float)},
        training=found.facts("train"),
        packaging=found.facts("package"),
        message=message,
        hint=hint,
    )
