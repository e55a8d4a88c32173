"""Every metric against another implementation: scikit-learn, pycocotools itself, or a few lines of numpy."""

from __future__ import annotations

import contextlib
import io
import json
import math
import subprocess
import sys
import time
from typing import Any

import numpy as np
import pytest
from sklearn import metrics as sk

from pizzeria.inference.calibration import calibrate as apply
from pizzeria.predictions import Boxes, Predictions
from pizzeria.spec.problem import Problem
from pizzeria.tasks import NAMES, task
from pizzeria_plugins.evaluators.torchmetrics import Options, calibrate, evaluate

SUCCESS = ({"metric": "x", "at_least": 0},)
CLASSES = ("bed", "sofa", "tv")
NONE = {"method": "none", "thresholds": dict.fromkeys(CLASSES, 0.5)}


def problem(name: str) -> Problem:
    more = {"target": "t"} if name.startswith("tabular") else {}
    classes = () if name == "tabular_regression" else CLASSES
    return Problem(need="n", owner="o", task=name, classes=classes, success=SUCCESS, **more)


def keys(count: int) -> tuple[str, ...]:
    return tuple(f"k{n}" for n in range(count))


def single(count: int, seed: int = 0) -> tuple[Predictions, Predictions]:
    rng = np.random.default_rng(seed)
    p = rng.dirichlet(np.ones(3), count)
    true = np.array([rng.choice(3, p=row) for row in p], int).reshape(-1)
    return (
        Predictions(keys(count), probabilities=p.astype(np.float32)),
        Predictions(keys(count), probabilities=np.eye(3, dtype=np.float32)[true]),
    )


def multi(count: int, seed: int = 0) -> tuple[Predictions, Predictions]:
    rng = np.random.default_rng(seed)
    p = rng.uniform(size=(count, 3)).astype(np.float32)
    true = (rng.uniform(size=p.shape) < p).astype(np.float32)
    return Predictions(keys(count), probabilities=p), Predictions(keys(count), probabilities=true)


def photos(count: int, seed: int = 0, classes: int = 3) -> tuple[Predictions, Predictions]:
    """Photos with up to five true boxes; found are most of them, a little moved, some as another class, and clutter."""
    rng = np.random.default_rng(seed)
    found, true = [], []
    for _ in range(count):
        corner, size = rng.uniform(0, 300, (rng.integers(0, 6), 2)), rng.uniform(15, 130, 2)
        xyxy = np.concatenate([corner, corner + size], axis=1).astype(np.float32)
        labels = rng.integers(0, classes, len(xyxy))
        true.append(Boxes(xyxy, np.ones(len(xyxy), np.float32), labels))
        kept = rng.uniform(size=len(xyxy)) < 0.8
        moved = xyxy[kept] + rng.normal(0, 5, (kept.sum(), 4))
        other = np.where(rng.uniform(size=kept.sum()) < 0.15, (labels[kept] + 1) % classes, labels[kept])
        clutter = rng.uniform(0, 300, (rng.integers(0, 4), 2))
        boxes = np.concatenate([moved, np.concatenate([clutter, clutter + 40], axis=1)]).astype(np.float32)
        scores = np.concatenate([rng.uniform(0.3, 1, kept.sum()), rng.uniform(0.01, 0.6, len(clutter))])
        order = np.argsort(-scores)
        named = np.concatenate([other, rng.integers(0, classes, len(clutter))])
        found.append(Boxes(boxes[order], scores[order].astype(np.float32), named[order]))
    return Predictions(keys(count), boxes=tuple(found)), Predictions(keys(count), boxes=tuple(true))


def run(name: str, predictions: Predictions, truth: Predictions, calibration: Any = NONE, **options: Any) -> Any:
    return evaluate(Options(**options), problem(name), predictions, truth, calibration)


def ece(confidence: np.ndarray, right: np.ndarray) -> float:
    bins = np.minimum((confidence * 15).astype(int), 14)
    return sum(
        abs(confidence[bins == b].mean() - right[bins == b].mean()) * (bins == b).mean() for b in np.unique(bins)
    )


