"""Whether a challenger may replace the champion, by the answers of both to the same rows.

The difference of the main metric is drawn again and again with the paired bootstrap (Efron and Tibshirani 1993, "An
introduction to the bootstrap", chapter 13: percentile interval): each draw takes as many groups as there are, with
replacement, and all rows of a group together, the same for both models. Rows without a group are one each.

A challenger takes over when

1. it is not surely worse than allowed, neither on the frozen test set nor on the newest labelled window: not the whole
   interval of its gain lies below `-no_worse_by`;
2. it is surely better on at least one of the two: the whole interval lies above 0; being so on the frozen set alone
   counts only where it is not surely worse at all on the window;
3. no class is surely worse than `class_no_worse_by` on either.

Surely better somewhere, because each change of a live model is a risk, and one that brings nothing is not worth it. Not
surely worse, rather than surely not worse, on the other: the frozen set shows the world as it was, of which a model
that follows a changed world may forget a little, and the window is small by its nature. What cannot be computed is
undecided, and does not count as passed.

While the monitor says that inputs mean something else than they did (an incident `concept` of the champion is open),
the frozen set is evidence and no veto: there a model that has learnt what is true now must do worse. Then the window
decides alone, and the challenger must be surely better on it.

The margin of a score from 0 to 1 is absolute; that of an error (mae, log_loss) is a share of the champion's.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pizzeria.inference.calibration import calibrate
from pizzeria.maintenance.weighted import Floats, Judged, Values, weighted
from pizzeria.predictions import Predictions
from pizzeria.spec.maintenance import Comparison
from pizzeria.spec.problem import Problem
from pizzeria.tasks import task

LEAST_GROUPS = 20
"""An interval from fewer is no better than a guess."""
LEAST_DRAWS = 50
SECONDS, SECONDS_OF_AN_EVALUATOR = 30.0, 120.0
"""Time for the draws of one set of rows. 1,000 draws of AUROC of two models took 7 s on 20,000 rows, and 41 s on
100,000, on one core that did nothing else."""
LOST = 0.1
"""Where more of the draws than this share cannot be computed, such as without one row of a rare class, nor can the
interval."""
_CELLS = 4_000_000
_AGREE = 1e-4

Evaluate = Callable[[Predictions, Predictions, Mapping[str, Any]], Mapping[str, Any]]
"""From predictions, truth and calibration to what `contracts.Evaluator.evaluate` returns."""


@dataclass(frozen=True)
class Answers:
    """What one model said of N rows."""

    predictions: Predictions
    calibration: Mapping[str, Any]
    """As its bundle has it; method `none` where the predictions are calibrated already."""


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
    sides = [_judged(problem, one, truth) for one in (champion, challenger)]
    measure = [weighted(metric, side) for side in sides]
    of_class = class_metric(problem.task, metric)
    by_class = [weighted(of_class, side) if of_class else None for side in sides]
    draws = _Draws(of_group, count, rule.resamples, SECONDS if seconds is None else seconds, seed)
    if all(measure) and _agrees(measure, metric, (champion, challenger), truth, evaluate):
        pair = [one for one in measure if one is not None]
        points = [one(np.ones((1, len(truth)))) for one in pair]
        drawn = draws.of([*pair, *[one for one in by_class if one is not None and of_class != metric]])
        macro, classes = [_macro(one) for one in drawn[:2]], drawn[:2] if of_class == metric else drawn[2:]
        class_points = points if of_class == metric else [one(np.ones((1, len(truth)))) for one in by_class if one]
        tops = [float(_macro(one)[0]) for one in points]
        how = "weighted"
    elif evaluate is not None:
        draws = replace(draws, seconds=SECONDS_OF_AN_EVALUATOR if seconds is None else seconds)
        tops, macro, class_points, classes = _by_evaluator(
            metric, of_class, problem, (champion, challenger), truth, evaluate, draws
        )
        how = "evaluator"
    else:
        return Compared(len(truth), count, empty, undecided=f"{metric} cannot be computed")
    main = _difference(metric, tops[0], tops[1], macro[0], macro[1], problem, metric, rule.confidence)
    made = len(macro[0])
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
    measure = weighted(metric, _judged(problem, one, truth))
    if measure is None:
        return None
    value = float(_macro(measure(np.ones((1, len(truth)))))[0])
    drawn = _macro(_Draws(np.arange(len(truth)), len(truth), rule.resamples, 60.0, 0).of([measure])[0])
    made = len(drawn)
    drawn = drawn[~np.isnan(drawn)]
    if math.isnan(value) or len(drawn) < (1 - LOST) * made:
        return None
    low, high = np.quantile(drawn, [(1 - rule.confidence) / 2, (1 + rule.confidence) / 2])
    return Figure(metric, value, float(low), float(high), len(truth))


@dataclass(frozen=True)
class Outcome:
    """Whether the challenger may take over: True, False, or None where it cannot be told."""

    passed: bool | None
    why: str


def decide(
    rule: Comparison, problem: Problem, sets: Mapping[str, Compared], *, meaning_changed: bool = False
) -> Outcome:
    """The rule of this module.

    Args:
        sets: What was compared, by name: `frozen`, `window`, or one of them.
        meaning_changed: Whether an incident `concept` of the champion is open: then the window decides alone.
    """
    if not sets:
        return Outcome(None, "there is nothing to compare on")
    if meaning_changed:
        if "window" not in sets:
            return Outcome(
                None, "inputs mean something else than they did, and there are no newest labels to decide on"
            )
        found = decide(rule, problem, {"window": sets["window"]})
        frozen = sets.get("frozen")
        if frozen is None or found.passed is None:
            return found
        beside = frozen.undecided or _text("frozen", frozen)
        return Outcome(found.passed, f"{found.why}; no veto, since inputs mean something else by now: {beside}")
    for name, one in sets.items():
        if one.undecided:
            return Outcome(None, f"on the {_NAMED.get(name, name)}: {one.undecided}")
    texts = [_text(name, one) for name, one in sets.items()]
    for name, one in sets.items():
        if surely_worse(one.main, rule.no_worse_by, problem):
            return Outcome(False, f"it is surely worse on the {_NAMED.get(name, name)}: {_text(name, one)}")
        for part in one.classes:
            if surely_worse(part, rule.class_no_worse_by, problem):
                where = f"on the {_NAMED.get(name, name)}"
                return Outcome(False, f"a class is surely worse {where}: {_figures(part)}; {'; '.join(texts)}")
    if not any(one.main.low > 0 for one in sets.values()):
        return Outcome(False, f"it is not surely better: {'; '.join(texts)}")
    if "window" in sets and surely_worse(sets["window"].main, 0.0, problem):
        return Outcome(False, f"it is better on what was, and not on what is: {'; '.join(texts)}")
    return Outcome(True, "; ".join(texts))


_NAMED = {"frozen": "frozen test set", "window": "newest labels"}


def surely_worse(one: Difference, margin: float, problem: Problem) -> bool:
    """Whether the whole interval lies deeper than the margin; a share of the champion's figure where it is an error."""
    lower = task(problem.task).METRICS.get(one.subject.split(" of ")[0])
    allowed = margin * abs(one.champion) if lower is not None and lower.better == "lower" else margin
    return one.high < -allowed


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


