"""The boxes that a service would tell of each photo (surer than their class's threshold), and how right they are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pizzeria.inference.calibration import calibrate_boxes
from pizzeria.predictions import Boxes, Predictions
from pizzeria_plugins.evaluators import curves
from pizzeria_plugins.evaluators.box_errors import KINDS, BoxErrors, of_photo


@dataclass(frozen=True)
class Told:
    """One photo.

    Attributes:
        key: The photo.
        boxes: The D boxes told, with their calibrated confidences as scores, surest first.
        true: The T true ones.
        errors: What each told and each true box is.
        seen: [T] highest confidence of any box of the right class on each true box, told or not; 0 for none.
    """

    key: str
    boxes: Boxes
    true: Boxes
    errors: BoxErrors
    seen: NDArray[np.float64]


def tell(
    predictions: Predictions,
    truth: Predictions,
    calibration: Mapping[str, Any],
    classes: Sequence[str],
    thresholds: NDArray[np.float64],
    least_iou: float,
) -> list[Told]:
    """Each photo, with the boxes that reach their class's threshold.

    Args:
        predictions: With raw scores.
        truth: The true boxes.
        calibration: Turns scores into confidences.
        classes: C names.
        thresholds: [C].
        least_iou: Overlap from which a told box is a true one.
    """
    out = []
    for key, found, true in zip(predictions.keys, predictions.boxes or (), truth.boxes or (), strict=True):
        sure = calibrate_boxes(calibration, found, classes)
        reach = (found.labels[:, None] == true.labels[None]) & (found.iou(true) >= least_iou)
        order = np.argsort(-sure, kind="stable")
        at = order[sure[order] >= thresholds[found.labels[order]]]
        boxes = Boxes(found.xyxy[at], sure[at], found.labels[at])
        seen = np.where(reach, sure[:, None], 0).max(axis=0, initial=0).astype(np.float64)
        out.append(Told(key, boxes, true, of_photo(boxes, true, least_iou), seen))
    return out


def rates(photos: Sequence[Told], classes: int) -> dict[str, NDArray[np.float64]]:
    """[C] `box_precision`, `box_recall` and `box_f1` of what is told; NaN for a class without a true box."""
    right, said, true = np.zeros((3, classes))
    for one in photos:
        labels = one.boxes.labels[one.errors.order]
        right += np.bincount(labels[one.errors.right], minlength=classes)
        said += np.bincount(labels, minlength=classes)
        true += np.bincount(one.true.labels, minlength=classes)
    known = np.where(true > 0, true, np.nan)
    precision = np.where(said > 0, right / np.maximum(said, 1), 0.0) + 0 * known
    return {"box_precision": precision, "box_recall": right / known, "box_f1": 2 * right / (said + known)}


def errors_by_class(photos: Sequence[Told], classes: Sequence[str]) -> dict[str, dict[str, int]]:
    """How many errors of each of `KINDS` there are in each class: that of a told box, or of a missed one."""
    counts = np.zeros((len(classes), len(KINDS)), int)
    for one in photos:
        wrong = one.errors.order[~one.errors.right]
        np.add.at(counts, (one.boxes.labels[wrong], one.errors.kind[~one.errors.right]), 1)
        np.add.at(counts, (one.true.labels[one.errors.missed], KINDS.index("missed")), 1)
    return {name: dict(zip(KINDS, row.tolist(), strict=True)) for name, row in zip(classes, counts, strict=True)}


def confusion(photos: Sequence[Told], classes: Sequence[str], least_iou: float) -> dict[str, Any]:
    """See `curves.confusion`: classes, then background, [true][told] in boxes.

    A told box is first held against true boxes of its own class, surest first, and then against what is left.
    """
    background = len(classes)
    matrix = np.zeros((background + 1, background + 1), int)
    for one in photos:
        true_of = _matched(one, least_iou)
        hit = true_of >= 0
        np.add.at(matrix, (one.true.labels[true_of[hit]], one.boxes.labels[hit]), 1)
        np.add.at(matrix, (background, one.boxes.labels[~hit]), 1)
        missed = np.setdiff1d(np.arange(len(one.true.labels)), true_of[hit])
        np.add.at(matrix, (one.true.labels[missed], background), 1)
    return curves.confusion([*classes, "background"], matrix)


def _matched(one: Told, least_iou: float) -> NDArray[np.int64]:
    """[D] index of the true box that each told one is, of whatever class; -1 for none."""
    iou = one.boxes.iou(one.true)
    true_of = np.full(len(one.boxes.labels), -1)
    if not iou.size:
        return true_of
    alike = one.boxes.labels[:, None] == one.true.labels[None]
    free = np.ones(len(one.true.labels), bool)
    for allowed in (alike, ~alike):
        for box in np.flatnonzero((true_of < 0) & (np.where(allowed, iou, -1).max(axis=1) >= least_iou)):
            overlap = np.where(free & allowed[box], iou[box], -1)
            best = int(overlap.argmax())
            if overlap[best] >= least_iou:
                true_of[box], free[best] = best, False
    return true_of
