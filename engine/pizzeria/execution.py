"""Runs what must run of a spec, stage by stage; killed anywhere, the same command goes on from there."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from functools import partial
from typing import Any

import yaml

from pizzeria import hiding
from pizzeria.cache_folder import using_caches
from pizzeria.clock import now
from pizzeria.contracts import Progress
from pizzeria.deployments import restore, sign_packed
from pizzeria.disk_trouble import disk_trouble_told
from pizzeria.errors import PizzeriaError, StorageError, said_of_interruption
from pizzeria.graph import Step, plan, run_id, stages
from pizzeria.holding import held
from pizzeria.runs.ledger import Ledger
from pizzeria.runs.store import Result, Run, Store
from pizzeria.runs.working import at_work
from pizzeria.spec.spec import Spec
from pizzeria.stages.stage import Job, Stage
from pizzeria.tracking import follow


@dataclass(frozen=True)
class Executed:
    """A run that came to its end.

    Attributes:
        results: By stage.
        ran: Stages that had to run; the others stood already, or another machine had run them.
    """

    run: Run
    results: dict[str, Result]
    ran: tuple[str, ...]


def execute(
    spec: Spec,
    store: Store,
    progress: Progress,
    *,
    until: str = "deploy",
    on_end: Callable[[Run], object] | None = None,
    wait: bool = False,
) -> Executed:
    """Run a spec up to and with the stage `until`.

    Args:
        on_end: Called with the run when anything ran, at its end or when it is refused; writes the report.
        wait: Whether a stage that another process is at work on is waited for, and its result taken.

    Raises:
        PizzeriaError: a stage failed, or refused to let the run go on; its class says which.
        KeyboardInterrupt: Ctrl-C, or SIGTERM as `Terminated`; the ledger is told.
    """
    if until == "deploy":
        restore(spec.name, f"run {spec.name}", store, progress)
    with ExitStack() as until_the_end:
        with held(store.cache, shared=True):  # nothing is cleared away before it is said that it is needed
            whole = plan(spec, store)
            wanted = _upstream(until)
            steps = [step for step in whole if step.name in wanted]
            text = yaml.safe_dump(spec.resolved(), sort_keys=False, allow_unicode=True, width=110)
            run = store.open_run(run_id(spec, whole), text)
            stages_of_it = {step.name: step.fingerprint for step in steps}
            until_the_end.enter_context(at_work(run, spec.name, stages_of_it))
        until_the_end.enter_context(using_caches())
        return _executed(spec, run, steps, store, progress, on_end, wait)


def _executed(
    spec: Spec,
    run: Run,
    steps: Sequence[Step],
    store: Store,
    progress: Progress,
    on_end: Callable[[Run], object] | None,
    wait: bool,
) -> Executed:
    ledger = Ledger(store.root)
    todo = [step for step in steps if step.result is None]
    if todo:
        told = {"stages": [step.name for step in todo], "pid": os.getpid()}
        ledger.add("run_started", spec.name, run=run.id, detail=told)
    results: dict[str, Result] = {}
    ran: list[str] = []
    with follow(spec, run, steps, store, progress):
        try:
            with disk_trouble_told():
                for step in steps:
                    stage = next(stage for stage in stages() if step.name == stage.NAME)
                    result = step.result or _fetched(stage, step, spec, progress, store, wait)
                    if result is None:
                        result = _run_stage(stage, step, spec, results, progress, run, store, wait)
                        ran.append(step.name)
                    _share(stage, result, progress, store)
                    run.link(result)
                    results[step.name] = result
                    if result.refusal is not None:
                        refused = stage.REFUSAL or PizzeriaError
                        raise refused(result.refusal["message"], hint=result.refusal["hint"])
                    if step.name == "package":
                        sign_packed(result.folder / "bundle", spec.signing, store, progress)
        except PizzeriaError as error:
            if todo:
                _note_stop(ledger, spec, run, error.message)
                if on_end is not None:
                    with suppress(PizzeriaError), disk_trouble_told():
                        on_end(run)
            raise
        except BaseException as error:
            if todo:
                said = said_of_interruption(error) if isinstance(error, KeyboardInterrupt) else hiding.said(error)
                _note_stop(ledger, spec, run, f"{said}; the same command goes on")
            raise
        if todo:
            ledger.add("run_finished", spec.name, run=run.id)
        if on_end is not None and (todo or not (run.folder / "report.html").exists()):
            on_end(run)
    return Executed(run, results, tuple(ran))


def _note_stop(ledger: Ledger, spec: Spec, run: Run, message: str) -> None:
    """Say in the ledger that a run was stopped. On a full disk that cannot be said, and why it stopped counts more."""
    with suppress(StorageError), disk_trouble_told():
        ledger.add("run_stopped", spec.name, run=run.id, detail={"message": message})


def _upstream(name: str) -> set[str]:
    by_name = {stage.NAME: stage for stage in stages()}
    wanted = {name}
    for stage in reversed(stages()):
        if stage.NAME in wanted:
            wanted |= {*by_name[stage.NAME].INPUTS, *by_name[stage.NAME].AFTER}
    return wanted


def _fetched(stage: Stage, step: Step, spec: Spec, progress: Progress, store: Store, wait: bool) -> Result | None:
    """What another machine has left of a stage; None where there is nothing, or it does not hold here, or another
    process of this machine has left it meanwhile."""
    if store.artifacts is None or not getattr(stage, "SHARED", True):
        return None
    try:
        # As if it were run: a process that runs or fetches it at the same time would put its own in the place of this.
        with store.partial(step.fingerprint, keep=True, wait=_waiting(stage, progress, wait)):
            if _standing(stage, step, spec, store) is not None:
                return None
            found = store.fetch(step.fingerprint)
    except PizzeriaError as error:
        progress.say(f"{stage.NAME}: not fetched: {error.message}")
        return None
    if found is None or (hasattr(stage, "expired") and stage.expired(spec, found, store)):
        return None
    progress.say(f"{stage.NAME}: fetched from {store.artifacts.place.address}")
    return found


def _share(stage: Stage, result: Result, progress: Progress, store: Store) -> None:
    """Leave a result to other machines; that it cannot be done stops no run."""
    if store.artifacts is None or not getattr(stage, "SHARED", True):
        return
    try:
        if sent := store.share(result):
            progress.say(f"{stage.NAME}: {sent / 1e6:.1f} MB sent to {store.artifacts.place.address}")
    except PizzeriaError as error:
        progress.say(f"{stage.NAME}: not shared: {error.message}")


def _run_stage(
    stage: Stage,
    step: Step,
    spec: Spec,
    done: dict[str, Result],
    progress: Progress,
    run: Run,
    store: Store,
    wait: bool,
) -> Result:
    progress.say(f"{stage.NAME}: {step.why}")
    with store.partial(step.fingerprint, keep=stage.RESUMES, wait=_waiting(stage, progress, wait)) as folder:
        standing = _standing(stage, step, spec, store)
        if standing is not None:
            progress.say(f"{stage.NAME}: another process has done it")
            return standing
        started, clock = now(), time.perf_counter()
        inputs = {name: done[name] for name in stage.INPUTS}
        for one in inputs.values():
            one.check()
        outcome = stage.run(Job(spec, folder, inputs, progress, run, store))
        refusal: dict[str, str] | None = None
        if outcome.refusal is not None:
            refusal = {"message": outcome.refusal.message, "hint": outcome.refusal.hint}
        seconds = time.perf_counter() - clock
        facts: dict[str, Any] = dict(outcome.facts)
        result = Result(stage.NAME, step.fingerprint, folder, facts, seconds, started, step.ingredients, refusal)
        result = store.commit(folder, result)
    progress.say(f"{stage.NAME}: done in {seconds:.1f} s{_summary(facts)}")
    return result


def _waiting(stage: Stage, progress: Progress, wait: bool) -> Callable[[], object] | None:
    return partial(progress.say, f"{stage.NAME}: another process is at it; waiting") if wait else None


def _standing(stage: Stage, step: Step, spec: Spec, store: Store) -> Result | None:
    """A result that another process has left since it was planned."""
    found = store.load(step.fingerprint)
    if found is None or (hasattr(stage, "expired") and stage.expired(spec, found, store)):
        return None
    return found


def _summary(facts: dict[str, Any]) -> str:
    shown = {name: value for name, value in facts.items() if isinstance(value, int | float | str)}
    return "".join(
        f", {name} {value:.4g}" if isinstance(value, float) else f", {name} {value}"
        for name, value in list(shown.items())[:6]
    )
