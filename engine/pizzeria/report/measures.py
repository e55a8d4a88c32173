"""The test split as pictures need it: calibrated answers, which of them are right, and how often a score came true.

Metrics and curves are the evaluator's own, from `metrics.json`; nothing here replaces them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pizzeria.predictions import Boxes, Predictions
from pizzeria.report.run_folder import RunFolder

Floats = NDArray[np.floating[Any]]


@dataclass(frozen=True)
class Tested:
    """The test split: what was said of it, calibrated, beside the truth.

    Attributes:
        predictions: As the network gave them.
        truth: In the same form and order.
        classes: C names; empty for regression.
        calibration: As `calibration.json` has it; `{"method": "none"}` where there is none.
        iou: From this overlap on, a found box is the true one.
    """

    predictions: Predictions
    truth: Predictions
    classes: list[str]
    calibration: dict[str, Any]
    iou: float = 0.5

    @property
    def keys(self) -> tuple[str, ...]:
        return self.predictions.keys

    @cached_property
    def raw(self) -> Floats:
        """[N, C] before calibration."""
        return self.predictions.presence(len(self.classes))

    @cached_property
    def probabilities(self) -> Floats:
        """[N, C] after calibration."""
        from pizzeria.inference.calibration import calibrate

        return calibrate(self.calibration, self.raw, self.classes)

    @cached_property
    def true(self) -> NDArray[np.bool_]:
        """[N, C]."""
        return self.truth.presence(len(self.classes)) > 0

    @cached_property
    def thresholds(self) -> Floats:
        """[C]: the probability from which a class is said to be there; 0.5 where calibration has none."""
        known = self.calibration.get("thresholds") or {}
        return np.array([0.5 if known.get(name) is None else float(known[name]) for name in self.classes])

    def shown(self, row: int) -> tuple[Boxes, Floats]:
        """The boxes of one photo that the service would answer with, and their confidences, surest first."""
        from pizzeria.inference.calibration import calibrate_boxes

        assert self.predictions.boxes is not None
        boxes = self.predictions.boxes[row]
        confidence = calibrate_boxes(self.calibration, boxes, self.classes)
        order = np.argsort(-confidence, kind="stable")
        keep = order[confidence[order] >= self.thresholds[boxes.labels[order]]]
        return Boxes(boxes.xyxy[keep], boxes.scores[keep], boxes.labels[keep]), confidence[keep]

    def right(self, row: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """For one photo: the true box of each shown one, -1 for none [D]; and the true boxes that are missed."""
        assert self.truth.boxes is not None
        found, true = self.shown(row)[0], self.truth.boxes[row]
        of = np.full(len(found.scores), -1)
        if len(true.labels):
            reach = np.where(found.labels[:, None] == true.labels[None, :], found.iou(true), 0)
            for i, overlap in enumerate(reach):
                if overlap.max() >= self.iou:
                    of[i] = overlap.argmax()
                    reach[:, of[i]] = 0
        return of, np.setdiff1d(np.arange(len(true.labels)), of)


def tested(run: RunFolder) -> Tested | None:
    """The test split of a run; None before evaluation, or when it is empty."""
    predictions, truth = run.predictions("test"), run.truth("test")
    if predictions is None or truth is None or not len(predictions):
        return None
    calibration = run.json("evaluate", "calibration.json") or {"method": "none"}
    iou = (run.spec.get("evaluation") or {}).get("match_iou")
    return Tested(predictions, truth, run.classes, calibration, float(iou or 0.5))


def support(test: Tested) -> Sequence[dict[str, int]]:
    """[C] of `photos` (or rows) that hold the class and, for detection, its `boxes`."""
    counts = [{"photos": int(n)} for n in test.true.sum(0)]
    if test.truth.boxes is not None:
        labels = np.concatenate([b.labels for b in test.truth.boxes])
        for i, entry in enumerate(counts):
            entry["boxes"] = int((labels == i).sum())
    return counts