@pytest.mark.parametrize("name", ["image_classification", "tabular_classification"])
@pytest.mark.parametrize("seed", range(3))
def test_single_label_against_scikit_learn(name: str, seed: int) -> None:
    predictions, truth = single(150, seed)
    result = run(name, predictions, truth, {"method": "none"})
    p = predictions.probabilities.astype(np.float64)
    true, said = truth.probabilities.argmax(1), p.argmax(1)
    expected = {
        "accuracy": sk.accuracy_score(true, said),
        "f1": sk.f1_score(true, said, average="macro"),
        "precision": sk.precision_score(true, said, average="macro"),
        "recall": sk.balanced_accuracy_score(true, said),
        "auroc": sk.roc_auc_score(true, p / p.sum(1, keepdims=True), multi_class="ovr"),
        "log_loss": sk.log_loss(true, p / p.sum(1, keepdims=True)),
        "calibration_error": ece(p.max(1), said == true),
    }
    assert result["metrics"] == pytest.approx(expected, abs=1e-5)
    assert result["curves"]["confusion"]["matrix"] == sk.confusion_matrix(true, said).tolist()
    f1 = sk.f1_score(true, said, average=None)
    assert [result["per_class"][c]["f1"] for c in CLASSES] == pytest.approx(f1)
    assert [result["per_class"][c]["support"] for c in CLASSES] == np.bincount(true, minlength=3).tolist()


@pytest.mark.parametrize("seed", range(3))
def test_multi_label_against_scikit_learn(seed: int) -> None:
    predictions, truth = multi(150, seed)
    calibration = {"method": "none", "thresholds": {"bed": 0.3, "sofa": 0.5, "tv": 0.7}}
    result = run("multilabel_classification", predictions, truth, calibration)
    p, true = predictions.probabilities, truth.probabilities.astype(int)
    said = p >= np.array([0.3, 0.5, 0.7])
    expected = {
        "f1": sk.f1_score(true, said, average="macro"),
        "f1_micro": sk.f1_score(true, said, average="micro"),
        "precision": sk.precision_score(true, said, average="macro"),
        "recall": sk.recall_score(true, said, average="macro"),
        "auroc": sk.roc_auc_score(true, p),
        "average_precision": sk.average_precision_score(true, p),
        "calibration_error": np.mean([ece(p[:, i], true[:, i]) for i in range(3)]),
    }
    assert result["metrics"] == pytest.approx(expected, abs=1e-5)
    assert result["per_class"]["tv"]["auroc"] == pytest.approx(sk.roc_auc_score(true[:, 2], p[:, 2]))


def test_regression_against_scikit_learn() -> None:
    rng = np.random.default_rng(0)
    true = rng.normal(250_000, 60_000, 5000).astype(np.float32)
    predicted = true + rng.normal(0, 9000, 5000).astype(np.float32)
    result = run("tabular_regression", Predictions(keys(5000), values=predicted), Predictions(keys(5000), values=true))
    p, t = predicted.astype(np.float64), true.astype(np.float64)
    expected = {"mae": sk.mean_absolute_error(t, p), "rmse": sk.root_mean_squared_error(t, p), "r2": sk.r2_score(t, p)}
    assert result["metrics"] == pytest.approx(expected, rel=1e-9)
    worst = result["curves"]["worst"]
    assert abs(worst[0]["true"] - worst[0]["pred"]) == pytest.approx(np.abs(p - t).max())
    assert len(worst) == 24
    assert len(result["curves"]["scatter"]["true"]) == 2000


def coco(predictions: Predictions, truth: Predictions) -> np.ndarray:
    """COCO's twelve figures by pycocotools itself."""
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    def entries(all_boxes: tuple[Boxes, ...]) -> list[dict[str, Any]]:
        out = []
        for image, boxes in enumerate(all_boxes, 1):
            for xyxy, score, label in zip(boxes.xyxy.astype(float), boxes.scores, boxes.labels, strict=True):
                x, y, right, bottom = xyxy.tolist()
                box = [x, y, right - x, bottom - y]
                one = {"id": len(out) + 1, "image_id": image, "category_id": int(label), "bbox": box}
                out.append(one | {"area": box[2] * box[3], "iscrowd": 0, "score": float(score)})
        return out

    with contextlib.redirect_stdout(io.StringIO()):
        ground = COCO()
        ground.dataset = {
            "images": [{"id": n} for n in range(1, len(truth) + 1)],
            "categories": [{"id": n} for n in range(len(CLASSES))],
            "annotations": entries(truth.boxes),
            "info": {},
        }
        ground.createIndex()
        evaluation = COCOeval(ground, ground.loadRes(entries(predictions.boxes)), "bbox")
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return evaluation.stats


