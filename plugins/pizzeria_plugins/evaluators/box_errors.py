"""What is wrong with each box, and how much average precision each kind of error costs, as TIDE has it.

Bolya, Foley, Hays and Hoffman 2020, "TIDE: A general toolbox for identifying object detection errors"
(https://arxiv.org/abs/2008.08115). Of a found box that is no true one, the first that holds:

| kind | what it is |
|---|---|
| `localisation` | the class is right, and the box overlaps a true one, but too little |
| `class` | the box is right, and is of another class |
| `duplicate` | class and box are right, and a surer box took the true one |
| `background` | nothing is there |
| `both` | class and box are wrong |

and `missed` is a true box that no found one took, and none of class or localisation would take if it were put right.

What a kind costs is what average precision at the matching overlap gains when its errors alone are put right: a box of
the wrong class or place becomes a right one (the surest for each true box; the others go), the other kinds go, and
missed boxes are no longer asked for.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from pizzeria.predictions import Boxes

KINDS = ("class", "localisation", "both", "duplicate", "background", "missed")
BACKGROUND_IOU = 0.1
"""Up to this overlap with any true box there is nothing where a box was found; TIDE's own."""
MOST = 100
"""Boxes of a photo that are looked at, surest first; TIDE's own."""
_CLASS, _LOCALISATION, _BOTH, _DUPLICATE, _BACKGROUND = range(5)
_RIGHT = -1
_RECALLS = np.arange(101) / 100

Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]


@dataclass(frozen=True)
class BoxErrors:
    """What each of D found and T true boxes of one photo is.

    Attributes:
        order: [D] indices of the found boxes, surest first, 100 at most; the others below follow it.
        kind: [D] index into `KINDS`, -1 for a right one.
        of: [D] the true box that it is or should have been; -1 for none.
        cures: [D] whether the true box would be found if this error of class or place were put right.
        taken: [T] whether a right box is on it.
        missed: [T] whether it is neither taken nor would be.
    """

    order: Ints
    kind: Ints
    of: Ints
    cures: Bools
    taken: Bools
    missed: Bools

    @property
    def right(self) -> Bools:
        """[D]."""
        return self.kind == _RIGHT


def of_photo(
    found: Boxes, true: Boxes, least_iou: float = 0.5, scores: NDArray[np.floating] | None = None
) -> BoxErrors:
    """Judge the boxes of one photo.

    Args:
        found: All of them count, however unsure.
        true: Its true boxes.
        least_iou: Overlap from which a found box is a true one.
        scores: [D] what sorts the found boxes, if not their own scores.

    Example:
        >>> one = Boxes(np.array([[0, 0, 9, 9]], np.float32), np.ones(1, np.float32), np.zeros(1, np.int64))
        >>> twice = Boxes(one.xyxy.repeat(2, 0), np.array([0.9, 0.8], np.float32), np.zeros(2, np.int64))
        >>> [KINDS[kind] for kind in of_photo(twice, one).kind if kind >= 0]
        ['duplicate']
    """
    order = np.argsort(-(found.scores if scores is None else scores), kind="stable")[:MOST]
    count, wanted = len(order), len(true.labels)
    taken = np.zeros(wanted, bool)
    if not count or not wanted:
        nothing = np.full(count, -1)
        return BoxErrors(order, np.full(count, _BACKGROUND), nothing, np.zeros(count, bool), taken, ~taken)
    iou = _iou(found.xyxy[order], true.xyxy)
    alike = found.labels[order][:, None] == true.labels[None]
    own, other = iou * alike, iou * ~alike
    kind, of = np.full(count, _BOTH), iou.argmax(axis=1)
    for wrong, where, overlap in (
        (_BACKGROUND, iou.max(axis=1) <= BACKGROUND_IOU, None),
        (_DUPLICATE, own.max(axis=1) >= least_iou, own),
        (_CLASS, other.max(axis=1) >= least_iou, other),
        (_LOCALISATION, (own.max(axis=1) >= BACKGROUND_IOU) & (own.max(axis=1) <= least_iou), own),
    ):
        kind[where] = wrong
        of[where] = -1 if overlap is None else overlap[where].argmax(axis=1)
    free = own.copy()
    for box in np.flatnonzero(own.max(axis=1) >= least_iou):
        best = int(free[box].argmax())
        if free[box, best] >= least_iou:
            kind[box], of[box], taken[best] = _RIGHT, best, True
            free[:, best] = 0
    curable = np.flatnonzero(np.isin(kind, (_CLASS, _LOCALISATION)) & ~taken[of])
    cured, first = np.unique(of[curable], return_index=True)
    cures, missed = np.zeros(count, bool), ~taken
    cures[curable[first]], missed[cured] = True, False
    return BoxErrors(order, kind, of, cures, taken, missed)


