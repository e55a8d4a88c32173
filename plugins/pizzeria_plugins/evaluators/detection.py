"""Boxes of classes in photos: average precision of the boxes, and whether each class is somewhere in the photo."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pizzeria.inference.calibration import calibrate as apply
from pizzeria.inference.calibration import calibrate_boxes
from pizzeria.predictions import Predictions
from pizzeria.spec.problem import Problem
from pizzeria_plugins.evaluators import box_matches, presence
from pizzeria_plugins.evaluators.average_precision import MOST, SIZES, Precision, average_precision
from pizzeria_plugins.evaluators.options import Options
from pizzeria_plugins.evaluators.result import mean, result


def evaluate(
    options: Options, problem: Problem, predictions: Predictions, truth: Predictions, calibration: Mapping[str, Any]
) -> dict[str, Any]:
    """See `pizzeria_plugins.evaluators.torchmetrics.evaluate`."""
    classes = problem.classes
    thresholds = presence.thresholds(calibration, classes)
    probabilities = apply(calibration, predictions.presence(len(classes)), classes)
    true = truth.presence(len(classes)) > 0
    of_presence = presence.per_class(probabilities, true, thresholds)
    named = {name if name == "calibration_error" else f"presence_{name}": v for name, v in of_presence.items()}
    named.pop("presence_average_precision")  # of boxes there is one already, and two would be confused
    precision = average_precision(predictions.boxes or (), truth.boxes or (), len(classes))
    by_class = of_boxes(precision) | named
    metrics = {name: mean(value) for name, value in by_class.items()}
    curves = presence.curves(classes, probabilities, true)
    curves["precision_recall"] = precision.curves(classes)
    curves |= _box_curves(options, classes, predictions, truth, calibration, thresholds)
    return result(metrics, by_class, curves, classes, true.sum(axis=0), len(truth))


def of_boxes(precision: Precision) -> dict[str, NDArray[np.float64]]:
    """COCO's twelve figures for each class, [C] each, by the names of `pizzeria.tasks.object_detection`."""
    figures = {"map": precision.ap(), "map_50": precision.ap(0.5), "map_75": precision.ap(0.75)}
    figures |= {f"map_{size}": precision.ap(size=size) for size in SIZES}
    figures |= {f"mar_{most}": precision.ar(most) for most in MOST}
    return figures | {f"mar_{size}": precision.ar(size=size) for size in SIZES}


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
        box_matches.match(boxes, confidences, of, thresholds, options.match_iou)
        for boxes, confidences, of in zip(found, sure, true, strict=True)
    ]
    return {
        "confusion": box_matches.confusion(found, true, matches, classes),
        "worst": box_matches.worst(truth.keys, found, sure, true, matches, classes, options.worst_mistakes),
    }
