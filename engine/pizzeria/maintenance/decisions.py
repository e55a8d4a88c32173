"""`pizzeria maintain`: whether a deployed model needs a successor, and if so, whether the successor may replace it."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from pizzeria import registry
from pizzeria.contracts import Progress
from pizzeria.datasets import open_dataset
from pizzeria.deployments import champion, put_live, restore
from pizzeria.errors import GateError, RolloutError
from pizzeria.examination import answer, test_inputs
from pizzeria.execution import execute
from pizzeria.graph import plan
from pizzeria.inference.bundle import Bundle, open_bundle
from pizzeria.inference.predictor import Predictor
from pizzeria.predictions import load_predictions
from pizzeria.runs.ledger import Entry, Ledger
from pizzeria.runs.store import Run, Store
from pizzeria.spec.spec import Spec
from pizzeria.tables import read_tables
from pizzeria.tasks import task

_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


@dataclass(frozen=True)
class Decision:
    """What was decided, and on what evidence; it is a ledger row."""

    action: str
    """`kept` (nothing to do), `waiting`, `refused` (the challenger), `promoted`, or `would train`."""
    why: str
    evidence: Mapping[str, Any] = field(default_factory=dict)


def maintain(
    name: str,
    store: Store,
    progress: Progress,
    *,
    dry_run: bool = False,
    on_end: Callable[[Run], object] | None = None,
) -> Decision:
    """Decide for one deployed model, and act on the decision.

    A challenger is trained from the same spec when the last monitoring pass alerted for a reason in
    `maintenance.retrain_on`, `at_most_every` has passed, and the data have changed. It is promoted when it passes the
    gate and is no worse than the champion on the challenger's own test split, which neither was trained on where groups
    keep their split. With `deployment.rollout` it takes over in steps, and is refused when it is sent back on the way.

    Raises:
        NotFoundError: nothing of this name is deployed.
        PizzeriaError: training or deployment failed; the champion stays.
    """
    if not dry_run:
        restore(name, f"maintain {name}", store, progress)
    entry, run, spec = champion(name, store)
    decision = _whether(entry, spec, store)
    if decision.action == "would train" and not dry_run:
        decision = _challenge(entry, run, spec, store, progress, on_end)
    if not dry_run:
        detail = {"action": decision.action, "why": decision.why, "evidence": dict(decision.evidence)}
        Ledger(store.root).add("decided", name, run=run.id, sha256=entry.sha256, detail=detail)
    return decision


def _whether(entry: Entry, spec: Spec, store: Store) -> Decision:
    """Whether a challenger is called for."""
    ledger = Ledger(store.root)
    passes = [one for one in ledger.entries(spec.name, "monitored") if one.sha256 == entry.sha256]
    if not passes:
        return Decision("kept", "the model has not been monitored yet; run pizzeria monitor first")
    reasons = sorted(set(passes[-1].detail["reasons"]) & set(spec.maintenance.retrain_on))
    evidence = {"monitored": passes[-1].at, "alerts": passes[-1].detail["alerts"]}
    if not reasons:
        return Decision("kept", f"no alert on {' or '.join(spec.maintenance.retrain_on)} in the last pass", evidence)
    tried = [one.at for one in ledger.entries(spec.name, "decided") if one.detail["action"] in ("refused", "promoted")]
    since = datetime.now(UTC) - datetime.fromisoformat(max([_since(entry, ledger), *tried]))
    if since < interval(spec.maintenance.at_most_every):
        text = f"the last model is {since.total_seconds() / 3600:.1f} h old, and one is trained at most every"
        return Decision("waiting", f"{text} {spec.maintenance.at_most_every}", evidence)
    if all(step.result is not None for step in plan(spec, store) if step.name != "deploy"):
        return Decision(
            "kept", f"{', '.join(reasons)}, but the data have not changed since the model was trained", evidence
        )
    return Decision("would train", f"{', '.join(reasons)}, and the data have changed", evidence)


def _since(entry: Entry, ledger: Ledger) -> str:
    """Since when this bundle is the champion: deploying it again with other settings makes it no younger."""
    since = entry.at
    for one in reversed(ledger.entries(entry.name)):
        if one.event in ("promoted", "rolled_back") and one.id <= entry.id:
            if one.sha256 != entry.sha256:
                break
            since = one.at
    return since


def interval(text: str) -> timedelta:
    """`30m`, `12h` or `1d` as a time span.

    Example:
        >>> interval("12h")
        datetime.timedelta(seconds=43200)
    """
    return timedelta(**{_UNITS[text[-1]]: int(text[:-1])})


def _challenge(
    entry: Entry, run: Run, spec: Spec, store: Store, progress: Progress, on_end: Callable[[Run], object] | None
) -> Decision:
    try:
        done = execute(spec, store, progress, until="package", on_end=on_end)
    except GateError as error:
        return Decision("refused", f"the challenger missed the gate: {error.message}")
    package = done.results["package"].folder
    metric = task(spec.problem.task).MAIN_METRIC
    sides = {"champion": run.stage("package") / "bundle", "challenger": package / "bundle"}
    figures = {side: _score(open_bundle(folder), spec, done.run, progress) for side, folder in sides.items()}
    better = task(spec.problem.task).METRICS[metric].better
    gain = (figures["challenger"] - figures["champion"]) * (1 if better == "higher" else -1)
    text = f"{metric} of the champion is {figures['champion']:.4g}, of the challenger {figures['challenger']:.4g}"
    evidence = {"metric": metric, "test_split_of": done.run.id, **figures}
    if not gain >= 0:  # NaN does not pass
        return Decision("refused", text, evidence)
    sha256 = str(done.results["package"].facts["sha256"])
    evidence |= {"instead_of": entry.sha256, "sha256": sha256}
    try:
        put_live(spec, done.run, package / "bundle", sha256, store, progress)
    except RolloutError as error:
        return Decision("refused", f"{text}, but {error.message}", evidence)
    return Decision("promoted", text, evidence)


def _score(bundle: Bundle, spec: Spec, test: Run, progress: Progress) -> float:
    """A bundle's main metric on the test split of a run."""
    inputs = test_inputs(read_tables(test.stage("collect")), open_dataset(test.stage("features")))
    found = answer(Predictor(bundle), inputs, spec.serving.max_megapixels, progress).predictions()
    truth = load_predictions(test.stage("evaluate") / "truth_test.npz").of(found.keys)
    calibration = json.loads(json.dumps(bundle.calibration))
    if found.boxes is None:
        calibration["method"] = "none"  # answers carry calibrated probabilities
    evaluator = registry.load("evaluators", spec.evaluation.use)
    metrics = evaluator.evaluate(spec.evaluation.options, spec.problem, found, truth, calibration)["metrics"]
    return float(metrics[task(spec.problem.task).MAIN_METRIC])
