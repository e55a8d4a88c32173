"""Whatever cuts a training off, it goes on from there and ends as if nothing had happened."""

from __future__ import annotations

import csv
import json
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from synthetic import Recorder, detection_job, row_job

from pizzeria.contracts import TrainJob
from pizzeria.datasets import open_dataset
from pizzeria.errors import Terminated, TrainingError
from pizzeria_plugins.trainers import lightning
from pizzeria_plugins.trainers.fit import Fit
from pizzeria_plugins.trainers.memory import is_out_of_memory

KILLS = Path(__file__).parents[2] / "benchmarks" / "kills.py"
WEIGHTS = "model.safetensors"
TIMES = ("seconds", "items_per_second")


class At(Recorder):
    """Does something once, after a step."""

    def __init__(self, step: int, act: Callable[[], object]) -> None:
        super().__init__()
        self.step, self.act = step, act

    def update(self, label: str, done: int, total: int, **figures: float) -> None:
        super().update(label, done, total, **figures)
        if (label, done) == ("train", self.step):
            self.act()


def ended(job: TrainJob, facts: Any) -> dict[str, Any]:
    """All that a training leaves, without times."""
    with open(job.folder / "curves.csv") as stream:
        curves = [{k: v for k, v in row.items() if k not in TIMES} for row in csv.DictReader(stream)]
    facts = {k: v for k, v in facts.items() if k not in TIMES}
    return {"weights": (job.folder / WEIGHTS).read_bytes(), "curves": curves, "facts": facts}


def checkpoints(job: TrainJob) -> list[str]:
    return sorted(path.name for path in (job.folder / "checkpoints").iterdir())


