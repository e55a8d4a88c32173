"""One class for each photo or row."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pizzeria.inference.calibration import calibrate as apply
from pizzeria.predictions import Predictions
from pizzeria.spec.problem import Problem
from pizzeria_plugins.evaluators.curves import BINS, confusion, of_classes, reliability
from pizzeria_plugins.evaluators.options import Options
from pizzeria_plugins.evaluators.result import mean, result

BY_CLASS = ("f1", "precision", "recall", "auroc")
OVERALL = ("accuracy", "log_loss", "calibration_error")


def evaluate(
    options: Options, problem: Problem, predictions: Predictions, truth: Predictions, calibration: Mapping[str, Any]
) -> dict[str, Any]:
    """See `pizzeria_plugins.evaluators.torchmetrics.evaluate`."""
    assert predictions.probabilities is not None
    assert truth.probabilities is not None
    classes = problem.classes
    probabilities = apply(calibration, predictions.probabilities, classes)
    true = truth.probabilities.argmax(axis=1)
    by_class = per_class(probabilities, true)
    metrics = {name: mean(value) for name, value in by_class.items()} | overall(probabilities, true)
    drawn = curves(classes, predictions.probabilities, probabilities, true)
    drawn["worst"] = worst(truth.keys, classes, probabilities, true, options.worst_mistakes)
    return result(metrics, by_class, drawn, classes, np.bincount(true, minlength=len(classes)), len(truth))


def per_class(probabilities: NDArray[np.float32], true: NDArray[np.int64]) -> dict[str, NDArray[np.float64]]:
    """Each of `BY_CLASS` for each class, against the rest.

    Args:
        probabilities: [N, C] calibrated; rows sum to 1.
        true: [N] class index.

    Returns:
        [C] values by metric. NaN for a class that is never true; AUROC also for one that is always true.
    """
    classes = probabilities.shape[1]
    if not len(true):
        return {name: np.full(classes, np.nan) for name in BY_CLASS}
    import torch
    from torchmetrics.functional import classification as tm

    p, t = torch.as_tensor(probabilities, dtype=torch.float64), torch.as_tensor(true)
    each: dict[str, Any] = {"num_classes": classes, "average": None}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that a class is never or always true; such values become NaN below
        values = {
            "f1": tm.multiclass_f1_score(p, t, **each),
            "precision": tm.multiclass_precision(p, t, **each),
            "recall": tm.multiclass_recall(p, t, **each),
            "auroc": tm.multiclass_auroc(p, t, **each),
        }
    out = {name: value.double().numpy().copy() for name, value in values.items()}
    seen = np.bincount(true, minlength=classes)
    for value in out.values():
        value[seen == 0] = np.nan
    out["auroc"][seen == len(true)] = np.nan
    return out


def overall(probabilities: NDArray[np.float32], true: NDArray[np.int64]) -> dict[str, float]:
    """Each of `OVERALL`; NaN without examples."""
    if not len(true):
        return dict.fromkeys(OVERALL, float("nan"))
    import torch
    from torchmetrics.functional import classification as tm

    p, t = torch.as_tensor(probabilities, dtype=torch.float64), torch.as_tensor(true)
    classes = probabilities.shape[1]
    of_the_true = probabilities[np.arange(len(true)), true].astype(np.float64)
    return {
        "accuracy": float((probabilities.argmax(axis=1) == true).mean()),
        "log_loss": float(-np.log(np.clip(of_the_true, 1e-15, 1)).mean()),
        "calibration_error": float(tm.multiclass_calibration_error(p, t, num_classes=classes, n_bins=BINS)),
    }


def curves(
    classes: Sequence[str], scores: NDArray[np.float32], probabilities: NDArray[np.float32], true: NDArray[np.int64]
) -> dict[str, Any]:
    """`curves.of_classes`, `confusion`, and `reliability` of the class said: calibrated, and before."""
    said = probabilities.argmax(axis=1)
    matrix = np.zeros((len(classes), len(classes)), int)
    np.add.at(matrix, (true, said), 1)
    return of_classes(classes, probabilities, np.eye(len(classes), dtype=bool)[true]) | {
        "reliability": reliability(probabilities.max(axis=1, initial=0), said == true),
        "reliability_before": reliability(scores.max(axis=1, initial=0), scores.argmax(axis=1) == true),
        "confusion": confusion(classes, matrix),
    }


def worst(
    keys: Sequence[str],
    classes: Sequence[str],
    probabilities: NDArray[np.float32],
    true: NDArray[np.int64],
    limit: int,
) -> list[Mapping[str, Any]]:
    """The surest wrong answers: `{key, true, pred, probability}`, surest first."""
    said, sure = probabilities.argmax(axis=1), probabilities.max(axis=1)
    wrong = np.flatnonzero(said != true)
    order = wrong[np.argsort(-sure[wrong], kind="stable")][:limit]
    return [
        {"key": keys[i], "true": classes[true[i]], "pred": classes[said[i]], "probability": float(sure[i])}
        for i in order
    ]
