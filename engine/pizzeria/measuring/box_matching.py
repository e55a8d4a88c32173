"""Which found box is which true one, as COCO's evaluation has it: photo by photo, class by class, the surest box first.

A true box of another size than the one that is asked for is ignored: it is nothing that could be missed, and a box that
is matched with it counts neither for nor against. So is a found box of another size that is matched with nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pizzeria.predictions import Boxes

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

IOUS = np.linspace(0.5, 0.95, 10)
SIZES = {"all": (0.0, 1e10), "small": (0.0, 32.0**2), "medium": (32.0**2, 96.0**2), "large": (96.0**2, 1e10)}
"""Least and most area of a box, in square pixels of the photo."""
MOST = 100
"""Boxes of a class in one photo that are looked at."""


@dataclass(frozen=True)
class Class:
    """All found boxes of a class, the surest first, and which of them are true ones.

    Attributes:
        photo: [D] the photo of each.
        rank: [D] its place among those of its photo, from 0.
        hit: By size [10, D]: whether it is a true box of that size, at each of `IOUS`.
        counts: By size [10, D]: whether it counts at all.
        true: By size [N]: true boxes in each photo.
        told: [D] whether a service would tell it.
    """

    photo: NDArray[np.int64]
    rank: NDArray[np.int64]
    hit: Mapping[str, Flags]
    counts: Mapping[str, Flags]
    true: Mapping[str, Floats]
    told: Flags

    def of(self, photos: NDArray[np.int64]) -> Class:
        """In some photos alone, in their order."""
        place = np.full(max([0, *(len(one) for one in self.true.values())]), -1)
        place[photos] = np.arange(len(photos))
        there = place[self.photo] >= 0
        return Class(
            place[self.photo[there]],
            self.rank[there],
            {size: one[:, there] for size, one in self.hit.items()},
            {size: one[:, there] for size, one in self.counts.items()},
            {size: one[photos] for size, one in self.true.items()},
            self.told[there],
        )


@dataclass(frozen=True)
class _Photo:
    """One class in one photo: its found boxes, surest first; see `Class`."""

    scores: NDArray[np.float32]
    hit: Mapping[str, Flags]
    counts: Mapping[str, Flags]


def match(
    found: Sequence[Boxes], true: Sequence[Boxes], classes: int, told: Sequence[Flags] | None = None
) -> tuple[Class, ...]:
    """Match the boxes of each photo, on raw scores.

    Args:
        found, true: [N] of each photo.
        classes: How many there are.
        told: [N] of the found boxes of each photo those that a service would tell; all without it.
    """
    if told is None:
        told = [np.ones(len(one.labels), bool) for one in found]
    return tuple(_of_class(found, true, told, label) for label in range(classes))


def _of_class(found: Sequence[Boxes], true: Sequence[Boxes], told: Sequence[Flags], label: int) -> Class:
    photos: list[NDArray[np.int64]] = []
    tells: list[Flags] = []
    matched: list[_Photo] = []
    counts = {size: np.zeros(len(true)) for size in SIZES}
    for number, (said, truth) in enumerate(zip(found, true, strict=True)):
        boxes = truth.xyxy[truth.labels == label]
        areas = _areas(boxes)
        for size, within in SIZES.items():
            counts[size][number] = _within(areas, within).sum()
        own = np.flatnonzero(said.labels == label)
        if len(own):
            own = own[np.argsort(-said.scores[own], kind="stable")][:MOST]
            photos.append(np.full(len(own), number))
            tells.append(told[number][own])
            matched.append(_in_photo(said.xyxy[own], said.scores[own], boxes, areas))
    if not matched:
        none = {size: np.zeros((len(IOUS), 0), bool) for size in SIZES}
        return Class(np.zeros(0, np.int64), np.zeros(0, np.int64), none, none, counts, np.zeros(0, bool))
    order = np.argsort(-np.concatenate([one.scores for one in matched]), kind="stable")
    rank = np.concatenate([np.arange(len(one.scores)) for one in matched])[order]
    hit = {size: np.concatenate([one.hit[size] for one in matched], axis=1)[:, order] for size in SIZES}
    counted = {size: np.concatenate([one.counts[size] for one in matched], axis=1)[:, order] for size in SIZES}
    return Class(np.concatenate(photos)[order], rank, hit, counted, counts, np.concatenate(tells)[order])


def _in_photo(
    found: NDArray[np.float32], scores: NDArray[np.float32], true: NDArray[np.float32], areas: Floats
) -> _Photo:
    own = _areas(found)
    shape = (len(IOUS), len(found))
    if not len(true):
        outside = {size: np.broadcast_to(_within(own, within), shape) for size, within in SIZES.items()}
        return _Photo(scores, {size: np.zeros(shape, bool) for size in SIZES}, outside)
    overlaps = _overlap(found, true)
    apart = bool(((overlaps >= IOUS[0]).sum(axis=1) <= 1).all())
    of = _first(overlaps) if apart else None
    hit, counts = {}, {}
    for size, within in SIZES.items():
        wanted = _within(areas, within)
        taken = _greedy(overlaps, ~wanted) if of is None else of
        ignored = np.where(taken >= 0, ~wanted[taken], ~_within(own, within)[None])
        hit[size], counts[size] = (taken >= 0) & ~ignored, ~ignored
    return _Photo(scores, hit, counts)


def _within(areas: Floats, size: tuple[float, float]) -> Flags:
    return (areas >= size[0]) & (areas <= size[1])


def _areas(boxes: NDArray[np.float32]) -> Floats:
    areas: Floats = (boxes[:, 2:].astype(np.float64) - boxes[:, :2]).prod(axis=1)
    return areas


def _overlap(found: NDArray[np.float32], true: NDArray[np.float32]) -> Floats:
    a, b = found[:, None].astype(np.float64), true[None].astype(np.float64)
    inner = np.clip(np.minimum(a[..., 2:], b[..., 2:]) - np.maximum(a[..., :2], b[..., :2]), 0, None).prod(-1)
    union = _areas(found)[:, None] + _areas(true)[None] - inner
    overlap: Floats = inner / np.where(union > 0, union, 1)
    return overlap


def _first(overlaps: Floats) -> NDArray[np.int64]:
    """What `_greedy` finds where no box overlaps two true ones: each true one goes to the surest that reaches it."""
    taken = np.full((len(IOUS), len(overlaps)), -1)
    reaches = overlaps[None] >= IOUS[:, None, None]
    level, true = np.nonzero(reaches.any(axis=1))
    taken[level, reaches.argmax(axis=1)[level, true]] = true
    return taken


def _greedy(overlaps: Floats, ignored: Flags) -> NDArray[np.int64]:
    """[10, D] the true box that each box takes, surest first, -1 for none: the free one that it overlaps most, and
    one that is ignored only where there is no other."""
    taken = np.full((len(IOUS), len(overlaps)), -1)
    near = np.flatnonzero(overlaps.max(axis=1) >= IOUS[0])
    for level, iou in enumerate(IOUS):
        free = np.ones(overlaps.shape[1], bool)
        for box in near:
            for group in (~ignored, ignored):
                open_ = np.flatnonzero(free & group & (overlaps[box] >= min(float(iou), 1 - 1e-10)))
                if len(open_):
                    best = open_[::-1][overlaps[box, open_[::-1]].argmax()]  # of equal ones the last, as COCO has it
                    taken[level, box], free[best] = best, False
                    break
    return taken
