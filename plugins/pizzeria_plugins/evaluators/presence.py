"""Classes judged on their own: is it there or not? Multi-label photos, and detection ("somewhere in the photo?")."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pizzeria.inference.calibration import calibrate as apply
from pizzeria.predictions import Predictions
from pizzeria.spec.problem import Problem
from pizzeria_plugins.evaluators.curves import BINS, of_classes, reliability
from pizzeria_plugins.evaluators.options import Options
from pizzeria_plugins.evaluators.result import mean, result

BY_CLASS = ("f1", "precision", "recall", "auroc", "average_precision", "calibration_error")


def evaluate(
    options: Options, problem: Problem, predictions: Predictions, truth: Predictions, calibration: Mapping[str, Any]
) -> dict[str, Any]:
    """Of multi-label photos; see `pizzeria_plugins.evaluators.torchmetrics.evaluate`."""
    classes = problem.classes
    limits = thresholds(calibration, classes)
    scores = predictions.presence(len(classes))
    probabilities = apply(calibration, scores, classes)
    true = truth.presence(len(classes)) > 0
    by_class = per_class(probabilities, true, limits)
    metrics = {name: mean(value) for name, value in by_class.items()}
    metrics["f1_micro"] = f1_over_all(decisions(probabilities, limits), true)
    drawn = curves(classes, scores, probabilities, true, limits)
    drawn["worst"] = worst(truth.keys, classes, probabilities, true, limits, options.worst_mistakes)
    return result(metrics, by_class, drawn, classes, true.sum(axis=0), len(truth))


def thresholds(calibration: Mapping[str, Any], classes: Sequence[str]) -> NDArray[np.float64]:
    """[C] probability from which each class is said to be present."""
    return np.array([calibration["thresholds"][name] for name in classes], np.float64)


def per_class(
    probabilities: NDArray[np.float32], true: NDArray[np.bool_], thresholds: NDArray[np.float64]
) -> dict[str, NDArray[np.float64]]:
    """Each of `BY_CLASS` for each class.

    Args:
        probabilities: [N, C] calibrated.
        true: [N, C] whether the class is present.
        thresholds: [C] probability from which it is said to be.

    Returns:
        [C] values by metric. NaN for a class that is never present; AUROC also for one that is never absent.
    """
    classes = true.shape[1]
    if not len(true):
        return {name: np.full(classes, np.nan) for name in BY_CLASS}
    import torch
    from torchmetrics.functional import classification as tm

    p, t = torch.as_tensor(probabilities, dtype=torch.float64), torch.as_tensor(true).long()
    said = torch.as_tensor(decisions(probabilities, thresholds)).long()
    each: dict[str, Any] = {"num_labels": classes, "average": None}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that a class is never present or absent; such values become NaN below
        values = {
            "f1": tm.multilabel_f1_score(said, t, **each),
            "precision": tm.multilabel_precision(said, t, **each),
            "recall": tm.multilabel_recall(said, t, **each),
            "auroc": tm.multilabel_auroc(p, t, **each),
            "average_precision": tm.multilabel_average_precision(p, t, **each),
            "calibration_error": torch.stack(
                [tm.binary_calibration_error(p[:, i], t[:, i], n_bins=BINS) for i in range(classes)]
            ),
        }
    out = {name: np.atleast_1d(value.double().numpy()).copy() for name, value in values.items()}
    for value in out.values():
        value[~true.any(axis=0)] = np.nan
    out["auroc"][true.all(axis=0)] = np.nan
    return out


def decisions(probabilities: NDArray[np.float32], thresholds: NDArray[np.float64]) -> NDArray[np.bool_]:
    """[N, C] whether each class is said to be present, as `pizzeria.inference.records` decides it."""
    return probabilities >= thresholds


def f1_over_all(said: NDArray[np.bool_], true: NDArray[np.bool_]) -> float:
    """F1 over all decisions at once; NaN where nothing is true."""
    return float(2 * (said & true).sum() / (said.sum() + true.sum())) if true.any() else float("nan")


def curves(
    classes: Sequence[str],
    scores: NDArray[np.float32],
    probabilities: NDArray[np.float32],
    true: NDArray[np.bool_],
    thresholds: NDArray[np.float64],
) -> dict[str, Any]:
    """`curves.of_classes`, and `reliability` over all classes: of the probabilities, and of the scores before them."""
    chosen = dict(zip(classes, thresholds.tolist(), strict=True))
    return of_classes(classes, probabilities, true, chosen) | {
        "reliability": reliability(probabilities, true),
        "reliability_before": reliability(scores, true),
    }


def worst(
    keys: Sequence[str],
    classes: Sequence[str],
    probabilities: NDArray[np.float32],
    true: NDArray[np.bool_],
    thresholds: NDArray[np.float64],
    limit: int,
) -> list[Mapping[str, Any]]:
    """The wrong decisions furthest from the truth: `{key, kind: "missed" or "false", class, score}`, worst first."""
    wrong = decisions(probabilities, thresholds) != true
    distance = np.where(wrong, np.abs(true - probabilities.astype(np.float64)), -1)
    order = np.argsort(-distance, axis=None, kind="stable")[: min(limit, int(wrong.sum()))]
    return [
        {
            "key": keys[row],
            "kind": "missed" if true[row, column] else "false",
            "class": classes[column],
            "score": float(probabilities[row, column]),
        }
        for row, column in zip(*np.unravel_index(order, wrong.shape), strict=True)
    ]
