from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from pizzeria.datasets import ImageSet, open_dataset
from pizzeria.errors import DataError
from pizzeria.inference.photos import decode
from pizzeria.inference.resize import resize
from pizzeria.inference.statistics import NAMES
from pizzeria.spec.problem import Problem
from pizzeria.tables import Tables
from pizzeria_plugins.features import photos

CLASSES = ["bed", "sofa"]
SPLITS = pd.Series({"a": "train", "b": "validation", "c": "test"})


def problem(task: str) -> Problem:
    metric = {"object_detection": "map_50"}.get(task, "f1")
    success = [{"metric": metric, "at_least": 0.5}]
    return Problem.model_validate({"need": "n", "owner": "o", "task": task, "classes": CLASSES, "success": success})


@pytest.fixture
def tables(tmp_path: Path) -> Tables:
    sizes = {"a": (200, 100), "b": (50, 80), "c": (64, 64)}
    for name, size in sizes.items():
        pixels = np.random.default_rng(len(name)).integers(0, 255, (size[1], size[0], 3), np.uint8)
        Image.fromarray(pixels).save(tmp_path / f"{name}.jpg")
    images = pd.DataFrame({"image_id": list(sizes), "path": [str(tmp_path / f"{name}.jpg") for name in sizes]})
    images["label"] = ["sofa", "bed", "sofa"]
    images["labels"] = [np.array(["sofa", "bed"], object), np.array([], object), ["bed"]]
    boxes = pd.DataFrame(
        [("1", "c", "bed", 0, 0, 32, 64), ("2", "a", "sofa", 100, 20, 200, 60), ("3", "a", "bed", -5, 10, 20, 300)],
        columns=["box_id", "image_id", "class_name", "x_min", "y_min", "x_max", "y_max"],
    )
    return Tables(images=images, boxes=boxes)


def build(tables: Tables, folder: Path, task: str, progress: Any, splits: Any = SPLITS, **options: Any) -> ImageSet:
    folder.mkdir()
    photos.build(photos.Options(**options), problem(task), tables, splits, {"image_size": 64}, folder, progress)
    dataset = open_dataset(folder)
    assert isinstance(dataset, ImageSet)
    return dataset


def test_detection_sees_what_serving_sees(tables: Tables, tmp_path: Path, progress: Any) -> None:
    dataset = build(tables, tmp_path / "out", "object_detection", progress)
    assert progress.done["photos"] == 3
    assert dataset.preprocessing == {"kind": "photos", "size": [64, 64], "resize": "letterbox", "fill": 114}
    for row, path in enumerate(tables.images["path"]):
        photo = decode(Path(path).read_bytes(), max_megapixels=1, preprocessing=dataset.preprocessing)
        pixels, geometry = resize(photo.image, dataset.preprocessing, (photo.width, photo.height))
        assert (dataset.images[row] == pixels).all()
        assert dataset.index["scale_x"].iloc[row] == geometry.scale_x
        assert (dataset.index["width"].iloc[row], dataset.index["height"].iloc[row]) == (photo.width, photo.height)
    assert list(dataset.index["split"]) == ["train", "validation", "test"]
    assert set(NAMES) <= set(dataset.index.columns)


def test_boxes_are_in_network_pixels_and_come_back(tables: Tables, tmp_path: Path, progress: Any) -> None:
    dataset = build(tables, tmp_path / "out", "object_detection", progress)
    assert dataset.boxes is not None
    assert [len(boxes.labels) for boxes in dataset.boxes] == [2, 0, 1]
    np.testing.assert_allclose(dataset.boxes[0].xyxy[0], [32, 6.4, 64, 19.2], atol=1e-4)
    assert dataset.boxes[0].labels.tolist() == [1, 0]
    truth = dataset.truth("train", 2)
    assert truth.boxes is not None
    np.testing.assert_allclose(truth.boxes[0].xyxy, [[100, 20, 200, 60], [0, 10, 20, 100]], atol=1e-3)


def test_a_crop_drops_boxes_that_it_cuts_off(tables: Tables, tmp_path: Path, progress: Any) -> None:
    dataset = build(tables, tmp_path / "out", "object_detection", progress, resize="crop")
    assert dataset.boxes is not None
    assert [len(boxes.labels) for boxes in dataset.boxes] == [1, 0, 1]
    np.testing.assert_allclose(dataset.boxes[0].xyxy, [[32, 12.8, 64, 38.4]], atol=1e-4)


def test_labels(tables: Tables, tmp_path: Path, progress: Any) -> None:
    single = build(tables, tmp_path / "single", "image_classification", progress)
    assert single.preprocessing["resize"] == "crop"
    assert single.targets is not None
    assert (single.targets.tolist(), single.targets.dtype) == ([1, 0, 1], np.int64)
    several = build(tables, tmp_path / "several", "multilabel_classification", progress, resize="letterbox", fill=0)
    assert several.preprocessing["fill"] == 0
    assert several.targets is not None
    assert (several.targets.tolist(), several.targets.dtype) == ([[1, 1], [0, 0], [1, 0]], np.float32)


def refused(tables: Tables, folder: Path, task: str, progress: Any, splits: Any = SPLITS, **options: Any) -> DataError:
    with pytest.raises(DataError) as caught:
        build(tables, folder, task, progress, splits, **options)
    return caught.value


def test_faults_are_named(tables: Tables, tmp_path: Path, progress: Any) -> None:
    assert tables.images is not None
    assert tables.boxes is not None
    images, boxes = tables.images, tables.boxes
    odd = Tables(images=images.assign(label=["sofa", "bad", "sofa"]))
    error = refused(odd, tmp_path / "1", "image_classification", progress)
    assert "b has 'bad'" in error.message
    assert error.hint == "problem.classes: did you mean bed?"
    odd = Tables(images=images, boxes=boxes.assign(class_name=["bed", "soffa", "bed"]))
    assert "2 has 'soffa'" in refused(odd, tmp_path / "2", "object_detection", progress).message
    odd = Tables(images=images, boxes=boxes.assign(image_id=["c", "a", "zz"]))
    assert "3 has 'zz'" in refused(odd, tmp_path / "3", "object_detection", progress).message
    assert "boxes table" in refused(Tables(images=images), tmp_path / "4", "object_detection", progress).message
    error = refused(tables, tmp_path / "5", "object_detection", progress, SPLITS.drop("b"))
    assert error.message.endswith(": b")
    (tmp_path / "b.jpg").write_bytes(b"\xff\xd8\xff no photo")
    (tmp_path / "c.jpg").unlink()
    error = refused(tables, tmp_path / "6", "object_detection", progress)
    assert "2 photos cannot be read" in error.message
    assert "b.jpg: the JPEG cannot be decoded" in error.message
    assert "c.jpg: No such file" in error.message
    assert "megapixels" in refused(tables, tmp_path / "7", "object_detection", progress, max_megapixels=0.01).message


def test_a_model_without_image_size_is_refused(tables: Tables, tmp_path: Path, progress: Any) -> None:
    with pytest.raises(DataError, match="no image size"):
        photos.build(
            photos.Options(), problem("object_detection"), tables, SPLITS, {"image_size": None}, tmp_path, progress
        )
