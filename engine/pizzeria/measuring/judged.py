"""What a model said of some rows, beside the truth, as arrays that metrics are computed from."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pizzeria.inference.calibration import calibrate, calibrate_boxes
from pizzeria.measuring import box_matching
from pizzeria.predictions import Boxes, Predictions
from pizzeria.spec.problem import Problem
from pizzeria.tasks import task

Floats = NDArray[np.float64]
Values = Callable[[Floats], Floats]
"""From weights [B, N] to values [B, C], one column for each class, or one column for a metric without classes."""


@dataclass(frozen=True)
class Answers:
    """What one model said of N rows."""

    predictions: Predictions
    calibration: Mapping[str, Any]
    """As its bundle has it; method `none` where the predictions are calibrated already."""


@dataclass(frozen=True)
class Judged:
    """What one model said of N rows, and what is true, as arrays; only what the task has is set.

    Attributes:
        probabilities: [N, C] calibrated.
        true: [N, C] whether a row has the class.
        thresholds: [C] where classes are judged on their own.
        values, wanted: [N] a number that was said, and the true one.
        boxes, true_boxes: [N] of each photo.
        told: [N] which of those boxes a service would tell, [D] each.
    """

    probabilities: Floats | None = None
    true: NDArray[np.bool_] | None = None
    thresholds: Floats | None = None
    values: Floats | None = None
    wanted: Floats | None = None
    boxes: tuple[Boxes, ...] | None = None
    true_boxes: tuple[Boxes, ...] | None = None
    told: tuple[NDArray[np.bool_], ...] | None = None

    @property
    def rows(self) -> int:
        found = next(one for one in (self.boxes, self.true, self.wanted) if one is not None)
        return len(found)

    @cached_property
    def matched(self) -> tuple[box_matching.Class, ...]:
        """For each class its found boxes, matched with the true ones."""
        assert self.boxes is not None
        assert self.true_boxes is not None
        assert self.true is not None
        return box_matching.match(self.boxes, self.true_boxes, self.true.shape[1], self.told)

    def of(self, rows: NDArray[np.int64]) -> Judged:
        """Some rows alone; boxes that were matched are not matched again."""

        def photos(one: tuple[Any, ...] | None) -> tuple[Any, ...] | None:
            return None if one is None else tuple(one[row] for row in rows)

        found = Judged(
            probabilities=None if self.probabilities is None else self.probabilities[rows],
            true=None if self.true is None else self.true[rows],
            thresholds=self.thresholds,
            values=None if self.values is None else self.values[rows],
            wanted=None if self.wanted is None else self.wanted[rows],
            boxes=photos(self.boxes),
            true_boxes=photos(self.true_boxes),
            told=photos(self.told),
        )
        if "matched" in self.__dict__:
            found.__dict__["matched"] = tuple(one.of(rows) for one in self.matched)
        return found


def judged(problem: Problem, one: Answers, truth: Predictions) -> Judged:
    """Answers, calibrated, beside the truth; both have the same keys."""
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
        told=None
        if one.predictions.boxes is None
        else tuple(_told(one, boxes, problem) for boxes in one.predictions.boxes),
    )


def _told(one: Answers, boxes: Boxes, problem: Problem) -> NDArray[np.bool_]:
    thresholds = np.array([one.calibration["thresholds"][name] for name in problem.classes], np.float64)
    return calibrate_boxes(one.calibration, boxes, problem.classes) >= thresholds[boxes.labels]


def macro(values: Floats) -> Floats:
    """[B] mean over the classes that can be judged; NaN where none can."""
    there = ~np.isnan(values)
    total = np.where(there, values, 0).sum(axis=1)
    mean: Floats = np.divide(total, there.sum(axis=1), out=np.full(len(values), np.nan), where=there.any(axis=1))
    return mean
