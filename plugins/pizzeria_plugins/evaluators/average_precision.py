"""COCO's average precision and recall of boxes."""

from __future__ import annotations

import contextlib
import io
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pizzeria.predictions import Boxes
from pizzeria_plugins.evaluators.curves import RECALLS

MAX_DETECTIONS = 100


@dataclass(frozen=True)
class Precision:
    """What COCO's evaluation found, for C classes; NaN for a class without a true box.

    Attributes:
        at: [10, 101, C] precision at each IoU from 0.50 to 0.95 and each recall from 0 to 1.
        recall: [10, C] highest recall at each IoU with at most 100 boxes a photo.
    """

    at: NDArray[np.float64]
    recall: NDArray[np.float64]

    @property
    def map(self) -> NDArray[np.float64]:
        """[C] average precision over IoU 0.50 to 0.95."""
        return self.at.mean(axis=(0, 1))

    @property
    def map_50(self) -> NDArray[np.float64]:
        """[C] average precision at IoU 0.50."""
        return self.at[0].mean(axis=0)

    @property
    def map_75(self) -> NDArray[np.float64]:
        """[C] average precision at IoU 0.75."""
        return self.at[5].mean(axis=0)

    @property
    def mar_100(self) -> NDArray[np.float64]:
        """[C] recall over IoU 0.50 to 0.95."""
        return self.recall.mean(axis=0)

    def curves(self, classes: Sequence[str]) -> dict[str, Any]:
        """Precision against recall at IoU 0.50 by class; empty lists for a class without a true box."""
        seen = ~np.isnan(self.map)
        return {
            name: {"recall": RECALLS.tolist(), "precision": self.at[0, :, i].tolist()}
            if seen[i]
            else {"recall": [], "precision": []}
            for i, name in enumerate(classes)
        }


def average_precision(found: Sequence[Boxes], true: Sequence[Boxes], classes: int) -> Precision:
    """COCO's evaluation through torchmetrics and pycocotools, on raw scores."""
    import torch
    from torchmetrics.detection import MeanAveragePrecision

    out = Precision(np.full((10, 101, classes), np.nan), np.full((10, classes), np.nan))
    if not any(len(boxes.labels) for boxes in true):
        return out
    metric = MeanAveragePrecision(backend="pycocotools", extended_summary=True)
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")  # more than 100 boxes a photo: COCO takes the best 100
        metric.update(
            [
                {
                    "boxes": torch.as_tensor(boxes.xyxy),
                    "scores": torch.as_tensor(boxes.scores),
                    "labels": torch.as_tensor(boxes.labels),
                }
                for boxes in found
            ],
            [{"boxes": torch.as_tensor(boxes.xyxy), "labels": torch.as_tensor(boxes.labels)} for boxes in true],
        )
        result = metric.compute()
    columns = np.atleast_1d(result["classes"].numpy())
    out.at[:, :, columns] = result["precision"][:, :, :, 0, -1].numpy()  # all areas, 100 boxes
    out.recall[:, columns] = result["recall"][:, :, 0, -1].numpy()
    out.at[out.at < 0] = np.nan
    out.recall[out.recall < 0] = np.nan
    return out
