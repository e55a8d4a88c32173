"""Whether the exported model answers as the trained one does, on the same examples.

Floating-point sums in another order differ in the last digits, so the two are compared within tolerances:

- probabilities within 1e-3;
- values within 1e-3 of their own size, or of the spread of all where that is larger;
- boxes one to one within a class: scores within 5e-3, IoU of at least 0.98; boxes under a score of 0.05 do not count.

Of two boxes with almost the same score, non-maximum suppression may keep the one here and the other there, and may then
keep or drop a weaker neighbour. So 1% of the boxes may be left without a partner (two where 50 boxes or more are
compared), and of these only one with such a twin on the other side may have a score over 0.5.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pizzeria.predictions import Boxes, Predictions
from pizzeria.spec.problem import Problem

TOLERANCE = {
    "max_probability_difference": 1e-3,
    "max_relative_value_difference": 1e-3,
    "max_score_difference": 5e-3,
    "min_box_iou": 0.98,
    "max_unmatched_score": 0.5,
}
UNMATCHED_SHARE = 0.01
SCORE_FLOOR = 0.05
_PARTNER_IOU = 0.9
_TWIN_IOU = 0.5


def compare(problem: Problem, reference: Predictions, candidate: Predictions) -> dict[str, Any]:
    """Compare two sets of predictions of the same examples.

    Args:
        problem: Names the classes.
        reference: What the trained network says.
        candidate: What the exported model says.

    Returns:
        `passed`, `examples`, `tolerance` {figure: bound} for the task, and the figures themselves: for boxes
        `max_score_difference`, `min_box_iou`, `boxes`, `unmatched_boxes`, `max_unmatched_score` (without a twin); for
        probabilities `max_probability_difference` and `same_class_share` (single-label); for regression
        `max_value_difference` and `max_relative_value_difference`. Nothing compared does not pass.

    Raises:
        ValueError: they are not about the same examples.

    Example:
        >>> success = ({"metric": "mae", "at_most": 1},)
        >>> task = Problem(need="-", owner="-", task="tabular_regression", target="price", success=success)
        >>> one, other = (Predictions(("a",), values=np.array([v], np.float32)) for v in (100.0, 100.01))
        >>> compare(task, one, other)["passed"]
        True
    """
    if reference.keys != candidate.keys:
        raise ValueError(f"{len(reference)} and {len(candidate)} predictions do not have the same keys")
    if reference.boxes is not None and candidate.boxes is not None:
        figures = _compare_boxes(reference.boxes, candidate.boxes)
        decided = bool(figures["boxes"])
    elif reference.probabilities is not None and candidate.probabilities is not None:
        figures = _compare_probabilities(problem, reference.probabilities, candidate.probabilities)
        decided = len(reference) > 0
    elif reference.values is not None and candidate.values is not None:
        figures = _compare_values(reference.values, candidate.values)
        decided = len(reference) > 0
    else:
        raise ValueError("one side has boxes, probabilities or values that the other lacks")
    tolerance = {name: bound for name, bound in TOLERANCE.items() if name in figures}
    if "boxes" in figures:
        boxes = figures["boxes"]
        tolerance["unmatched_boxes"] = max(2, int(boxes * UNMATCHED_SHARE)) if boxes >= 50 else 0
    within = all(_within(name, figures[name], bound) for name, bound in tolerance.items())
    return {"passed": decided and within, "examples": len(reference), "tolerance": tolerance} | figures


def _within(name: str, figure: float, bound: float) -> bool:
    return figure >= bound if name.startswith("min_") else figure <= bound  # NaN is neither


def _compare_probabilities(
    problem: Problem, reference: NDArray[np.float32], candidate: NDArray[np.float32]
) -> dict[str, Any]:
    figures: dict[str, Any] = {"max_probability_difference": _largest(np.abs(reference - candidate))}
    if problem.task != "multilabel_classification" and len(reference):
        figures["same_class_share"] = float((reference.argmax(axis=1) == candidate.argmax(axis=1)).mean())
    return figures


def _compare_values(reference: NDArray[np.float32], candidate: NDArray[np.float32]) -> dict[str, Any]:
    difference = np.abs(reference.astype(np.float64) - candidate)
    spread = float(np.std(reference, dtype=np.float64)) if len(reference) else 0.0
    scale = np.maximum(np.abs(reference), max(spread, 1e-12))
    return {
        "max_value_difference": _largest(difference),
        "max_relative_value_difference": _largest(difference / scale),
    }


@dataclass(frozen=True)
class _Pairing:
    """One photo: score difference and IoU of its pairs; scores of boxes without a partner, and which have a twin."""

    score_difference: NDArray[np.float64]
    iou: NDArray[np.float64]
    alone: NDArray[np.float64]
    has_twin: NDArray[np.bool_]


def _compare_boxes(reference: tuple[Boxes, ...], candidate: tuple[Boxes, ...]) -> dict[str, Any]:
    pairings = [_pair(_over_floor(one), _over_floor(other)) for one, other in zip(reference, candidate, strict=True)]
    pairings.append(_pair(Boxes.empty(), Boxes.empty()))  # so that there is something to join
    differences, ious, alone = (
        np.concatenate([getattr(pairing, name) for pairing in pairings])
        for name in ("score_difference", "iou", "alone")
    )
    has_twin = np.concatenate([pairing.has_twin for pairing in pairings])
    # A box at the floor may be over it on one side alone: that is a score difference, not a lost box.
    counted = ~(alone < SCORE_FLOOR + TOLERANCE["max_score_difference"])
    return {
        "max_score_difference": _largest(differences),
        "min_box_iou": float(ious.min(initial=1.0)),
        "boxes": len(ious) + int(counted.sum()),
        "unmatched_boxes": int(counted.sum()),
        "max_unmatched_score": _largest(alone[counted & ~has_twin]),
    }


def _pair(one: Boxes, other: Boxes) -> _Pairing:
    """Boxes of a class are partners when each is the other's nearest, in place and score."""
    iou = np.where(one.labels[:, None] == other.labels[None], one.iou(other), 0).astype(np.float64)
    difference = np.abs(one.scores[:, None].astype(np.float64) - other.scores[None])
    rows = columns = np.zeros(0, int)
    if iou.size:
        nearness = np.where(iou >= _PARTNER_IOU, iou - difference, -np.inf)
        nearest = nearness.argmax(axis=1)
        rows = np.arange(len(iou))
        mutual = (nearness.argmax(axis=0)[nearest] == rows) & (iou[rows, nearest] >= _PARTNER_IOU)
        rows, columns = rows[mutual], nearest[mutual]
    twins = (iou >= _TWIN_IOU) & (difference <= TOLERANCE["max_score_difference"])
    return _Pairing(
        score_difference=difference[rows, columns],
        iou=iou[rows, columns],
        alone=np.concatenate([np.delete(one.scores, rows), np.delete(other.scores, columns)]).astype(np.float64),
        has_twin=np.concatenate([np.delete(twins.any(axis=1), rows), np.delete(twins.any(axis=0), columns)]),
    )


def _over_floor(boxes: Boxes) -> Boxes:
    kept = ~(boxes.scores < SCORE_FLOOR)  # NaN stays, to be seen
    return Boxes(boxes.xyxy[kept], boxes.scores[kept], boxes.labels[kept])


def _largest(values: NDArray[Any]) -> float:
    """The largest of values of 0 or more, 0 where there is none; NaN if any is."""
    return float(values.max(initial=0.0))
