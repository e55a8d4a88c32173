"""Which rows an epoch takes, and how often, where some classes are rare."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from pizzeria.datasets import Dataset, ImageSet

Sampling = Literal["even", "balanced", "repeat_factor"]


def row_weights(
    data: Dataset, rows: NDArray[np.int64], sampling: Sampling, threshold: float
) -> NDArray[np.float64] | None:
    """How often each row is drawn, as against the others; None where all are drawn once.

    Args:
        data: Its targets, or its boxes, say the classes.
        rows: [M] row numbers of the training split.
        sampling: `balanced`: each class as often as any other. `repeat_factor`: as often as the rarest class of the row
            asks for: max(1, sqrt(threshold / share of the rows that have it)) (LVIS, https://arxiv.org/abs/1908.03195).
        threshold: Share of the rows below which a class is rare.
    """
    if sampling == "even":
        return None
    present = _present(data, rows)
    shares = np.maximum(present.mean(axis=0), 1 / len(rows))
    by_class = 1 / shares if sampling == "balanced" else np.maximum(1, np.sqrt(threshold / shares))
    least = 0.0 if sampling == "balanced" else 1.0
    weights: NDArray[np.float64] = np.where(present, by_class, least).max(axis=1, initial=least)
    return weights


def draw(rows: NDArray[np.int64], weights: NDArray[np.float64] | None, rng: np.random.Generator) -> NDArray[np.int64]:
    """As many rows as there are, in random order.

    Each comes as often as its share of the weights says, rounded up or down at random (systematic sampling): an epoch
    is as long as without weights, and no row comes by chance more often than it should.
    """
    order = rng.permutation(len(rows))
    if weights is None:
        return rows[order]
    edges = np.cumsum(weights[order])
    points = (np.arange(len(rows)) + rng.random()) * (edges[-1] / len(rows))
    found = np.minimum(np.searchsorted(edges, points, side="right"), len(rows) - 1)
    return rng.permutation(rows[order[found]])


def _present(data: Dataset, rows: NDArray[np.int64]) -> NDArray[np.bool_]:
    """[M, C] which classes each row has; those that none has may be left out at the end."""
    if isinstance(data, ImageSet) and data.boxes is not None:
        labels = [data.boxes[row].labels for row in rows]
        count = max((int(found.max()) for found in labels if len(found)), default=-1) + 1
        present = np.zeros((len(rows), count), bool)
        for i, found in enumerate(labels):
            present[i, found] = True
        return present
    targets = data.targets
    assert targets is not None
    targets = targets[rows]
    return targets > 0.5 if targets.ndim == 2 else np.equal.outer(targets, np.arange(targets.max() + 1))
