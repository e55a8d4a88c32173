"""Two processes learn what one learns with twice the batch: torchrun, and Ray Train, one of whose workers is killed."""

from __future__ import annotations

import csv
import fcntl
import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import psutil
import pytest
import torch
from safetensors.torch import load_file

from pizzeria import registry
from pizzeria.contracts import TrainJob
from pizzeria.errors import DataError, PizzeriaError, TrainingError
from pizzeria_plugins.models import tabular_network
from pizzeria_plugins.runners import ray as by_ray
from pizzeria_plugins.runners import torchrun
from pizzeria_plugins.runners.together import take_part, train_together
from pizzeria_plugins.trainers import checkpoint_io, lightning

from ..trainers.synthetic import Recorder

PATIENT = '''
"""Lightning's trainer, whose processes wait in the third epoch until one of them is killed."""

import time
from dataclasses import replace

from pizzeria_plugins.trainers import lightning
from pizzeria_plugins.trainers.lightning import Options, check, predict, together


class Patient:
    def __init__(self, job):
        self.job = job

    def __getattr__(self, name):
        return getattr(self.job.progress, name)

    def update(self, label, done, total, **figures):
        self.job.progress.update(label, done, total, **figures)
        until = time.monotonic() + 300
        while (label, done) == ("train", 3) and not (self.job.folder / "killed").exists():
            assert time.monotonic() < until
            time.sleep(0.05)


def train(job):
    return lightning.train(replace(job, progress=Patient(job)))
'''
SGD = {"optimizer": "sgd", "schedule": "constant", "accelerator": "cpu", "batch_size": 600, "learning_rate": 0.05}


@pytest.fixture(autouse=True)
def one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    """In the processes that are started."""
    monkeypatch.setenv("OMP_NUM_THREADS", "1")


def elsewhere(job: TrainJob, folder: str) -> TrainJob:
    made = replace(job, folder=job.folder.parent / folder, progress=Recorder())
    made.folder.mkdir()
    return made


def trainer() -> Any:
    return registry.load("trainers", "lightning")


def gradient(job: TrainJob) -> dict[int, torch.Tensor]:
    """Of the first step: what SGD's momentum is after it."""
    first = checkpoint_io.read(job.folder / "checkpoints" / "epoch-000001")
    return {number: state["momentum_buffer"] for number, state in first["optimizer_states"][0]["state"].items()}


def curves(job: TrainJob) -> list[list[float]]:
    with open(job.folder / "curves.csv") as stream:
        rows = [{k: float(v) for k, v in row.items() if k != "seconds"} for row in csv.DictReader(stream)]
    return [list(row.values()) for row in rows]


def assert_same(one: TrainJob, other: TrainJob, tolerance: float) -> None:
    mine, theirs = (load_file(job.folder / "model.safetensors") for job in (one, other))
    assert mine.keys() == theirs.keys()
    for name, value in mine.items():
        torch.testing.assert_close(value, theirs[name], rtol=tolerance, atol=tolerance, msg=name)
    np.testing.assert_allclose(curves(one), curves(other), rtol=100 * tolerance)


@pytest.mark.slow
def test_torchrun_has_the_gradient_and_the_weights_of_one_process(job: TrainJob) -> None:
    job = replace(job, options=lightning.Options(**SGD, max_epochs=2, gradient_clip=0.5, ema_decay=0.9))
    alone = trainer().train(job)
    two = elsewhere(job, "two")
    facts = torchrun.train(torchrun.Options(devices=2), trainer(), two)
    wanted, found = gradient(job), gradient(two)
    assert wanted.keys() == found.keys()
    assert max(float(value.abs().max()) for value in wanted.values()) > 1e-3
    for name, value in wanted.items():
        torch.testing.assert_close(found[name], value, rtol=1e-5, atol=1e-7)
    assert_same(job, two, 1e-6)
    assert (alone["processes"], facts["processes"]) == (1, 2)
    assert facts["validation_auroc"] == pytest.approx(alone["validation_auroc"], abs=1e-6)
    assert [update[:3] for update in two.progress.updates if update[0] == "train"][-1] == ("train", 2, 2)
    assert not (two.folder / "together").exists()


def test_what_ends_a_process_is_told_as_if_it_had_been_this_one(job: TrainJob) -> None:
    two = elsewhere(job, "two")
    (job.features / "index.parquet").write_bytes(
        pd.read_parquet(job.features / "index.parquet").replace("validation", "test").to_parquet()
    )

    def launch(path: Path) -> str:
        with pytest.raises(DataError):
            take_part(str(path), 1, 2, "torchrun")
        take_part(str(path), 1, 2, "torchrun")  # as when it is started again: there is nothing to go on with
        return "torchrun ended with 4"

    with pytest.raises(DataError, match="the validation split is empty") as caught:
        train_together(trainer(), two, launch)
    assert caught.value.hint == "bring more data, or change data.split"