def _judged(problem: Problem, one: Answers, truth: Predictions) -> Judged:
    kind, count = task(problem.task).JUDGED, len(problem.classes)
    if kind == "value":
        assert one.predictions.values is not None
        assert truth.values is not None
        return Judged(values=one.predictions.values.astype(np.float64), wanted=truth.values.astype(np.float64))
    probabilities = calibrate(one.calibration, one.predictions.presence(count), problem.classes)
    if kind == "class":
        assert truth.probabilities is not None
        true = np.eye(count, dtype=bool)[truth.probabilities.argmax(axis=1)]
        return Judged(probabilities.astype(np.float64), true)
    thresholds = np.array([one.calibration["thresholds"][name] for name in problem.classes], np.float64)
    return Judged(
        probabilities.astype(np.float64),
        truth.presence(count) > 0,
        thresholds,
        boxes=one.predictions.boxes,
        true_boxes=truth.boxes,
    )


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
        ours = float(_macro(one(np.ones((1, len(truth)))))[0])
        theirs = float(evaluate(side.predictions, truth, side.calibration)["metrics"].get(metric, math.nan))
        if not (math.isnan(ours) and math.isnan(theirs)) and not abs(ours - theirs) <= _AGREE * max(1, abs(theirs)):
            return False
    return True


