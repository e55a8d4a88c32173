"""What a network says of a split, gathered over batches, and how good that is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from pizzeria.datasets import Dataset, ImageSet, RowSet
from pizzeria.predictions import Boxes, Predictions
from pizzeria.spec.problem import Problem
from pizzeria_plugins.evaluators.average_precision import map_50


def gather(data: Dataset, split: str, parts: Sequence[Any]) -> Predictions:
    """Predictions of a split.

    Args:
        data: The dataset.
        split: One of `pizzeria.datasets.SPLITS`.
        parts: What `Network.predict` returned for each batch, in the order of the split's rows.

    Returns:
        One prediction for each row; boxes in pixels of the original photo.
    """
    rows = data.rows(split)
    keys = tuple(data.index["row_id" if isinstance(data, RowSet) else "image_id"].iloc[rows].astype(str))
    if isinstance(data, ImageSet) and data.boxes is not None:
        boxes: list[Boxes] = [found for part in parts for found in part]
        moved = tuple(data.to_original(int(row), found) for row, found in zip(rows, boxes, strict=True))
        return Predictions(keys, boxes=moved)
    values = np.concatenate(parts) if len(parts) else np.zeros(0, np.float32)
    return Predictions(keys, values=values) if values.ndim == 1 else Predictions(keys, probabilities=values)


def main_metric(problem: Problem, predictions: Predictions, truth: Predictions) -> float:
    """The task's `MAIN_METRIC` on raw scores, by pycocotools or torchmetrics; NaN where it is undefined."""
    if problem.task == "object_detection":
        return map_50(predictions.boxes or (), truth.boxes or (), len(problem.classes))
    import torch
    from torchmetrics import functional

    if problem.task == "tabular_regression":
        assert predictions.values is not None
        assert truth.values is not None
        return float(np.abs(predictions.values - truth.values).mean()) if len(truth) else float("nan")
    assert predictions.probabilities is not None
    assert truth.probabilities is not None
    found, right = torch.from_numpy(predictions.probabilities), torch.from_numpy(truth.probabilities)
    if problem.task == "multilabel_classification":
        each = functional.classification.multilabel_average_precision(found, right.long(), right.shape[1], None)
        return float(each[right.sum(dim=0) > 0].mean())
    labels = right.argmax(dim=1)
    if problem.task == "image_classification":
        return float((found.argmax(dim=1) == labels).float().mean())
    seen = [c for c in range(right.shape[1]) if 0 < int((labels == c).sum()) < len(labels)]
    if right.shape[1] == 2:
        seen = seen[:1]
    each = [functional.classification.binary_auroc(found[:, c], (labels == c).long()) for c in seen]
    return float(torch.stack(each).mean()) if each else float("nan")
