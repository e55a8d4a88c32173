"""How often each class is in the training split, for losses that weigh classes by it."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from pizzeria.datasets import Dataset, ImageSet


def tell_class_counts(network: Any, data: Dataset, classes: int) -> None:
    """Tell a network that weighs classes how often each of them is in the training split; see
    `pizzeria_plugins.models.network.Network`."""
    if classes and hasattr(network, "class_weights"):
        network.class_weights.count(class_counts(data, classes))


def class_counts(data: Dataset, classes: int) -> NDArray[np.int64]:
    """int64 [C]: boxes, photos or rows of the training split by their class."""
    rows = data.rows("train")
    if isinstance(data, ImageSet) and data.boxes is not None:
        labels = [data.boxes[row].labels for row in rows]
        return np.bincount(np.concatenate(labels) if labels else np.zeros(0, np.int64), minlength=classes)
    assert data.targets is not None
    targets = data.targets[rows]
    if targets.ndim == 2:
        return targets.sum(axis=0).astype(np.int64)
    return np.bincount(targets, minlength=classes)
