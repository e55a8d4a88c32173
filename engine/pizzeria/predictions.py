"""Predictions and the truth beside them, as plain numpy: what trainers, evaluators, monitors and reports exchange."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Boxes:
    """The boxes of one image, found or true.

    Attributes:
        xyxy: float32 [D, 4], x_min, y_min, x_max, y_max in pixels of the EXIF-rotated original image.
        scores: float32 [D] in [0, 1], highest first; ones for true boxes.
        labels: int64 [D], index into `problem.classes`.
    """

    xyxy: NDArray[np.float32]
    scores: NDArray[np.float32]
    labels: NDArray[np.int64]

    @staticmethod
    def empty() -> Boxes:
        return Boxes(np.zeros((0, 4), np.float32), np.zeros(0, np.float32), np.zeros(0, np.int64))

    def with_area(self) -> Boxes:
        """Without flat boxes, such as those that lay in the padding and were clipped to the photo."""
        keep = (self.xyxy[:, 2] > self.xyxy[:, 0]) & (self.xyxy[:, 3] > self.xyxy[:, 1])
        return Boxes(self.xyxy[keep], self.scores[keep], self.labels[keep])

    def iou(self, other: Boxes) -> NDArray[np.float32]:
        """Intersection over union of each of these D boxes with each of the E others, float32 [D, E] in [0, 1].

        Example:
            >>> one = Boxes(np.array([[0, 0, 10, 10]], np.float32), np.ones(1, np.float32), np.zeros(1, np.int64))
            >>> two = Boxes(np.array([[5, 0, 15, 10]], np.float32), np.ones(1, np.float32), np.zeros(1, np.int64))
            >>> one.iou(two).round(2).tolist()
            [[0.33000001311302185]]
        """
        a, b = self.xyxy[:, None].astype(np.float64), other.xyxy[None].astype(np.float64)
        overlap = np.clip(np.minimum(a[..., 2:], b[..., 2:]) - np.maximum(a[..., :2], b[..., :2]), 0, None).prod(-1)
        area_a, area_b = (np.clip(x[..., 2:] - x[..., :2], 0, None).prod(-1) for x in (a, b))
        union = area_a + area_b - overlap
        iou: NDArray[np.float32] = (overlap / np.where(union > 0, union, 1)).astype(np.float32)
        return iou


@dataclass(frozen=True)
class Predictions:
    """One prediction (or truth) per key; just one of `boxes`, `probabilities` and `values` is set.

    Attributes:
        keys: [N] image_id or row_id.
        boxes: object detection, [N] Boxes.
        probabilities: float32 [N, C] in [0, 1]. Single-label tasks: rows sum to 1 (a true row is one-hot).
            Multi-label: each column on its own (a true row is 0 or 1).
        values: regression, float32 [N] in the target's own unit.
    """

    keys: tuple[str, ...]
    boxes: tuple[Boxes, ...] | None = None
    probabilities: NDArray[np.float32] | None = None
    values: NDArray[np.float32] | None = None

    def __len__(self) -> int:
        return len(self.keys)

    def of(self, keys: Sequence[str]) -> Predictions:
        """Those of some keys, in their order.

        Example:
            >>> Predictions(("a", "b", "c"), values=np.array([1, 2, 3], np.float32)).of(["c", "a"]).values.tolist()
            [3.0, 1.0]
        """
        if self.keys == tuple(keys):
            return self
        row_of = {key: row for row, key in enumerate(self.keys)}
        rows = [row_of[key] for key in keys]
        boxes = None if self.boxes is None else tuple(self.boxes[row] for row in rows)
        numbers = (None if one is None else one[rows] for one in (self.probabilities, self.values))
        return Predictions(tuple(keys), boxes, *numbers)

    def presence(self, classes: int) -> NDArray[np.float32]:
        """float32 [N, C]: for boxes the best score of each class in the image (0 when none), else `probabilities`.

        Example:
            >>> one = Boxes(np.array([[0, 0, 9, 9]], np.float32), np.array([0.8], np.float32), np.array([1]))
            >>> Predictions(("a",), boxes=(one,)).presence(3).tolist()
            [[0.0, 0.800000011920929, 0.0]]
        """
        if self.boxes is None:
            assert self.probabilities is not None
            return self.probabilities
        out = np.zeros((len(self), classes), np.float32)
        for row, found in zip(out, self.boxes, strict=True):
            np.maximum.at(row, found.labels, found.scores)
        return out


def save_predictions(predictions: Predictions, path: Path) -> None:
    """Write as one `.npz` without pickle; boxes lie flat behind their `offsets`."""
    arrays: dict[str, NDArray[Any]] = {"keys": np.array(predictions.keys, dtype=np.str_)}
    if predictions.boxes is not None:
        arrays["offsets"] = np.cumsum([0, *(len(b.scores) for b in predictions.boxes)])
        arrays["xyxy"] = _stack([b.xyxy for b in predictions.boxes], (0, 4))
        arrays["scores"] = _stack([b.scores for b in predictions.boxes], (0,))
        arrays["labels"] = _stack([b.labels for b in predictions.boxes], (0,)).astype(np.int64)
    if predictions.probabilities is not None:
        arrays["probabilities"] = predictions.probabilities
    if predictions.values is not None:
        arrays["values"] = predictions.values
    with open(path, "wb") as stream:
        np.savez_compressed(stream, **arrays)  # type: ignore[arg-type]


def load_predictions(path: Path) -> Predictions:
    """Read what `save_predictions` wrote."""
    with np.load(path, allow_pickle=False) as arrays:
        boxes = None
        if "offsets" in arrays:
            xyxy, scores, labels, cuts = (arrays[name] for name in ("xyxy", "scores", "labels", "offsets"))
            boxes = tuple(Boxes(xyxy[a:b], scores[a:b], labels[a:b]) for a, b in pairwise(cuts))
        return Predictions(
            keys=tuple(str(key) for key in arrays["keys"]),
            boxes=boxes,
            probabilities=arrays.get("probabilities"),
            values=arrays.get("values"),
        )


def _stack(parts: Sequence[NDArray[Any]], empty: tuple[int, ...]) -> NDArray[Any]:
    return np.concatenate(parts) if len(parts) else np.zeros(empty, np.float32)
