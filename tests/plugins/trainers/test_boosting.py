"""Boosting on columns: what it learns, that a cut-off training ends as one left alone, and what the export answers."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pandas as pd
import pytest
from safetensors.numpy import save_file
from synthetic import Recorder, problem, write_rows

from pizzeria.contracts import TrainJob
from pizzeria.datasets import open_dataset
from pizzeria.errors import DataError, TrainingError
from pizzeria_plugins.models import lightgbm as model
from pizzeria_plugins.models.booster_file import read
from pizzeria_plugins.trainers import boosting
from pizzeria_plugins.trainers import lightgbm as trainer

THREE = {"rounds": 30, "checkpoint_every": 10, "learning_rate": 0.2, "threads": 1}


def job(root: Path, task: str, classes: str = "ny", trees: dict[str, Any] | None = None, **options: Any) -> TrainJob:
    if not (root / "features").exists():
        write_rows(root / "features", task)
        if len(classes) == 3:
            targets = np.load(root / "features" / "targets.npy")
            np.save(root / "features" / "targets.npy", targets + (np.arange(len(targets)) % 5 == 0) * (2 - targets))
    (root / "train").mkdir(exist_ok=True)
    return TrainJob(
        problem=problem(task, "" if task == "tabular_regression" else classes, target="target"),
        model=model,
        model_options=model.Options(**{"num_leaves": 7, **(trees or {})}),
        options=trainer.Options(**(THREE | options)),
        seed=3,
        features=root / "features",
        folder=root / "train",
        progress=Recorder(),
    )


@pytest.mark.parametrize(
    ("task", "classes"),
    [("tabular_classification", "ny"), ("tabular_classification", "nyz"), ("tabular_regression", "")],
)
def test_it_learns_and_its_graph_answers_as_it_does(tmp_path: Path, task: str, classes: str) -> None:
    work = job(tmp_path, task, classes)
    facts = trainer.train(work)
    curves = pd.read_csv(tmp_path / "train" / "curves.csv")
    assert list(curves["epoch"]) == list(range(1, facts["epochs"] + 1))
    assert curves["train_loss"].iloc[-1] < 0.9 * curves["train_loss"].iloc[0]
    assert facts["best_epoch"] == curves["validation_loss"].idxmin() + 1
    assert facts["validation_loss"] == curves["validation_loss"].min()
    weights = tmp_path / "train" / "model.safetensors"
    found = trainer.predict(work, weights, "test")
    data = open_dataset(work.features)
    rows = data.rows("test")
    assert found.keys == tuple(data.index["row_id"].iloc[rows])
    if task == "tabular_regression":
        spread = np.abs(data.targets[rows] - data.targets[rows].mean()).mean()
        assert np.abs(found.values - data.targets[rows]).mean() < 0.6 * spread
    else:
        assert np.allclose(found.probabilities.sum(axis=1), 1, atol=1e-6)
        assert (found.probabilities.argmax(axis=1) == data.targets[rows]).mean() > 0.7

    model.export(work.model_options, work.problem, data.preprocessing, weights, tmp_path / "m.onnx")
    session = onnxruntime.InferenceSession(tmp_path / "m.onnx")
    feed = {"numeric": data.numeric[rows], "categorical": data.categorical[rows]}
    assert {one.name: one.type for one in session.get_inputs()} == {
        "numeric": "tensor(float)",
        "categorical": "tensor(int64)",
    }
    (answer,) = session.run(None, feed)
    if task == "tabular_regression":
        assert [one.name for one in session.get_outputs()] == ["values"]
        np.testing.assert_allclose(answer, found.values, rtol=1e-5)
    else:
        assert [one.name for one in session.get_outputs()] == ["probabilities"]
        np.testing.assert_allclose(answer, found.probabilities, atol=1e-5)


@pytest.mark.parametrize("task", ["tabular_classification", "tabular_regression"])
def test_a_cut_off_training_ends_as_if_left_alone(tmp_path: Path, task: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where rows and columns are drawn at random."""
    trees = {"feature_fraction": 0.7, "bagging_fraction": 0.6}
    alone = job(tmp_path / "alone", task, trees=trees)
    trainer.train(alone)
    cut = job(tmp_path / "cut", task, trees=trees)
    real, stretches = boosting._stretch, 0

    def dies(*args: Any) -> Any:
        nonlocal stretches
        stretches += 1
        if stretches == 3:
            raise KeyboardInterrupt
        return real(*args)

    monkeypatch.setattr(boosting, "_stretch", dies)
    with pytest.raises(KeyboardInterrupt):
        trainer.train(cut)
    assert not (cut.folder / "model.safetensors").exists()
    facts = trainer.train(cut)
    assert any("going on after round 20 of 30" in line for line in cut.progress.lines)
    ends = [(one.folder / "model.safetensors").read_bytes() for one in (alone, cut)]
    assert ends[0] == ends[1]
    curves = [pd.read_csv(one.folder / "curves.csv").drop(columns="seconds") for one in (alone, cut)]
    pd.testing.assert_frame_equal(*curves, check_exact=True)
    again = trainer.train(cut)  # all is done
    assert again["epochs"] == facts["epochs"] == 30


