"""What a frozen backbone makes of photos: computed once, no other than each time, and let go in the end."""

from __future__ import annotations

import os
import shutil
import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from synthetic import Recorder, classification_job, detection_job

from pizzeria.contracts import TrainJob
from pizzeria.datasets import open_dataset
from pizzeria_plugins.models import timm_detector
from pizzeria_plugins.trainers import lightning
from pizzeria_plugins.trainers.batches import training_loader, validation_loader

STEPS = 8
"""In an epoch: 64 photos in batches of eight."""


class InterruptedAt(Recorder):
    """Ctrl-C after so many steps."""

    def __init__(self, step: int) -> None:
        super().__init__()
        self.step = step

    def update(self, label: str, done: int, total: int, **figures: float) -> None:
        if label == "train" and done == self.step:
            os.kill(os.getpid(), signal.SIGINT)


def frozen_job(root: Path, **options: Any) -> TrainJob:
    root.mkdir(exist_ok=True)
    job = detection_job(root, **({"cached_views": 2, "max_epochs": 2} | options))
    return replace(job, model_options=job.model_options.model_copy(update={"freeze_backbone": True}))


def network_of(job: TrainJob) -> Any:
    torch.manual_seed(0)
    preprocessing = open_dataset(job.features).preprocessing
    return timm_detector.build(job.model_options, job.problem, preprocessing, pretrained=False).eval()


def test_batches_of_what_was_kept_say_what_the_photos_say(tmp_path: Path) -> None:
    job = frozen_job(tmp_path, augmentation="none")
    network, data = network_of(job), open_dataset(job.features)
    for kept, photos in (
        (training_loader(data, job, 0, 0, network), training_loader(data, plain(job), 0)),
        (validation_loader(data, job, 0, network), validation_loader(data, plain(job), 0, network)),
    ):
        pairs = list(zip(kept, photos, strict=True))
        assert pairs
        for mine, theirs in pairs:
            assert mine.stem
            assert not theirs.stem
            for a, b in zip(mine.targets, theirs.targets, strict=True):
                assert torch.equal(a["boxes"], b["boxes"])
                assert torch.equal(a["labels"], b["labels"])
            with torch.no_grad():
                found, right = mine.through(network), theirs.through(network)
            torch.testing.assert_close(found.logits, right.logits, atol=5e-3, rtol=5e-3)
        assert mine.inputs[0].is_contiguous(memory_format=torch.channels_last)


def plain(job: TrainJob) -> TrainJob:
    return replace(job, options=job.options.model_copy(update={"cached_views": 0}))


def test_each_photo_shows_all_of_its_views_in_turn(tmp_path: Path) -> None:
    job = frozen_job(tmp_path, cached_views=3, augmentation="standard", max_epochs=9)
    network, data = network_of(job), open_dataset(job.features)
    job.folder.joinpath("stem").mkdir()
    seen: list[set[bytes]] = [set() for _ in range(3)]
    for epoch in range(4):
        loader = training_loader(data, job, epoch, 0, network)
        rows = [row for plan in loader.sampler for row in plan.own]
        boxes = dict(zip(rows, (b["boxes"].numpy().tobytes() for batch in loader for b in batch.targets), strict=True))
        for row in range(3):
            seen[row].add(boxes[row])
    assert [len(views) for views in seen] == [3, 3, 3]


def test_the_backbone_learns_when_its_time_has_come_and_no_sooner(tmp_path: Path) -> None:
    job = frozen_job(tmp_path, max_epochs=4, unfreeze_after=2, backbone_rate=0.5, validate_every=1)
    lightning.train(replace(job, progress=Recorder()))
    checkpoints = sorted((job.folder / "checkpoints").glob("epoch-*"))
    assert len(checkpoints) == 2  # after the third and the fourth epoch: it has learnt in both
    one, two = (load_file(folder / "tensors.safetensors") for folder in checkpoints)
    body = [name for name in one if ".body." in name and name.startswith("state_dict/network") and "conv" in name]
    assert any(not torch.equal(one[name], two[name]) for name in body)
    still = [name for name in one if name.startswith("state_dict/network") and "running_mean" in name]
    assert all(torch.equal(one[name], two[name]) for name in still)

    (tmp_path / "short").mkdir()
    short = frozen_job(tmp_path / "short", max_epochs=2)
    lightning.train(short)
    left = load_file(short.folder / "model.safetensors")
    torch.manual_seed(0)
    begun = timm_detector.build(
        short.model_options, short.problem, open_dataset(short.features).preprocessing, pretrained=True
    ).state_dict()
    assert all(torch.equal(left[name], begun[name]) for name in begun if ".body." in name)
    assert not all(torch.equal(left[name], begun[name]) for name in begun)
    assert not (short.folder / "stem").exists()


