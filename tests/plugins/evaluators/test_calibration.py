"""Calibration against scikit-learn and against data whose right answer is known."""

from __future__ import annotations

import json

import numpy as np
import pytest
from sklearn.isotonic import IsotonicRegression

from pizzeria.inference.calibration import calibrate as apply
from pizzeria.predictions import Boxes, Predictions
from pizzeria.spec.problem import Problem
from pizzeria_plugins.evaluators.calibration import POINTS, binary_temperature, isotonic
from pizzeria_plugins.evaluators.torchmetrics import calibrate

SUCCESS = ({"metric": "x", "at_least": 0},)
CLASSES = ("bed", "sofa", "tv")
DETECTION = Problem(need="n", owner="o", task="object_detection", classes=CLASSES, success=SUCCESS)
SINGLE = Problem(need="n", owner="o", task="image_classification", classes=CLASSES, success=SUCCESS)
MULTI = Problem(need="n", owner="o", task="multilabel_classification", classes=CLASSES, success=SUCCESS)
REGRESSION = Problem(need="n", owner="o", task="tabular_regression", target="t", success=SUCCESS)


def predictions(probabilities: np.ndarray) -> Predictions:
    keys = tuple(map(str, range(len(probabilities))))
    return Predictions(keys, probabilities=probabilities.astype(np.float32))