def test_it_stops_when_the_loss_no_longer_falls_and_keeps_the_best_trees(tmp_path: Path) -> None:
    work = job(tmp_path, "tabular_classification", rounds=400, early_stopping_rounds=7, checkpoint_every=30)
    facts = trainer.train(work)
    assert facts["stopped_early"]
    assert facts["epochs"] == facts["best_epoch"] + 7
    text, _ = read(work.folder / "model.safetensors")
    assert text.count("Tree=") == facts["best_epoch"]
    curves = pd.read_csv(work.folder / "curves.csv")
    truth = open_dataset(work.features).truth("validation", 2).probabilities
    said = trainer.predict(work, work.folder / "model.safetensors", "validation").probabilities
    loss = -np.log(np.where(truth > 0, said, 1)).sum(axis=1).mean()
    assert loss == pytest.approx(curves["validation_loss"].min(), rel=1e-4)


def test_thresholds_between_neighbouring_numbers_survive_the_export(tmp_path: Path) -> None:
    """Two float32 beside each other have their middle in no float32: rounded up, it would let both pass."""
    work = job(tmp_path, "tabular_classification", rounds=10, trees={"min_data_in_leaf": 1})
    numeric = np.load(work.features / "numeric.npy")
    targets = np.load(work.features / "targets.npy")
    base = np.float32(1.1)
    for column in range(3):
        base = np.nextafter(np.float32(base * 1.7), np.float32(9))
        numeric[:, column] = np.where(targets == 1, np.nextafter(base, np.float32(9)), base)
    np.save(work.features / "numeric.npy", numeric)
    trainer.train(work)
    weights = work.folder / "model.safetensors"
    found = trainer.predict(work, weights, "test").probabilities
    data = open_dataset(work.features)
    rows = data.rows("test")
    model.export(work.model_options, work.problem, data.preprocessing, weights, tmp_path / "m.onnx")
    feed = {"numeric": data.numeric[rows], "categorical": data.categorical[rows]}
    (answer,) = onnxruntime.InferenceSession(tmp_path / "m.onnx").run(None, feed)
    assert found[:, 1].max() > 0.8 > 0.2 > found[:, 1].min()
    np.testing.assert_allclose(answer, found, atol=1e-5)


def test_rare_classes_may_count_more(tmp_path: Path) -> None:
    plain = job(tmp_path, "tabular_classification")
    targets = np.load(plain.features / "targets.npy")
    targets[np.random.default_rng(0).random(len(targets)) < 0.8] = 0
    np.save(plain.features / "targets.npy", targets)
    said = []
    for wish in (None, "balanced", {"y": 50.0}):
        work = job(tmp_path, "tabular_classification", trees={"class_weights": wish}, rounds=10)
        (work.folder / "checkpoint.safetensors").unlink(missing_ok=True)
        trainer.train(work)
        said.append(trainer.predict(work, work.folder / "model.safetensors", "test").probabilities[:, 1].mean())
    assert said[0] + 0.1 < said[1] < said[2]


def test_it_begins_from_trees_of_the_same_columns_alone(tmp_path: Path) -> None:
    first = job(tmp_path / "first", "tabular_classification", rounds=20)
    trainer.train(first)
    start = first.folder / "model.safetensors"
    later = replace(job(tmp_path / "later", "tabular_classification", rounds=10), start=start)
    trainer.train(later)
    trees = [read(one.folder / "model.safetensors")[0].count("Tree=") for one in (first, later)]
    assert trees[0] < trees[1] <= trees[0] + 10
    assert pd.read_csv(later.folder / "curves.csv")["epoch"].tolist() == list(range(1, 11))

    start.with_name("start.json").write_text(json.dumps({"classes": ["y", "n"]}))
    with pytest.raises(DataError, match="another order"):
        trainer.train(replace(later, folder=tmp_path))
    start.with_name("start.json").unlink()
    save_file({"fc.weight": np.zeros(3, np.float32)}, start)
    with pytest.raises(DataError, match=r"training.start: .* holds no trees of LightGBM"):
        trainer.train(replace(later, folder=tmp_path))


def test_a_damaged_checkpoint_is_passed_over_and_one_of_other_options_too(tmp_path: Path) -> None:
    work = job(tmp_path, "tabular_regression", rounds=10)
    trainer.train(work)
    checkpoint = work.folder / "checkpoint.safetensors"
    whole = checkpoint.read_bytes()
    checkpoint.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    trainer.train(work)
    assert any("its hash does not fit; starting afresh" in line for line in work.progress.lines)
    other = job(tmp_path, "tabular_regression", rounds=11)
    assert trainer.train(other)["epochs"] == 11
    assert any("of a training with other options" in line for line in other.progress.lines)
    with pytest.raises(TrainingError, match="holds no trees of LightGBM"):
        trainer.predict(work, tmp_path / "absent.safetensors", "test")
