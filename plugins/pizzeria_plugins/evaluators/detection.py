"""Boxes of classes in photos: average precision, what is told of them, and whether each class is there at all."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pizzeria.inference.calibration import calibrate as apply
from pizzeria.predictions import Predictions
from pizzeria.spec.problem import Problem
from pizzeria_plugins.evaluators import box_errors, presence, told_boxes, worst_boxes
from pizzeria_plugins.evaluators.average_precision import AREAS, MOST, SIZES, Precision, average_precision
from pizzeria_plugins.evaluators.options import Options
from pizzeria_plugins.evaluators.result import mean, result


def evaluate(
    options: Options, problem: Problem, predictions: Predictions, truth: Predictions, calibration: Mapping[str, Any]
) -> dict[str, Any]:
    """See `pizzeria_plugins.evaluators.torchmetrics.evaluate`; besides `sizes` and `errors`."""
    classes, count = problem.classes, len(problem.classes)
    found, true_boxes = predictions.boxes or (), truth.boxes or ()
    thresholds = presence.thresholds(calibration, classes)
    scores, true = predictions.presence(count), truth.presence(count) > 0
    probabilities = apply(calibration, scores, classes)
    precision = average_precision(found, true_boxes, count)
    told = told_boxes.tell(predictions, truth, calibration, classes, thresholds, options.match_iou)
    by_class = of_boxes(precision) | told_boxes.rates(told, count) | _of_presence(probabilities, true, thresholds)
    curves = presence.curves(classes, scores, probabilities, true, thresholds)
    curves |= {
        "precision_recall": precision.curves(classes),
        "confusion": told_boxes.confusion(told, classes, options.match_iou),
        "errors_by_class": told_boxes.errors_by_class(told, classes),
        "worst": worst_boxes.mistakes(told, classes, options.worst_mistakes),
        "worst_photos": worst_boxes.photos_with_most(told, classes, options.worst_photos),
    }
    metrics = {name: mean(value) for name, value in by_class.items()}
    judged = [box_errors.of_photo(one, other, options.match_iou) for one, other in zip(found, true_boxes, strict=True)]
    return result(metrics, by_class, curves, classes, true.sum(axis=0), len(truth)) | {
        "sizes": _by_size(precision, truth),
        "errors": box_errors.costs(judged, found, true_boxes, count),
    }


def of_boxes(precision: Precision) -> dict[str, NDArray[np.float64]]:
    """COCO's twelve figures for each class, [C] each, by the names of `pizzeria.tasks.object_detection`."""
    figures = {"map": precision.ap(), "map_50": precision.ap(0.5), "map_75": precision.ap(0.75)}
    figures |= {f"map_{size}": precision.ap(size=size) for size in SIZES}
    figures |= {f"mar_{most}": precision.ar(most) for most in MOST}
    return figures | {f"mar_{size}": precision.ar(size=size) for size in SIZES}


def _of_presence(
    probabilities: NDArray[np.float32], true: NDArray[np.bool_], thresholds: NDArray[np.float64]
) -> dict[str, NDArray[np.float64]]:
    by_class = presence.per_class(probabilities, true, thresholds)
    by_class.pop("average_precision")  # of boxes there is one already, and two would be confused
    return {name if name == "calibration_error" else f"presence_{name}": value for name, value in by_class.items()}


def _by_size(precision: Precision, truth: Predictions) -> dict[str, dict[str, float]]:
    """True `boxes` of each size, and average precision and recall of them; one on the border is of both sizes."""
    sides = [boxes.xyxy[:, 2:].astype(np.float64) - boxes.xyxy[:, :2] for boxes in truth.boxes or ()]
    area = np.concatenate([np.zeros((0, 2)), *sides]).prod(axis=1)
    return {
        size: {
            "boxes": int(((area >= AREAS[size][0]) & (area <= AREAS[size][1])).sum()),
            "map": mean(precision.ap(size=size)),
            "map_50": mean(precision.ap(0.5, size)),
            "map_75": mean(precision.ap(0.75, size)),
            "mar_100": mean(precision.ar(size=size)),
        }
        for size in SIZES
    }
