"""Follows a run from its first stage to its last, and tells its trackers.

What a tracker has been told stands in `tracking.json` of the run's folder: a command that runs nothing opens none that
knows all of it already, and one that was added to the spec later, or was down, is told then.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, Literal

from pizzeria import atomic, registry
from pizzeria.contracts import Progress, TrackedRun
from pizzeria.errors import PizzeriaError
from pizzeria.fingerprint import digest
from pizzeria.graph import Step
from pizzeria.runs.store import Run, Store
from pizzeria.spec.spec import Spec
from pizzeria.spec.stages import Tracking
from pizzeria.tracking.results import Findings, findings, parameters
from pizzeria.tracking.telling import Teller

TOLD = "tracking.json"
INTERRUPTED_S = 5.0
"""Whoever pressed Ctrl-C waits no longer for a tracker."""

State = Literal["finished", "failed", "killed"]


@contextmanager
def follow(spec: Spec, run: Run, steps: Sequence[Step], store: Store, progress: Progress) -> Iterator[None]:
    """Have the trackers of a spec told of what happens inside.

    Args:
        steps: Of this command; where none of them trains, there is nothing to tell.
    """
    if not spec.tracking or all(step.name != "train" for step in steps):
        yield
        return
    # Those that have something to look at from the beginning; others are opened at the end, if at all.
    open_now = any(step.result is None for step in steps)
    tellers = {i: _teller(one, spec, run, steps, store, progress) for i, one in enumerate(spec.tracking) if open_now}
    for teller in tellers.values():
        teller.start()
    state: State = "killed"
    try:
        yield
        state = "finished"
    except PizzeriaError:
        state = "failed"
        raise
    finally:
        _end(spec, run, steps, store, progress, tellers, state)


def _end(
    spec: Spec,
    run: Run,
    steps: Sequence[Step],
    store: Store,
    progress: Progress,
    tellers: Mapping[int, Teller],
    state: State,
) -> None:
    """Tell what the run has come to, and remember to whom."""
    found = findings(run, {step.name: left for step in steps if (left := store.load(step.fingerprint)) is not None})
    now = digest([found.lineage, found.metrics, parameters(spec), [path.name for path in found.files]])
    told = _told(run)
    for i, one in enumerate(spec.tracking):
        key, teller = digest(one.resolved()), tellers.get(i)
        if teller is None:
            if told.get(key) == now:
                continue
            teller = _teller(one, spec, run, steps, store, progress)
            teller.start()
        teller.tell(partial(_conclude, teller, found, state))
        patience = one.patience_s if state != "killed" else min(one.patience_s, INTERRUPTED_S)
        if teller.end(patience) and state != "killed":
            told[key] = now
    atomic.write_json(run.folder / TOLD, told)


def _teller(one: Tracking, spec: Spec, run: Run, steps: Sequence[Step], store: Store, progress: Progress) -> Teller:
    plugin = registry.load("trackers", one.use)
    prints = [step.fingerprint for step in steps if step.name == "train"]
    curves = [store.cache / name for found in prints for name in (found, f"{found}.partial")]
    begin = partial(plugin.begin, one.options, spec.name, run.id)
    teller = Teller(one.use, getattr(plugin, "prepare", None), begin, curves, progress)
    known = parameters(spec)
    teller.tell(lambda tracked: tracked.parameters(known))
    teller.tell(lambda tracked: tracked.file(run.folder / "spec.yaml"))
    return teller


def _conclude(teller: Teller, found: Findings, state: State, tracked: TrackedRun) -> None:
    teller.curves(tracked)
    tracked.lineage(found.lineage)
    if found.metrics:
        tracked.metrics(found.metrics, max(1, teller.step))
    for path in found.files:
        tracked.file(path)
    tracked.close(state)


def _told(run: Run) -> dict[str, Any]:
    path: Path = run.folder / TOLD
    try:
        found: Mapping[str, Any] = json.loads(path.read_text())
    except (OSError, ValueError):
        return {}
    return dict(found)
