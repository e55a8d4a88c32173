"""Metrics of weighted rows are the evaluator's on rows that are really repeated."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from pizzeria.measuring.judged import Answers
from pizzeria.measuring.judged import judged as _judged
from pizzeria.measuring.judged import macro as _macro
from pizzeria.measuring.paired import _rows
from pizzeria.measuring.weighted import weighted
from pizzeria.predictions import Boxes, Predictions
from pizzeria.spec.problem import Problem
from pizzeria.tasks import task as task_of
from pizzeria_plugins.evaluators import torchmetrics

CLASSES = ("bed", "sofa", "tv")


def problem(task: str) -> Problem:
    metric = task_of(task).MAIN_METRIC
    known: dict[str, Any] = {"need": "Test.", "owner": "tests", "task": task}
    known["success"] = [{"metric": metric, "at_most" if metric == "mae" else "at_least": 0.5}]
    if task == "tabular_regression":
        return Problem(**known, target="price")
    if task == "tabular_classification":
        return Problem(**known, target="kind", classes=CLASSES)
    return Problem(**known, classes=CLASSES)


def sides(task: str, rows: int, seed: int = 0) -> tuple[Predictions, Predictions, dict[str, Any]]:
    """Predictions with ties, the truth, and a calibration."""
    chance = np.random.default_rng(seed)
    keys = tuple(f"r{i}" for i in range(rows))
    if task == "tabular_regression":
        true = chance.normal(100, 5, rows).astype(np.float32)
        said = (true + chance.normal(0, 2, rows)).astype(np.float32)
        return Predictions(keys, values=said), Predictions(keys, values=true), {"method": "none"}
    if task in ("tabular_classification", "image_classification"):
        label = chance.choice(3, rows, p=[0.6, 0.3, 0.1])
        logits = (np.eye(3)[label] * 1.5 + chance.normal(0, 1, (rows, 3))).round(1)
        p = (np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)).astype(np.float32)
        truth = Predictions(keys, probabilities=np.eye(3, dtype=np.float32)[label])
        return Predictions(keys, probabilities=p), truth, {"method": "none"}
    calibration = {"method": "none", "thresholds": dict.fromkeys(CLASSES, 0.5)}
    if task == "multilabel_classification":
        there = (chance.random((rows, 3)) < [0.5, 0.2, 0.7]).astype(np.float32)
        p = np.clip(there * 0.4 + chance.random((rows, 3)) * 0.6, 0, 1).round(2).astype(np.float32)
        return Predictions(keys, probabilities=p), Predictions(keys, probabilities=there), calibration
    found, true_boxes = [], []
    for _ in range(rows):
        count = int(chance.integers(0, 4))
        corner = chance.uniform(0, 60, (count, 2))
        xyxy = np.concatenate([corner, corner + chance.uniform(10, 40, (count, 2))], axis=1).astype(np.float32)
        labels = chance.integers(0, 3, count)
        true_boxes.append(Boxes(xyxy, np.ones(count, np.float32), labels))
        moved = np.repeat(xyxy, 2, axis=0) + chance.normal(0, 4, (2 * count, 4)).astype(np.float32)
        scores = chance.uniform(0.1, 1, 2 * count).round(2).astype(np.float32)
        order = np.argsort(-scores, kind="stable")
        said_labels = np.where(chance.random(2 * count) < 0.8, np.repeat(labels, 2), chance.integers(0, 3, 2 * count))
        found.append(Boxes(moved[order], scores[order], said_labels[order]).with_area())
    return Predictions(keys, boxes=tuple(found)), Predictions(keys, boxes=tuple(true_boxes)), calibration


@pytest.mark.parametrize(
    ("task", "metrics"),
    [
        ("tabular_regression", ["mae", "rmse", "r2"]),
        ("tabular_classification", list(task_of("tabular_classification").METRICS)),
        ("multilabel_classification", list(task_of("multilabel_classification").METRICS)),
        ("object_detection", list(task_of("object_detection").METRICS)),
    ],
)
def test_figures_are_those_of_the_evaluator_on_repeated_rows(task: str, metrics: list[str]) -> None:
    of, rows = problem(task), 40
    said, truth, calibration = sides(task, rows)
    judged = _judged(of, Answers(said, calibration), truth)
    chance = np.random.default_rng(1)
    draws = [np.arange(rows), *chance.integers(0, rows, (2, rows))]
    weights = np.stack([np.bincount(one, minlength=rows) for one in draws]).astype(np.float64)
    for which, drawn in enumerate(draws):
        there = np.sort(drawn)
        wanted = torchmetrics.evaluate(torchmetrics.Options(), of, _rows(said, there), _rows(truth, there), calibration)
        for metric in metrics:
            measure = weighted(metric, judged)
            assert measure is not None
            values = measure(weights)[which]
            assert _macro(values[None])[0] == pytest.approx(wanted["metrics"][metric], abs=1e-6, nan_ok=True), metric
            if len(values) > 1:
                each = [
                    wanted["per_class"][name].get(metric, value) for name, value in zip(CLASSES, values, strict=True)
                ]
                assert values == pytest.approx(each, abs=1e-6, nan_ok=True), metric


def test_a_class_that_no_draw_has_is_not_a_number() -> None:
    of = problem("tabular_classification")
    said, truth, calibration = sides("tabular_classification", 30)
    judged = _judged(of, Answers(said, calibration), truth)
    assert judged.true is not None
    only = judged.true[:, 0].astype(np.float64)[None]
    for metric in ("auroc", "f1"):
        measure = weighted(metric, judged)
        assert measure is not None
        assert np.isnan(measure(only)[0, 1:]).all()
    assert weighted("no such metric", judged) is None
