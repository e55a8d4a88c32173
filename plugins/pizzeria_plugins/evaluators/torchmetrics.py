"""Scores predictions against the truth with torchmetrics, and calibrates them.

Metrics over classes are means over the classes that the truth has; `classes_never_seen` names the others, and the gate
(`pizzeria.gate`) does not let a criterion over all classes pass while there is one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from pizzeria.inference.calibration import calibrate as apply
from pizzeria.predictions import Predictions
from pizzeria.spec.problem import Problem
from pizzeria.spec.thresholds import EACH_BEST, Thresholds
from pizzeria.spec.verification import Verdicts
from pizzeria.tasks import task
from pizzeria_plugins.evaluators import bands, detection, presence, regression, single_label
from pizzeria_plugins.evaluators import calibration as fitting
from pizzeria_plugins.evaluators.options import Options as Options


def calibrate(
    method: Literal["isotonic", "temperature", "none"],
    problem: Problem,
    predictions: Predictions,
    truth: Predictions,
    thresholds: Thresholds = EACH_BEST,
) -> dict[str, Any]:
    """Fit the calibration on the validation split; see `pizzeria_plugins.evaluators.calibration`."""
    _check(predictions, truth)
    return fitting.fit(method, problem, predictions, truth, thresholds)


def verdict_bands(
    wanted: Verdicts,
    problem: Problem,
    predictions: Predictions,
    truth: Predictions,
    calibration: Mapping[str, Any],
    listings: Sequence[str],
) -> dict[str, Any]:
    """What the calibration shall say about verdicts on listings, from the validation split; see `bands.fit`."""
    probabilities, true = _calibrated(problem, predictions, truth, calibration)
    return bands.fit(wanted, problem.classes, calibration["thresholds"], probabilities, true, listings)


def verdict_figures(
    problem: Problem,
    predictions: Predictions,
    truth: Predictions,
    calibration: Mapping[str, Any],
    listings: Sequence[str],
) -> dict[str, Any]:
    """How right verdicts on listings are on the test split; see `bands.realised`."""
    probabilities, true = _calibrated(problem, predictions, truth, calibration)
    return bands.realised(calibration, problem.classes, probabilities, true, listings)


def evaluate(
    options: Options, problem: Problem, predictions: Predictions, truth: Predictions, calibration: Mapping[str, Any]
) -> dict[str, Any]:
    """Metrics by the names of `pizzeria.tasks`, on calibrated probabilities (average precision on raw scores).

    Returns:
        `metrics` {name: value}, `per_class` {class: {name: value, "support": true examples}}, `curves` (what the report
        draws: precision_recall, roc, f1_by_threshold, scores, reliability, reliability_before, confusion, scatter,
        errors_by_class, worst, worst_photos, as far as the task has them), `examples` (photos or rows judged) and
        `classes_never_seen`; of detection also `sizes` and `errors`. What cannot be computed is NaN.
    """
    _check(predictions, truth)
    return _of_task(problem)(options, problem, predictions, truth, calibration)


def _of_task(problem: Problem) -> Callable[..., dict[str, Any]]:
    if problem.task == "object_detection":
        return detection.evaluate
    judged = task(problem.task).JUDGED
    return {"value": regression, "class": single_label, "presence": presence}[judged].evaluate


def _calibrated(
    problem: Problem, predictions: Predictions, truth: Predictions, calibration: Mapping[str, Any]
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    _check(predictions, truth)
    count = len(problem.classes)
    probabilities = apply(calibration, predictions.presence(count), problem.classes).astype(np.float64)
    return probabilities, truth.presence(count) > 0


def _check(predictions: Predictions, truth: Predictions) -> None:
    if predictions.keys != truth.keys:
        raise ValueError(f"{len(predictions)} predictions and {len(truth)} truths do not have the same keys")
