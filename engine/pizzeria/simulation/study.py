"""A simulation in its folder: `runs/simulations/<name>-<what decides it>/`, from which it goes on after a kill.

What was collected lies beside it, in `.collected`.

    past.parquet, past/  what the first model learns
    .cache/              stages that all policies share
    <policy>/            a store: runs, ledger, predictions, monitoring
    results.json, plot.html, plot.png
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from importlib.metadata import version
from pathlib import Path
from typing import Any

from pizzeria import atomic, registry
from pizzeria.contracts import Progress
from pizzeria.errors import Fault, SpecError, nearest
from pizzeria.execution import execute
from pizzeria.runs.store import Store
from pizzeria.simulation.drawing import draw
from pizzeria.simulation.photos import cut_photos
from pizzeria.simulation.policies import Policy
from pizzeria.simulation.replaying import Pace, Replay
from pizzeria.simulation.results import Outcome, outcome
from pizzeria.simulation.stream import Cut, cut_rows
from pizzeria.spec.check import check
from pizzeria.spec.compose import Composed, Origins
from pizzeria.spec.spec import Spec
from pizzeria.tables import read_tables
from pizzeria.tasks import task

FOLDER = "simulations"
_KEPT_OF_DATA = ("repair", "validator", "expectations", "split", "leakage")


@dataclass(frozen=True)
class Plan:
    """What was asked for.

    Attributes:
        time: Column with the time of each row; None takes `data.split.order_by`.
        start: Where the replay begins: a share of the history, or a date.
        metric: Of the task, by which policies are compared; None takes the task's main one.
        shifted: A spec whose photos are replayed after all of the others; nothing else of it is looked at.
    """

    spec: Spec
    policies: Sequence[Policy]
    time: str | None
    start: str
    pace: Pace
    metric: str | None = None
    shifted: Spec | None = None


@dataclass(frozen=True)
class Study:
    """A simulation that has ended.

    Attributes:
        folder: Where everything lies.
        picture: None where this machine cannot make one.
    """

    folder: Path
    outcomes: Sequence[Outcome]
    page: Path
    picture: Path | None


def simulate(plan: Plan, store: Store, progress: Progress, *, fresh: bool = False) -> Study:
    """Replay a history under each policy, and say what became of it.

    Args:
        store: Of the working folder; nothing changes in it but for its folder `simulations`.
        fresh: Forget what an earlier try of the same simulation left.

    Raises:
        DataError: the history has no order in time, or nothing on one side of the start.
        SpecError: the metric is none of the task's.
        GateError: the first model misses what the spec asks of it.
    """
    spec = plan.spec
    column = plan.time or spec.data.split.order_by
    tabular = spec.problem.task.startswith("tabular")
    _require_sense(plan, column)
    metric = _metric(plan)
    aside = Store(store.root / FOLDER / ".collected")  # a run of collecting alone is none of the user's runs
    collected = [
        execute(one, aside, progress, until="collect").results["collect"]
        for one in (spec, plan.shifted)
        if one is not None
    ]
    folder = store.root / FOLDER / f"{spec.name}-{_digest(plan, column, [one.fingerprint for one in collected])}"
    if fresh:
        shutil.rmtree(folder, ignore_errors=True)
    (folder / ".cache").mkdir(parents=True, exist_ok=True)
    tables, *others = (read_tables(one.folder) for one in collected)
    if tabular:
        assert column is not None
        cut = cut_rows(tables, spec.problem, column, plan.start, folder)
    else:
        shifted = others[0] if others else None
        cut = cut_photos(tables, spec.problem, column, plan.start, plan.pace.every, shifted, folder)
    what = "rows" if tabular else "photos"
    progress.say(f"{cut.learnt} {what} to learn from, {len(cut.stream)} to replay, in {folder}")
    outcomes = []
    for policy in plan.policies:
        replay = Replay(spec_for(spec, policy, cut.data), policy, plan.pace, cut.stream, _store(folder, policy))
        replay.run(progress)
        outcomes.append(outcome(replay, metric))
    atomic.write_json(folder / "results.json", _plain(plan, cut, metric, outcomes))
    page, picture = draw(spec.name, outcomes, folder)
    return Study(folder, outcomes, page, picture)


def spec_for(spec: Spec, policy: Policy, data: Mapping[str, Any]) -> Spec:
    """The spec as it is simulated: it learns the first part, is deployed to the shelf, and tells nobody."""
    found = spec.resolved()
    found["data"] = {**{key: found["data"][key] for key in _KEPT_OF_DATA}, **data}
    found["deployment"] = {"use": "replay"}
    found["serving"] |= {"log": {"use": "sqlite", "photos": not spec.problem.task.startswith("tabular")}}
    found["monitoring"]["alerts"] = []
    found["tracking"] = []
    found["maintenance"] = policy.maintenance(found["maintenance"])
    return check(Composed(found, Origins), registry.load)


def _require_sense(plan: Plan, column: str | None) -> None:
    tabular = plan.spec.problem.task.startswith("tabular")
    faults = []
    if tabular and column is None:
        hint = "say which column has the time of each row: --time COLUMN, or data.split.order_by"
        faults.append(Fault("--time", "the history has no order in time", hint, "command line"))
    if tabular and plan.shifted is not None:
        hint = "rows that are shifted belong into the table itself, with their times"
        faults.append(Fault("--traffic", "it is for photos, and the spec learns from rows", hint, "command line"))
    if not plan.pace.labelled:
        hint = "give a share above 0; the truth of the history decides what each policy is worth"
        faults.append(Fault("--labels", "without labels no policy can learn anything", hint, "command line"))
    if faults:
        raise SpecError(faults)


def _metric(plan: Plan) -> str:
    found = task(plan.spec.problem.task)
    if plan.metric is None:
        return found.MAIN_METRIC if found.JUDGED != "presence" else "f1"
    if plan.metric not in found.METRICS:
        hint = nearest(plan.metric, found.METRICS)
        raise SpecError([Fault("--metric", f"the task has no metric {plan.metric!r}", hint, "command line")])
    return plan.metric


def _store(folder: Path, policy: Policy) -> Store:
    """A store of the policy's own, with the cache of all."""
    root = folder / policy.name
    root.mkdir(exist_ok=True)
    link = root / ".cache"
    if not link.is_symlink():
        link.symlink_to(os.path.relpath(folder / ".cache", root))
    return Store(root)


def _digest(plan: Plan, column: str | None, collected: Sequence[str]) -> str:
    """What decides how a replay goes, but for the policy."""
    decides = {
        "spec": plan.spec.resolved(),
        "data": list(collected),
        "time": column,
        "start": plan.start,
        "every_s": plan.pace.every.total_seconds(),
        "delay_s": plan.pace.delay.total_seconds(),
        "labelled": plan.pace.labelled,
        "version": version("pizzeria"),
    }
    return hashlib.sha256(json.dumps(decides, sort_keys=True).encode()).hexdigest()[:12]


def _plain(plan: Plan, cut: Cut, metric: str, outcomes: Sequence[Outcome]) -> dict[str, Any]:
    return {
        "name": plan.spec.name,
        "metric": metric,
        "start": str(cut.stream.times[0]),
        "end": str(cut.stream.times[-1]),
        "learnt": cut.learnt,
        "replayed": len(cut.stream),
        "every_s": _seconds(plan.pace.every),
        "delay_s": _seconds(plan.pace.delay),
        "labelled": plan.pace.labelled,
        "policies": [one.plain() for one in outcomes],
    }


def _seconds(span: timedelta) -> float:
    return span.total_seconds()
