"""COCO's average precision and recall of weighted photos: boxes are matched once, and a draw weighs each photo.

Only boxes that hit can end a step of the curve of precision against recall, so only they are looked at: the precision
behind a box that misses is never higher than the one before it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pizzeria.measuring.box_matching import IOUS, SIZES, Class

Floats = NDArray[np.float64]

RECALLS = np.linspace(0.0, 1.0, 101)
MAX_DETECTIONS = 100


@dataclass(frozen=True)
class _Wanted:
    """Which figure a metric is: precision or recall, of boxes of which size, at which overlaps, of how many boxes."""

    recall: bool = False
    size: str = "all"
    levels: range = range(len(IOUS))
    most: int = MAX_DETECTIONS


METRICS = {
    "map": _Wanted(),
    "map_50": _Wanted(levels=range(1)),
    "map_75": _Wanted(levels=range(5, 6)),
    **{f"map_{size}": _Wanted(size=size) for size in SIZES if size != "all"},
    **{f"mar_{most}": _Wanted(recall=True, most=most) for most in (1, 10, 100)},
    **{f"mar_{size}": _Wanted(recall=True, size=size) for size in SIZES if size != "all"},
}

TOLD = {"box_f1": "f1", "box_precision": "precision", "box_recall": "recall"}
"""Of the boxes that a service would tell, at IoU 0.50: the metric, and which it is of three counts."""


def counts(classes: Sequence[Class], weights: Floats) -> tuple[Floats, Floats, Floats]:
    """[B, C] boxes that are told and right, that are told, and that are there, for `TOLD`."""
    found = np.zeros((3, weights.shape[1], len(classes)))
    for column, one in enumerate(classes):
        for row, which in enumerate((one.told & one.hit["all"][0], one.told)):
            found[row, :, column] = np.bincount(one.photo[which], minlength=weights.shape[1])
        found[2, :, column] = one.true["all"]
    right, said, there = (weights @ one for one in found)
    return right, said, there


def figure(metric: str, classes: Sequence[Class], weights: Floats) -> Floats:
    """[B, C] of one of `METRICS`; NaN where a draw has no true box of a class.

    Args:
        classes: The boxes of each class, from `pizzeria.measuring.box_matching`.
        weights: [B, N] how often each photo stands in each draw.
    """
    wanted = METRICS[metric]
    out = np.full((len(weights), len(classes)), np.nan)
    for column, one in enumerate(classes):
        there = weights @ one.true[wanted.size]
        if not one.true[wanted.size].any():
            continue
        each = _recalls if wanted.recall else _precisions
        out[:, column] = np.where(there > 0, each(one, wanted, weights, there), np.nan)
    return out


def _recalls(one: Class, wanted: _Wanted, weights: Floats, there: Floats) -> Floats:
    """[B] highest recall, mean over the overlaps: what was won, by the share of what was there."""
    hits = one.hit[wanted.size][wanted.levels] & (one.rank < wanted.most)
    won = np.zeros((weights.shape[1], len(hits)))
    for level, hit in enumerate(hits):
        won[:, level] = np.bincount(one.photo[hit], minlength=len(won))
    mean: Floats = (weights @ won).mean(axis=1) / np.where(there > 0, there, 1)
    return mean


def _precisions(one: Class, wanted: _Wanted, weights: Floats, there: Floats) -> Floats:
    """[B] mean of the precision at 101 recalls, mean over the overlaps."""
    total = np.zeros(len(weights))
    for level in wanted.levels:
        hit = one.hit[wanted.size][level]
        last = int(hit.nonzero()[0].max(initial=-1)) + 1  # what comes behind the last hit changes nothing
        counted = one.counts[wanted.size][level][:last].nonzero()[0]
        of_box, at = weights[:, one.photo[counted]], hit[counted].nonzero()[0]
        if not len(at):
            continue
        seen, won = of_box.cumsum(axis=1)[:, at], of_box[:, at].cumsum(axis=1)
        precision = won / (seen + np.spacing(1))
        precision = np.maximum.accumulate(precision[:, ::-1], axis=1)[:, ::-1]
        recall = won / np.where(there > 0, there, 1)[:, None]
        # A step of the curve serves the recalls up to its own that no step before it has served.
        reached = np.searchsorted(RECALLS, recall.ravel(), side="right").reshape(recall.shape)
        total += (precision * np.diff(reached, axis=1, prepend=0)).sum(axis=1) / len(RECALLS)
    mean: Floats = total / len(wanted.levels)
    return mean
