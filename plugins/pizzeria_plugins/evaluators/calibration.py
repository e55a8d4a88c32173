"""Fits what turns scores into probabilities, and (`threshold_choice`) from which one a class is said to be present.

- `isotonic`: the non-decreasing step function nearest to the outcomes, one for each class (Zadrozny and Elkan 2002,
  "Transforming classifier scores into accurate multiclass probability estimates"), kept as at most 64 points between
  which `pizzeria.inference.calibration` interpolates. Single-label: one class against the rest, then normalised.
- `temperature`: one number that the logits are divided by (Guo et al. 2017, "On calibration of modern neural
  networks"), one for each class where classes are judged on their own.
- `none`: scores stay as they are.

A class with fewer than `FEW` examples of a kind (present, absent) cannot carry a step function: it gets a temperature
with Platt's smoothed targets (Platt 1999), written as points, and the `note` says so.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from pizzeria.inference.calibration import calibrate as apply
from pizzeria.predictions import Predictions
from pizzeria.spec.problem import Problem
from pizzeria.spec.thresholds import Thresholds, Wish
from pizzeria.tasks import task
from pizzeria_plugins.evaluators import threshold_choice

FEW = 5
POINTS = 64
_SMALLEST = 1e-6  # the same as in pizzeria.inference.calibration
_TEMPERATURES = (0.05, 20.0)
_TILT = 0.01

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]


def fit(
    method: Literal["isotonic", "temperature", "none"],
    problem: Problem,
    predictions: Predictions,
    truth: Predictions,
    thresholds: Thresholds,
) -> dict[str, Any]:
    """The calibration as plain data; see `pizzeria.inference.calibration` for its form.

    Returns:
        `method`, its maps or temperatures; where classes are judged on their own, `thresholds` and `wishes` {class:
        what was wished of its threshold, whether it is kept, precision and recall in validation}; and a `note` where a
        class had too few examples or a wish is not kept.
    """
    judged, classes = task(problem.task).JUDGED, problem.classes
    if judged == "value":
        return {"method": "none"}
    scores = predictions.presence(len(classes)).astype(np.float64)
    true = truth.presence(len(classes)) > 0
    notes: list[str] = []
    out: dict[str, Any] = {"method": method}
    if method == "isotonic":
        out["maps"] = {name: _map(name, scores[:, i], true[:, i], notes) for i, name in enumerate(classes)}
    elif method == "temperature" and judged == "presence":
        out["temperatures"] = {name: binary_temperature(scores[:, i], true[:, i]) for i, name in enumerate(classes)}
    elif method == "temperature":
        out["temperature"] = single_label_temperature(scores, true)
    if judged == "presence":
        calibrated = apply(out | {"thresholds": dict.fromkeys(classes, 0.5)}, scores, classes).astype(np.float64)
        absent = apply(out | {"thresholds": dict.fromkeys(classes, 0.5)}, np.zeros((1, len(classes))), classes)[0]
        # A detector that found no box of a class shows no evidence for it, however common the class is.
        floors = absent if predictions.boxes is not None else np.zeros(len(classes))
        wishes = {name: thresholds.of(name) for name in classes}
        chosen = {
            name: _choice(name, calibrated[:, i], true[:, i], float(floors[i]), wishes[name], notes)
            for i, name in enumerate(classes)
        }
        out["thresholds"] = {name: choice.threshold for name, choice in chosen.items()}
        out["wishes"] = {name: choice.plain(wishes[name]) for name, choice in chosen.items()}
    return out | ({"note": "; ".join(notes)} if notes else {})


def isotonic(scores: Floats, true: Bools) -> Mapping[str, list[float]]:
    """The isotonic map of one class as points.

    Values stay 1 / (N + 2) away from 0 and 1 (Laplace's rule of succession): N examples cannot show certainty. One part
    in a hundred of the score itself is mixed in, so that the steps keep the order of the scores.
    """
    from sklearn.isotonic import IsotonicRegression

    fitted = IsotonicRegression(y_min=0, y_max=1, out_of_bounds="clip").fit(scores, true.astype(np.float64))
    margin = 1 / (len(scores) + 2)
    x = fitted.X_thresholds_.astype(np.float64)
    y = (1 - _TILT) * np.clip(fitted.y_thresholds_.astype(np.float64), margin, 1 - margin) + _TILT * x
    kept = _thinned(x, y)
    return {"x": x[kept].tolist(), "y": y[kept].tolist()}


def binary_temperature(scores: Floats, true: Bools) -> float:
    """The temperature of one class with the least negative log-likelihood, within 0.05 to 20; 1 without examples."""
    if not len(scores):
        return 1.0
    logits, positives = _logit(scores), int(true.sum())
    target = np.where(true, (positives + 1) / (positives + 2), 1 / (len(true) - positives + 2))  # Platt 1999
    return _minimise(lambda t: float(np.mean(np.logaddexp(0, logits / t) - target * logits / t)))


def single_label_temperature(probabilities: Floats, true: Bools) -> float:
    """The one temperature with the least negative log-likelihood, within 0.05 to 20; 1 without examples."""
    if not len(probabilities):
        return 1.0
    logs = np.log(np.clip(probabilities, _SMALLEST, 1))
    return _minimise(lambda t: float(np.mean(np.logaddexp.reduce(logs / t, axis=1) - (logs / t)[true.nonzero()])))


def _map(name: str, scores: Floats, true: Bools, notes: list[str]) -> Mapping[str, list[float]]:
    present, absent = int(true.sum()), int((~true).sum())
    if min(present, absent) >= FEW:
        return isotonic(scores, true)
    notes.append(f"{name}: only {present} present and {absent} absent in validation, a temperature stands in")
    x = 1 / (1 + np.exp(-np.linspace(-7, 7, POINTS)))
    x[0], x[-1] = 0, 1
    y = 1 / (1 + np.exp(-_logit(x) / binary_temperature(scores, true)))
    return {"x": x.tolist(), "y": y.tolist()}


def _choice(
    name: str, probabilities: Floats, true: Bools, floor: float, wish: Wish, notes: list[str]
) -> threshold_choice.Choice:
    if true.any():
        choice = threshold_choice.choose(probabilities, true, wish, floor)
        if not choice.kept:
            notes.append(
                f"{name}: no threshold has {wish.text} in validation; {choice.threshold:.3g} comes nearest, with "
                f"a precision of {choice.precision:.3g} and a recall of {choice.recall:.3g}"
            )
        return choice
    notes.append(f"{name}: never present in validation, threshold 0.5")
    nothing = float("nan")
    return threshold_choice.Choice(0.5 if floor < 0.5 else (floor + 1) / 2, nothing, nothing, kept=False)


def _thinned(x: Floats, y: Floats) -> NDArray[np.int64]:
    """Indices of at most `POINTS` points: first and last, then always the one that the others miss by most."""
    kept = [0, len(x) - 1] if len(x) > 1 else [0]
    while len(kept) < min(POINTS, len(x)):
        error = np.abs(np.interp(x, x[kept], y[kept]) - y)
        if error.max() < 1e-9:
            break
        kept = sorted([*kept, int(error.argmax())])
    return np.array(kept)


def _logit(p: Floats) -> Floats:
    clipped = np.clip(p, _SMALLEST, 1 - _SMALLEST)
    logits: Floats = np.log(clipped / (1 - clipped))
    return logits


def _minimise(loss: Any) -> float:
    from scipy.optimize import minimize_scalar

    bounds = tuple(np.log(_TEMPERATURES))
    return float(np.exp(minimize_scalar(lambda log_t: loss(np.exp(log_t)), bounds=bounds, method="bounded").x))
