"""A sweep from the command line to its end."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from pizzeria.clock import now
from pizzeria.errors import Fault, GateError, PizzeriaError, SpecError
from pizzeria.fingerprint import digest
from pizzeria.graph import NAMES, stages
from pizzeria.loading import load_spec
from pizzeria.runs.store import Run, Store
from pizzeria.spec.compose import sweep as grid
from pizzeria.sweeping.by_hydra import Chosen
from pizzeria.sweeping.member import Members
from pizzeria.sweeping.objective import metric_of
from pizzeria.sweeping.records import Sweep
from pizzeria.sweeping.space import corners
from pizzeria.tasks import task


def run_sweep(arguments: Sequence[str], store: Store, until: str, on_end: Callable[[Run], object]) -> Sweep:
    """Run every member of a sweep; those that stand already do nothing.

    Args:
        arguments: As for `load_spec`, with several values where a sweep varies: `training.seed=1,2`; and what is
            chosen of Hydra: `hydra/sweeper=optuna`, `hydra/launcher=joblib`, `hydra.sweeper.n_trials=20`.
        until: The last stage of each member.
        on_end: Called with the run of each member; writes its report.

    Raises:
        SpecError: a member that can be foreseen does not pass the check; nothing was run.
        PizzeriaError: sweeper or launcher cannot go on.
    """
    is_file = bool(arguments) and "=" not in arguments[0]
    head, typed = (arguments[:1], arguments[1:]) if is_file else ((), arguments)
    chosen = Chosen(typed, Path(head[0]) if head else None)
    foreseen = corners(chosen.typed) if chosen.optimises else grid(chosen.typed)
    specs = [load_spec((*head, *member)) for member in foreseen]  # all are checked before the first runs
    metric = metric_of(specs[0])
    better = task(specs[0].problem.task).METRICS[metric].better
    chosen.towards(better)
    if chosen.optimises and not _measures(until):
        hint = "leave --until out, or say evaluate"
        raise SpecError([Fault("--until", f"{until} leaves no {metric} to search by", hint, "command line")])
    # Where members run does not count: the same sweep may go on with another launcher.
    decisive = [text for text in arguments if not text.lstrip("+~").startswith(("hydra/launcher", "hydra.launcher."))]
    folder = store.root / ".sweeps" / f"{specs[0].name}-{digest([decisive, until])[:8]}"
    count = chosen.trials if chosen.optimises else len(foreseen)
    sweep = Sweep(folder, tuple(arguments), until, metric, better, count, now())
    members = Members(sweep, store.root, head, chosen.typed, Path.cwd(), chosen.alone, chosen.strict, on_end)
    choose_and_run = chosen.prepare(folder, members)
    sweep.begin()
    try:
        choose_and_run()
    except PizzeriaError:
        # Optuna has no best trial to tell of where no member was measured, and says so by an error.
        if any(member.validation for member in sweep.ended()) or len(sweep.ended()) < count:
            raise
    return sweep


def judge(sweep: Sweep) -> None:
    """Say so where members failed, or none meets the success criteria.

    Raises:
        PizzeriaError: a member failed.
        GateError: none failed, and none meets the criteria.
    """
    ended = sweep.ended()
    failed = [str(member.number + 1) for member in ended if member.state == "failed"]
    if failed:
        hint = f"pizzeria compare {sweep.id} says why; the same command tries {'them' if failed[1:] else 'it'} again"
        raise PizzeriaError(f"{len(failed)} of {len(ended)} members failed: {', '.join(failed)}", hint=hint)
    if not any(member.state == "done" for member in ended):
        hint = "train longer, vary more, or change problem.success if less is enough"
        raise GateError(f"none of {len(ended)} members meets the success criteria", hint=hint)


def _measures(until: str) -> bool:
    """Whether members that end with this stage have been evaluated."""
    names = [stage.NAME for stage in stages()]
    return until in NAMES and names.index(until) >= names.index("evaluate")