def overconfident(count: int, temperature: float, seed: int = 0) -> tuple[Predictions, Predictions, np.ndarray]:
    """Multi-label scores whose logits are `temperature` times too large, the truth, and the right probabilities."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, 1.5, (count, 3))
    right = 1 / (1 + np.exp(-logits))
    truth = (rng.uniform(size=right.shape) < right).astype(float)
    return predictions(1 / (1 + np.exp(-logits * temperature))), predictions(truth), right


def ece(probabilities: np.ndarray, true: np.ndarray) -> float:
    bins = np.minimum((probabilities * 15).astype(int), 14)
    gaps = [abs(probabilities[bins == b].mean() - true[bins == b].mean()) * (bins == b).mean() for b in np.unique(bins)]
    return float(sum(gaps))


@pytest.mark.parametrize("method", ["isotonic", "temperature"])
def test_it_brings_scores_to_the_right_probabilities(method: str) -> None:
    scores, truth, right = overconfident(4000, 3.0)
    calibration = calibrate(method, MULTI, scores, truth)
    calibrated = apply(calibration, scores.probabilities, CLASSES)
    assert np.abs(scores.probabilities - right).mean() > 0.1
    assert np.abs(calibrated - right).mean() < 0.03
    fresh, fresh_truth, _ = overconfident(4000, 3.0, seed=1)
    assert ece(apply(calibration, fresh.probabilities, CLASSES), fresh_truth.probabilities) < 0.03
    assert ece(fresh.probabilities, fresh_truth.probabilities) > 0.1
    assert "note" not in calibration


def test_temperature_is_found_again() -> None:
    scores, truth, _ = overconfident(20_000, 2.5)
    temperatures = calibrate("temperature", MULTI, scores, truth)["temperatures"]
    assert list(temperatures.values()) == pytest.approx([2.5] * 3, rel=0.05)
    rng = np.random.default_rng(3)
    logits = rng.normal(0, 2, (20_000, 3))
    right = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    true = np.eye(3)[[rng.choice(3, p=p) for p in right]]
    sharp = np.exp(1.7 * logits) / np.exp(1.7 * logits).sum(axis=1, keepdims=True)
    calibration = calibrate("temperature", SINGLE, predictions(sharp), predictions(true))
    assert calibration == {"method": "temperature", "temperature": pytest.approx(1.7, rel=0.03)}
    assert np.abs(apply(calibration, sharp, CLASSES) - right).max() < 0.02


def test_isotonic_is_scikit_learns_within_its_margin_and_short() -> None:
    rng = np.random.default_rng(4)
    scores = rng.uniform(size=5000)
    true = rng.uniform(size=5000) < scores**2
    points = isotonic(scores, true)
    x, y = np.array(points["x"]), np.array(points["y"])
    assert len(x) <= POINTS
    assert (np.diff(x) > 0).all()
    assert (np.diff(y) >= 0).all()
    assert y[0] > 0
    assert y[-1] < 1
    reference = IsotonicRegression(y_min=0, y_max=1, out_of_bounds="clip").fit(scores, true)
    grid = np.linspace(0, 1, 500)
    assert np.abs(np.interp(grid, x, y) - reference.predict(grid)).max() < 0.02


def test_single_label_isotonic_rows_sum_to_one() -> None:
    rng = np.random.default_rng(5)
    probabilities = rng.dirichlet(np.ones(3), 600)
    true = np.eye(3)[[rng.choice(3, p=p) for p in probabilities]]
    calibration = calibrate("isotonic", SINGLE, predictions(probabilities), predictions(true))
    assert "thresholds" not in calibration
    calibrated = apply(calibration, probabilities, CLASSES)
    assert calibrated.sum(axis=1) == pytest.approx(np.ones(600), abs=1e-5)


def test_a_photo_without_a_box_never_shows_the_class() -> None:
    """Even where the class is in nearly all photos, so that "always" would have the highest F1."""
    rng = np.random.default_rng(6)
    found, true = [], []
    for n in range(80):
        boxed = n % 2 == 0
        xyxy, label = np.array([[0, 0, 9, 9]], np.float32), np.array([0])
        score = rng.uniform(0.3, 0.9, 1).astype(np.float32)
        found.append(Boxes(xyxy, score, label) if boxed else Boxes.empty())
        true.append(Boxes(xyxy, np.ones(1, np.float32), label) if n % 10 else Boxes.empty())
    keys = tuple(map(str, range(80)))
    scores, truth = Predictions(keys, boxes=tuple(found)), Predictions(keys, boxes=tuple(true))
    for method in ("isotonic", "temperature", "none"):
        calibration = calibrate(method, DETECTION, scores, truth)
        calibrated = apply(calibration, scores.presence(3), CLASSES)
        said = calibrated[:, 0] >= calibration["thresholds"]["bed"]
        assert not said[1::2].any(), method
        assert said[::2].mean() > 0.8, method
        assert not (calibrated[:, 1] >= calibration["thresholds"]["sofa"]).any()


def test_few_examples_get_a_smooth_map_and_a_note() -> None:
    rng = np.random.default_rng(7)
    scores = rng.uniform(size=(200, 3))
    true = rng.uniform(size=(200, 3)) < scores
    true[:, 1] = False
    true[:3, 1] = True
    true[:, 2] = False
    calibration = calibrate("isotonic", MULTI, predictions(scores), predictions(true))
    assert "sofa: only 3 present and 197 absent" in calibration["note"]
    assert "tv: never present in validation, threshold 0.5" in calibration["note"]
    assert "bed" not in calibration["note"]
    assert calibration["thresholds"]["tv"] == 0.5
    for name in CLASSES:
        points = calibration["maps"][name]
        assert len(points["x"]) <= POINTS
        assert (np.diff(points["x"]) > 0).all()
        assert (np.diff(points["y"]) >= 0).all()
    assert apply(calibration, scores, CLASSES)[:, 2].max() < 1


@pytest.mark.parametrize("method", ["isotonic", "temperature", "none"])
@pytest.mark.parametrize("problem", [DETECTION, MULTI, SINGLE, REGRESSION], ids=lambda problem: problem.task)
def test_no_example_at_all_leaves_something_that_can_be_applied(method: str, problem: Problem) -> None:
    if problem.task == "object_detection":
        none = Predictions((), boxes=())
    elif problem.task == "tabular_regression":
        none = Predictions((), values=np.zeros(0, np.float32))
    else:
        none = Predictions((), probabilities=np.zeros((0, 3), np.float32))
    calibration = json.loads(json.dumps(calibrate(method, problem, none, none), allow_nan=False))
    if problem.task == "tabular_regression":
        assert calibration == {"method": "none"}
        return
    assert np.isfinite(apply(calibration, np.full((2, 3), 1 / 3), CLASSES)).all()


def test_a_temperature_stays_within_its_bounds() -> None:
    scores = np.array([0.9] * 50)
    assert 0.04 < binary_temperature(scores, np.ones(50, bool)) < 21
    assert 0.04 < binary_temperature(scores, np.zeros(50, bool)) < 21


def test_other_keys_are_refused() -> None:
    one, other = predictions(np.ones((2, 3))), predictions(np.ones((3, 3)))
    with pytest.raises(ValueError, match="same keys"):
        calibrate("none", MULTI, one, other)
