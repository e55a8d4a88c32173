"""COCO's average precision and recall of boxes, by pycocotools itself: over all boxes, and by their size.

Sizes are areas of boxes in pixels of the original photo (https://cocodataset.org/#detection-eval): small up to 32 x 32,
medium up to 96 x 96, large above. Only true boxes of the size count, and a found box that is no true one counts against
a size when it is of that size itself.
"""

from __future__ import annotations

import contextlib
import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pizzeria.predictions import Boxes

SIZES = ("small", "medium", "large")
AREAS = {"all": (0.0, 1e10), "small": (0.0, 32.0**2), "medium": (32.0**2, 96.0**2), "large": (96.0**2, 1e10)}
"""Least and largest area in square pixels, both included; the ends are pycocotools' own."""
MOST = (1, 10, 100)
"""Boxes of a photo and class, surest first, that are looked at."""
IOUS = np.linspace(0.5, 0.95, 10)
RECALLS = np.linspace(0, 1, 101)


@dataclass(frozen=True)
class Precision:
    """What COCO's evaluation found, for C classes; NaN for a class without a true box (of the size).

    Attributes:
        at: [10, 101, C, 4] precision at each IoU from 0.50 to 0.95, each recall from 0 to 1, and each of `AREAS`.
        recall: [10, C, 4, 3] highest recall at each IoU, each of `AREAS`, with each of `MOST` boxes.
    """

    at: NDArray[np.float64]
    recall: NDArray[np.float64]

    def ap(self, iou: float | None = None, size: str = "all") -> NDArray[np.float64]:
        """[C] average precision at one IoU (0.50, 0.55 ... 0.95), or the mean over all ten."""
        precision = self.at[..., list(AREAS).index(size)]
        if iou is None:
            return precision.mean(axis=(0, 1))
        return precision[int(np.abs(IOUS - iou).argmin())].mean(axis=0)

    def ar(self, most: int = 100, size: str = "all") -> NDArray[np.float64]:
        """[C] average recall over the ten IoUs, with at most 1, 10 or 100 boxes of a photo and class."""
        return self.recall[..., list(AREAS).index(size), MOST.index(most)].mean(axis=0)

    def curves(self, classes: Sequence[str]) -> dict[str, Any]:
        """Precision against recall at IoU 0.50 by class; empty lists for a class without a true box."""
        seen = ~np.isnan(self.ap())
        return {
            name: {"recall": RECALLS.tolist(), "precision": self.at[0, :, i, 0].tolist()}
            if seen[i]
            else {"recall": [], "precision": []}
            for i, name in enumerate(classes)
        }


def average_precision(found: Sequence[Boxes], true: Sequence[Boxes], classes: int) -> Precision:
    """COCO's evaluation of all classes, on raw scores."""
    if not any(len(boxes.labels) for boxes in true):
        return Precision(np.full((10, 101, classes, 4), np.nan), np.full((10, classes, 4, 3), np.nan))
    evaluated = evaluation(found, true, classes).eval
    at, recall = evaluated["precision"][..., -1], evaluated["recall"]
    return Precision(np.where(at < 0, np.nan, at), np.where(recall < 0, np.nan, recall))


def map_50(found: Sequence[Boxes], true: Sequence[Boxes], classes: int) -> float:
    """Mean over the classes of the average precision at IoU 0.50 alone; NaN without a true box.

    The same figure as `average_precision` gives, at a small part of its work: what training asks after each epoch.
    """
    if not any(len(boxes.labels) for boxes in true):
        return float("nan")
    precision = evaluation(found, true, classes, ious=IOUS[:1], areas=("all",), most=MOST[-1:]).eval["precision"]
    return float(precision[precision > -1].mean())


def evaluation(
    found: Sequence[Boxes],
    true: Sequence[Boxes],
    classes: int,
    *,
    ious: NDArray[np.float64] = IOUS,
    areas: Sequence[str] = tuple(AREAS),
    most: Sequence[int] = MOST,
) -> Any:
    """A `pycocotools.cocoeval.COCOeval` that has evaluated and accumulated; photos are numbered from 0.

    Args:
        found: [N] boxes of each photo, with raw scores.
        true: [N] the true ones.
        classes: How many there are; their indices are the categories.
        ious: Overlaps from which a found box is a true one.
        areas: Some of `AREAS`.
        most: Boxes of a photo and class that are looked at, ascending.
    """
    from pycocotools.cocoeval import COCOeval

    with contextlib.redirect_stdout(io.StringIO()):  # it prints how long it took
        work = COCOeval(_coco(true, classes), _coco(found, classes), "bbox")
        work.params.iouThrs, work.params.maxDets = ious, list(most)
        work.params.areaRng, work.params.areaRngLbl = [list(AREAS[name]) for name in areas], list(areas)
        work.evaluate()
        work.accumulate()
    return work


def _coco(photos: Sequence[Boxes], classes: int) -> Any:
    """Boxes as pycocotools wants them, without the file."""
    from pycocotools.coco import COCO

    photo = np.repeat(np.arange(len(photos)), [len(boxes.labels) for boxes in photos])
    boxes = np.concatenate([np.zeros((0, 4)), *(one.xyxy.astype(np.float64) for one in photos)])
    boxes[:, 2:] -= boxes[:, :2]  # x, y, width, height
    rows = zip(
        photo.tolist(),
        boxes.tolist(),
        boxes[:, 2:].prod(axis=1).tolist(),
        np.concatenate([np.zeros(0), *(one.scores for one in photos)]).tolist(),
        np.concatenate([np.zeros(0, int), *(one.labels for one in photos)]).tolist(),
        strict=True,
    )
    coco = COCO()
    coco.dataset = {
        "images": [{"id": number} for number in range(len(photos))],
        "categories": [{"id": label} for label in range(classes)],
        "annotations": [
            # Its numbers begin with 1: a found box that took the true box 0 would count as one that took none.
            {"id": n, "image_id": i, "category_id": label, "bbox": box, "area": area, "score": score, "iscrowd": 0}
            for n, (i, box, area, score, label) in enumerate(rows, 1)
        ],
    }
    coco.createIndex()
    return coco
