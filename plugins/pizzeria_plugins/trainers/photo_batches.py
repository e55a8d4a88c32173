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
        images = np.stack([self.data.images[row] for row in plan.own])
        if self.data.boxes is None:
            return _with_targets(images, _targets(self.data, plan.own))
        return _with_boxes(images, [self.data.boxes[row] for row in plan.own])


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
        make = self._of_classes if self.data.boxes is None else self._of_boxes
        return make(plan, size, rng, mixed=mixed)

    def _of_classes(self, plan: Plan, size: tuple[int, int], rng: np.random.Generator, *, mixed: bool) -> Batch:
        drawn = rng.random()
        mixes = mixed and drawn < self.options.mixup + self.options.cutmix
        places, left = _made(plan, mixes)
        level = self.options.augmentation
        images = np.stack(
            [
                augment(self.data.images[plan.rows[place]], None, level, self._rng(plan, place), size)[0]
                for place in places
            ]
        )
        targets = _targets(self.data, plan.rows[places])
        if mixes:
            images, targets = mix_classes(images, targets, self.classes, rng, cut=drawn >= self.options.mixup)
        return _with_targets(images, targets).cut(left)

    def _of_boxes(self, plan: Plan, size: tuple[int, int], rng: np.random.Generator, *, mixed: bool) -> Batch:
        mixes = mixed and rng.random() < self.options.mixup
        places, left = _made(plan, mixes)
        photos = [self._photo(plan, place, size, mixed=mixed) for place in places]
        if mixes:
            photos = mix_boxes(photos, rng)
        return _with_boxes(np.stack([image for image, _ in photos]), [moved for _, moved in photos]).cut(left)

    def _photo(self, plan: Plan, place: int, size: tuple[int, int], *, mixed: bool) -> tuple[NDArray[np.uint8], Boxes]:
        """The photo at a place in the batch, changed, with its boxes."""
        boxes, level = self.data.boxes, self.options.augmentation
        assert boxes is not None
        rng, row = self._rng(plan, place), plan.rows[place]
        if mixed and rng.random() < self.options.mosaic:
            four = [row, *rng.choice(self.rows, 3)]
            return mosaic([(self.data.images[one], boxes[one]) for one in four], level, rng, size)
        image, moved = augment(self.data.images[row], boxes[row], level, rng, size)
        assert moved is not None
        return image, moved

    def _rng(self, plan: Plan, place: int) -> np.random.Generator:
        """Of one photo of a batch, so that it is changed alike whichever process makes it."""
        return np.random.default_rng([self.seed, plan.epoch, plan.number, place])


def _made(plan: Plan, mixes: bool) -> tuple[NDArray[np.int64], slice]:
    """Places in the batch that are made, and what of them this process keeps: what is mixed needs all of the batch."""
    places = np.arange(len(plan.rows))
    return (places, plan.share) if mixes else (places[plan.share], slice(None))


def _targets(data: ImageSet, rows: NDArray[np.int64]) -> torch.Tensor:
    assert data.targets is not None
    return torch.from_numpy(data.targets[rows])


def _with_targets(images: NDArray[np.uint8], targets: torch.Tensor) -> Batch:
    return Batch((torch.from_numpy(images),), targets)


def _with_boxes(images: NDArray[np.uint8], boxes: Sequence[Boxes]) -> Batch:
    kept = [usable(found) for found in boxes]
    targets = [{"boxes": torch.from_numpy(b.xyxy), "labels": torch.from_numpy(b.labels)} for b in kept]
    return Batch((torch.from_numpy(images),), targets)
