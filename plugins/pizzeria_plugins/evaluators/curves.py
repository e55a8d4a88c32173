"""What the report draws: precision against recall, and how often a probability comes true."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from pizzeria_plugins.evaluators.average_precision import RECALLS

BINS = 15

Floats = NDArray[np.floating[Any]]


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