def test_kill_minus_nine_at_twenty_random_points() -> None:
    done = subprocess.run(
        [sys.executable, str(KILLS), "--quick", "--tries", "20", "--seed", str(os.getpid())],
        capture_output=True,
        text=True,
        timeout=500,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "20 trainings" in done.stdout
    assert "0 ended differently" in done.stdout


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[TrainJob, dict[str, Any]]:
    job = row_job(tmp_path_factory.mktemp("whole"), "tabular_classification", max_epochs=3, batch_size=50)
    return job, ended(job, lightning.train(job))


def _cut(whole: TrainJob, folder: Path, progress: Recorder) -> TrainJob:
    return replace(whole, folder=folder, progress=progress)


@pytest.mark.parametrize(
    ("step", "left"),
    [
        (1, ["epoch-000000-step-000000001"]),
        (17, ["epoch-000001", "epoch-000001-step-000000005"]),
        (24, ["epoch-000001", "epoch-000001-step-000000012"]),  # at its end: the validation at work is done again
        (36, ["epoch-000002", "epoch-000002-step-000000012"]),
    ],
)
def test_sigterm_leaves_a_checkpoint_within_the_epoch(
    whole: tuple[TrainJob, dict[str, Any]], tmp_path: Path, step: int, left: list[str]
) -> None:
    job, wanted = whole
    handlers = [signal.getsignal(one) for one in (signal.SIGINT, signal.SIGTERM)]
    cut = _cut(job, tmp_path, At(step, lambda: os.kill(os.getpid(), signal.SIGTERM)))
    with pytest.raises(Terminated):
        lightning.train(cut)
    assert [signal.getsignal(one) for one in (signal.SIGINT, signal.SIGTERM)] == handlers
    assert checkpoints(cut) == left
    resumed = _cut(job, tmp_path, Recorder())
    assert ended(resumed, lightning.train(resumed)) == wanted
    epochs, steps = divmod(step, 12) if step % 12 else (step // 12 - 1, 12)
    assert resumed.progress.lines[0] == f"going on after epoch {epochs} and step {steps} of the next of 3"
    assert [done for label, done, *_ in resumed.progress.updates if label == "train"] == list(range(step + 1, 37))


def test_two_sigterms_in_one_epoch_and_a_checkpoint_by_the_clock(
    whole: tuple[TrainJob, dict[str, Any]], tmp_path: Path
) -> None:
    job, wanted = whole
    for step in (14, 20):
        with pytest.raises(Terminated):
            lightning.train(_cut(job, tmp_path, At(step, lambda: os.kill(os.getpid(), signal.SIGTERM))))
    resumed = _cut(job, tmp_path, Recorder())
    assert ended(resumed, lightning.train(resumed)) == wanted

    def stop() -> None:
        raise KeyboardInterrupt

    often = replace(job, options=job.options.model_copy(update={"checkpoint_minutes": 1e-9}))
    cut = _cut(often, tmp_path / "often", At(19, stop))
    cut.folder.mkdir()
    with pytest.raises(KeyboardInterrupt):
        lightning.train(cut)
    assert checkpoints(cut) == ["epoch-000001-step-000000005", "epoch-000001-step-000000006"]
    resumed = _cut(often, tmp_path / "often", Recorder())
    assert ended(resumed, lightning.train(resumed)) == wanted


MEMORY = """
import json, resource, sys
from dataclasses import replace
from pathlib import Path
sys.path.append(sys.argv[1])
import torch
from synthetic import Recorder, problem, write_photos
from pizzeria.contracts import TrainJob
from pizzeria_plugins.models import timm_classifier
from pizzeria_plugins.trainers import training, lightning

torch.set_num_threads(1)
root = Path(sys.argv[2])
write_photos(root / "features", "image_classification", (256, 8, 8), 96)
settings = {"batch_size": 256, "max_epochs": 2, "validate_every": 2, "augmentation": "none", "precision": "32-true"}
job = TrainJob(
    problem=problem("image_classification"),
    model=timm_classifier,
    model_options=timm_classifier.Options(backbone="test_resnet", image_size=96),
    options=lightning.Options(**settings, accelerator="cpu"),
    seed=0,
    features=root / "features",
    folder=root / "train",
    progress=Recorder(),
)

class Stop(Recorder):
    def update(self, label, done, total, **figures):
        if done == 2:
            raise KeyboardInterrupt

# One small training first, so that libraries, threads and their stacks are there when the limit is set.
for name in ("first", "train", "same"):
    (root / name).mkdir()
small = lightning.Options(**(job.options.model_dump() | {"batch_size": 32, "max_epochs": 1}))
training.run(replace(job, folder=root / "first", options=small))
used = int(next(line for line in open("/proc/self/status") if line.startswith("VmSize")).split()[1]) * 1024
limits = resource.getrlimit(resource.RLIMIT_AS)
resource.setrlimit(resource.RLIMIT_AS, (used + int(sys.argv[3]) * 2**20, limits[1]))
cut = replace(job, progress=Stop())
try:
    training.run(cut)
except KeyboardInterrupt:
    pass
resource.setrlimit(resource.RLIMIT_AS, limits)
resumed = replace(job, progress=Recorder())
facts = training.run(resumed)
options = job.options.model_copy(update={"accumulate": facts["batch_parts"]})
whole = training.run(replace(job, folder=root / "same", options=options))
print(json.dumps({"said": cut.progress.lines, "then": resumed.progress.lines, "facts": facts, "whole": whole}))
"""


def test_out_of_memory_cuts_the_batch_and_leaves_the_step_as_it_is(tmp_path: Path) -> None:
    command = [sys.executable, "-c", MEMORY, str(Path(__file__).parent), str(tmp_path), "400"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=500, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    seen = json.loads(done.stdout)
    parts = seen["facts"]["batch_parts"]
    assert parts in (2, 4, 8, 16)
    # Not always the last that was said: what the second batch needs more is in no checkpoint when it is cut off.
    wanted = f"out of memory: each batch of 256 goes through the network in {parts} parts from now on"
    assert [line for line in seen["said"] if line.startswith(wanted)]
    assert seen["then"] == ["going on after epoch 1 of 2"]  # and not told again: the checkpoint knows
    found, wanted = (load_file(tmp_path / name / WEIGHTS) for name in ("train", "same"))
    learnt = [name for name in wanted if "running" not in name and "num_batches" not in name]
    assert all(torch.equal(found[name], wanted[name]) for name in learnt)
    assert {name for name in wanted if not torch.equal(found[name], wanted[name])} <= set(wanted) - set(learnt)


def test_what_out_of_memory_looks_like() -> None:
    with pytest.raises(RuntimeError) as caught:
        torch.empty(2**60, dtype=torch.uint8)
    assert is_out_of_memory(caught.value)
    assert is_out_of_memory(torch.OutOfMemoryError("CUDA out of memory."))
    assert not is_out_of_memory(ValueError("out of memory"))


def test_too_little_memory_for_one_row_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    job = row_job(tmp_path, "tabular_classification", max_epochs=1, batch_size=4)
    build = job.model.build

    def hungry(*args: Any, **kwargs: Any) -> Any:
        network = build(*args, **kwargs)
        network.register_forward_pre_hook(lambda *_: torch.empty(2**60))
        return network

    monkeypatch.setattr(job.model, "build", hungry)
    with pytest.raises(TrainingError, match="out of memory with one row of a batch at a time") as caught:
        lightning.train(job)
    assert "smaller model" in caught.value.hint
    assert [line.split(" in ")[1].split(" from")[0] for line in job.progress.lines] == ["2 parts", "4 parts"]


def test_predictions_of_a_batch_that_is_too_large_come_in_parts(
    whole: tuple[TrainJob, dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    job = replace(whole[0], progress=Recorder())
    wanted = lightning.predict(job, job.folder / WEIGHTS, "test").probabilities
    build = job.model.build

    def hungry(*args: Any, **kwargs: Any) -> Any:
        network = build(*args, **kwargs)
        network.register_forward_pre_hook(lambda _, inputs: torch.empty(2**60) if len(inputs[0]) > 20 else None)
        return network

    monkeypatch.setattr(job.model, "build", hungry)
    found = lightning.predict(job, job.folder / WEIGHTS, "test").probabilities
    assert job.progress.lines == [
        "out of memory: each batch of 50 goes through the network in 2 parts from now on",
        "out of memory: each batch of 50 goes through the network in 4 parts from now on",
    ]
    np.testing.assert_allclose(found, wanted, atol=1e-6)


def test_the_batch_whose_loss_is_no_number_is_kept(tmp_path: Path) -> None:
    job = detection_job(tmp_path, learning_rate=1e15, optimizer="sgd", schedule="constant", gradient_clip=None)
    with pytest.raises(TrainingError, match=r"the loss became (nan|inf) in epoch \d, step \d+") as caught:
        lightning.train(job)
    kept = job.folder / "not-a-number"
    about = json.loads((kept / "batch.json").read_text())
    assert str(kept) in caught.value.message
    assert f"image_id {', '.join(about['image_id'][:5])} and 3 more" in caught.value.message
    assert "training.learning_rate" in caught.value.hint

    # It can be run again, and is as bad as it was; the photos are those of these ids.
    tensors = load_file(kept / "batch.safetensors")
    data = open_dataset(job.features)
    network = job.model.build(job.model_options, job.problem, data.preprocessing, pretrained=False).train()
    network.load_state_dict(load_file(kept / "weights.safetensors"))
    targets = [
        {"boxes": tensors[f"targets.{i}.boxes"], "labels": tensors[f"targets.{i}.labels"]}
        for i in range(len(about["image_id"]))
    ]
    torch.manual_seed(about["seed"])
    loss = sum(network.loss(network(tensors["inputs.0"]), targets).values())
    assert not torch.isfinite(loss)
    rows = [int(np.flatnonzero(data.index["image_id"] == name)[0]) for name in about["image_id"]]
    for row, image in zip(rows, tensors["inputs.0"].numpy(), strict=True):
        plain = data.images[row]
        assert np.array_equal(image, plain) or np.array_equal(image, plain[:, ::-1])  # the augmentation is flip


def test_a_row_that_is_no_number_itself_is_named(tmp_path: Path) -> None:
    job = row_job(tmp_path, "tabular_classification")
    numeric = np.load(job.features / "numeric.npy")
    numeric[123, 1] = np.nan
    np.save(job.features / "numeric.npy", numeric)
    with pytest.raises(TrainingError, match="the loss became nan in epoch 1") as caught:
        lightning.train(job)
    assert caught.value.hint == "inputs of row_id 123 are no numbers: mend the data"


def test_losses_that_are_read_a_step_late_as_on_a_gpu(
    whole: tuple[TrainJob, dict[str, Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Fit, "device", property(lambda _: torch.device("cuda")))
    job, wanted = whole
    late = _cut(job, tmp_path, Recorder())
    assert ended(late, lightning.train(late)) == wanted
    assert [done for label, done, *_ in late.progress.updates if label == "train"] == list(range(1, 37))
    numeric = np.load(job.features / "numeric.npy")
    (tmp_path / "bad").mkdir()
    bad = replace(row_job(tmp_path / "bad", "tabular_classification"), progress=Recorder())
    numeric[123, 1] = np.nan
    np.save(bad.features / "numeric.npy", numeric)
    with pytest.raises(TrainingError, match="the loss became nan in epoch 1") as caught:
        lightning.train(bad)
    assert caught.value.hint == "inputs of row_id 123 are no numbers: mend the data"
    assert sorted(path.name for path in (bad.folder / "not-a-number").iterdir()) == ["batch.json", "batch.safetensors"]


@contextmanager
def _full_disk(free: int) -> Iterator[None]:
    """No file may become larger than this: what a write to a full disk does to a process, without a disk."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (free, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


def test_a_full_disk_is_said_and_older_checkpoints_stand(
    whole: tuple[TrainJob, dict[str, Any]], tmp_path: Path
) -> None:
    job, wanted = whole

    def fill() -> None:
        until = time.monotonic() + 60
        while not (tmp_path / "checkpoints" / "epoch-000001").is_dir():  # steps do not wait for what is being written
            assert time.monotonic() < until
            time.sleep(0.01)
        resource.setrlimit(resource.RLIMIT_FSIZE, (1000, -1))

    with _full_disk(2**40) as _:
        cut = _cut(job, tmp_path, At(20, fill))
        with pytest.raises(TrainingError, match=r"epoch-000002 cannot be written: File too large") as caught:
            lightning.train(cut)
    assert "make room" in caught.value.hint
    assert checkpoints(cut) == ["epoch-000001"]
    resumed = _cut(job, tmp_path, Recorder())
    assert ended(resumed, lightning.train(resumed)) == wanted


def test_a_damaged_checkpoint_is_told_and_the_one_before_it_taken(
    whole: tuple[TrainJob, dict[str, Any]], tmp_path: Path
) -> None:
    job, wanted = whole
    with pytest.raises(Terminated):
        lightning.train(_cut(job, tmp_path, At(30, lambda: os.kill(os.getpid(), signal.SIGTERM))))
    damaged = tmp_path / "checkpoints" / "epoch-000002-step-000000006" / "tensors.safetensors"
    content = bytearray(damaged.read_bytes())
    content[-1] ^= 1
    damaged.write_bytes(content)
    resumed = _cut(job, tmp_path, Recorder())
    assert ended(resumed, lightning.train(resumed)) == wanted
    assert "is damaged: its hashes do not fit" in resumed.progress.lines[0]
    assert resumed.progress.lines[1] == "going on after epoch 2 of 3"
