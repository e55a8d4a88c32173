"""Photos: the first ones become a source of their own, and what is replayed keeps its labels."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path

import pandas as pd
import pytest
from PIL import Image

from pizzeria import registry
from pizzeria.conformance.asking import Quiet
from pizzeria.errors import DataError
from pizzeria.simulation.photos import BEGIN, cut_photos
from pizzeria.spec.problem import Criterion, Problem
from pizzeria.tables import Tables

DAY = timedelta(days=1)


def _problem(task: str, metric: str) -> Problem:
    success = (Criterion(metric=metric, at_least=0.1),)
    return Problem.model_validate(
        {"need": "Test.", "owner": "tests", "task": task, "classes": ("bed", "sofa"), "success": success}
    )


def _photos(folder: Path, count: int, labels: list[str | None] | None = None) -> pd.DataFrame:
    folder.mkdir()
    rows = []
    for i in range(count):
        path = folder / f"{i}.jpg"
        Image.new("RGB", (40, 30), (i * 7 % 255, 90, 120)).save(path)
        row = {"image_id": f"{i}.jpg", "path": str(path), "width": 40, "height": 30, "listing_id": f"l{i // 2}"}
        rows.append(row | ({} if labels is None else {"label": labels[i]}))
    return pd.DataFrame(rows)


def test_classes_of_photos(tmp_path: Path) -> None:
    images = _photos(tmp_path / "own", 8, ["bed", "sofa"] * 4)
    shifted = _photos(tmp_path / "other", 2, ["sofa", None])
    problem = _problem("image_classification", "accuracy")
    (tmp_path / "out").mkdir()
    cut = cut_photos(Tables(images=images), problem, None, "0.4", DAY, Tables(images=shifted), tmp_path / "out")
    assert cut.learnt == 4, "a listing's photos stay together"
    source = registry.load("sources", cut.data["use"])
    options = source.Options(**{key: value for key, value in cut.data.items() if key != "use"})
    past = source.collect(options, problem, tmp_path, Quiet()).images
    stream = cut.stream
    assert len(stream) == 6
    assert list(stream.parts) == [0, 0, 0, 0, 1, 1]
    assert {"1-0.jpg", "1-1.jpg"} == set(stream.keys[4:])
    assert set(past["listing_id"]).isdisjoint(stream.listings[:4])
    assert sorted(past["label"]) == ["bed", "bed", "sofa", "sofa"]
    by_key = dict(zip(stream.keys, stream.truths, strict=True))
    assert (by_key["1-0.jpg"], by_key["1-1.jpg"]) == ('{"class":"sofa"}', "")
    assert stream.moment(0) == BEGIN
    assert stream.moment(1) - stream.moment(0) == 10 * DAY, "evenly, over 60 steps"
    again = cut_photos(Tables(images=images), problem, None, "0.4", DAY, Tables(images=shifted), tmp_path / "out")
    assert again.stream.keys == stream.keys


def test_boxes_of_photos(tmp_path: Path) -> None:
    images = _photos(tmp_path / "own", 4)
    corners = {"x_min": 1, "y_min": 2, "x_max": 9, "y_max": 8}
    boxes = pd.DataFrame([{"box_id": str(i), "image_id": f"{i}.jpg", "class_name": "bed", **corners} for i in range(4)])
    problem = _problem("object_detection", "map_50")
    (tmp_path / "out").mkdir()
    cut = cut_photos(Tables(images=images, boxes=boxes), problem, None, "0.5", DAY, None, tmp_path / "out")
    source = registry.load("sources", "coco")
    options = source.Options(**{key: value for key, value in cut.data.items() if key != "use"})
    past = source.collect(options, problem, tmp_path, Quiet())
    assert past.boxes[["x_min", "y_min", "x_max", "y_max"]].to_numpy().tolist() == [[1, 2, 9, 8]] * 2
    assert json.loads(cut.stream.truths[0]) == {
        "boxes": [{"class": "bed", "x_min": 1.0, "y_min": 2.0, "x_max": 9.0, "y_max": 8.0}],
        "classes": ["bed"],
    }


def test_a_class_that_the_model_lacks_and_a_date_without_times(tmp_path: Path) -> None:
    images = _photos(tmp_path / "own", 4, ["bed", "sofa", "bed", "table"])
    problem = _problem("image_classification", "accuracy")
    with pytest.raises(DataError, match=r"3\.jpg: class: .*table"):
        cut_photos(Tables(images=images), problem, None, "0.5", DAY, None, tmp_path)
    with pytest.raises(DataError, match="the photos have no times"):
        cut_photos(Tables(images=images), problem, None, "2026-01-01", DAY, None, tmp_path)
