"""Parity passes rounding, and nothing worse."""

from __future__ import annotations

import time

import numpy as np
import pytest

from pizzeria.parity import compare
from pizzeria.predictions import Boxes, Predictions
from pizzeria.spec.problem import Problem

SUCCESS = ({"metric": "x", "at_least": 0},)
CLASSES = ("bed", "sofa", "tv")
DETECTION = Problem(need="n", owner="o", task="object_detection", classes=CLASSES, success=SUCCESS)
SINGLE = Problem(need="n", owner="o", task="image_classification", classes=CLASSES, success=SUCCESS)
MULTI = Problem(need="n", owner="o", task="multilabel_classification", classes=CLASSES, success=SUCCESS)
REGRESSION = Problem(need="n", owner="o", task="tabular_regression", target="t", success=SUCCESS)


def detections(photos: int, boxes: int = 20, seed: int = 0) -> Predictions:
    rng = np.random.default_rng(seed)
    found = []
    for _ in range(photos):
        corner, size = rng.uniform(0, 400, (boxes, 2)), rng.uniform(20, 90, (boxes, 2))
        scores = np.sort(rng.uniform(0.01, 1, boxes))[::-1]
        xyxy = np.concatenate([corner, corner + size], axis=1).astype(np.float32)
        found.append(Boxes(xyxy, scores.astype(np.float32), rng.integers(0, 3, boxes)))
    return Predictions(tuple(f"i{n}" for n in range(photos)), boxes=tuple(found))


def change(predictions: Predictions, xyxy: float = 0.0, scores: float = 0.0, labels: int = 0) -> Predictions:
    assert predictions.boxes is not None
    changed = [Boxes(b.xyxy + xyxy, b.scores + np.float32(scores), (b.labels + labels) % 3) for b in predictions.boxes]
    return Predictions(predictions.keys, boxes=tuple(changed))


def test_rounding_in_boxes_passes_in_any_order_of_ties() -> None:
    reference = detections(100)
    assert reference.boxes is not None
    shuffled = [Boxes(b.xyxy[::-1] + 0.01, b.scores[::-1] - 1e-6, b.labels[::-1]) for b in reference.boxes]
    result = compare(DETECTION, reference, Predictions(reference.keys, boxes=tuple(shuffled)))
    assert result["passed"]
    assert result["unmatched_boxes"] == 0
    assert 0.98 < result["min_box_iou"] < 1
    assert 0 < result["max_score_difference"] < 1e-5
    assert result["boxes"] == sum(int((b.scores >= 0.05).sum()) for b in reference.boxes)


@pytest.mark.parametrize(
    ("xyxy", "scores", "labels"), [(2.0, 0, 0), (0, 0.02, 0), (0, 0, 1), (40.0, 0, 0), (0, np.nan, 0)]
)
def test_moved_boxes_other_scores_and_other_classes_are_refused(xyxy: float, scores: float, labels: int) -> None:
    reference = detections(50)
    assert not compare(DETECTION, reference, change(reference, xyxy, scores, labels))["passed"]


def test_one_lost_box_is_forgiven_only_when_it_is_weak_and_rare() -> None:
    reference = detections(50)
    assert reference.boxes is not None

    def without(photos: int, box: int) -> Predictions:
        cut = [
            Boxes(*(np.delete(a, box, axis=0) for a in (b.xyxy, b.scores, b.labels))) if n < photos else b
            for n, b in enumerate(reference.boxes or ())
        ]
        return Predictions(reference.keys, boxes=tuple(cut))

    weak = compare(DETECTION, reference, without(1, 18))
    assert (weak["passed"], weak["unmatched_boxes"]) == (True, 1)
    assert not compare(DETECTION, reference, without(1, 0))["passed"]
    assert not compare(DETECTION, reference, without(30, 18))["passed"]


def test_a_tie_that_suppression_settled_the_other_way_is_forgiven() -> None:
    reference = detections(50)
    assert reference.boxes is not None
    first = reference.boxes[0]
    moved = first.xyxy.copy()
    moved[0] += (moved[0, 2] - moved[0, 0]) * np.array([0.15, 0, 0.15, 0], np.float32)
    other = (Boxes(moved, first.scores, first.labels), *reference.boxes[1:])
    result = compare(DETECTION, reference, Predictions(reference.keys, boxes=other))
    assert (result["passed"], result["unmatched_boxes"], result["max_unmatched_score"]) == (True, 2, 0.0)


def test_a_box_at_the_floor_of_scores_is_not_lost() -> None:
    box = np.array([[0, 0, 50, 50]], np.float32)
    sides = [
        Predictions(
            ("a",),
            boxes=(Boxes(np.concatenate([box, box + 99]), np.array([0.9, score], np.float32), np.zeros(2, int)),),
        )
        for score in (0.0501, 0.0499)
    ]
    result = compare(DETECTION, *sides)
    assert (result["passed"], result["boxes"]) == (True, 1)


def test_nothing_compared_does_not_pass() -> None:
    empty = Predictions(("a", "b"), boxes=(Boxes.empty(), Boxes.empty()))
    assert not compare(DETECTION, empty, empty)["passed"]
    assert not compare(DETECTION, Predictions((), boxes=()), Predictions((), boxes=()))["passed"]
    none = Predictions((), probabilities=np.zeros((0, 3), np.float32))
    assert not compare(SINGLE, none, none)["passed"]
    assert not compare(REGRESSION, Predictions((), values=np.zeros(0)), Predictions((), values=np.zeros(0)))["passed"]


def test_probabilities() -> None:
    p = np.random.default_rng(1).dirichlet(np.ones(3), 200).astype(np.float32)
    keys = tuple(map(str, range(200)))
    same = compare(SINGLE, Predictions(keys, probabilities=p), Predictions(keys, probabilities=p + np.float32(1e-5)))
    assert same["passed"]
    assert same["same_class_share"] == 1
    other = compare(SINGLE, Predictions(keys, probabilities=p), Predictions(keys, probabilities=p[:, ::-1]))
    assert not other["passed"]
    multi = compare(MULTI, Predictions(keys, probabilities=p), Predictions(keys, probabilities=p))
    assert multi["passed"]
    assert "same_class_share" not in multi
    nan = np.full_like(p, np.nan)
    assert not compare(SINGLE, Predictions(keys, probabilities=p), Predictions(keys, probabilities=nan))["passed"]


def test_values_are_judged_by_their_size_and_spread() -> None:
    values = np.random.default_rng(2).normal(250_000, 60_000, 500).astype(np.float32)
    keys = tuple(map(str, range(500)))
    near = compare(REGRESSION, Predictions(keys, values=values), Predictions(keys, values=values + 5))
    assert near["passed"]
    assert near["max_value_difference"] == pytest.approx(5, abs=0.1)
    assert not compare(REGRESSION, Predictions(keys, values=values), Predictions(keys, values=values * 1.01))["passed"]


def test_other_examples_or_another_kind_are_an_error() -> None:
    with pytest.raises(ValueError, match="same keys"):
        compare(DETECTION, detections(2), detections(3))
    with pytest.raises(ValueError, match="other lacks"):
        compare(DETECTION, detections(2), Predictions(("i0", "i1"), probabilities=np.zeros((2, 3), np.float32)))


def test_two_thousand_photos_take_moments() -> None:
    reference = detections(2000, boxes=50)
    start = time.thread_time()  # of the processor, which others use too
    assert compare(DETECTION, reference, change(reference, 0.001))["passed"]
    assert time.thread_time() - start < 5
