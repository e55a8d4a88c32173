"""Metrics of weighted rows: the same as an evaluator's on a table in which each row stands as often as its weight says.

A bootstrap asks for a metric some thousand times. Here all that does not depend on the draw (sorting, matching boxes)
is done once, and a draw is a weight for each row. `tests/engine/maintenance/test_weighted.py` holds each of them
against the evaluator on rows that are really repeated.

| metric | how |
|---|---|
| accuracy, f1, precision, recall, log_loss, mae, rmse, r2 | sums of what each row adds |
| auroc | the share of pairs in the right order, ties by half (Mann and Whitney 1947), of weighted rows |
| average_precision | sum over distinct scores of precision times the recall that is won (no interpolation) |
| map_50, map | COCO's average precision: 101 recalls, precision made non-increasing, boxes matched photo by photo |
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pizzeria.predictions import Boxes

Floats = NDArray[np.float64]
Values = Callable[[Floats], Floats]
"""From weights [B, N] to values [B, C], one column for each class, or one column for a metric without classes."""

COCO_IOUS = np.linspace(0.5, 0.95, 10)
RECALLS = np.linspace(0.0, 1.0, 101)
MAX_DETECTIONS = 100


@dataclass(frozen=True)
class Judged:
    """What one model said of N rows, and what is true, as arrays; only what the task has is set.

    Attributes:
        probabilities: [N, C] calibrated.
        true: [N, C] whether a row has the class.
        thresholds: [C] where classes are judged on their own.
        values, wanted: [N] a number that was said, and the true one.
        boxes, true_boxes: [N] of each photo.
    """

    probabilities: Floats | None = None
    true: NDArray[np.bool_] | None = None
    thresholds: Floats | None = None
    values: Floats | None = None
    wanted: Floats | None = None
    boxes: tuple[Boxes, ...] | None = None
    true_boxes: tuple[Boxes, ...] | None = None

    @property
    def rows(self) -> int:
        found = next(one for one in (self.boxes, self.true, self.wanted) if one is not None)
        return len(found)


def weighted(metric: str, judged: Judged) -> Values | None:
    """How to compute a metric of weighted rows; None for one that is not known here.

    Example:
        >>> rows = Judged(values=np.array([1.0, 2.0, 5.0]), wanted=np.array([1.0, 1.0, 1.0]))
        >>> weighted("mae", rows)(np.array([[1.0, 1.0, 1.0], [0.0, 2.0, 1.0]])).round(3).tolist()
        [[1.667], [2.0]]
    """
    if judged.values is not None and judged.wanted is not None:
        return _of_values(metric, judged.values, judged.wanted)
    if judged.boxes is not None and judged.true_boxes is not None and metric in ("map_50", "map"):
        assert judged.true is not None
        ious = COCO_IOUS[:1] if metric == "map_50" else COCO_IOUS
        return _box_precision(judged.boxes, judged.true_boxes, judged.true.shape[1], ious)
    if judged.probabilities is None or judged.true is None:
        return None
    p, true = judged.probabilities, judged.true
    if metric == "auroc":
        return lambda weights: _by_class(weights, p, true, _auroc)
    if metric == "average_precision" and judged.thresholds is not None:
        return lambda weights: _by_class(weights, p, true, _average_precision)
    if metric in ("f1", "precision", "recall"):
        said = p >= judged.thresholds if judged.thresholds is not None else _one_hot(p)
        return lambda weights: _of_decisions(metric, weights, said, true)
    if judged.thresholds is not None:
        return None
    if metric == "accuracy":
        return _mean_of((p.argmax(axis=1) == true.argmax(axis=1)).astype(np.float64))
    if metric == "log_loss":
        of_the_true = p[np.arange(len(p)), true.argmax(axis=1)]
        return _mean_of(-np.log(np.clip(of_the_true, 1e-15, 1)))
    return None


def _one_hot(p: Floats) -> NDArray[np.bool_]:
    said: NDArray[np.bool_] = np.eye(p.shape[1], dtype=bool)[p.argmax(axis=1)]
    return said


def _mean_of(rows: Floats) -> Values:
    return lambda weights: _divide(weights @ rows, weights.sum(axis=1))[:, None]


def _of_values(metric: str, said: Floats, true: Floats) -> Values | None:
    error = said - true
    if metric == "mae":
        return _mean_of(np.abs(error))
    if metric == "rmse":
        squares = _mean_of(error**2)
        return lambda weights: np.sqrt(squares(weights))
    if metric != "r2":
        return None

    def r2(weights: Floats) -> Floats:
        total = weights.sum(axis=1)
        middle = _divide(weights @ true, total)
        # In two steps: a mean of squares less a squared mean would lose all digits of a far-off target.
        spread = np.einsum("bn,bn->b", weights, (true[None] - middle[:, None]) ** 2)
        found: Floats = (1 - _divide(weights @ error**2, spread))[:, None]
        return found

    return r2


def _of_decisions(metric: str, weights: Floats, said: NDArray[np.bool_], true: NDArray[np.bool_]) -> Floats:
    hit, claimed, there = (weights @ one.astype(np.float64) for one in (said & true, said, true))
    below = {"f1": claimed + there, "precision": claimed, "recall": there}[metric]
    above = 2 * hit if metric == "f1" else hit
    found = np.divide(above, below, out=np.zeros_like(above), where=below > 0)
    found[there == 0] = np.nan
    return found


def _by_class(
    weights: Floats, p: Floats, true: NDArray[np.bool_], measure: Callable[[Floats, Floats, NDArray[np.bool_]], Floats]
) -> Floats:
    return np.stack([measure(weights, p[:, i], true[:, i]) for i in range(p.shape[1])], axis=1)


def _auroc(weights: Floats, scores: Floats, true: NDArray[np.bool_]) -> Floats:
    right, wrong = _steps(weights, scores, true)  # best first
    all_right, all_wrong = right.sum(axis=1), wrong.sum(axis=1)
    below = all_wrong[:, None] - wrong.cumsum(axis=1) + wrong / 2
    return _divide((right * below).sum(axis=1), all_right * all_wrong)


def _average_precision(weights: Floats, scores: Floats, true: NDArray[np.bool_]) -> Floats:
    right, wrong = _steps(weights, scores, true)
    hits, misses = right.cumsum(axis=1), wrong.cumsum(axis=1)
    seen = hits + misses
    precision = np.divide(hits, seen, out=np.zeros_like(hits), where=seen > 0)
    return _divide((right * precision).sum(axis=1), hits[:, -1] if hits.shape[1] else right.sum(axis=1))


def _steps(weights: Floats, scores: Floats, true: NDArray[np.bool_]) -> tuple[Floats, Floats]:
    """[B, K] weight of the true and of the other rows at each of the K distinct scores, the highest first."""
    order = np.argsort(-scores, kind="stable")
    ranked = scores[order]
    begins = np.flatnonzero(np.r_[True, ranked[1:] != ranked[:-1]]) if len(ranked) else np.zeros(0, np.int64)
    if not len(begins):
        return np.zeros((len(weights), 0)), np.zeros((len(weights), 0))
    of_true = weights[:, order] * true[order]
    of_others = weights[:, order] * ~true[order]
    return np.add.reduceat(of_true, begins, axis=1), np.add.reduceat(of_others, begins, axis=1)


def _divide(above: Floats, below: Floats) -> Floats:
    return np.divide(above, below, out=np.full_like(above, np.nan), where=below > 0)


def _box_precision(boxes: Sequence[Boxes], true: Sequence[Boxes], classes: int, ious: Floats) -> Values:
    """Average precision [B, C] over the overlaps; which box is which does not depend on the draw."""
    matched = [_matched(boxes, true, label, ious) for label in range(classes)]
    counts = np.stack([np.bincount(one.labels, minlength=classes) for one in true]).astype(np.float64)

    def values(weights: Floats) -> Floats:
        there = weights @ counts
        out = np.full(there.shape, np.nan)
        for label, (photo, hit) in enumerate(matched):
            of_box = weights[:, photo]
            each = [_interpolated(of_box, one, there[:, label]) for one in hit]
            out[:, label] = np.mean(each, axis=0)
        return out

    return values


def _matched(
    boxes: Sequence[Boxes], true: Sequence[Boxes], label: int, ious: Floats
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Of all boxes of a class, the surest first: the photo [D], and whether it is a true one at each overlap [I, D]."""
    photos, scores, hits = [], [], []
    for photo, (found, truth) in enumerate(zip(boxes, true, strict=True)):
        own = np.flatnonzero(found.labels == label)
        own = own[np.argsort(-found.scores[own], kind="stable")][:MAX_DETECTIONS]
        if not len(own):
            continue
        overlaps = _overlap(found.xyxy[own], truth.xyxy[truth.labels == label])
        photos.append(np.full(len(own), photo))
        scores.append(found.scores[own])
        hits.append(np.stack([_greedy(overlaps, float(iou)) for iou in ious]))
    if not photos:
        return np.zeros(0, np.int64), np.zeros((len(ious), 0), bool)
    order = np.argsort(-np.concatenate(scores), kind="stable")
    return np.concatenate(photos)[order], np.concatenate(hits, axis=1)[:, order]