def test_a_process_that_dies_without_a_word(job: TrainJob) -> None:
    two = elsewhere(job, "two")
    with pytest.raises(TrainingError, match="ended early: torchrun ended with 9") as caught:
        train_together(trainer(), two, lambda path: "torchrun ended with 9")
    assert "it goes on from the last whole epoch" in caught.value.hint
    with pytest.raises(TrainingError, match=r"does not see /nowhere/job\.json"):
        take_part("/nowhere/job.json", 0, 2, "ray")


def test_nobody_begins_while_an_earlier_try_is_still_at_it(job: TrainJob, monkeypatch: pytest.MonkeyPatch) -> None:
    two = elsewhere(job, "two")
    monkeypatch.setattr("pizzeria_plugins.runners.together._PATIENCE_S", 0.2)
    with open(two.folder / "together.lock", "a") as lock:
        fcntl.flock(lock, fcntl.LOCK_SH)
        with pytest.raises(TrainingError, match="processes of an earlier try are still training in"):
            train_together(trainer(), two, lambda path: "")
    assert two.progress.lines == ["waiting for the processes of an earlier try to end"]
    with pytest.raises(TrainingError, match="none of them says why"):
        train_together(trainer(), two, lambda path: "")


def test_plugins_go_by_their_names(job: TrainJob) -> None:
    nameless = replace(elsewhere(job, "two"), model=tabular_network)
    with pytest.raises(PizzeriaError, match="cannot be sent to other processes"):
        train_together(trainer(), nameless, lambda path: "")


def test_each_machine_is_told_what_to_type(tmp_path: Path) -> None:
    options = torchrun.Options(devices=8, nodes=3, rendezvous="trainer-0:29500")
    assert torchrun.processes(options) == 24
    assert torchrun.torchrun_command(options, tmp_path / "job.json")[1:] == [
        *("-m", "torch.distributed.run", "--nproc-per-node=8", "--max-restarts=0"),
        *("--nnodes=3", "--rdzv-backend=c10d", "--rdzv-endpoint=trainer-0:29500"),
        *("-m", "pizzeria_plugins.runners.member", str(tmp_path / "job.json"), "ddp"),
    ]


@pytest.mark.parametrize(("above", "code"), [(1, 0), (2, 1)])
def test_torchrun_starts_below_the_first_process_and_not_without_its_own(
    monkeypatch: pytest.MonkeyPatch, above: int, code: int
) -> None:
    monkeypatch.setattr(os, "getppid", lambda: above)
    command = [sys.executable, "-c", ""]
    with subprocess.Popen(command, preexec_fn=lambda: torchrun._die_with(1)) as process:
        assert process.wait(60) == code


@pytest.mark.slow
def test_ray_train_has_the_weights_of_one_process_though_a_worker_dies(
    job: TrainJob, ray_cluster: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "plugins" / "trainers").mkdir(parents=True)
    (tmp_path / "plugins" / "trainers" / "patient.py").write_text(PATIENT)
    monkeypatch.chdir(tmp_path)
    job = replace(
        job,
        model_options=tabular_network.Options(hidden=256, blocks=4, dropout=0),
        # So slow that it is on its way all the time: rounding differs, and a loss that jumps would make much of it.
        options=lightning.Options(**{**SGD, "learning_rate": 0.002}, max_epochs=40, monitor="loss"),
    )
    trainer().train(job)
    two = elsewhere(job, "two")
    killed: list[int] = []
    threading.Thread(target=_kill_a_worker, args=(two.folder, killed), daemon=True).start()
    interrupt = signal.getsignal(signal.SIGINT)
    facts = by_ray.train(by_ray.Options(workers=2), registry.load("trainers", "patient"), two)
    assert signal.getsignal(signal.SIGINT) == interrupt
    assert killed
    [again] = [line for line in two.progress.lines if line.startswith("going on after epoch")]
    assert 1 <= int(again.split()[4]) < 40
    assert facts["epochs"] == 40
    assert facts["processes"] == 2
    assert_same(job, two, 2e-5)


def _kill_a_worker(folder: Path, killed: list[int]) -> None:
    """As soon as there is a checkpoint to go on from; they wait for it, however quick they are."""
    while not any((folder / "checkpoints").glob("epoch-*")):
        time.sleep(0.01)
    workers = [one for one in psutil.Process().children(recursive=True) if _is_worker(one)]
    workers[-1].send_signal(signal.SIGKILL)
    killed.append(workers[-1].pid)
    (folder / "killed").touch()


def _is_worker(process: psutil.Process) -> bool:
    try:
        return "".join(process.cmdline()[:1]).startswith("ray::RayTrainWorker")
    except psutil.Error:  # it has ended meanwhile, or is a zombie
        return False
