"""What the report draws of probabilities beside the truth, rounded to what an eye can see."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pizzeria_plugins.evaluators.average_precision import RECALLS

BINS = 15
THRESHOLDS = np.linspace(0, 1, 101)
ROC_POINTS = 120
SCORE_BINS = 20

Floats = NDArray[np.floating[Any]]


def of_classes(
    classes: Sequence[str],
    probabilities: Floats,
    true: NDArray[np.bool_],
    chosen: Mapping[str, float] | None = None,
) -> dict[str, Any]:
    """`precision_recall`, `roc` and `f1_by_threshold` of each class against the rest, and `scores` of all of them.

    Args:
        classes: C names.
        probabilities: [N, C] calibrated.
        true: [N, C] whether it is the class, or the class is there.
        chosen: The threshold of each class, where there is one.
    """
    columns = {name: (probabilities[:, i], true[:, i]) for i, name in enumerate(classes)}
    return {
        "precision_recall": {name: precision_recall(*column) for name, column in columns.items()},
        "roc": {name: roc(*column) for name, column in columns.items()},
        "f1_by_threshold": {
            "thresholds": _short(THRESHOLDS),
            "classes": {
                name: by_threshold(*column) | {"chosen": (chosen or {}).get(name)} for name, column in columns.items()
            },
        },
        "scores": score_histogram(probabilities, true),
    }


def roc(probabilities: Floats, true: NDArray[np.bool_]) -> dict[str, list[float]]:
    """Share of the true against share of the others that is said, from sure to unsure; empty where one kind lacks.

    Args:
        probabilities: [N].
        true: [N].

    Returns:
        `false` and `true`, at most 120 points each, the corners and a step along the curve between them.

    Example:
        >>> roc(np.array([0.9, 0.1]), np.array([True, False]))
        {'false': [0.0, 0.0, 1.0], 'true': [0.0, 1.0, 1.0]}
    """
    if true.all() or not true.any():
        return {"false": [], "true": []}
    from sklearn.metrics import roc_curve

    across, up, _ = roc_curve(true, probabilities)
    length = (np.diff(across, prepend=0) + np.diff(up, prepend=0)).cumsum()
    at = np.searchsorted(length, np.linspace(0, length[-1], min(len(across), ROC_POINTS)) - 1e-9)
    at = np.unique([0, *at, len(across) - 1]) if len(across) > ROC_POINTS else np.arange(len(across))
    return {"false": _short(across[at]), "true": _short(up[at])}


def by_threshold(probabilities: Floats, true: NDArray[np.bool_]) -> dict[str, list[float]]:
    """`precision`, `recall` and `f1` at each of 101 thresholds from 0 to 1; empty where nothing is true.

    Where nothing reaches a threshold its precision is that of the highest one that something does.

    Example:
        >>> found = by_threshold(np.array([0.9, 0.4]), np.array([True, False]))
        >>> [found[name][50] for name in ("precision", "recall", "f1")]
        [1.0, 1.0, 1.0]
    """
    if not true.any():
        return {"precision": [], "recall": [], "f1": []}
    hits, every = np.sort(probabilities[true]), np.sort(probabilities)
    edges = THRESHOLDS - 1e-6  # 0.29 as a float32 is a little less than 0.29
    right = len(hits) - np.searchsorted(hits, edges)
    said = len(every) - np.searchsorted(every, edges)
    known = np.maximum.accumulate(np.where(said > 0, np.arange(len(said)), 0))
    precision = (right / np.maximum(said, 1))[known]
    return {
        "precision": _short(precision),
        "recall": _short(right / len(hits)),
        "f1": _short(2 * right / (said + len(hits))),
    }


def score_histogram(probabilities: Floats, true: NDArray[np.bool_]) -> dict[str, list[int]]:
    """How many probabilities of what is `true`, and of what is `false`, lie in each of 20 equal bins from 0 to 1."""
    bins = np.minimum((probabilities * SCORE_BINS).astype(int), SCORE_BINS - 1)
    return {
        "true": np.bincount(bins[true], minlength=SCORE_BINS).tolist(),
        "false": np.bincount(bins[~true], minlength=SCORE_BINS).tolist(),
    }


def confusion(labels: Sequence[str], matrix: NDArray[np.int64]) -> dict[str, Any]:
    """`labels`, `matrix` [true][said] of counts, and `normalised`: each row as shares of it (zeros if empty)."""
    total = matrix.sum(axis=1, keepdims=True)
    shares = np.divide(matrix, total, out=np.zeros(matrix.shape), where=total > 0)
    return {"labels": list(labels), "matrix": matrix.tolist(), "normalised": shares.round(4).tolist()}


def precision_recall(probabilities: Floats, true: NDArray[np.bool_]) -> dict[str, list[float]]:
    """Highest precision at each of 101 recalls or more (interpolated, as COCO does); empty where nothing is true.

    Args:
        probabilities: [N].
        true: [N].

    Example:
        >>> curve = precision_recall(np.array([0.9, 0.1]), np.array([True, False]))
        >>> curve["recall"][-1], curve["precision"][-1]
        (1.0, 1.0)
    """
    if not true.any():
        return {"recall": [], "precision": []}
    import torch
    from torchmetrics.functional.classification import binary_precision_recall_curve

    scores = torch.as_tensor(probabilities, dtype=torch.float64)
    precision, recall, _ = binary_precision_recall_curve(scores, torch.as_tensor(true).long())
    # Both run from recall 1 down to 0; turned round, the best precision from each recall on is a running maximum.
    rising, best = recall.numpy()[::-1], np.maximum.accumulate(precision.numpy())[::-1]
    at = np.searchsorted(rising, RECALLS - 1e-9)
    return {"recall": RECALLS.tolist(), "precision": best[np.minimum(at, len(best) - 1)].tolist()}


def reliability(probabilities: Floats, true: NDArray[np.bool_]) -> dict[str, list[float]]:
    """Mean probability and frequency of the outcome in each of 15 equal bins that holds anything.

    Args:
        probabilities: Any shape, in [0, 1].
        true: The same shape.

    Returns:
        `confidence`, `frequency` and `count`, one value for each bin, lowest first.
    """
    p, t = probabilities.ravel().astype(np.float64), true.ravel()
    bins = np.minimum((p * BINS).astype(int), BINS - 1)
    count = np.bincount(bins, minlength=BINS)
    held = count > 0
    divisor = count[held]
    return {
        "confidence": (np.bincount(bins, weights=p, minlength=BINS)[held] / divisor).tolist(),
        "frequency": (np.bincount(bins, weights=t, minlength=BINS)[held] / divisor).tolist(),
        "count": divisor.tolist(),
    }


def _short(values: Floats) -> list[float]:
    short: list[float] = np.asarray(values, np.float64).round(4).tolist()
    return short
