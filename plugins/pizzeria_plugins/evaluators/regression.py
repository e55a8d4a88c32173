"""A number for each row."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pizzeria.predictions import Predictions
from pizzeria.spec.problem import Problem
from pizzeria_plugins.evaluators.options import Options
from pizzeria_plugins.evaluators.result import result

METRICS = ("mae", "rmse", "r2")
SCATTER = 2000


def evaluate(
    options: Options, problem: Problem, predictions: Predictions, truth: Predictions, calibration: Mapping[str, Any]
) -> dict[str, Any]:
    """See `pizzeria_plugins.evaluators.torchmetrics.evaluate`."""
    assert predictions.values is not None
    assert truth.values is not None
    drawn = curves(predictions.values, truth.values)
    drawn["worst"] = worst(predictions.keys, predictions.values, truth.values, options.worst_mistakes)
    return result(metrics(predictions.values, truth.values), {}, drawn, (), np.zeros(0, int), len(truth))


def metrics(predicted: NDArray[np.float32], true: NDArray[np.float32]) -> dict[str, float]:
    """`mae`, `rmse` in the target's unit, and `r2`; NaN without rows, and for `r2` where the target is constant."""
    if not len(true):
        return dict.fromkeys(METRICS, float("nan"))
    import torch
    from torchmetrics import functional as tm

    p, t = torch.as_tensor(predicted, dtype=torch.float64), torch.as_tensor(true, dtype=torch.float64)
    return {
        "mae": float(tm.mean_absolute_error(p, t)),
        "rmse": float(tm.mean_squared_error(p, t, squared=False)),
        "r2": float(tm.r2_score(p, t)) if np.ptp(true) > 0 else float("nan"),
    }


def curves(predicted: NDArray[np.float32], true: NDArray[np.float32]) -> dict[str, Any]:
    """`scatter`: `true` and `predicted` of at most 2,000 rows, evenly taken."""
    rows = np.unique(np.linspace(0, len(true) - 1, min(SCATTER, len(true))).astype(int))
    return {"scatter": {"true": true[rows].tolist(), "predicted": predicted[rows].tolist()}}


def worst(
    keys: Sequence[str], predicted: NDArray[np.float32], true: NDArray[np.float32], limit: int
) -> list[Mapping[str, Any]]:
    """The rows with the largest error: `{key, true, pred}`, largest first."""
    error = np.abs(predicted.astype(np.float64) - true)
    order = np.argsort(-error, kind="stable")[:limit]
    return [{"key": keys[i], "true": float(true[i]), "pred": float(predicted[i])} for i in order]
