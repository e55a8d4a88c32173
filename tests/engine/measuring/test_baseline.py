"""The trivial model of each task against scikit-learn's, or against what a few lines of numpy say."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn import metrics as sk
from sklearn.dummy import DummyClassifier, DummyRegressor

from pizzeria.datasets import ImageSet, RowSet
from pizzeria.measuring.baseline import baseline
from pizzeria.predictions import Boxes, Predictions
from pizzeria.spec.problem import Problem
from pizzeria.tasks import task

CLASSES = ("bed", "sofa", "tv")
SIDE = np.array(["train"] * 60 + ["test"] * 40)


def problem(name: str) -> Problem:
    more: dict[str, Any] = {"target": "t"} if name.startswith("tabular") else {}
    classes = () if name == "tabular_regression" else CLASSES
    success = ({"metric": "x", "at_least": 0},)
    return Problem(need="n", owner="o", task=name, classes=classes, success=success, **more)


def rows(targets: np.ndarray) -> RowSet:
    index = pd.DataFrame({"row_id": [f"r{i}" for i in range(100)], "split": SIDE})
    return RowSet(np.zeros((100, 1), np.float32), np.zeros((100, 0), np.int64), targets, index, {})


def figures(name: str, dataset: Any) -> tuple[dict[str, float], dict[str, Any]]:
    truth = dataset.truth("test", len(CLASSES))
    return baseline(problem(name), dataset, truth).figures(list(task(name).METRICS))


def test_one_class_of_several_as_scikit_learns_dummy() -> None:
    targets = np.random.default_rng(0).choice(3, 100, p=[0.6, 0.3, 0.1])
    whole, each = figures("tabular_classification", rows(targets))
    train, test = targets[:60], targets[60:]
    dummy = DummyClassifier(strategy="prior").fit(np.zeros((60, 1)), train)
    said, p = dummy.predict(np.zeros((40, 1))), dummy.predict_proba(np.zeros((40, 1)))
    assert whole["accuracy"] == pytest.approx(sk.accuracy_score(test, said))
    assert whole["f1"] == pytest.approx(sk.f1_score(test, said, average="macro", zero_division=0))
    assert whole["log_loss"] == pytest.approx(sk.log_loss(test, p))
    assert whole["auroc"] == 0.5
    assert each["recall"].tolist() == [1, 0, 0]


def test_a_number_as_scikit_learns_dummies() -> None:
    targets = np.random.default_rng(0).gamma(2, 30, 100).astype(np.float32)
    whole, _ = figures("tabular_regression", rows(targets))
    train, test = targets[:60].astype(float), targets[60:].astype(float)
    median = DummyRegressor(strategy="median").fit(np.zeros((60, 1)), train).predict(np.zeros((40, 1)))
    mean = DummyRegressor(strategy="mean").fit(np.zeros((60, 1)), train).predict(np.zeros((40, 1)))
    assert whole["mae"] == pytest.approx(sk.mean_absolute_error(test, median))
    assert whole["rmse"] == pytest.approx(sk.root_mean_squared_error(test, mean))
    assert whole["r2"] == pytest.approx(sk.r2_score(test, mean))


def images(*, boxes: Any = None, targets: Any = None) -> ImageSet:
    index = pd.DataFrame({"image_id": [f"i{i}" for i in range(100)], "split": SIDE})
    index = index.assign(width=200, height=100, scale_x=0.5, scale_y=0.5, offset_x=0.0, offset_y=0.0)
    return ImageSet(np.zeros((100, 1, 1, 3), np.uint8), index, targets, boxes, {})


def test_classes_on_their_own_are_always_there() -> None:
    targets = (np.random.default_rng(0).random((100, 3)) < [0.7, 0.4, 0.2]).astype(np.float32)
    whole, each = figures("multilabel_classification", images(targets=targets))
    share = targets[60:].mean(axis=0)
    assert each["recall"].tolist() == [1, 1, 1]
    assert each["precision"] == pytest.approx(share)
    assert each["f1"] == pytest.approx(2 * share / (1 + share))
    assert whole["auroc"] == 0.5


def test_the_commonest_boxes_in_the_size_of_each_photo() -> None:
    """A bed at the left of each photo, now and then a television somewhere; network pixels are half of a photo's."""
    chance = np.random.default_rng(0)
    boxes = []
    for i in range(100):
        bed = np.array([[10, 20, 40, 45]]) + chance.normal(0, 1, (1, 4))
        corner = chance.uniform(0, 30, (1, 2))
        tv = np.concatenate([corner, corner + 8], axis=1)
        xyxy = np.concatenate([bed, tv] if i % 2 else [bed]).astype(np.float32)
        boxes.append(Boxes(xyxy, np.ones(len(xyxy), np.float32), np.array([0, 2][: len(xyxy)])))
    dataset = images(boxes=tuple(boxes))
    found = baseline(problem("object_detection"), dataset, dataset.truth("test", 3))
    whole, each = found.figures(list(task("object_detection").METRICS))
    assert each["map_50"][0] == pytest.approx(1)
    assert each["map_50"][2] < 0.2
    assert np.isnan(each["map_50"][1])  # there is no sofa
    assert whole["presence_auroc"] == 0.5 or np.isnan(whole["presence_auroc"])
    ((_, judged),) = found.sides
    assert judged.boxes is not None
    bed = judged.boxes[0].xyxy[judged.boxes[0].labels == 0][0]
    assert bed == pytest.approx([20, 40, 80, 90], abs=6)
    part = found.of(np.arange(3)).figures(["map_50"])[1]["map_50"]
    assert part[0] == pytest.approx(1)


def test_a_training_split_without_rows_says_nothing_and_does_not_fail() -> None:
    targets = np.zeros((100, 3), np.float32)
    dataset = images(targets=targets)
    dataset.index["split"] = "test"
    whole, _ = figures("multilabel_classification", dataset)
    assert np.isnan(whole["f1"])
    empty = Predictions((), values=np.zeros(0, np.float32))
    assert np.isnan(
        baseline(problem("tabular_regression"), rows(np.zeros(100, np.float32)), empty).figures(["mae"])[0]["mae"]
    )
