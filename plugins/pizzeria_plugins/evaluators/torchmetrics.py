"""Scores predictions against the truth with torchmetrics, and calibrates them.

Metrics over classes are means over the classes that the truth has; `classes_never_seen` names the others, and the gate
(`pizzeria.gate`) does not let a criterion over all classes pass while there is one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from pizzeria.inference.calibration import calibrate as apply
from pizzeria.inference.calibration import calibrate_boxes
from pizzeria.predictions import Predictions
from pizzeria.spec.problem import Problem
from pizzeria.spec.section import Options as _Options
from pizzeria.spec.verification import Verdicts
from pizzeria.tasks import task
from pizzeria_plugins.evaluators import bands, detection, presence, regression, single_label
from pizzeria_plugins.evaluators import calibration as fitting


class Options(_Options):
    """What the evaluation shows beside the metrics."""

    worst_mistakes: int = Field(default=24, ge=0, le=200, description="How many of the worst mistakes to show.")
    match_iou: float = Field(
        default=0.5,
        gt=0,
        le=1,
        description="Detection: overlap (IoU) from which a found and a true box count as the same, in the confusion "
        "matrix and the mistakes; the metrics have IoUs of their own.",
    )


def calibrate(
    method: Literal["isotonic", "temperature", "none"], problem: Problem, predictions: Predictions, truth: Predictions
) -> dict[str, Any]:
    """Fit the calibration on the validation split; see `pizzeria_plugins.evaluators.calibration`."""
    _check(predictions, truth)
    return fitting.fit(method, problem, predictions, truth)


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
        draws: precision_recall, reliability, confusion, scatter, worst), `examples` (photos or rows judged) and
        `classes_never_seen`. What cannot be computed is NaN.
    """
    _check(predictions, truth)
    if task(problem.task).JUDGED == "value":
        return _evaluate_values(options, predictions, truth)
    if task(problem.task).JUDGED == "class":
        return _evaluate_classes(options, problem, predictions, truth, calibration)
    return _evaluate_presence(options, problem, predictions, truth, calibration)


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


def _evaluate_values(options: Options, predictions: Predictions, truth: Predictions) -> dict[str, Any]:
    assert predictions.values is not None
    assert truth.values is not None
    curves = regression.curves(predictions.values, truth.values)
    curves["worst"] = regression.worst(predictions.keys, predictions.values, truth.values, options.worst_mistakes)
    return _result(regression.metrics(predictions.values, truth.values), {}, curves, (), np.zeros(0, int), len(truth))


def _evaluate_classes(
    options: Options, problem: Problem, predictions: Predictions, truth: Predictions, calibration: Mapping[str, Any]
) -> dict[str, Any]:
    assert predictions.probabilities is not None
    assert truth.probabilities is not None
    classes = problem.classes
    probabilities = apply(calibration, predictions.probabilities, classes)
    true = truth.probabilities.argmax(axis=1)
    by_class = single_label.per_class(probabilities, true)
    metrics = {name: _mean(value) for name, value in by_class.items()} | single_label.overall(probabilities, true)
    curves = single_label.curves(classes, probabilities, true)
    curves["worst"] = single_label.worst(truth.keys, classes, probabilities, true, options.worst_mistakes)
    return _result(metrics, by_class, curves, classes, np.bincount(true, minlength=len(classes)), len(truth))


def _evaluate_presence(
    options: Options, problem: Problem, predictions: Predictions, truth: Predictions, calibration: Mapping[str, Any]
) -> dict[str, Any]:
    classes = problem.classes
    thresholds = np.array([calibration["thresholds"][name] for name in classes], np.float64)
    probabilities = apply(calibration, predictions.presence(len(classes)), classes)
    true = truth.presence(len(classes)) > 0
    by_class = presence.per_class(probabilities, true, thresholds)
    curves = presence.curves(classes, probabilities, true)
    metrics = {name: _mean(value) for name, value in by_class.items()}
    if predictions.boxes is None:
        metrics["f1_micro"] = presence.f1_over_all(presence.decisions(probabilities, thresholds), true)
        curves["worst"] = presence.worst(truth.keys, classes, probabilities, true, thresholds, options.worst_mistakes)
    else:
        named = {name if name == "calibration_error" else f"presence_{name}": v for name, v in by_class.items()}
        named.pop("presence_average_precision")  # of boxes there is one already, and two would be confused
        precision = detection.average_precision(predictions.boxes, truth.boxes or (), len(classes))
        by_class = {"map": precision.map, "map_50": precision.map_50} | named
        metrics = {name: _mean(value) for name, value in by_class.items()}
        metrics |= {"map_75": _mean(precision.map_75), "mar_100": _mean(precision.mar_100)}
        curves["precision_recall"] = precision.curves(classes)
        curves |= _box_curves(options, classes, predictions, truth, calibration, thresholds)
    return _result(metrics, by_class, curves, classes, true.sum(axis=0), len(truth))


def _box_curves(
    options: Options,
    classes: tuple[str, ...],
    predictions: Predictions,
    truth: Predictions,
    calibration: Mapping[str, Any],
    thresholds: NDArray[np.float64],
) -> dict[str, Any]:
    found, true = predictions.boxes or (), truth.boxes or ()
    sure = [calibrate_boxes(calibration, boxes, classes) for boxes in found]
    matches = [
        detection.match(boxes, confidences, of, thresholds, options.match_iou)
        for boxes, confidences, of in zip(found, sure, true, strict=True)
    ]
    return {
        "confusion": detection.confusion(found, true, matches, classes),
        "worst": detection.worst(truth.keys, found, sure, true, matches, classes, options.worst_mistakes),
    }


def _mean(values: NDArray[np.float64]) -> float:
    """Over the classes that can be judged; NaN where none can."""
    return float(np.nanmean(values)) if not np.isnan(values).all() else float("nan")


def _result(
    metrics: Mapping[str, float],
    by_class: Mapping[str, NDArray[np.float64]],
    curves: Mapping[str, Any],
    classes: tuple[str, ...],
    support: NDArray[Any],
    examples: int,
) -> dict[str, Any]:
    return {
        "metrics": dict(metrics),
        "per_class": {
            name: {metric: float(values[i]) for metric, values in by_class.items()} | {"support": int(support[i])}
            for i, name in enumerate(classes)
        },
        "curves": dict(curves),
        "examples": examples,
        "classes_never_seen": [name for i, name in enumerate(classes) if not support[i]],
    }