@dataclass(frozen=True)
class _Draws:
    of_group: NDArray[np.int64]
    groups: int
    resamples: int
    seconds: float
    seed: int

    def weights(self, block: int) -> Any:
        """Weights [at most `block`, N] until there are enough, or time is up."""
        chance, made, until = np.random.default_rng(self.seed), 0, time.monotonic() + self.seconds
        while made < self.resamples and (made < LEAST_DRAWS or time.monotonic() < until):
            count = min(block, self.resamples - made)
            drawn = chance.integers(0, self.groups, (count, self.groups)) + self.groups * np.arange(count)[:, None]
            of = np.bincount(drawn.ravel(), minlength=count * self.groups).reshape(count, self.groups)
            yield of[:, self.of_group].astype(np.float64)
            made += count

    def of(self, measures: Sequence[Values]) -> list[Floats]:
        """[B, C] of each, on the same draws."""
        block = max(1, min(100, _CELLS // max(len(self.of_group), self.groups)))
        found: list[list[Floats]] = [[] for _ in measures]
        for weights in self.weights(block):
            for out, measure in zip(found, measures, strict=True):
                out.append(measure(weights))
        return [np.concatenate(one) for one in found]


def _by_evaluator(
    metric: str,
    of_class: str | None,
    problem: Problem,
    sides: Sequence[Answers],
    truth: Predictions,
    evaluate: Evaluate,
    draws: _Draws,
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
    macro = [np.array([one[side][0] for one in drawn]) for side in (0, 1)]
    classes = [np.array([one[side][1] for one in drawn]) for side in (0, 1)]
    return [one[0] for one in whole], macro, [np.array([one[1]]) for one in whole], classes


def _rows(predictions: Predictions, rows: NDArray[np.int64]) -> Predictions:
    keys = tuple(f"{i}:{predictions.keys[row]}" for i, row in enumerate(rows))
    boxes = None if predictions.boxes is None else tuple(predictions.boxes[row] for row in rows)
    numbers = (None if one is None else one[rows] for one in (predictions.probabilities, predictions.values))
    return Predictions(keys, boxes, *numbers)


def _macro(values: Floats) -> Floats:
    """[B] mean over the classes that can be judged; NaN where none can."""
    there = ~np.isnan(values)
    total = np.where(there, values, 0).sum(axis=1)
    mean: Floats = np.divide(total, there.sum(axis=1), out=np.full(len(values), np.nan), where=there.any(axis=1))
    return mean


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


def _text(name: str, one: Compared) -> str:
    draws = f", by {one.resamples} of {one.asked} draws: time was up" if one.resamples < one.asked else ""
    return f"{_figures(one.main)} on {one.rows} rows of the {_NAMED.get(name, name)}{draws}"


def _figures(one: Difference) -> str:
    figures = f"{one.champion:.4g} of the champion, {one.challenger:.4g} of the challenger"
    return f"{one.subject} {figures} (gain {one.gain:+.3g}, {one.low:+.3g} to {one.high:+.3g})"
