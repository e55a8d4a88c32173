"""Boxes of one photo that lie at the same place: drawn twice, or called two things."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

SAME_PLACE = 0.8
"""Intersection over union from which two boxes are at the same place."""
_ROWS = 2048


@dataclass(frozen=True)
class Overlaps:
    """What each of N boxes has in its photo.

    Attributes:
        same: bool [N], another box of its class at the same place.
        other: int64 [N], the row of the box of another class that overlaps it most, at the same place; -1 for none.
    """

    same: NDArray[np.bool_]
    other: NDArray[np.int64]


def overlaps(images: NDArray[np.int64], classes: NDArray[np.int64], corners: NDArray[np.float64]) -> Overlaps:
    """Find boxes at the same place.

    Args:
        images: int64 [N], the photo of each box; below 0 for a box without one.
        classes: int64 [N], the class of each; below 0 for a box without one, which contradicts none.
        corners: float [N, 4], x_min, y_min, x_max, y_max.

    Example:
        >>> boxes = np.array([[0, 0, 10, 10], [0, 0, 10, 9], [20, 20, 30, 30]], float)
        >>> found = overlaps(np.zeros(3, int), np.array([0, 1, 0]), boxes)
        >>> found.same.tolist(), found.other.tolist()
        ([False, False, False], [1, 0, -1])
    """
    same, other = np.zeros(len(images), bool), np.full(len(images), -1, np.int64)
    order = np.argsort(images, kind="stable")
    order = order[images[order] >= 0]
    starts = np.flatnonzero(np.r_[True, images[order][1:] != images[order][:-1]]) if len(order) else order
    for first, last in zip(starts, np.r_[starts[1:], len(order)], strict=True) if len(order) else ():
        rows = order[first:last]
        if len(rows) < 2:
            continue
        for begin in range(0, len(rows), _ROWS):  # a photo with thousands of boxes is compared in pieces
            here = rows[begin : begin + _ROWS]
            share = _iou(corners[here], corners[rows])
            share[np.arange(len(here)), begin + np.arange(len(here))] = 0
            near = share >= SAME_PLACE
            alike = classes[here][:, None] == classes[rows][None, :]
            named = (classes[here][:, None] >= 0) & (classes[rows][None, :] >= 0)
            same[here] = (near & alike & named).any(axis=1)
            against = np.where(near & ~alike & named, share, 0)
            best = against.argmax(axis=1)
            there = against[np.arange(len(here)), best] > 0
            other[here[there]] = rows[best[there]]
    return Overlaps(same, other)


def _iou(left: NDArray[np.float64], right: NDArray[np.float64]) -> NDArray[np.float64]:
    """Float [N, M]; 0 where a box has no area, or a corner is missing."""
    low = np.maximum(left[:, None, :2], right[None, :, :2])
    high = np.minimum(left[:, None, 2:], right[None, :, 2:])
    common = np.clip(high - low, 0, None).prod(axis=2)
    areas = [np.clip(boxes[:, 2:] - boxes[:, :2], 0, None).prod(axis=1) for boxes in (left, right)]
    union = areas[0][:, None] + areas[1][None, :] - common
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.nan_to_num(np.where(union > 0, common / union, 0))
