import csv
import os
import signal
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from synthetic import classification_job, detection_job, row_job

from pizzeria.datasets import open_dataset
from pizzeria.errors import DataError, TrainingError
from pizzeria_plugins.trainers import lightning
from pizzeria_plugins.trainers.answers import main_metric

WEIGHTS = "model.safetensors"


def rows_of(path: Path) -> list[dict[str, str]]:
    with open(path) as stream:
        return list(csv.DictReader(stream))


def test_learns_to_detect_and_answers_in_original_pixels(tmp_path: Path) -> None:
    job = detection_job(tmp_path, validate_every=4)
    facts = lightning.train(job)
    data = open_dataset(job.features)
    found = lightning.predict(job, job.folder / WEIGHTS, "test")
    assert main_metric(job.problem, found, data.truth("test", 3)) > 0.6
    assert found.keys == data.truth("test", 3).keys
    assert max(boxes.xyxy.max(initial=0) for boxes in found.boxes) > 64
    assert facts["epochs"] == 10
    assert facts["device"] == "cpu"

    curves = rows_of(job.folder / "curves.csv")
    assert [row["epoch"] for row in curves] == [str(epoch) for epoch in range(1, 11)]
    # Validated every fourth epoch, and in the last one.
    assert [row["epoch"] for row in curves if row["map_50"]] == ["4", "8", "10"]
    assert float(curves[-1]["train_loss"]) < float(curves[0]["train_loss"])
    assert job.progress.updates[-1][:3] == ("predict test", 2, 2)


@pytest.mark.parametrize("task", ["image_classification", "multilabel_classification"])
def test_learns_to_classify(tmp_path: Path, task: str) -> None:
    job = classification_job(tmp_path, task)
    lightning.train(job)
    found = lightning.predict(job, job.folder / WEIGHTS, "test")
    assert main_metric(job.problem, found, open_dataset(job.features).truth("test", 3)) > 0.8
    if task == "image_classification":
        np.testing.assert_allclose(found.probabilities.sum(axis=1), 1, atol=1e-5)


def test_learns_from_rows(tmp_path: Path) -> None:
    job = row_job(tmp_path, "tabular_classification")
    lightning.train(job)
    found = lightning.predict(job, job.folder / WEIGHTS, "test")
    assert main_metric(job.problem, found, open_dataset(job.features).truth("test", 2)) > 0.95


def test_regression_answers_in_the_unit_of_its_target(tmp_path: Path) -> None:
    job = row_job(tmp_path, "tabular_regression", optimizer="sgd", learning_rate=0.05, schedule="cosine")
    lightning.train(job)
    found = lightning.predict(job, job.folder / WEIGHTS, "test")
    truth = open_dataset(job.features).truth("test", 0)
    assert 900 < found.values.mean() < 1100
    assert main_metric(job.problem, found, truth) < 0.3 * truth.values.std()


def test_stops_early_and_keeps_the_best_epoch(tmp_path: Path) -> None:
    job = row_job(
        tmp_path,
        "tabular_classification",
        max_epochs=60,
        early_stopping_patience=3,
        monitor="loss",
        schedule="constant",
        learning_rate=0.05,
    )
    facts = lightning.train(job)
    assert facts["stopped_early"]
    assert facts["epochs"] == facts["best_epoch"] + 3
    curves = rows_of(job.folder / "curves.csv")
    losses = [float(row["validation_loss"]) for row in curves]
    assert losses.index(min(losses)) + 1 == facts["best_epoch"]
    # Called again, it has nothing left to do, and says the same.
    before = (job.folder / WEIGHTS).read_bytes()
    assert lightning.train(job) == facts
    assert (job.folder / WEIGHTS).read_bytes() == before


def test_nan_is_an_error_that_says_where_and_what_to_do(tmp_path: Path) -> None:
    job = row_job(tmp_path, "tabular_regression", learning_rate=1e30, optimizer="sgd", schedule="constant")
    with pytest.raises(TrainingError, match=r"the loss became (nan|inf) in epoch 1, step \d+") as caught:
        lightning.train(job)
    assert "learning_rate" in caught.value.hint


def test_gradient_clip_tames_the_same_training(tmp_path: Path) -> None:
    job = row_job(
        tmp_path,
        "tabular_regression",
        learning_rate=0.1,
        optimizer="sgd",
        gradient_clip=0.001,
        weight_decay=0,
        max_epochs=1,
    )
    preprocessing = open_dataset(job.features).preprocessing
    torch.manual_seed(job.seed)
    start = job.model.build(job.model_options, job.problem, preprocessing, pretrained=True).state_dict()
    lightning.train(job)
    end = load_file(job.folder / WEIGHTS)
    # 12 steps of at most 0.1 * 0.001, ten times as much with momentum.
    assert 0 < max(float((end[name] - start[name]).abs().max()) for name in start) < 0.02


def test_an_empty_split_is_refused(tmp_path: Path) -> None:
    import pandas as pd

    job = row_job(tmp_path, "tabular_classification")
    index = pd.read_parquet(job.features / "index.parquet")
    index["split"] = index["split"].replace("validation", "train")
    index.to_parquet(job.features / "index.parquet")
    with pytest.raises(DataError, match="validation split is empty"):
        lightning.train(job)


def test_bf16_and_workers_give_a_trained_model(tmp_path: Path) -> None:
    job = row_job(tmp_path, "tabular_classification", precision="bf16-mixed", workers=1, max_epochs=3)
    assert lightning.train(job)["precision"] == "bf16-mixed"


def test_workers_change_nothing(tmp_path: Path) -> None:
    weights = []
    for workers in (0, 2):
        root = tmp_path / str(workers)
        root.mkdir()
        job = detection_job(root, workers=workers, max_epochs=2, augmentation="standard")
        lightning.train(job)
        weights.append(load_file(job.folder / WEIGHTS))
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])


def test_leaves_nothing_but_what_it_says(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    job = row_job(tmp_path, "tabular_classification", max_epochs=2)
    lightning.train(job)
    assert sorted(path.name for path in job.folder.iterdir()) == ["checkpoints", "curves.csv", WEIGHTS]
    assert capfd.readouterr() == ("", "")


@pytest.mark.slow
def test_ctrl_c_ends_as_keyboard_interrupt_and_can_be_resumed(tmp_path: Path) -> None:
    job = detection_job(tmp_path, max_epochs=5)

    class Interrupting(type(job.progress)):  # type: ignore[misc]
        def update(self, label: str, done: int, total: int, **figures: float) -> None:
            if done == 20:
                os.kill(os.getpid(), signal.SIGINT)

    object.__setattr__(job, "progress", Interrupting())
    handler = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        lightning.train(job)
    assert signal.getsignal(signal.SIGINT) is handler
    job = detection_job(tmp_path, max_epochs=5)
    assert lightning.train(job)["epochs"] == 5
    assert "going on after epoch 2 of 5" in job.progress.lines[0]
