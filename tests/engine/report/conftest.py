"""Run folders as the stages leave them, made of drawn photos and invented answers, judged by the real evaluator."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml
from PIL import Image, ImageDraw

from pizzeria.predictions import Boxes, Predictions, save_predictions
from pizzeria.spec.problem import Problem
from pizzeria.spec.verification import Verdicts
from pizzeria.tables import Tables, write_tables
from pizzeria_plugins.evaluators import torchmetrics as evaluator

CLASSES = ["bed", "sofa", "table", "chair", "stove", "tv"]
COLOURS = ["#b65b4a", "#4a7fb6", "#8a6a3f", "#5b8a5b", "#777777", "#222222"]


@dataclass
class RunBuilder:
    """Writes one run folder, stage by stage; each method may be left out."""

    path: Path
    problem: dict[str, Any]
    data: dict[str, Any] = field(default_factory=dict)
    random: np.random.Generator = field(default_factory=lambda: np.random.default_rng(7))

    def __post_init__(self) -> None:
        spec = {
            "name": self.path.name,
            "problem": self.problem,
            "data": {"use": "rooms", "split": {"group_by": "listing_id"}, **self.data},
            "model": {"use": "timm_detector", "backbone": "mobilenetv3_small_100"},
            "training": {"use": "lightning", "max_epochs": 12},
            "evaluation": {"use": "torchmetrics", "calibration": "isotonic"},
        }
        self.path.mkdir(parents=True, exist_ok=True)
        (self.path / "spec.yaml").write_text(yaml.safe_dump(spec, sort_keys=False, allow_unicode=True))

    def stage(self, name: str) -> Path:
        folder = self.path / "stages" / name
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def json(self, stage: str, name: str, value: Any) -> None:
        path = self.stage(stage) / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(value))

    def done(self, stage: str, seconds: float, refusal: dict[str, str] | None = None, **facts: Any) -> None:
        fingerprint = f"{abs(hash((self.path.name, stage))):064x}"
        started = "2026-11-23T19:01:54.512+00:00"
        result = {"stage": stage, "fingerprint": fingerprint, "seconds": seconds, "started": started, "facts": facts}
        self.json(stage, "result.json", result | {"ingredients": {}, "refusal": refusal})

    def tables(self, tables: Tables) -> None:
        write_tables(tables, self.stage("collect"))
        self.done("collect", 3.2, **{name: len(frame) for name, frame in tables.present()})

    def expectations(self, *failed: dict[str, Any]) -> None:
        good = {"success": True, "unexpected": 0, "evaluated": 120, "examples": []}
        names = ("expect_column_values_to_be_unique", "expect_column_values_to_not_be_null")
        entries = [{"table": "images", "name": n, "arguments": {"column": "image_id"}, **good} for n in names]
        self.json("validate", "expectations.json", [*entries, *failed])
        refusal = {"message": "the data do not meet what is expected of them", "hint": "mend the data"}
        self.done("validate", 1.1, refusal if any(entry["success"] is not True for entry in failed) else None)

    def splits(self, keys: list[str], splits: list[str]) -> None:
        pd.DataFrame({"key": keys, "split": splits}).to_parquet(self.stage("split") / "splits.parquet")
        self.done("split", 0.04)
        self.done("features", 4.4)

    def curves(self, metric: str, epochs: int = 12) -> None:
        at = np.arange(1, epochs + 1)
        frame = pd.DataFrame(
            {
                "epoch": at,
                "train_loss": 1.4 * np.exp(-at / 5) + 0.15,
                "validation_loss": 1.4 * np.exp(-at / 5) + 0.24 + 0.01 * (at > 9) * at,
                metric: 0.78 * (1 - np.exp(-at / 4)),
                "learning_rate": 1e-3 * np.cos(at / epochs * np.pi / 2),
                "seconds": 3.1,
            }
        )
        frame.to_csv(self.stage("train") / "curves.csv", index=False)
        self.done(
            "train", 37.5, epochs=epochs, best_epoch=9, items_per_second=153.2, parameters=1_834_211, device="cpu"
        )

    def evaluate(self, predictions: Predictions, truth: Predictions, gate: list[tuple[str, float]]) -> dict[str, Any]:
        problem = Problem.model_validate(self.problem)
        calibration = (
            evaluator.calibrate("isotonic", problem, predictions, truth) if problem.classes else {"method": "none"}
        )
        listings = [key.split("-")[0] for key in predictions.keys]
        if "thresholds" in calibration:
            calibration |= evaluator.verdict_bands(Verdicts(), problem, predictions, truth, calibration, listings)
        report = evaluator.evaluate(evaluator.Options(), problem, predictions, truth, calibration)
        if "thresholds" in calibration:
            report["verdicts"] = evaluator.verdict_figures(problem, predictions, truth, calibration, listings)
        text = json.dumps(report).replace("NaN", "null")
        report = json.loads(text)
        self.json("evaluate", "metrics.json", report)
        self.json("evaluate", "calibration.json", calibration)
        for name, value in (("test", predictions), ("truth_test", truth)):
            save_predictions(value, self.stage("evaluate") / f"{name}.npz")
        verdict = []
        for metric, least in gate:
            value = report["metrics"].get(metric)
            lower = metric in ("mae", "rmse")
            passed = None if value is None else (value <= least if lower else value >= least)
            bounds = {"at_least": None if lower else least, "at_most": least if lower else None}
            verdict.append({"metric": metric, "of_class": None, "value": value, "passed": passed, **bounds})
        self.json("evaluate", "gate.json", verdict)
        missed = [entry for entry in verdict if entry["passed"] is not True]
        refusal = {"message": f"{len(missed)} success criteria not met", "hint": "train longer"} if missed else None
        self.done("evaluate", 6.2, refusal)
        return report

    def package(self, **facts: Any) -> None:
        self.json("package", "bundle/manifest.json", {"model.onnx": "ab" * 32, "bundle.json": "cd" * 32})
        versions = {"pizzeria": "0.1.0", "onnxruntime": "1.32.0", "python": "3.11.13"}
        self.json("package", "bundle/bundle.json", {"format": 1, "versions": versions, "lineage": {"train": "ef" * 32}})
        parity = {"passed": True, "score_difference": 1.2e-6, "smallest_iou": 0.9999, "photos": 42, "milliseconds": 7.4}
        self.json("package", "parity.json", parity)
        self.done("package", 5.5, sha256="12" * 32, bytes=5_400_000, milliseconds=7.4, **facts)

    def deploy(self) -> None:
        self.done("deploy", 4.0, state="live", address="http://127.0.0.1:3000", sha256="12" * 32, detail="")

    def monitored(self, when: str, *, shifted: bool) -> None:
        chunks = [f"[{i * 100}:{i * 100 + 99}]" for i in range(6)]
        findings = []
        for i, chunk in enumerate(chunks):
            value = 0.91 - (0.25 if shifted else 0) + 0.01 * (i % 3)
            findings += [
                {"kind": "performance", "subject": "f1", "chunk": chunk, "start": "", "end": "", "value": value,
                 "threshold": "below 0.80", "alert": value < 0.8, "realised": value - 0.02},
                {"kind": "drift", "subject": "feature:brightness", "chunk": chunk, "start": "", "end": "",
                 "value": 0.42 if shifted else 0.08, "threshold": "above 0.25", "alert": shifted, "realised": None},
                {"kind": "performance", "subject": "f1 of tv", "chunk": chunk, "start": "", "end": "", "value": None,
                 "threshold": "below 0.80", "alert": None, "realised": None},
            ]  # fmt: skip
        value = [0.91 - (0.25 if shifted else 0) + 0.01 * (i % 3) for i in range(6)]
        figure = {
            "data": [
                {"type": "scatter", "mode": "lines+markers", "x": chunks, "y": value, "name": "estimated <b>f1</b>",
                 "line": {"color": "#3b0280"}},
                {"type": "scatter", "mode": "lines", "x": chunks, "y": [0.8] * 6, "name": "alert",
                 "line": {"color": "#dd4040", "dash": "dash"}},
            ],
            "layout": {"paper_bgcolor": "white", "height": 320, "xaxis": {"title": "Chunk", "type": "category"}},
        }  # fmt: skip
        verdict = {
            "findings": findings,
            "alerts": ["f1 is estimated at 0.66, below 0.80, in 6 of 6 chunks"] if shifted else [],
            "undecided": [] if shifted else ["f1 of tv: the reference has no tv"],
            "plots": {"Performance: f1 estimated and realised": json.dumps(figure)},
            "at": when,
            "judged": 600,
            "reasons": ["performance", "drift"] if shifted else [],
        }
        folder = self.path / "monitoring" / when.replace(":", "").replace("+0000", "Z")
        folder.mkdir(parents=True)
        (folder / "verdict.json").write_text(json.dumps(verdict))


def draw_room(
    path: Path, boxes: np.ndarray, labels: np.ndarray, random: np.random.Generator, size: tuple[int, int]
) -> None:
    """A wall, a floor and a coloured block for each box."""
    wall = tuple(int(v) for v in random.integers(150, 235, 3))
    image = Image.new("RGB", size, wall)
    draw = ImageDraw.Draw(image)
    draw.rectangle((0, size[1] * 0.62, *size), fill=tuple(int(v * 0.62) for v in wall))
    for box, label in zip(boxes, labels, strict=True):
        draw.rounded_rectangle(tuple(float(v) for v in box), radius=6, fill=COLOURS[label % len(COLOURS)])
    image.save(path, quality=85)


def true_boxes(random: np.random.Generator, size: tuple[int, int], classes: int) -> Boxes:
    count = int(random.integers(1, 5))
    w, h = random.uniform(0.15, 0.4, count) * size[0], random.uniform(0.15, 0.45, count) * size[1]
    x, y = random.uniform(0, size[0] - w), random.uniform(size[1] * 0.25, np.maximum(size[1] - h, size[1] * 0.26))
    xyxy = np.stack([x, y, x + w, np.minimum(y + h, size[1])], 1).astype(np.float32)
    return Boxes(xyxy, np.ones(count, np.float32), random.integers(0, classes, count))


def found_boxes(true: Boxes, random: np.random.Generator, classes: int) -> Boxes:
    """What a fair detector would find: most boxes a little off, some missed, some invented."""
    keep = random.random(len(true.labels)) < 0.88
    xyxy = true.xyxy[keep] + random.normal(0, 4, (int(keep.sum()), 4)).astype(np.float32)
    labels, scores = true.labels[keep], random.beta(6, 2, int(keep.sum()))
    extra = int(random.integers(0, 4))
    corner = random.uniform(0, 120, (extra, 2))
    invented = np.concatenate([corner, corner + random.uniform(25, 80, (extra, 2))], 1)
    xyxy = np.concatenate([xyxy, invented]).astype(np.float32)
    labels = np.concatenate([labels, random.integers(0, classes, extra)])
    scores = np.concatenate([scores, random.beta(2, 6, extra)]).astype(np.float32)
    order = np.argsort(-scores)
    return Boxes(xyxy[order], scores[order], labels[order])


def build_detection(
    path: Path, *, listings: int = 20, classes: list[str] = CLASSES, need: str = "Guests lose trust.", gate: float = 0.2
) -> RunBuilder:
    """A whole run with listings, up to monitoring."""
    problem = {
        "need": need, "owner": "trust-and-safety", "task": "object_detection", "classes": classes,
        "input": "A photo of a room", "output": "Boxes of amenities",
        "success": [{"metric": "map_50", "at_least": gate}, {"metric": "presence_f1", "at_least": 0.5}],
    }  # fmt: skip
    run = RunBuilder(path, problem)
    random, size = run.random, (300, 200)
    photos = run.stage("collect") / "photos"
    photos.mkdir(parents=True)
    images, boxes, declared, true = [], [], [], {}
    for listing in range(listings):
        there: set[str] = set()
        for photo in range(3):
            key, name = f"{listing}-{photo}", f"{listing}_{photo}.jpg"
            truth = true[key] = true_boxes(random, size, len(classes))
            draw_room(photos / name, truth.xyxy, truth.labels, random, size)
            images.append({"image_id": key, "path": f"photos/{name}", "sha256": "", "width": size[0],
                           "height": size[1], "readable": True, "listing_id": f"L{listing}"})  # fmt: skip
            for i, (xyxy, label) in enumerate(zip(truth.xyxy, truth.labels, strict=True)):
                corners = dict(zip(("x_min", "y_min", "x_max", "y_max"), xyxy.tolist(), strict=True))
                boxes.append({"box_id": f"{key}-{i}", "image_id": key, "class_name": classes[label], **corners})
            there |= {classes[label] for label in truth.labels}
        false = [name for name in classes if name not in there and random.random() < 0.3]
        declared.append(
            {"listing_id": f"L{listing}", "declared": [n for n in sorted(there) if random.random() < 0.9] + false}
        )
    run.tables(Tables(images=pd.DataFrame(images), boxes=pd.DataFrame(boxes), listings=pd.DataFrame(declared)))
    run.expectations()
    split_of = ["test" if i % 5 in (0, 1) else "validation" if i % 5 == 2 else "train" for i in range(listings)]
    keys = [image["image_id"] for image in images]
    run.splits(keys, [split_of[int(key.split("-")[0])] for key in keys])
    run.curves("map_50")
    test = [key for key in keys if split_of[int(key.split("-")[0])] == "test"]
    truth = Predictions(tuple(test), boxes=tuple(true[key] for key in test))
    found = Predictions(tuple(test), boxes=tuple(found_boxes(true[key], random, len(classes)) for key in test))
    report = run.evaluate(found, truth, [("map_50", gate), ("presence_f1", 0.5)])
    if report["metrics"]["map_50"] >= gate:
        run.package()
        run.deploy()
        run.monitored("2026-11-23T19:10:00.000+00:00", shifted=False)
        run.monitored("2026-11-23T19:20:00.000+00:00", shifted=True)
    return run


def build_rows(path: Path, task: str, count: int = 600) -> RunBuilder:
    """A tabular run: regression of a delay, or classification of its sign."""
    regression = task == "tabular_regression"
    problem: dict[str, Any] = {"need": "Plan the day.", "owner": "operations", "task": task, "target": "delay"}
    problem |= {
        "success": [{"metric": "mae", "at_most": 12} if regression else {"metric": "accuracy", "at_least": 0.6}]
    }
    problem |= {} if regression else {"classes": ["late", "on time"]}
    run = RunBuilder(path, problem, {"use": "table", "split": {"order_by": "at"}})
    random = run.random
    delay = random.normal(5, 20, count)
    label = np.where(delay > 5, "late", "on time")
    rows = pd.DataFrame({"row_id": [f"r{i}" for i in range(count)], "at": pd.date_range("2026-01-01", periods=count),
                         "distance": random.uniform(100, 2500, count),
                         "carrier": random.choice(["AA", "UA", "DL"], count),
                         "delay": delay if regression else label})  # fmt: skip
    run.tables(Tables(rows=rows))
    run.expectations()
    splits = np.array(["train"] * (count * 6 // 10) + ["validation"] * (count // 5) + ["test"] * (count // 5))
    run.splits(list(rows["row_id"]), list(splits))
    run.curves("mae" if regression else "auroc")
    at = np.flatnonzero(splits == "test")
    keys = tuple(rows["row_id"].iloc[at])
    if regression:
        said = (delay[at] + random.normal(0, 8, len(at))).astype(np.float32)
        run.evaluate(
            Predictions(keys, values=said), Predictions(keys, values=delay[at].astype(np.float32)), [("mae", 12)]
        )
    else:
        late = 1 / (1 + np.exp(-(delay[at] - 5 + random.normal(0, 14, len(at))) / 5))
        said = np.stack([late, 1 - late], 1).astype(np.float32)
        truth = np.eye(2, dtype=np.float32)[(label[at] != "late").astype(int)]
        run.evaluate(Predictions(keys, probabilities=said), Predictions(keys, probabilities=truth), [("accuracy", 0.6)])
    run.package()
    return run


def build_photos(path: Path, task: str, count: int = 60) -> RunBuilder:
    """A run that classifies photos, one class or several for each."""
    single, classes = task == "image_classification", CLASSES[:4]
    metric = "accuracy" if single else "f1"
    problem = {"need": "Sort photos by room.", "owner": "search", "task": task, "classes": classes,
               "success": [{"metric": metric, "at_least": 0.5}]}  # fmt: skip
    run = RunBuilder(path, problem, {"use": "image_folder", "split": {}})
    random = run.random
    photos = run.stage("collect") / "photos"
    photos.mkdir(parents=True)
    truth = np.eye(4, dtype=np.float32)[random.integers(0, 4, count)]
    if not single:
        truth = np.maximum(truth, (random.random((count, 4)) < 0.25).astype(np.float32))
    images = []
    for i in range(count):
        size = (200, 300) if i % 5 == 0 else (300, 200)
        there = np.flatnonzero(truth[i])
        boxes = np.array([[20 + 60 * k, 60, 70 + 60 * k, 150] for k in range(len(there))])
        draw_room(photos / f"{i}.jpg", boxes, there, random, size)
        names = [classes[k] for k in there]
        images.append({"image_id": f"i{i}", "path": f"photos/{i}.jpg", "width": size[0], "height": size[1],
                       "readable": True, **({"label": names[0]} if single else {"labels": names})})  # fmt: skip
    run.tables(Tables(images=pd.DataFrame(images)))
    splits = ["test" if i % 2 else "train" for i in range(count)]
    run.splits([image["image_id"] for image in images], splits)
    run.curves(metric)
    at = [i for i in range(count) if splits[i] == "test"]
    logits = 2.5 * truth[at] + random.normal(0, 1, (len(at), 4))
    said = np.exp(logits) / np.exp(logits).sum(1, keepdims=True) if single else 1 / (1 + np.exp(1.2 - logits))
    keys = tuple(images[i]["image_id"] for i in at)
    run.evaluate(
        Predictions(keys, probabilities=said.astype(np.float32)),
        Predictions(keys, probabilities=truth[at]),
        [(metric, 0.5)],
    )
    return run


@pytest.fixture(scope="session")
def build() -> dict[str, Callable[..., RunBuilder]]:
    """Builders of run folders, by kind."""
    return {"detection": build_detection, "rows": build_rows, "photos": build_photos, "empty": RunBuilder}
