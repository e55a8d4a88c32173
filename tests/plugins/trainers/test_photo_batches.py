"""Batches of photos: what the options say is done, in the epochs that they say, and the same in any process."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from synthetic import classification_job, detection_job

from pizzeria.contracts import TrainJob
from pizzeria.datasets import open_dataset
from pizzeria_plugins.trainers.batches import plain_loader, training_loader

MIXED = {"mosaic": 0.5, "mixup": 0.5, "multi_scale": 0.5, "augmentation": "standard", "sampling": "repeat_factor"}


def batches(job: TrainJob, epoch: int = 0) -> list[Any]:
    return list(training_loader(open_dataset(job.features), job, epoch))


def same(one: list[Any], two: list[Any]) -> bool:
    pairs = zip(one, two, strict=True)
    return all(
        torch.equal(a.inputs[0], b.inputs[0])
        and all(torch.equal(s["boxes"], t["boxes"]) for s, t in zip(a.targets, b.targets, strict=True))
        for a, b in pairs
    )


def test_seed_and_epoch_decide_in_whichever_process(tmp_path: Path) -> None:
    here = batches(detection_job(tmp_path, **MIXED), 3)
    assert same(here, batches(detection_job(tmp_path, **MIXED, workers=2), 3))
    assert not same(here, batches(detection_job(tmp_path, **MIXED), 4))
    # Whatever came before, a training that goes on at an epoch gets the same.
    loader = training_loader(open_dataset(tmp_path / "features"), detection_job(tmp_path, **MIXED), 0)
    loader.sampler.set_epoch(3)
    assert same(here, list(loader))


def test_sizes_go_from_batch_to_batch_until_the_plain_epochs(tmp_path: Path) -> None:
    job = detection_job(tmp_path, multi_scale=0.5, plain_epochs=2)
    sides = {batch.inputs[0].shape[1:3] for epoch in range(8) for batch in batches(job, epoch)}
    assert sides == {(32, 32), (64, 64), (96, 96)}
    assert {batch.inputs[0].shape[1:3] for epoch in (8, 9) for batch in batches(job, epoch)} == {(64, 64)}
    for batch in batches(job, 1):
        side = batch.inputs[0].shape[1]
        assert batch.inputs[0].dtype == torch.uint8
        assert all(float(target["boxes"].max()) <= side for target in batch.targets if len(target["boxes"]))


def test_boxes_follow_the_pixels_through_the_whole_recipe(tmp_path: Path) -> None:
    """Inside of each box, its class's colour channel is the strongest of the three more often than not."""
    job = detection_job(tmp_path, **MIXED | {"mixup": 0.0})
    right = total = 0
    for batch in batches(job):
        for image, target in zip(batch.inputs[0], batch.targets, strict=True):
            for (x0, y0, x1, y1), label in zip(target["boxes"].round().int().tolist(), target["labels"], strict=True):
                inside = image[y0 + 1 : y1 - 1, x0 + 1 : x1 - 1].float()
                if inside.numel():
                    right += int(inside.mean(dim=(0, 1)).argmax() == label)
                    total += 1
    assert total > 80
    assert right / total > 0.9


def test_mosaic_brings_more_boxes_and_the_plain_epochs_bring_none(tmp_path: Path) -> None:
    def count(epoch: int, **options: Any) -> int:
        return sum(len(t["labels"]) for b in batches(detection_job(tmp_path, **options), epoch) for t in b.targets)

    assert count(0, mosaic=1.0) > 1.5 * count(0)
    assert same(
        batches(detection_job(tmp_path, mosaic=1.0, mixup=1.0, multi_scale=0.5), 8), batches(detection_job(tmp_path), 8)
    )


@pytest.mark.parametrize("task", ["image_classification", "multilabel_classification"])
def test_classes_are_mixed_in_their_share_of_batches(tmp_path: Path, task: str) -> None:
    job = classification_job(tmp_path, task, mixup=0.3, cutmix=0.3, batch_size=4, max_epochs=10)
    mixed = 0
    for batch in (found := [b for epoch in range(4) for b in batches(job, epoch)]):
        assert batch.inputs[0].dtype == torch.uint8
        soft = batch.targets.ndim == 2 and bool(((batch.targets > 0) & (batch.targets < 1)).any())
        mixed += soft or (batch.targets.ndim == 2 and task == "image_classification")
    assert 0.3 < mixed / len(found) < 0.8
    plain = batches(job, 9)
    assert all(batch.targets.ndim == (1 if task == "image_classification" else 2) for batch in plain)
    assert all(set(np.unique(batch.targets)) <= {0, 1, 2} for batch in plain)


def test_validation_is_never_changed(tmp_path: Path) -> None:
    job = detection_job(tmp_path, **MIXED)
    data = open_dataset(job.features)
    found = torch.cat([b.inputs[0] for b in plain_loader(data, "validation", batch_size=5, workers=0)])
    assert np.array_equal(found.numpy(), np.stack([data.images[row] for row in data.rows("validation")]))