def costs(
    photos: Sequence[BoxErrors], found: Sequence[Boxes], true: Sequence[Boxes], classes: int
) -> dict[str, dict[str, float]]:
    """How many errors of each kind there are, and how much average precision they cost.

    Args:
        photos: [N] from `of_photo`, on raw scores.
        found: [N].
        true: [N].
        classes: How many there are.

    Returns:
        For each of `KINDS` `count` and `cost`, in [0, 1]: the mean over the classes that occur. Costs do not add up to
        what is lacking, because errors hide each other.
    """
    all_found = _Judged.of(photos, found, true, classes)
    missed = np.bincount(_joined([b.labels[e.missed] for b, e in zip(true, photos, strict=True)]), minlength=classes)
    base = all_found.precision()
    out = {}
    for number, name in enumerate(KINDS[:-1]):
        out[name] = {"count": int((all_found.kind == number).sum()), "cost": all_found.without(number).precision()}
    fewer = replace(all_found, wanted=all_found.wanted - missed)
    out["missed"] = {"count": int(missed.sum()), "cost": fewer.precision()}
    # Cured boxes can lie in a flatter part of the curve, where 101 recalls see less of it: TIDE calls that zero, too.
    return {name: {"count": one["count"], "cost": max(one["cost"] - base, 0.0)} for name, one in out.items()}


@dataclass(frozen=True)
class _Judged:
    """The found boxes of all photos.

    Attributes:
        label, score, kind, cures: [B] each; see `BoxErrors`.
        label_of: [B] class of the true box that each one is or should have been.
        wanted: [C] true boxes.
    """

    label: Ints
    score: NDArray[np.float64]
    kind: Ints
    cures: Bools
    label_of: Ints
    wanted: Ints

    @staticmethod
    def of(photos: Sequence[BoxErrors], found: Sequence[Boxes], true: Sequence[Boxes], classes: int) -> _Judged:
        triples = list(zip(photos, found, true, strict=True))
        return _Judged(
            _joined([boxes.labels[e.order] for e, boxes, _ in triples]),
            np.concatenate([np.zeros(0), *(boxes.scores[e.order] for e, boxes, _ in triples)]),
            _joined([e.kind for e in photos]),
            _joined([e.cures for e in photos]).astype(bool),
            _joined([np.append(boxes.labels, -1)[e.of] for e, _, boxes in triples]),
            np.bincount(_joined([boxes.labels for boxes in true]), minlength=classes),
        )

    def without(self, kind: int) -> _Judged:
        """With the errors of one kind put right."""
        cured = self.cures & (self.kind == kind)
        keep = cured | (self.kind != kind)
        label, now = np.where(cured, self.label_of, self.label), np.where(cured, _RIGHT, self.kind)
        return _Judged(label[keep], self.score[keep], now[keep], self.cures[keep], self.label_of[keep], self.wanted)

    def precision(self) -> float:
        """Average precision, the mean over the classes that are found or wanted at all; 0 where none is."""
        order = np.argsort(-self.score, kind="stable")
        label, right = self.label[order], self.kind[order] == _RIGHT
        there = np.union1d(label, np.flatnonzero(self.wanted))
        each = [_average(right[label == name], int(self.wanted[name])) for name in there]
        return float(np.mean(each)) if each else 0.0


def _average(right: Bools, wanted: int) -> float:
    """Mean over 101 recalls of the highest precision from each of them on, as COCO interpolates; surest first."""
    if not wanted or not len(right):
        return 0.0
    hits = right.cumsum()
    best = np.maximum.accumulate((hits / np.arange(1, len(right) + 1))[::-1])[::-1]
    at = np.searchsorted(hits / wanted, _RECALLS)
    return float(np.append(best, 0.0)[at].mean())


def _iou(found: NDArray[np.float32], true: NDArray[np.float32]) -> NDArray[np.float64]:
    from pycocotools import mask

    sized = [
        np.concatenate([xyxy[:, :2], xyxy[:, 2:] - xyxy[:, :2]], axis=1) for xyxy in map(np.float64, (found, true))
    ]
    overlap: NDArray[np.float64] = mask.iou(*sized, [0] * len(true))
    return overlap


def _joined(parts: Sequence[NDArray[np.integer]] | Sequence[Bools]) -> Ints:
    return np.concatenate([np.zeros(0, np.int64), *parts]).astype(np.int64)