@pytest.mark.parametrize("seed", range(3))
def test_boxes_against_pycocotools_itself(seed: int) -> None:
    predictions, truth = photos(60, seed)
    result = run("object_detection", predictions, truth)
    stats = coco(predictions, truth)
    names = ("map", "map_50", "map_75", "map_small", "map_medium", "map_large")
    names += ("mar_1", "mar_10", "mar_100", "mar_small", "mar_medium", "mar_large")
    found = [result["metrics"][name] for name in names]
    assert found == pytest.approx(stats.tolist(), abs=1e-12)
    assert 0.1 < found[0] < 0.9
    for name in names:
        assert np.nanmean([result["per_class"][c][name] for c in CLASSES]) == pytest.approx(result["metrics"][name])
    curve = result["curves"]["precision_recall"]["bed"]
    assert len(curve["recall"]) == 101
    assert np.mean(curve["precision"]) == pytest.approx(result["per_class"]["bed"]["map_50"])


def test_presence_in_photos_is_judged_after_calibration() -> None:
    predictions, truth = photos(300)
    calibration = calibrate("isotonic", problem("object_detection"), predictions, truth)
    result = run("object_detection", predictions, truth, calibration)
    p = apply(calibration, predictions.presence(3), CLASSES)
    true = truth.presence(3) > 0
    said = p >= np.array([calibration["thresholds"][c] for c in CLASSES])
    expected = {
        "presence_f1": sk.f1_score(true, said, average="macro"),
        "presence_precision": sk.precision_score(true, said, average="macro"),
        "presence_recall": sk.recall_score(true, said, average="macro"),
        "presence_auroc": sk.roc_auc_score(true, p),
        "calibration_error": np.mean([ece(p[:, i], true[:, i]) for i in range(3)]),
    }
    assert {name: result["metrics"][name] for name in expected} == pytest.approx(expected, abs=1e-5)
    assert result["metrics"]["calibration_error"] < 0.02
    reliability = result["curves"]["reliability"]
    assert sum(reliability["count"]) == 900
    assert len(reliability["confidence"]) == len(reliability["frequency"]) == len(reliability["count"]) <= 15


def test_confusion_and_worst_mistakes_of_boxes() -> None:
    def boxes(*entries: tuple[list[float], float, int]) -> Boxes:
        xyxy, scores, labels = zip(*entries, strict=True) if entries else ([], [], [])
        return Boxes(np.array(xyxy, np.float32).reshape(-1, 4), np.array(scores, np.float32), np.array(labels, int))

    big, small, far = [0, 0, 100, 100], [200, 200, 220, 220], [300, 0, 340, 40]
    truth = Predictions(keys(2), boxes=(boxes((big, 1, 0), (small, 1, 1)), boxes((big, 1, 2))))
    found = Predictions(
        keys(2),
        boxes=(
            # Right; its double is false; the small sofa is taken for a tv; a weak box is below the threshold.
            boxes((big, 0.9, 0), ([0, 0, 100, 90], 0.8, 0), (small, 0.7, 2), (far, 0.2, 1)),
            boxes(([0, 0, 100, 99], 0.4, 2)),
        ),
    )
    result = run("object_detection", found, truth)
    assert result["curves"]["confusion"] == {
        "labels": [*CLASSES, "background"],
        "matrix": [[1, 0, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1], [1, 0, 0, 0]],
        "normalised": [[1, 0, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1], [1, 0, 0, 0]],
    }
    double, missed, confused = result["curves"]["worst"]
    assert double == {
        "key": "k0",
        "kind": "duplicate",
        "class": "bed",
        "score": pytest.approx(0.8),
        "box": [0, 0, 100, 90],
        "true": "bed",
    }
    assert (confused["kind"], confused["class"], confused["true"]) == ("class", "tv", "sofa")
    assert (missed["key"], missed["kind"], missed["class"]) == ("k1", "missed", "tv")
    assert missed["score"] == pytest.approx(0.4)
    first, second = result["curves"]["worst_photos"]
    assert (first["key"], first["errors"], first["weight"]) == ("k0", {"class": 1, "duplicate": 1}, pytest.approx(1.5))
    assert [box["kind"] for box in first["found"]] == [None, "duplicate", "class"]
    assert (second["errors"], second["found"]) == ({"missed": 1}, [])
    assert [box["class"] for box in second["missed"]] == ["tv"]
    assert (
        result["curves"]["errors_by_class"]["tv"]["class"] == result["curves"]["errors_by_class"]["tv"]["missed"] == 1
    )
    each = {name: [result["per_class"][c][f"box_{name}"] for c in CLASSES] for name in ("precision", "recall", "f1")}
    assert each == {"precision": [0.5, 0, 0], "recall": [1, 0, 0], "f1": [pytest.approx(2 / 3), 0, 0]}
    assert result["sizes"]["small"]["boxes"] == 1
    assert result["sizes"]["large"]["boxes"] == 2
    assert len(run("object_detection", found, truth, worst_mistakes=1)["curves"]["worst"]) == 1
    strict = run("object_detection", found, truth, match_iou=0.999)
    assert strict["curves"]["confusion"]["matrix"][3] == [1, 0, 0, 0]