@pytest.mark.parametrize("step", [STEPS // 2, 2 * STEPS + 3])
def test_a_training_that_is_cut_off_ends_the_same(tmp_path: Path, step: int) -> None:
    options = {"max_epochs": 3, "unfreeze_after": 2, "augmentation": "standard", "ema_decay": 0.9}
    whole = frozen_job(tmp_path / "whole", **options)
    lightning.train(whole)
    cut = replace(frozen_job(tmp_path / "cut", **options), progress=InterruptedAt(step))
    with pytest.raises(KeyboardInterrupt):
        lightning.train(cut)
    shutil.rmtree(cut.folder / "stem")  # it may be gone; the same is made again
    lightning.train(replace(cut, progress=Recorder()))
    one, two = (load_file(job.folder / "model.safetensors") for job in (whole, cut))
    assert all(torch.equal(one[name], two[name]) for name in one)


def test_a_view_that_stands_is_not_made_again(tmp_path: Path) -> None:
    job = replace(frozen_job(tmp_path, max_epochs=3), progress=InterruptedAt(STEPS + 2))
    with pytest.raises(KeyboardInterrupt):
        lightning.train(job)
    before = {file: file.stat().st_mtime_ns for file in (job.folder / "stem").rglob("*.npy")}
    assert len(before) == 3 * 5
    again = Recorder()
    lightning.train(replace(job, progress=again))
    assert not [label for label, *_ in again.updates if label.startswith("backbone")]


def test_large_maps_keep_within_what_a_float16_holds(tmp_path: Path) -> None:
    job = frozen_job(tmp_path)
    network = network_of(job)
    network.stem = lambda images: (torch.full((len(images), 1, 2, 2), 1e6),)
    loader = validation_loader(open_dataset(job.features), job, 0, network)
    assert float(next(iter(loader)).inputs[0].max()) == np.finfo(np.float16).max


@pytest.mark.parametrize(
    ("options", "frozen", "name", "hint"),
    [
        ({"cached_views": 2}, False, "cached_views", "freeze_backbone"),
        ({"unfreeze_after": 2}, False, "unfreeze_after", "freeze_backbone"),
        ({"unfreeze_after": 10}, True, "unfreeze_after", "at most 9"),
        ({"cached_views": 2, "multi_scale": 0.5}, True, "cached_views", "multi_scale: 0"),
        ({"cached_views": 2, "mosaic": 0.5}, True, "cached_views", "mosaic: 0"),
    ],
)
def test_what_cannot_work_is_refused(
    tmp_path: Path, options: dict[str, Any], frozen: bool, name: str, hint: str
) -> None:
    job = detection_job(tmp_path, **options)
    model = job.model_options.model_copy(update={"freeze_backbone": frozen})
    faults = lightning.check(job.options, job.problem, timm_detector, model)
    assert [(path, hint in said) for path, _, said in faults] == [(name, True)]


def test_only_detectors_keep_views_and_one_process_alone(tmp_path: Path) -> None:
    job = classification_job(tmp_path, "image_classification", cached_views=2)
    model = job.model_options.model_copy(update={"freeze_backbone": True})
    [(path, _, hint)] = lightning.check(job.options, job.problem, job.model, model)
    assert path == "cached_views"
    assert "timm_probe" in hint
    assert [path for path, *_ in lightning.together(job.options, 2)] == ["cached_views"]
