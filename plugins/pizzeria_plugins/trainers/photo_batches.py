"""Batches of photos, changed and mixed as the options say."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import Dataset

from pizzeria.contracts import TrainJob
from pizzeria.datasets import ImageSet
from pizzeria.predictions import Boxes
from pizzeria_plugins.trainers.augmentation import augment, usable
from pizzeria_plugins.trainers.mixing import mix_boxes, mix_classes, mosaic
from pizzeria_plugins.trainers.multi_scale import random_size
from pizzeria_plugins.trainers.plan import Batch, Plan


class PhotoBatches(Dataset[Batch]):
    """Photos as they are, with their boxes, class or classes."""

    def __init__(self, data: ImageSet) -> None:
        self.data = data

    def __getitem__(self, plan: Plan) -> Batch:
        images = np.stack([self.data.images[row] for row in plan.rows])
        if self.data.boxes is None:
            return _with_targets(images, _targets(self.data, plan.rows))
        return _with_boxes(images, [self.data.boxes[row] for row in plan.rows])


class ChangedPhotoBatches(Dataset[Batch]):
    """Photos changed at random; the plan's epoch and number decide how, in whichever process the batch is made.

    Args:
        data: The dataset.
        job: Its options say what is changed, and its seed is the first part of all seeds.
    """

    def __init__(self, data: ImageSet, job: TrainJob) -> None:
        self.data = data
        self.options: Any = job.options
        self.seed = job.seed
        self.classes = len(job.problem.classes)
        self.rows = data.rows("train")
        height, width = data.preprocessing["size"]
        self.size = (int(height), int(width))

    def __getitem__(self, plan: Plan) -> Batch:
        rng = np.random.default_rng([self.seed, plan.epoch, plan.number])
        mixed = plan.epoch < self.options.max_epochs - self.options.last_plain_epochs
        size = random_size(self.size, self.options.multi_scale, rng) if mixed else self.size
        if self.data.boxes is None:
            return self._of_classes(plan.rows, size, rng, mixed=mixed)
        return self._of_boxes(plan.rows, self.data.boxes, size, rng, mixed=mixed)

    def _of_classes(
        self, rows: NDArray[np.int64], size: tuple[int, int], rng: np.random.Generator, *, mixed: bool
    ) -> Batch:
        level = self.options.augmentation
        images = np.stack([augment(self.data.images[row], None, level, rng, size)[0] for row in rows])
        targets = _targets(self.data, rows)
        drawn = rng.random()
        if mixed and drawn < self.options.mixup + self.options.cutmix:
            images, targets = mix_classes(images, targets, self.classes, rng, cut=drawn >= self.options.mixup)
        return _with_targets(images, targets)

    def _of_boxes(
        self,
        rows: NDArray[np.int64],
        boxes: Sequence[Boxes],
        size: tuple[int, int],
        rng: np.random.Generator,
        *,
        mixed: bool,
    ) -> Batch:
        level, photos = self.options.augmentation, []
        for row in rows:
            if mixed and rng.random() < self.options.mosaic:
                four = [row, *rng.choice(self.rows, 3)]
                photos.append(mosaic([(self.data.images[one], boxes[one]) for one in four], level, rng, size))
            else:
                image, moved = augment(self.data.images[row], boxes[row], level, rng, size)
                assert moved is not None
                photos.append((image, moved))
        if mixed and rng.random() < self.options.mixup:
            photos = mix_boxes(photos, rng)
        return _with_boxes(np.stack([image for image, _ in photos]), [moved for _, moved in photos])


def _targets(data: ImageSet, rows: NDArray[np.int64]) -> torch.Tensor:
    assert data.targets is not None
    return torch.from_numpy(data.targets[rows])


def _with_targets(images: NDArray[np.uint8], targets: torch.Tensor) -> Batch:
    return Batch((torch.from_numpy(images),), targets)


def _with_boxes(images: NDArray[np.uint8], boxes: Sequence[Boxes]) -> Batch:
    kept = [usable(found) for found in boxes]
    targets = [{"boxes": torch.from_numpy(b.xyxy), "labels": torch.from_numpy(b.labels)} for b in kept]
    return Batch((torch.from_numpy(images),), targets)
