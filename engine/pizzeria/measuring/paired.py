"""The difference of two models on the same rows, with the paired bootstrap's interval.

The difference of a metric is drawn again and again (Efron and Tibshirani 1993, "An introduction to the bootstrap",
chapter 13: percentile interval): each draw takes as many groups as there are, with replacement, and all rows of a group
together, the same for both models. Rows without a group are one each.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pizzeria.measuring.draws import LEAST_GROUPS, LOST, Draws
from pizzeria.measuring.judged import Answers, Floats, Values, judged, macro
from pizzeria.measuring.weighted import weighted
from pizzeria.predictions import Predictions
from pizzeria.spec.maintenance import Comparison
from pizzeria.spec.problem import Problem
from pizzeria.tasks import task

SECONDS, SECONDS_OF_AN_EVALUATOR = 30.0, 120.0
"""Time for the draws of one set of rows. 1,000 draws of AUROC of two models took 7 s on 20,000 rows, and 41 s on
100,000, on one core that did nothing else."""
_AGREE = 1e-4

Evaluate = Callable[[Predictions, Predictions, Mapping[str, Any]], Mapping[str, Any]]
"""From predictions, truth and calibration to what `contracts.Evaluator.evaluate` returns."""


@dataclass(frozen=True)
class Difference:
    """One metric of both models, on one set of rows.

    Attributes:
        subject: `auroc`, or `auroc of bed`.
        gain: How much better the challenger is, in the metric's unit; below 0 when it is worse.
        low, high: Interval of the gain; NaN where there is none.
    """

    subject: str
    champion: float
    challenger: float
    gain: float
    low: float
    high: float

    def plain(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in ("subject", "champion", "challenger", "gain", "low", "high")}


@dataclass(frozen=True)
class Compared:
    """Both models on one set of rows.

    Attributes:
        main: The main metric.
        classes: The metric of classes, of each class that both can be judged by.
        resamples: Draws that were made; fewer than asked for where time ran out.
        asked: Draws that were asked for.
        how: `weighted` (exact and quick), or `evaluator` (the plugin, draw by draw).
        undecided: Why nothing can be said; empty when something can.
    """

    rows: int
    groups: int
    main: Difference
    classes: tuple[Difference, ...] = ()
    resamples: int = 0
    asked: int = 0
    how: str = "weighted"
    undecided: str = ""

    def plain(self) -> dict[str, Any]:
        """As a ledger row keeps it."""
        names = ("rows", "groups", "resamples", "asked", "how", "undecided")
        found = {name: getattr(self, name) for name in names}
        return {**self.main.plain(), **found, "classes": [one.plain() for one in self.classes]}


def compare(
    rule: Comparison,
    problem: Problem,
    champion: Answers,
    challenger: Answers,
    truth: Predictions,
    groups: Sequence[str] | None = None,
    *,
    evaluate: Evaluate | None = None,
    metric: str | None = None,
    seconds: float | None = None,
    seed: int = 0,
) -> Compared:
    """Compare two models on the same rows.

    Args:
        truth: [N], with the keys of both.
        groups: [N] what is drawn together, such as the listing of each photo; each row by itself without it.
        evaluate: The spec's evaluator. Where its figures are not those of `weighted`, it is asked for each draw.
        metric: Instead of the task's main one.
        seconds: After which no further draw is begun, once there are `LEAST_DRAWS`; `SECONDS` by default, and
            `SECONDS_OF_AN_EVALUATOR` where the evaluator is asked.

    Raises:
        ValueError: the keys are not the same.
    """
    if not champion.predictions.keys == challenger.predictions.keys == truth.keys:
        raise ValueError("champion, challenger and truth do not have the same keys")
    metric = metric or task(problem.task).MAIN_METRIC
    of_group = np.arange(len(truth)) if groups is None else np.unique(np.array(groups, np.str_), return_inverse=True)[1]
    count = int(of_group.max()) + 1 if len(of_group) else 0
    empty = Difference(metric, *[math.nan] * 5)
    fault = _fault(problem, truth, count)
    if fault:
        return Compared(len(truth), count, empty, undecided=fault)
    sides = [judged(problem, one, truth) for one in (champion, challenger)]
    measure = [weighted(metric, side) for side in sides]
    of_class = class_metric(problem.task, metric)
    by_class = [weighted(of_class, side) if of_class else None for side in sides]
    draws = Draws(of_group, count, rule.resamples, SECONDS if seconds is None else seconds, seed)
    if all(measure) and _agrees(measure, metric, (champion, challenger), truth, evaluate):
        pair = [one for one in measure if one is not None]
        points = [one(np.ones((1, len(truth)))) for one in pair]
        drawn = draws.of([*pair, *[one for one in by_class if one is not None and of_class != metric]])
        both, classes = [macro(one) for one in drawn[:2]], drawn[:2] if of_class == metric else drawn[2:]
        class_points = points if of_class == metric else [one(np.ones((1, len(truth)))) for one in by_class if one]
        tops = [float(macro(one)[0]) for one in points]
        how = "weighted"
    elif evaluate is not None:
        draws = replace(draws, seconds=SECONDS_OF_AN_EVALUATOR if seconds is None else seconds)
        tops, both, class_points, classes = _by_evaluator(
            metric, of_class, problem, (champion, challenger), truth, evaluate, draws
        )
        how = "evaluator"
    else:
        return Compared(len(truth), count, empty, undecided=f"{metric} cannot be computed")
    main = _difference(metric, tops[0], tops[1], both[0], both[1], problem, metric, rule.confidence)
    made = len(both[0])
    if math.isnan(main.low):
        why = f"{metric} cannot be computed" if math.isnan(main.gain) else f"too few rows of some class for {metric}"
        return Compared(len(truth), count, main, resamples=made, asked=rule.resamples, how=how, undecided=why)
    found = []
    for i, name in enumerate(problem.classes if classes and of_class else ()):
        one = _difference(
            f"{of_class} of {name}",
            float(class_points[0][0, i]),
            float(class_points[1][0, i]),
            classes[0][:, i],
            classes[1][:, i],
            problem,
            str(of_class),
            rule.confidence,
        )
        if not math.isnan(one.low):
            found.append(one)
    return Compared(len(truth), count, main, tuple(found), made, rule.resamples, how)


@dataclass(frozen=True)
class Figure:
    """One metric of one model, with the bootstrap's interval."""

    metric: str
    value: float
    low: float
    high: float
    rows: int


