"""Small made-up features folders: coloured rectangles on noise, and rows with a rule in them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from pizzeria.contracts import TrainJob
from pizzeria.spec.problem import Problem
from pizzeria_plugins.models import tabular_network, timm_classifier, timm_detector
from pizzeria_plugins.trainers import lightning

COLOURS = np.array([(220, 40, 40), (40, 200, 60), (50, 80, 230)], np.uint8)
SPLITS = ["train", "validation", "test"]


class Recorder:
    """A progress that remembers what it was told."""

    def __init__(self) -> None:
        self.updates: list[tuple[str, int, int, dict[str, float]]] = []
        self.lines: list[str] = []

    def track(self, items: Any, label: str) -> Any:
        yield from items

    def update(self, label: str, done: int, total: int, **figures: float) -> None:
        self.updates.append((label, done, total, figures))

    def say(self, text: str) -> None:
        self.lines.append(text)


def problem(task: str, classes: str = "abc", **more: Any) -> Problem:
    metric = "mae" if task == "tabular_regression" else "map" if task == "object_detection" else "f1"
    return Problem(
        need="test",
        owner="test",
        task=task,
        classes=tuple(classes),
        success=({"metric": metric, "at_least": 0},),
        **more,
    )


def write_photos(folder: Path, task: str, counts: tuple[int, int, int] = (64, 16, 16), size: int = 64) -> None:
    """Photos with one or two rectangles; the original photos are said to be twice as large."""
    folder.mkdir(parents=True)
    rng = np.random.default_rng(0)
    n = sum(counts)
    images = rng.integers(90, 150, (n, size, size, 3), dtype=np.uint8)
    present = np.zeros((n, 3), np.float32)
    boxes = []
    for i in range(n):
        most = 1 if task == "image_classification" else 2
        for c in rng.permutation(3)[: rng.integers(1, most + 1)]:
            width, height = rng.integers(size // 4, size // 2, 2)
            x, y = rng.integers(0, size - width), rng.integers(0, size - height)
            images[i, y : y + height, x : x + width] = COLOURS[c]
            boxes.append((i, c, float(x), float(y), float(x + width), float(y + height)))
            present[i, c] = 1
    np.save(folder / "images.npy", images)
    if task == "object_detection":
        names = ["row", "class_index", "x_min", "y_min", "x_max", "y_max"]
        pd.DataFrame(boxes, columns=names).to_parquet(folder / "boxes.parquet")
    else:
        targets = present if task == "multilabel_classification" else present.argmax(axis=1)
        np.save(folder / "targets.npy", targets)
    pd.DataFrame(
        {
            "image_id": [f"photo-{i}" for i in range(n)],
            "split": np.repeat(SPLITS, counts),
            "width": size * 2,
            "height": size * 2,
            "scale_x": 0.5,
            "scale_y": 0.5,
            "offset_x": 0.0,
            "offset_y": 0.0,
        }
    ).to_parquet(folder / "index.parquet")
    kind = {"kind": "photos", "size": [size, size], "resize": "letterbox", "fill": 114}
    (folder / "preprocessing.json").write_text(json.dumps(kind))


def write_rows(folder: Path, task: str, counts: tuple[int, int, int] = (600, 200, 200)) -> None:
    """Rows whose target follows from two numeric columns and a categorical one."""
    folder.mkdir(parents=True)
    rng = np.random.default_rng(0)
    n = sum(counts)
    numeric = rng.normal(size=(n, 3)).astype(np.float32)
    categorical = rng.integers(0, 4, (n, 1))
    value = 2 * numeric[:, 0] - numeric[:, 1] + np.array([0, 3, -3, 1])[categorical[:, 0]]
    preprocessing: dict[str, Any] = {
        "kind": "columns",
        "numeric": [{"name": name, "median": 0, "mean": 0, "std": 1} for name in "xyz"],
        "categorical": [{"name": "kind", "values": ["p", "q", "r"]}],
        "target": {"name": "target", "classes": ["no", "yes"]},
    }
    targets: Any = (value > 0).astype(np.int64)
    if task == "tabular_regression":
        targets = (value * 50 + 1000).astype(np.float32)
        preprocessing["target"] = {"name": "target", "mean": float(targets.mean()), "std": float(targets.std())}
    np.save(folder / "numeric.npy", numeric)
    np.save(folder / "categorical.npy", categorical)
    np.save(folder / "targets.npy", targets)
    pd.DataFrame({"row_id": [str(i) for i in range(n)], "split": np.repeat(SPLITS, counts)}).to_parquet(
        folder / "index.parquet"
    )
    (folder / "preprocessing.json").write_text(json.dumps(preprocessing))


def detection_job(root: Path, **options: Any) -> TrainJob:
    """A small detector on rectangles; writes its features when they are not there."""
    if not (root / "features").exists():
        write_photos(root / "features", "object_detection")
    (root / "train").mkdir(exist_ok=True)
    model = timm_detector.Options(image_size=64, strides=(8, 16), fpn_channels=32, head_convs=1)
    settings = {"max_epochs": 10, "batch_size": 8, "learning_rate": 3e-3, "augmentation": "flip", "accelerator": "cpu"}
    return TrainJob(
        problem=problem("object_detection"),
        model=timm_detector,
        model_options=model,
        options=lightning.Options(**(settings | options)),
        seed=0,
        features=root / "features",
        folder=root / "train",
        progress=Recorder(),
    )


def classification_job(root: Path, task: str, **options: Any) -> TrainJob:
    """A small classifier on the same rectangles."""
    write_photos(root / "features", task, (96, 24, 24))
    (root / "train").mkdir()
    settings = {"max_epochs": 8, "learning_rate": 3e-3, "augmentation": "flip", "accelerator": "cpu"}
    return TrainJob(
        problem=problem(task),
        model=timm_classifier,
        model_options=timm_classifier.Options(backbone="test_resnet", image_size=64),
        options=lightning.Options(**(settings | options)),
        seed=0,
        features=root / "features",
        folder=root / "train",
        progress=Recorder(),
    )


def row_job(root: Path, task: str, **options: Any) -> TrainJob:
    """A small network on rows."""
    write_rows(root / "features", task)
    (root / "train").mkdir()
    classes = "" if task == "tabular_regression" else "ny"
    settings = {"max_epochs": 8, "batch_size": 50, "learning_rate": 5e-3, "accelerator": "cpu"}
    return TrainJob(
        problem=problem(task, classes, target="target"),
        model=tabular_network,
        model_options=tabular_network.Options(hidden=32, blocks=1),
        options=lightning.Options(**(settings | options)),
        seed=0,
        features=root / "features",
        folder=root / "train",
        progress=Recorder(),
    )