def test_worst_mistakes_of_classes() -> None:
    predictions, truth = single(100)
    worst = run("image_classification", predictions, truth, {"method": "none"}, worst_mistakes=5)["curves"]["worst"]
    assert len(worst) == 5
    assert [w["probability"] for w in worst] == sorted((w["probability"] for w in worst), reverse=True)
    assert all(w["true"] != w["pred"] for w in worst)
    predictions, truth = multi(100)
    worst = run("multilabel_classification", predictions, truth)["curves"]["worst"]
    assert {w["kind"] for w in worst} == {"missed", "false"}
    assert all((w["score"] < 0.5) == (w["kind"] == "missed") for w in worst)


def data(name: str, count: int) -> tuple[Predictions, Predictions]:
    if name == "object_detection":
        return photos(count)
    if name == "multilabel_classification":
        return multi(count)
    if name == "tabular_regression":
        values = np.arange(count, dtype=np.float32)
        return Predictions(keys(count), values=values), Predictions(keys(count), values=values)
    return single(count)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("count", [0, 1, 40])
def test_every_metric_of_a_task_is_there_and_the_rest_is_data(name: str, count: int) -> None:
    predictions, truth = data(name, count)
    calibration = calibrate("isotonic", problem(name), predictions, truth)
    result = run(name, predictions, truth, calibration)
    known = task(name).METRICS
    assert known.keys() <= result["metrics"].keys()
    for metrics in result["per_class"].values():
        assert {metric for metric, what in known.items() if what.by_class} <= metrics.keys()
    assert result["examples"] == count
    json.dumps(result)
    if count == 0:
        assert all(math.isnan(value) for value in result["metrics"].values())
        assert result["classes_never_seen"] == list(problem(name).classes)
    if count == 40:
        assert all(math.isfinite(value) for value in result["metrics"].values())
        assert result["classes_never_seen"] == []


def test_a_class_never_seen_is_nan_and_named() -> None:
    for name, (predictions, truth) in {"object_detection": photos(40, classes=2), "multi": multi(40)}.items():
        if name == "multi":
            truth.probabilities[:, 2] = 0
            name = "multilabel_classification"
        result = run(name, predictions, truth)
        assert result["classes_never_seen"] == ["tv"]
        by_class = {metric for metric, what in task(name).METRICS.items() if what.by_class}
        assert all(math.isnan(result["per_class"]["tv"][metric]) for metric in by_class)
        assert all(math.isfinite(result["metrics"][metric]) for metric in by_class)
        assert result["curves"]["precision_recall"]["tv"] == {"recall": [], "precision": []}


def test_a_class_always_present_has_no_auroc() -> None:
    predictions, truth = multi(40)
    truth.probabilities[:, 0] = 1
    result = run("multilabel_classification", predictions, truth)
    assert math.isnan(result["per_class"]["bed"]["auroc"])
    assert math.isfinite(result["per_class"]["bed"]["f1"])


def test_a_constant_target_has_no_r2() -> None:
    same = Predictions(keys(9), values=np.full(9, 7, np.float32))
    metrics = run("tabular_regression", same, same)["metrics"]
    assert metrics["mae"] == 0
    assert math.isnan(metrics["r2"])


def test_a_detector_that_finds_nothing_scores_zero() -> None:
    _, truth = photos(20)
    nothing = Predictions(keys(20), boxes=(Boxes.empty(),) * 20)
    result = run("object_detection", nothing, truth)
    assert result["metrics"]["map_50"] == 0
    assert result["metrics"]["presence_f1"] == 0


def test_three_hundred_photos_take_seconds() -> None:
    predictions, truth = photos(300, classes=3)
    crowded = tuple(
        Boxes(np.tile(b.xyxy, (20, 1)), np.tile(b.scores * 0.5, 20), np.tile(b.labels, 20)) for b in predictions.boxes
    )
    start = time.process_time()  # others may have the processor meanwhile
    run("object_detection", Predictions(predictions.keys, boxes=crowded), truth)
    assert time.process_time() - start < 20


def test_reading_the_options_imports_no_heavy_library() -> None:
    script = (
        "import sys; from pizzeria_plugins.evaluators.torchmetrics import Options; Options();"
        "print(sorted({'torch', 'torchmetrics', 'sklearn', 'scipy', 'pandas'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