def _overlap(found: NDArray[np.float32], true: NDArray[np.float32]) -> Floats:
    a, b = found[:, None].astype(np.float64), true[None].astype(np.float64)
    inner = np.clip(np.minimum(a[..., 2:], b[..., 2:]) - np.maximum(a[..., :2], b[..., :2]), 0, None).prod(-1)
    area_a, area_b = ((x[..., 2:] - x[..., :2]).prod(-1) for x in (a, b))
    union = area_a + area_b - inner
    overlap: Floats = inner / np.where(union > 0, union, 1)
    return overlap


def _greedy(overlaps: Floats, iou: float) -> NDArray[np.bool_]:
    """COCO's matching of [D] boxes, surest first: each takes the free true box that it overlaps most."""
    free = np.ones(overlaps.shape[1], bool)
    hit = np.zeros(len(overlaps), bool)
    for box, row in enumerate(overlaps):
        best, least = -1, min(iou, 1 - 1e-10)
        for other in np.flatnonzero(free & (row >= least)):
            if row[other] >= least:
                best, least = int(other), float(row[other])
        if best >= 0:
            free[best], hit[box] = False, True
    return hit


def _interpolated(weights: Floats, hit: NDArray[np.bool_], there: Floats) -> Floats:
    """[B] mean of the precision at 101 recalls."""
    out = np.full(len(weights), np.nan)
    hits, misses = (weights * hit).cumsum(axis=1), (weights * ~hit).cumsum(axis=1)
    precision = hits / (hits + misses + np.spacing(1))
    precision = np.maximum.accumulate(precision[:, ::-1], axis=1)[:, ::-1]
    for i in np.flatnonzero(there > 0):
        at = np.searchsorted(hits[i] / there[i], RECALLS, side="left")
        inside = at < weights.shape[1]
        out[i] = float(precision[i, at[inside]].sum() / len(RECALLS)) if inside.any() else 0.0
    return out
