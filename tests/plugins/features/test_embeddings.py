from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from pizzeria.datasets import EmbeddingSet, open_dataset
from pizzeria.errors import DataError, PluginError, TrainingError
from pizzeria.examination import test_inputs as inputs_of
from pizzeria.spec.problem import Problem
from pizzeria.tables import Tables
from pizzeria_plugins.features import embeddings
from pizzeria_plugins.models.backbone import Embedder

CLASSES = ["bed", "sofa"]
MODEL = {"backbone": "test_resnet", "image_size": 64, "weights": None, "pooling": None}


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PIZZERIA_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def tables(tmp_path: Path) -> Tables:
    paths = [tmp_path / f"{name}.png" for name in "abcd"]
    for i, path in enumerate(paths[:3]):
        Image.fromarray(np.random.default_rng(i).integers(0, 255, (70, 80, 3), np.uint8)).save(path)
    shutil.copy(paths[0], paths[3])
    images = pd.DataFrame({"image_id": list("abcd"), "path": list(map(str, paths)), "label": ["sofa", "bed"] * 2})
    images["labels"] = [["sofa", "bed"], [], ["bed"], ["sofa"]]
    return Tables(images=images)


def problem(task: str) -> Problem:
    success = [{"metric": "f1", "at_least": 0.5}]
    return Problem.model_validate({"need": "n", "owner": "o", "task": task, "classes": CLASSES, "success": success})


def build(tables: Tables, folder: Path, progress: Any, task: str = "image_classification", **model: Any) -> Any:
    folder.mkdir()
    splits = pd.Series({"a": "train", "b": "train", "c": "validation", "d": "test"})
    embeddings.build(embeddings.Options(), problem(task), tables, splits, MODEL | model, folder, progress)
    return open_dataset(folder)


def seen(progress: Any) -> int:
    progress.done.pop("photos", 0)
    return progress.done.pop("embeddings", 0)


def test_each_photo_is_seen_once_by_each_backbone(tables: Tables, tmp_path: Path, progress: Any) -> None:
    data = build(tables, tmp_path / "1", progress)
    assert isinstance(data, EmbeddingSet)
    assert seen(progress) == 3  # two are equal
    assert np.array_equal(data.embeddings[0], data.embeddings[3])
    assert data.preprocessing["embedding"] == data.embeddings.shape[1]
    assert data.targets.tolist() == [1, 0, 1, 0]
    assert inputs_of(tables, data) == {"d": tmp_path / "d.png"}
    assert "random weights" in progress.lines[0]
    again = build(tables, tmp_path / "2", progress)
    assert seen(progress) == 0
    assert np.array_equal(again.embeddings, data.embeddings)
    several = build(tables, tmp_path / "3", progress, "multilabel_classification")
    assert seen(progress) == 0
    assert several.targets.tolist() == [[1, 1], [0, 0], [1, 0], [0, 1]]
    build(tables, tmp_path / "4", progress, pooling="max")
    assert seen(progress) == 3
    # What was lost can be made again, and is the same: random weights are the same ones each time.
    shutil.rmtree(tmp_path / "cache" / "embeddings")
    fresh = build(tables, tmp_path / "5", progress)
    assert progress.done.get("photos") is None
    assert seen(progress) == 3
    np.testing.assert_allclose(fresh.embeddings, data.embeddings, atol=1e-6)


def test_a_changed_file_of_weights_makes_other_embeddings(tables: Tables, tmp_path: Path, progress: Any) -> None:
    network = Embedder("test_resnet", 64, None, None)
    whole = {f"{name}": value for name, value in network.body.state_dict().items()}
    whole |= {"fc.weight": torch.zeros(1000, network.width), "fc.bias": torch.zeros(1000)}
    weights = tmp_path / "w.safetensors"
    save_file(whole, weights)
    first = build(tables, tmp_path / "1", progress, weights=str(weights))
    assert embeddings.inputs(MODEL | {"weights": str(weights)}) == [weights]
    assert seen(progress) == 3
    save_file({name: value * 1.5 if value.is_floating_point() else value for name, value in whole.items()}, weights)
    second = build(tables, tmp_path / "2", progress, weights=str(weights))
    assert seen(progress) == 3
    assert not np.allclose(first.embeddings, second.embeddings)
    save_file({"conv1.weight": torch.zeros(1)}, weights)
    with pytest.raises(TrainingError, match="is not for test_resnet"):
        build(tables, tmp_path / "3", progress, weights=str(weights))


def test_faults_are_named(tables: Tables, tmp_path: Path, progress: Any) -> None:
    with pytest.raises(PluginError, match="timm has no model 'resnet8'"):
        build(tables, tmp_path / "1", progress, backbone="resnet8")
    with pytest.raises(PluginError, match="test_resnet makes no embeddings of photos of 64 px with the pooling token"):
        build(tables, tmp_path / "2", progress, pooling="token")
    with pytest.raises(DataError, match="names no backbone"):
        build(tables, tmp_path / "3", progress, backbone=None)
    (tmp_path / "b.png").write_bytes(b"no photo")
    with pytest.raises(DataError, match=r"b\.png: the bytes begin with"):
        build(tables, tmp_path / "4", progress)


def test_what_the_bundle_is_told_says_how_wide_an_embedding_is(tables: Tables, tmp_path: Path, progress: Any) -> None:
    build(tables, tmp_path / "1", progress)
    found = json.loads((tmp_path / "1" / "preprocessing.json").read_text())
    assert found == {"kind": "photos", "size": [64, 64], "resize": "crop", "fill": 114, "embedding": found["embedding"]}
