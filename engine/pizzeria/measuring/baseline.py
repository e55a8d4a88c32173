"""The trivial model that a figure is held against: what the training split alone would let one say, without a look.

| task | it says |
|---|---|
| one class of several | of each row how frequent each class is in training; the class said is the most frequent one |
| classes on their own | that each class is there, with the share of training photos that have it |
| boxes | in each photo the same boxes: of each class the three training boxes that most others overlap by half |
| a number | the training split's median, which has the least mean absolute error, and for rmse and r2 its mean |

Saying always that a class is there has recall 1 and precision equal to its share, and the best F1 that one can have
without a look.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pizzeria.datasets import Dataset, ImageSet
from pizzeria.measuring.judged import Floats, Judged, macro
from pizzeria.measuring.weighted import weighted
from pizzeria.predictions import Boxes, Predictions
from pizzeria.spec.problem import Problem
from pizzeria.tasks import task

BOXES = 3
"""Of each class, in each photo."""
_PHOTOS, _EXAMPLES = 2000, 500
"""So many training photos, and boxes of a class, are looked at; of more, those that lie evenly among them."""
_SAME = 0.5


@dataclass(frozen=True)
class Baseline:
    """What the trivial model says of the test split.

    Attributes:
        name: What it is, in words.
        sides: What it said beside the truth, and the metrics that this is for; all of them where there is but one.
    """

    name: str
    sides: tuple[tuple[tuple[str, ...], Judged], ...]

    def figures(self, metrics: Sequence[str]) -> tuple[dict[str, float], dict[str, Floats]]:
        """Each metric over all classes, and [C] where it has classes."""
        whole, each = {}, {}
        for names, judged in self.sides:
            for metric in names or metrics:
                measure = weighted(metric, judged)
                if measure is None:
                    continue
                values = measure(np.ones((1, judged.rows)))
                whole[metric] = float(macro(values)[0])
                if values.shape[1] > 1:
                    each[metric] = values[0]
        return whole, each

    def of(self, rows: NDArray[np.int64]) -> Baseline:
        """Of some rows alone."""
        return Baseline(self.name, tuple((names, judged.of(rows)) for names, judged in self.sides))


def baseline(problem: Problem, dataset: Dataset, truth: Predictions) -> Baseline:
    """The trivial model of a training split, judged on the test split.

    Args:
        truth: [N] of the test split.
    """
    kind, rows = task(problem.task).JUDGED, dataset.rows("train")
    if kind == "value":
        assert dataset.targets is not None
        assert truth.values is not None
        known = dataset.targets[rows].astype(np.float64)
        wanted = truth.values.astype(np.float64)
        median, mean = ((float(of(known)) if len(known) else 0.0) for of in (np.median, np.mean))
        said = [Judged(values=np.full(len(wanted), one), wanted=wanted) for one in (median, mean)]
        return Baseline(
            "always the median, or for rmse and r2 the mean", ((("mae",), said[0]), (("rmse", "r2"), said[1]))
        )
    targets, count = dataset.targets, len(problem.classes)
    true = truth.presence(count) > 0
    if kind == "class":
        assert targets is not None
        share = np.bincount(targets[rows].astype(np.int64), minlength=count) / max(1, len(rows))
        return Baseline("how frequent each class is in training", (((), Judged(_each(share, true), true)),))
    always = np.zeros(count)
    if truth.boxes is None:
        assert targets is not None
        share = targets[rows].mean(axis=0) if len(rows) else always
        name = "each class is always there"
        return Baseline(name, (((), Judged(_each(share, true), true, always)),))
    assert isinstance(dataset, ImageSet)
    share, usual = _usual_boxes(dataset, rows, count)
    index = dataset.index.set_index(dataset.index["image_id"].astype(str))
    sizes = index.loc[list(truth.keys), ["width", "height"]].to_numpy(np.float32)
    found = tuple(Boxes(usual.xyxy * np.tile(size, 2), usual.scores, usual.labels) for size in sizes)
    told = (np.ones(len(usual.labels), bool),) * len(found)
    judged = Judged(_each(share, true), true, always, boxes=found, true_boxes=truth.boxes, told=told)
    return Baseline(f"the {BOXES} commonest boxes of each class in each photo", (((), judged),))


def _each(share: NDArray[np.floating], true: NDArray[np.bool_]) -> Floats:
    return np.tile(np.asarray(share, np.float64), (len(true), 1))


def _usual_boxes(dataset: ImageSet, rows: NDArray[np.int64], classes: int) -> tuple[Floats, Boxes]:
    """[C] share of the training photos that have each class, and its commonest boxes in shares of width and height.

    A box's score is the share of the photos that have one of its class just there.
    """
    rows = _evenly(rows, _PHOTOS)
    sizes = dataset.index[["width", "height"]].to_numpy(np.float32)
    photos, boxes, labels = [], [], []
    for number, row in enumerate(rows):
        assert dataset.boxes is not None
        one = dataset.to_original(int(row), dataset.boxes[row])
        photos.append(np.full(len(one.labels), number))
        boxes.append(one.xyxy / np.tile(sizes[row], 2))
        labels.append(one.labels)
    photo = np.concatenate([np.zeros(0, np.int64), *photos])
    label = np.concatenate([np.zeros(0, np.int64), *labels])
    xyxy = np.concatenate([np.zeros((0, 4), np.float32), *boxes])
    share, found = np.zeros(classes), []
    for name in range(classes):
        own = np.flatnonzero(label == name)
        share[name] = len(np.unique(photo[own])) / max(1, len(rows))
        found += [(box, score, name) for box, score in _commonest(xyxy[own], photo[own], len(rows))]
    found.sort(key=lambda entry: -entry[1])
    return share, Boxes(
        np.array([box for box, _, _ in found], np.float32).reshape(-1, 4),
        np.array([score for _, score, _ in found], np.float32),
        np.array([name for _, _, name in found], np.int64),
    )


def _commonest(
    boxes: NDArray[np.float32], photo: NDArray[np.int64], photos: int
) -> list[tuple[NDArray[np.float32], float]]:
    """At most `BOXES` boxes of a class, each with the share of photos that have one there that no box before covers."""
    some = _evenly(np.arange(len(boxes)), _EXAMPLES)
    examples = Boxes(boxes[some], np.ones(len(some), np.float32), np.zeros(len(some), np.int64))
    near = examples.iou(examples) >= _SAME
    free, found = np.ones(len(some), bool), []
    for _ in range(BOXES):
        if not free.any():
            break
        best = int((near & free).sum(axis=1).argmax())
        covered = near[best] & free
        seen = len(np.unique(photo[some[covered]])) * len(boxes) / len(some)
        found.append((examples.xyxy[best], min(1.0, seen / max(1, photos))))
        free &= ~near[best]
    return found


def _evenly(rows: NDArray[np.int64], most: int) -> NDArray[np.int64]:
    if len(rows) <= most:
        return rows
    return rows[np.linspace(0, len(rows) - 1, most).round().astype(np.int64)]