def figure(rule: Comparison, problem: Problem, one: Answers, truth: Predictions, metric: str) -> Figure | None:
    """How a model does on rows of its own; None where that cannot be told.

    Args:
        truth: [N], with the keys of the answers.
    """
    if _fault(problem, truth, len(truth)):
        return None
    measure = weighted(metric, judged(problem, one, truth))
    if measure is None:
        return None
    value = float(macro(measure(np.ones((1, len(truth)))))[0])
    drawn = macro(Draws(np.arange(len(truth)), len(truth), rule.resamples, 60.0, 0).of([measure])[0])
    made = len(drawn)
    drawn = drawn[~np.isnan(drawn)]
    if math.isnan(value) or len(drawn) < (1 - LOST) * made:
        return None
    low, high = np.quantile(drawn, [(1 - rule.confidence) / 2, (1 + rule.confidence) / 2])
    return Figure(metric, value, float(low), float(high), len(truth))


def class_metric(task_name: str, metric: str) -> str | None:
    """What classes are judged by: the same metric where it has classes, or else their F1; None without classes."""
    known = task(task_name).METRICS
    if known.get(metric) is not None and known[metric].by_class:
        return metric
    return "f1" if "f1" in known and known["f1"].by_class else None


def _fault(problem: Problem, truth: Predictions, groups: int) -> str:
    """Why rows cannot be compared on; empty when they can."""
    if not len(truth):
        return "there is no row"
    if groups < LEAST_GROUPS:
        return f"there are {groups} rows or groups, and {LEAST_GROUPS} are needed"
    if task(problem.task).JUDGED == "class":
        assert truth.probabilities is not None
        if len(np.unique(truth.probabilities.argmax(axis=1))) < 2:
            return "all rows are of one class"
    return ""


def _agrees(
    measure: Sequence[Values | None],
    metric: str,
    sides: Sequence[Answers],
    truth: Predictions,
    evaluate: Evaluate | None,
) -> bool:
    """Whether the spec's evaluator means the same by the metric."""
    if evaluate is None:
        return True
    for one, side in zip(measure, sides, strict=True):
        assert one is not None
        ours = float(macro(one(np.ones((1, len(truth)))))[0])
        theirs = float(evaluate(side.predictions, truth, side.calibration)["metrics"].get(metric, math.nan))
        if not (math.isnan(ours) and math.isnan(theirs)) and not abs(ours - theirs) <= _AGREE * max(1, abs(theirs)):
            return False
    return True


def _by_evaluator(
    metric: str,
    of_class: str | None,
    problem: Problem,
    sides: Sequence[Answers],
    truth: Predictions,
    evaluate: Evaluate,
    draws: Draws,
) -> tuple[list[float], list[Floats], list[Floats], list[Floats]]:
    """The same figures, each draw by the plugin on rows that are really repeated."""

    def figures(rows: NDArray[np.int64] | None) -> list[tuple[float, list[float]]]:
        found = []
        for side in sides:
            said, true = side.predictions, truth
            if rows is not None:
                said, true = _rows(said, rows), _rows(truth, rows)
            result = evaluate(said, true, side.calibration)
            each = [float(result["per_class"][name].get(str(of_class), math.nan)) for name in problem.classes]
            found.append((float(result["metrics"].get(metric, math.nan)), each))
        return found

    whole = figures(None)
    drawn = [figures(np.repeat(np.arange(len(truth)), one[0].astype(np.int64))) for one in draws.weights(1)]
    both = [np.array([one[side][0] for one in drawn]) for side in (0, 1)]
    classes = [np.array([one[side][1] for one in drawn]) for side in (0, 1)]
    return [one[0] for one in whole], both, [np.array([one[1]]) for one in whole], classes


def _rows(predictions: Predictions, rows: NDArray[np.int64]) -> Predictions:
    keys = tuple(f"{i}:{predictions.keys[row]}" for i, row in enumerate(rows))
    boxes = None if predictions.boxes is None else tuple(predictions.boxes[row] for row in rows)
    numbers = (None if one is None else one[rows] for one in (predictions.probabilities, predictions.values))
    return Predictions(keys, boxes, *numbers)


def _difference(
    subject: str,
    champion: float,
    challenger: float,
    of_champion: Floats,
    of_challenger: Floats,
    problem: Problem,
    metric: str,
    confidence: float,
) -> Difference:
    known = task(problem.task).METRICS.get(metric)
    sign = -1.0 if known is not None and known.better == "lower" else 1.0
    gains = sign * (of_challenger - of_champion)
    gains = gains[~np.isnan(gains)]
    gain = sign * (challenger - champion)
    if math.isnan(gain) or len(gains) < max(1, (1 - LOST) * len(of_champion)):
        return Difference(subject, champion, challenger, gain, math.nan, math.nan)
    low, high = np.quantile(gains, [(1 - confidence) / 2, (1 + confidence) / 2])
    return Difference(subject, champion, challenger, gain, float(low), float(high))
