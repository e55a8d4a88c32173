"""Success criteria, parity, maintenance's comparison, verdicts on listings and roll-outs, asked about nothing."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from pizzeria.torture.hollow import Question

if TYPE_CHECKING:
    from pizzeria.predictions import Predictions
    from pizzeria.spec.problem import Problem

NAN, INF = math.nan, math.inf
_FULL = {"metrics": {"auroc": 0.99}, "per_class": {}, "examples": 90, "classes_never_seen": []}
_PART = {"count": 9, "metrics": {"auroc": 0.99}, "per_class": {}, "undecided": "fewer than 20"}
_EVALUATIONS: tuple[tuple[str, dict[str, Any], dict[str, Any]], ...] = (
    ("an empty test split", {"examples": 0}, {}),
    ("a metric that is NaN", {"metrics": {"auroc": NAN}}, {}),
    ("a metric that is infinite", {"metrics": {"auroc": INF}}, {}),
    ("a metric that is not there", {"metrics": {}}, {}),
    ("a class that was never seen", {"classes_never_seen": ["yes"]}, {}),
    ("a class that was never seen, alone", {"classes_never_seen": ["yes"]}, {"of_class": "yes"}),
    ("a class without figures", {}, {"of_class": "yes"}),
    ("a slice that is not there", {}, {"slice": {"kind": "z"}}),
    ("a slice that is empty", {"slices": {"kind": {"z": {}}}}, {"slice": {"kind": "z"}}),
    ("a slice of a few", {"slices": {"kind": {"z": _PART}}}, {"slice": {"kind": "z"}}),
    ("no interval where its end is asked for", {}, {"lower_bound": True}),
    ("an interval of NaN", {"intervals": {"auroc": (NAN, NAN)}}, {"lower_bound": True}),
)
_TASKS = ("object_detection", "multilabel_classification", "tabular_classification", "tabular_regression")


def problem_of(task: str) -> Problem:
    """A small problem of a task."""
    from pizzeria.spec.problem import Criterion, Problem
    from pizzeria.tasks import task as of_name

    metric = of_name(task).MAIN_METRIC
    lower = of_name(task).METRICS[metric].better == "lower"
    return Problem(
        need="To hold.",
        owner="torture",
        task=task,  # type: ignore[arg-type]
        classes=() if task == "tabular_regression" else ("no", "yes"),
        target="answer" if task.startswith("tabular") else None,
        success=(Criterion(metric=metric, at_most=1e9) if lower else Criterion(metric=metric, at_least=0.0),),
    )


def predictions(task: str, rows: int, fill: float, *, truth: bool = False) -> Predictions:
    """So many, all the same: of the first class, or of the value `fill`.

    Args:
        truth: Whether they are what is true; a true probability is 0 or 1.
    """
    import numpy as np

    from pizzeria.predictions import Boxes, Predictions

    keys = tuple(f"r{i}" for i in range(rows))
    if task == "tabular_regression":
        return Predictions(keys, values=np.full(rows, fill, np.float32))
    if task == "object_detection":
        one = Boxes.empty()
        if not truth and rows and math.isnan(fill):
            one = Boxes(np.zeros((1, 4), np.float32), np.full(1, NAN, np.float32), np.zeros(1, np.int64))
        return Predictions(keys, boxes=(one,) * rows)
    found = np.zeros((rows, 2), np.float32)
    found[:, 0] = 1 if truth else fill
    found[:, 1] = 0 if truth else 1 - fill
    if truth and task == "multilabel_classification":
        found[:] = 0
    return Predictions(keys, probabilities=found)


_SETS = (
    ("no row", 0, 0.5),
    ("one row of one class", 1, 0.5),
    ("30 rows of one class", 30, 0.5),
    ("30 rows of NaN", 30, NAN),
)


def questions() -> Iterator[Question]:
    """All of them."""
    yield from _criteria()
    yield from _rollouts()
    for task in _TASKS:
        for what, rows, fill in _SETS:
            if task == "tabular_regression" and rows and not math.isnan(fill):
                continue  # it has no classes, and one row is little, but not nothing
            yield Question("success criteria", f"{task}, {what}", lambda t=task, r=rows, f=fill: _evaluated(t, r, f))  # type: ignore[misc]
            if rows == 0 or math.isnan(fill) or task == "object_detection":
                yield Question("parity", f"{task}, {what}", lambda t=task, r=rows, f=fill: _parity(t, r, f))  # type: ignore[misc]
            yield Question("comparison", f"{task}, {what}", lambda t=task, r=rows, f=fill: _compared(t, r, f))  # type: ignore[misc]
    for task in _TASKS[:2]:
        for what, rows, fill in _SETS:
            yield Question("bands of verdicts", f"{task}, {what}", lambda t=task, r=rows, f=fill: _bounded(t, r, f))  # type: ignore[misc]


def _criteria() -> Iterator[Question]:
    from pizzeria.gate import Gain, judge, passes
    from pizzeria.spec.problem import Criterion

    yield Question("success criteria", "no criterion at all", lambda: passes(judge([], _FULL)))
    for what, changed, asked in _EVALUATIONS:
        criterion = Criterion(metric="auroc", at_least=0.0, **asked)
        yield Question("success criteria", what, lambda c=criterion, e=changed: passes(judge([c], _FULL | e)))  # type: ignore[misc]
    for gain in (
        Gain(1, 1, 1, 0, 0),
        Gain(NAN, NAN, NAN, NAN, 9),
        Gain(INF, INF, INF, 0, 9),
        Gain(1, 1, 1, 0, 9, "nothing"),
    ):
        beside = Criterion(metric="auroc", gain_over_champion=0.0)
        what = f"a gain of {gain.value} on {gain.rows} rows{gain.undecided and ', undecided'}"
        yield Question("success criteria", what, lambda g=gain, c=beside: passes(judge([c], _FULL, {0: g})))  # type: ignore[misc]


def _rollouts() -> Iterator[Question]:
    from pizzeria.contracts import Observation
    from pizzeria.deployments.rollout import judge
    from pizzeria.spec.deployment import Rollout

    present = Observation("a", 100, 0, 20.0)
    for what, staged, beside in (
        ("no answer of the new one", Observation("b", 0, 0, NAN), present),
        ("no answer at all", Observation("b", 0, 0, NAN), Observation("a", 0, 0, NAN)),
        ("answers without a time", Observation("b", 40, 0, NAN), present),
        ("a present one without a time", Observation("b", 40, 0, 20.0), Observation("a", 0, 0, NAN)),
        ("answers of nobody knows which", Observation("", 40, 0, 20.0), present),
    ):
        yield Question("roll-out", what, lambda s=staged, p=beside: judge(s, p, Rollout(), "b")[0] == "passed")  # type: ignore[misc]


def _evaluated(task: str, rows: int, fill: float) -> bool:
    """By the evaluator that specs have, and the gate."""
    from pizzeria import registry
    from pizzeria.gate import judge, passes
    from pizzeria.spec.thresholds import Thresholds

    evaluator, problem = registry.load("evaluators", "torchmetrics"), problem_of(task)
    found, truth = predictions(task, rows, fill), predictions(task, rows, fill, truth=True)
    calibration = evaluator.calibrate("none", problem, found, truth, Thresholds())
    evaluation = evaluator.evaluate(evaluator.Options(), problem, found, truth, calibration)
    return passes(judge(problem.success, evaluation))


def _parity(task: str, rows: int, fill: float) -> bool:
    from pizzeria.parity import compare

    found = predictions(task, rows, fill)
    return bool(compare(problem_of(task), found, found)["passed"])


def _compared(task: str, rows: int, fill: float) -> bool:
    """A challenger and its champion, by maintenance's rule."""
    from pizzeria.maintenance.comparison import decide
    from pizzeria.measuring.judged import Answers
    from pizzeria.measuring.paired import compare
    from pizzeria.spec.maintenance import Comparison

    rule, problem = Comparison(resamples=100), problem_of(task)
    calibration = {"method": "none", "thresholds": dict.fromkeys(problem.classes, 0.5)}
    answers = Answers(predictions(task, rows, fill), calibration)
    found = compare(rule, problem, answers, answers, predictions(task, rows, fill, truth=True))
    return any(decide(rule, problem, sets).passed for sets in ({}, {"frozen": found}, {"window": found}))


def _bounded(task: str, rows: int, fill: float) -> bool:
    """Whether bands of verdicts that are fitted on this are said to be bounded by it."""
    from pizzeria import registry
    from pizzeria.spec.thresholds import Thresholds
    from pizzeria.spec.verification import Verdicts

    evaluator, problem = registry.load("evaluators", "torchmetrics"), problem_of(task)
    found, truth = predictions(task, rows, fill), predictions(task, rows, fill, truth=True)
    calibration = dict(evaluator.calibrate("none", problem, found, truth, Thresholds()))
    listings = [f"l{i}" for i in range(rows)]
    calibration |= evaluator.verdict_bands(Verdicts(), problem, found, truth, calibration, listings)
    evaluator.verdict_figures(problem, found, truth, calibration, listings)
    return any(name not in calibration["band_notes"] for name in problem.classes)
