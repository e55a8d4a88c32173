"""Turns a network's scores into probabilities, with the maps that an evaluator fitted on the validation split.

Presence tasks (detection, multi-label) have `thresholds` and treat each class on its own; single-label tasks have none,
and their rows still sum to 1 afterwards.

| method | data |
|---|---|
| `isotonic` | `maps` {class: {"x": [...], "y": [...]}}, both ascending, read by linear interpolation |
| `temperature` | presence: `temperatures` {class: T}, on the logit; single-label: `temperature` T, on log p |
| `none` | - |
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pizzeria.predictions import Boxes

_SMALLEST = 1e-6


def calibrate(
    calibration: Mapping[str, Any], probabilities: NDArray[np.floating[Any]], classes: Sequence[str]
) -> NDArray[np.float32]:
    """Calibrated probabilities.

    Args:
        calibration: See the table above.
        probabilities: [N, C] scores in [0, 1]; for detection the best score of each class in the photo.
        classes: C names.

    Returns:
        float32 [N, C] in [0, 1].

    Raises:
        KeyError: the calibration lacks a class.
        ValueError: the method is unknown.

    Example:
        >>> maps = {"bed": {"x": [0.0, 0.5], "y": [0.0, 0.9]}}
        >>> fitted = {"method": "isotonic", "maps": maps, "thresholds": {"bed": 0.5}}
        >>> calibrate(fitted, np.array([[0.25], [0.8]]), ["bed"])[:, 0]
        array([0.45, 0.9 ], dtype=float32)
    """
    scores = np.asarray(probabilities, np.float64)
    method = calibration["method"]
    if method == "none":
        out = scores
    elif method == "isotonic":
        columns = [_interpolate(calibration["maps"][name], scores[:, i]) for i, name in enumerate(classes)]
        out = np.stack(columns, axis=1) if columns else scores
        if not calibration.get("thresholds"):
            out = _normalised(out, otherwise=scores)
    elif method == "temperature" and "temperatures" in calibration:
        temperatures = np.array([calibration["temperatures"][name] for name in classes], np.float64)
        clipped = np.clip(scores, _SMALLEST, 1 - _SMALLEST)
        out = 1 / (1 + np.exp(-np.log(clipped / (1 - clipped)) / temperatures))
    elif method == "temperature":
        logs = np.log(np.clip(scores, _SMALLEST, 1)) / float(calibration["temperature"])
        powers = np.exp(logs - logs.max(axis=1, keepdims=True))
        out = powers / powers.sum(axis=1, keepdims=True)
    else:
        raise ValueError(f"unknown calibration method {method!r}; there is isotonic, temperature and none")
    return np.clip(out, 0, 1).astype(np.float32)


def calibrate_boxes(calibration: Mapping[str, Any], boxes: Boxes, classes: Sequence[str]) -> NDArray[np.float32]:
    """Confidence of each box: its class's map applied to its own score; float32 [D]."""
    each = np.arange(len(boxes.scores))
    scores = np.zeros((len(each), len(classes)), np.float32)
    scores[each, boxes.labels] = boxes.scores
    return calibrate(calibration, scores, classes)[each, boxes.labels]


def _interpolate(points: Mapping[str, Sequence[float]], scores: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.interp(scores, np.asarray(points["x"], np.float64), np.asarray(points["y"], np.float64))


def _normalised(values: NDArray[np.float64], otherwise: NDArray[np.float64]) -> NDArray[np.float64]:
    """Rows that sum to 1; a row that the maps sent to zero everywhere keeps what it was."""
    total = values.sum(axis=1, keepdims=True)
    return np.where(total > 0, values / np.where(total > 0, total, 1), otherwise)
