"""What a network says of a split, gathered over batches, and how good that is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from pizzeria.datasets import Dataset, ImageSet, RowSet
from pizzeria.predictions import Boxes, Predictions
from pizzeria.spec.problem import Problem


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
    """The task's `MAIN_METRIC` on raw scores, by torchmetrics; NaN where it is undefined."""
    if problem.task == "object_detection":
        return _map_50(predictions, truth)
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


def _map_50(predictions: Predictions, truth: Predictions) -> float:
    import torch
    from torchmetrics.detection import MeanAveragePrecision

    assert predictions.boxes is not None
    assert truth.boxes is not None
    metric = MeanAveragePrecision(iou_thresholds=[0.5])
    metric.warn_on_many_detections = False
    metric.update(
        [_as_torch(torch, b, scored=True) for b in predictions.boxes], [_as_torch(torch, b) for b in truth.boxes]
    )
    found = float(metric.compute()["map_50"])
    # torchmetrics says -1 where there is no true box at all.
    return found if found >= 0 else float("nan")


def _as_torch(torch: Any, boxes: Boxes, *, scored: bool = False) -> dict[str, Any]:
    # Copies: parts of a table's columns are read-only, which torch does not take.
    out = {"boxes": torch.tensor(boxes.xyxy), "labels": torch.tensor(boxes.labels)}
    return out | {"scores": torch.tensor(boxes.scores)} if scored else out
