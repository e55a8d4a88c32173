"""Which true box each found one is, and what that says: the confusion of classes, and the worst mistakes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pizzeria.predictions import Boxes


@dataclass(frozen=True)
class Match:
    """Which true box each box said in one photo is.

    Attributes:
        said: [D] indices of the boxes whose confidence reaches their class's threshold, surest first.
        true_of: [D] index of the true box that each one is, -1 for none.
        score_of: [T] highest confidence of any box of the right class on each true box, said or not; 0 for none.
    """

    said: NDArray[np.int64]
    true_of: NDArray[np.int64]
    score_of: NDArray[np.float64]


def match(
    found: Boxes, confidences: NDArray[np.float32], true: Boxes, thresholds: NDArray[np.float64], least_iou: float
) -> Match:
    """Match one photo's boxes, surest first: first to true boxes of their own class, then to what is left.

    Args:
        found: The boxes of one photo.
        confidences: [D] calibrated.
        true: Its true boxes.
        thresholds: [C].
        least_iou: Overlap from which two boxes are the same.
    """
    iou = found.iou(true)
    alike = found.labels[:, None] == true.labels[None]
    reach = (iou >= least_iou) & alike
    score_of = np.where(reach, confidences[:, None], 0).max(axis=0, initial=0).astype(np.float64)
    order = np.argsort(-confidences, kind="stable")
    said = order[confidences[order] >= thresholds[found.labels[order]]]
    true_of = np.full(len(said), -1)
    free = np.ones(len(true.labels), bool)
    for allowed in (alike, ~alike):
        for position, box in enumerate(said):
            if true_of[position] < 0 and free.any():
                overlap = np.where(free & allowed[box], iou[box], -1)
                best = int(overlap.argmax())
                if overlap[best] >= least_iou:
                    true_of[position], free[best] = best, False
    return Match(said, true_of, score_of)


def confusion(
    found: Sequence[Boxes], true: Sequence[Boxes], matches: Sequence[Match], classes: Sequence[str]
) -> dict[str, Any]:
    """`labels` (classes, then background) and `matrix` [true][said] in boxes."""
    background = len(classes)
    matrix = np.zeros((background + 1, background + 1), int)
    for boxes, truth, made in zip(found, true, matches, strict=True):
        hit = made.true_of >= 0
        labels = boxes.labels[made.said]
        np.add.at(matrix, (truth.labels[made.true_of[hit]], labels[hit]), 1)
        np.add.at(matrix, (background, labels[~hit]), 1)
        missed = np.setdiff1d(np.arange(len(truth.labels)), made.true_of[hit])
        np.add.at(matrix, (truth.labels[missed], background), 1)
    return {"labels": [*classes, "background"], "matrix": matrix.tolist()}


def worst(
    keys: Sequence[str],
    found: Sequence[Boxes],
    confidences: Sequence[NDArray[np.float32]],
    true: Sequence[Boxes],
    matches: Sequence[Match],
    classes: Sequence[str],
    limit: int,
) -> list[dict[str, Any]]:
    """The surest false boxes and the least seen true ones, in turn.

    Returns:
        `{key, kind, class, score, box}`; `kind` is "false" (nothing is there), "confused" (another class is, and
        `true` names it) or "missed" (`score` is then the highest confidence that a box gave it). `box` is xyxy in
        pixels of the original.
    """
    false: list[dict[str, Any]] = []
    missed: list[dict[str, Any]] = []
    for key, boxes, sure, truth, made in zip(keys, found, confidences, true, matches, strict=True):
        for box, of in zip(made.said, made.true_of, strict=True):
            if of >= 0 and truth.labels[of] == boxes.labels[box]:
                continue
            mistake = _mistake(key, "false" if of < 0 else "confused", classes, boxes, box, float(sure[box]))
            false.append(mistake | ({} if of < 0 else {"true": classes[truth.labels[of]]}))
        for of in np.setdiff1d(np.arange(len(truth.labels)), made.true_of):
            missed.append(_mistake(key, "missed", classes, truth, int(of), float(made.score_of[of])))
    false.sort(key=lambda mistake: -mistake["score"])
    missed.sort(key=lambda mistake: (mistake["score"], -_area(mistake["box"])))
    turns = [entry for pair in zip(false, missed, strict=False) for entry in pair]
    rest = false[len(missed) :] or missed[len(false) :]
    return (turns + rest)[:limit]


def _mistake(key: str, kind: str, classes: Sequence[str], boxes: Boxes, box: int, score: float) -> dict[str, Any]:
    corners = [round(float(pixel), 2) for pixel in boxes.xyxy[box]]
    return {"key": key, "kind": kind, "class": classes[boxes.labels[box]], "score": score, "box": corners}


def _area(box: Sequence[float]) -> float:
    return (box[2] - box[0]) * (box[3] - box[1])
