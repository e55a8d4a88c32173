"""What the engine adds to an evaluator's figures: how sure they are, how they are in each slice, and a trivial model's.

Figures are computed here anew (`pizzeria.measuring.weighted`), and held against the evaluator's own. One that is not
the same, such as a metric that the evaluator of another plugin means otherwise, has no interval and no slices.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pizzeria.datasets import Dataset
from pizzeria.measuring import slice_columns
from pizzeria.measuring.baseline import Baseline, baseline
from pizzeria.measuring.cuts import Cut
from pizzeria.measuring.grouping import groups
from pizzeria.measuring.intervals import Figures, Interval, Rule, figures, groups_of
from pizzeria.measuring.judged import Answers, Floats, Judged, judged
from pizzeria.predictions import Predictions
from pizzeria.spec.problem import Problem
from pizzeria.spec.spec import Spec
from pizzeria.tables import Tables
from pizzeria.tasks import task

MOST_PHOTOS, MOST_IN_SLICE = 1000, 1000
"""Groups in one draw of boxes, and in one of a slice."""
_AGREE = 1e-3


def assess(
    spec: Spec, answers: Answers, truth: Predictions, found: Mapping[str, Any], tables: Tables, dataset: Dataset
) -> dict[str, Any]:
    """Intervals, slices and the baseline, to be added to an evaluation of the test split or a part of it.

    Args:
        answers: Of the test split, not calibrated, with the calibration.
        truth: With the same keys.
        found: What the evaluator said of them.

    Returns:
        `intervals` {metric: [low, high]}, `per_class_intervals` {class: {metric: [low, high]}}, `bootstrap`
        {confidence, resamples, unit, groups}, `slices` {column: {value: {count, metrics, per_class, intervals,
        per_class_intervals, baseline, range, undecided}}}, `baseline` {name, metrics, per_class} and `not_better`
        (metrics in which the trivial model is as good).
    """
    problem, wish = spec.problem, spec.evaluation
    names, unit = groups(tables, truth.keys, spec)
    group = groups_of(names, len(truth))
    sides = judged(problem, answers, truth)
    boxes = sides.boxes is not None
    rule = Rule(wish.confidence, wish.resamples, *([MOST_PHOTOS] if boxes else []))
    measured = figures(sides, list(task(problem.task).METRICS), group, rule)
    metrics = [name for name, value in measured.metrics.items() if _same(value, found["metrics"].get(name))]
    trivial = baseline(problem, dataset, truth) if len(truth) else None
    slices = slice_columns.wanted(spec, tables, dataset.preprocessing) if len(truth) else []
    whole, each = trivial.figures(metrics) if trivial is not None else ({}, {})
    return {
        **_intervals(measured, metrics, problem),
        "bootstrap": {
            "confidence": wish.confidence,
            "resamples": wish.resamples,
            "unit": unit,
            "groups": int(group.max()) + 1 if len(group) else 0,
        },
        "slices": {
            one.column: _slices(one, sides, trivial, metrics, group, spec)
            for one in slice_columns.cuts(slices, spec, tables, truth)
            if len(one.names) > 1 or spec.evaluation.slices is not None
        },
        "baseline": {
            "name": "" if trivial is None else trivial.name,
            "metrics": whole,
            "per_class": _by_class(each, problem),
        },
        "not_better": _not_better(problem, found["metrics"], whole),
    }


def _same(ours: float, theirs: Any) -> bool:
    if theirs is None or math.isnan(theirs) or math.isnan(ours):
        return theirs is not None and math.isnan(theirs) and math.isnan(ours)
    return bool(abs(ours - theirs) <= _AGREE * max(1, abs(theirs)))


def _intervals(measured: Figures, metrics: Sequence[str], problem: Problem) -> dict[str, Any]:
    by_class: dict[str, dict[str, Interval]] = {}
    for name, each in measured.class_intervals.items():
        for of, one in zip(problem.classes, each, strict=True):
            if one is not None and name in metrics:
                by_class.setdefault(of, {})[name] = one
    return {
        "intervals": {name: one for name, one in measured.intervals.items() if name in metrics},
        "per_class_intervals": by_class,
    }


def _slices(
    cut: Cut, sides: Judged, trivial: Baseline | None, metrics: Sequence[str], group: NDArray[np.int64], spec: Spec
) -> dict[str, Any]:
    """Each slice of one column; one with too few rows has its count alone."""
    problem, wish = spec.problem, spec.evaluation
    rule = Rule(wish.confidence, wish.resamples, MOST_IN_SLICE)
    wanted = {task(problem.task).MAIN_METRIC, *(criterion.metric for criterion in problem.success)}
    out: dict[str, Any] = {}
    for i, name in enumerate(cut.names):
        rows = np.flatnonzero(cut.of == i)
        entry: dict[str, Any] = {"count": len(rows), "range": cut.ranges.get(name, ""), "undecided": ""}
        out[name] = entry | {"metrics": {}, "per_class": {}, "intervals": {}, "per_class_intervals": {}, "baseline": {}}
        if len(rows) < wish.least_in_slice:
            out[name]["undecided"] = f"fewer than {wish.least_in_slice}"
            continue
        own = np.unique(group[rows], return_inverse=True)[1]
        measured = figures(sides.of(rows), metrics, own, rule, sorted(wanted))
        out[name] |= {
            "metrics": dict(measured.metrics),
            "per_class": _by_class(measured.per_class, problem),
            **_intervals(measured, metrics, problem),
            "baseline": {} if trivial is None else trivial.of(rows).figures(metrics)[0],
        }
    return out


def _by_class(each: Mapping[str, Floats], problem: Problem) -> dict[str, dict[str, float]]:
    return {name: {metric: float(one[i]) for metric, one in each.items()} for i, name in enumerate(problem.classes)}


def _not_better(problem: Problem, ours: Mapping[str, Any], trivial: Mapping[str, float]) -> list[str]:
    """Of the main metric and those of the criteria, those in which the trivial model is as good or better.

    A metric that a trivial answer can be perfect at, such as recall, is not among them.
    """
    known = task(problem.task).METRICS
    out = []
    for name in dict.fromkeys([task(problem.task).MAIN_METRIC, *(one.metric for one in problem.success)]):
        mine, theirs = ours.get(name), trivial.get(name)
        if mine is None or theirs is None or math.isnan(mine) or math.isnan(theirs) or known[name].trivial:
            continue
        if (mine >= theirs) if known[name].better == "lower" else (mine <= theirs):
            out.append(name)
    return out
