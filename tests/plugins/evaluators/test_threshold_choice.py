"""The threshold that a wish asks for, against a search over all of them, and what becomes of it in a calibration."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import f1_score, precision_score, recall_score

from pizzeria.inference.calibration import calibrate as apply
from pizzeria.predictions import Predictions
from pizzeria.spec.problem import Problem
from pizzeria.spec.thresholds import EACH_BEST, Thresholds, Wish
from pizzeria_plugins.evaluators.threshold_choice import choose
from pizzeria_plugins.evaluators.torchmetrics import calibrate

CLASSES = ("bed", "sofa", "tv")
MULTI = Problem(
    need="n", owner="o", task="multilabel_classification", classes=CLASSES, success=({"metric": "f1", "at_least": 0},)
)
EXAMPLES = st.lists(st.tuples(st.integers(0, 40), st.booleans()), min_size=1, max_size=60).filter(
    lambda pairs: any(true for _, true in pairs) and any(value for value, _ in pairs)
)


def told(pairs: list[tuple[int, bool]]) -> tuple[np.ndarray, np.ndarray]:
    return np.array([value / 40 for value, _ in pairs]), np.array([is_true for _, is_true in pairs])


@given(EXAMPLES)
@settings(max_examples=40)
def test_no_threshold_has_a_higher_f1(pairs: list[tuple[int, bool]]) -> None:
    probabilities, true = told(pairs)
    chosen = choose(probabilities, true, EACH_BEST).threshold
    best = max(f1_score(true, probabilities >= t, zero_division=0) for t in np.unique(probabilities) if t > 0)
    assert f1_score(true, probabilities >= chosen, zero_division=0) == pytest.approx(best)
    assert 0 < chosen < 1


@given(EXAMPLES, st.sampled_from(["precision", "recall"]), st.integers(1, 20))
@settings(max_examples=50)
def test_a_wish_is_kept_by_the_best_threshold_or_nearly(pairs: list[tuple[int, bool]], name: str, least: int) -> None:
    probabilities, true = told(pairs)
    choice = choose(probabilities, true, Wish(**{name: least / 20}))

    def figures(threshold: float) -> tuple[float, float]:
        said = probabilities >= threshold
        precision, recall = precision_score(true, said, zero_division=0), recall_score(true, said)
        return (precision, recall) if name == "precision" else (recall, precision)

    every = [figures(t) for t in np.unique(probabilities) if t > 0]
    keeping = [other for asked, other in every if asked >= least / 20 - 1e-9]
    asked, other = figures(choice.threshold)
    assert choice.kept == bool(keeping)
    if keeping:
        assert asked >= least / 20 - 1e-9
        assert other == pytest.approx(max(keeping))
    else:
        assert (asked, other) == pytest.approx(max(every))
    assert {"precision": (choice.precision, choice.recall), "recall": (choice.recall, choice.precision)}[
        name
    ] == pytest.approx((asked, other))


def test_a_threshold_lies_in_the_middle_of_the_widest_plateau() -> None:
    probabilities = np.array([0.1, 0.2, 0.3, 0.9])
    last = np.array([False, False, False, True])
    assert choose(probabilities, last, EACH_BEST).threshold == pytest.approx(0.6)
    near = np.array([0.1, 0.4 - 1e-9, 0.4 + 1e-9, 0.9])
    assert choose(near, ~np.array([True, False, False, False]), EACH_BEST).threshold == pytest.approx(0.25)


def test_what_lies_below_the_floor_is_never_said() -> None:
    probabilities, true = np.array([0.1, 0.1, 0.1, 0.6]), np.ones(4, bool)
    choice = choose(probabilities, true, Wish(recall=0.9), floor=0.1)
    assert (choice.threshold, choice.recall, choice.kept) == (pytest.approx(0.35), 0.25, False)
    assert choose(np.full(4, 0.1), true, EACH_BEST, floor=0.1).threshold == pytest.approx(0.55)


def answered(seed: int = 0, count: int = 400) -> tuple[Predictions, Predictions]:
    rng = np.random.default_rng(seed)
    scores = rng.uniform(size=(count, 3))
    true = rng.uniform(size=scores.shape) < scores
    true[:, 2] = rng.uniform(size=count) < 0.3  # of the tv the scores know nothing
    keys = tuple(map(str, range(count)))
    return (
        Predictions(keys, probabilities=scores.astype(np.float32)),
        Predictions(keys, probabilities=true.astype(np.float32)),
    )


@pytest.mark.parametrize("method", ["isotonic", "temperature", "none"])
def test_each_class_gets_what_is_wished_of_it(method: str) -> None:
    scores, truth = answered()
    wishes = Thresholds.model_validate({"precision": 0.9, "by_class": {"sofa": {"recall": 0.95}}})
    calibration = calibrate(method, MULTI, scores, truth, wishes)
    said = apply(calibration, scores.probabilities, CLASSES) >= [calibration["thresholds"][name] for name in CLASSES]
    true = truth.probabilities > 0
    assert precision_score(true[:, 0], said[:, 0]) >= 0.9
    assert recall_score(true[:, 1], said[:, 1]) >= 0.95
    told = calibration["wishes"]
    assert told["bed"]["wish"] == "precision at least 0.9"
    assert told["sofa"] == {
        "wish": "recall at least 0.95",
        "kept": True,
        "precision": pytest.approx(precision_score(true[:, 1], said[:, 1]), abs=1e-6),
        "recall": pytest.approx(recall_score(true[:, 1], said[:, 1]), abs=1e-6),
    }
    usual = calibrate(method, MULTI, scores, truth)
    assert calibration["thresholds"]["bed"] > usual["thresholds"]["bed"]
    assert calibration["thresholds"]["sofa"] < usual["thresholds"]["sofa"]


def test_a_wish_that_cannot_be_kept_is_told() -> None:
    scores, truth = answered()
    calibration = calibrate("none", MULTI, scores, truth, Thresholds(by_class={"tv": Wish(precision=1)}))
    assert not calibration["wishes"]["tv"]["kept"]
    assert "tv: no threshold has precision at least 1 in validation" in calibration["note"]
    assert calibration["wishes"]["bed"] == calibrate("none", MULTI, scores, truth)["wishes"]["bed"]
    truth.probabilities[:, 2] = 0
    never = calibrate("none", MULTI, scores, truth, Thresholds(precision=0.5))
    assert never["wishes"]["tv"] == {"wish": "precision at least 0.5", "kept": False, "precision": None, "recall": None}
    assert "tv: never present in validation, threshold 0.5" in never["note"]
