"""Batches straight from the memory-mapped features, in an order and with changes that seed and epoch alone decide."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from pizzeria.datasets import Dataset as Data
from pizzeria.datasets import EmbeddingSet, ImageSet, RowSet
from pizzeria_plugins.trainers.augmentation import Level, augment, usable


class Plan(NamedTuple):
    """Which rows a batch takes; epoch and number seed its augmentation, in whichever process it is made."""

    epoch: int
    number: int
    rows: NDArray[np.int64]


class Batch(NamedTuple):
    """Inputs and targets as `pizzeria_plugins.models.network.Network` takes them."""

    inputs: tuple[Tensor, ...]
    targets: Any


class EpochBatches(Sampler[Plan]):
    """The batches of one epoch after the other.

    Args:
        rows: Row numbers to draw from.
        batch_size: Rows in a batch.
        seed: Of the order; None keeps the rows as they are, and the last, smaller batch too.
        epoch: The first one; a resumed training starts later than 0.
    """

    def __init__(self, rows: NDArray[np.int64], batch_size: int, seed: int | None, epoch: int = 0) -> None:
        self.rows = rows
        self.batch_size = batch_size
        self.seed = seed
        self.epoch = epoch

    def set_epoch(self, epoch: int) -> None:
        """Lightning calls this before each epoch."""
        self.epoch = epoch

    def __len__(self) -> int:
        full, rest = divmod(len(self.rows), self.batch_size)
        # A last batch of a few rows would unsettle batch norm, and its rows come round in the next epoch.
        return full if self.seed is not None and full else full + bool(rest)

    def __iter__(self) -> Iterator[Plan]:
        epoch, rows = self.epoch, self.rows
        if self.seed is not None:
            rows = np.random.default_rng([self.seed, epoch]).permutation(rows)
        for number in range(len(self)):
            yield Plan(epoch, number, rows[number * self.batch_size : (number + 1) * self.batch_size])


class PhotoBatches(Dataset[Batch]):
    """Photos with their boxes, class or classes."""

    def __init__(self, data: ImageSet, level: Level, seed: int) -> None:
        self.data = data
        self.level = level
        self.seed = seed

    def __getitem__(self, plan: Plan) -> Batch:
        rng = np.random.default_rng([self.seed, plan.epoch, plan.number])
        images, targets = [], []
        for row in plan.rows:
            image, boxes = self.data.images[row], self.data.boxes[row] if self.data.boxes is not None else None
            image, boxes = augment(image, boxes, self.level, rng)
            images.append(image)
            if boxes is not None:
                kept = usable(boxes)
                targets.append({"boxes": torch.from_numpy(kept.xyxy), "labels": torch.from_numpy(kept.labels)})
        inputs = (torch.from_numpy(np.stack(images)),)
        if self.data.targets is not None:
            return Batch(inputs, torch.from_numpy(self.data.targets[plan.rows]))
        return Batch(inputs, targets)


class RowBatches(Dataset[Batch]):
    """Rows of a table with their class or value."""

    def __init__(self, data: RowSet) -> None:
        self.data = data

    def __getitem__(self, plan: Plan) -> Batch:
        columns = (self.data.numeric, self.data.categorical)
        inputs = tuple(torch.from_numpy(part[plan.rows]) for part in columns if part.shape[1])
        return Batch(inputs, torch.from_numpy(self.data.targets[plan.rows]))


class EmbeddingBatches(Dataset[Batch]):
    """Embeddings of photos with their class or classes; there is nothing in them to be augmented."""

    def __init__(self, data: EmbeddingSet) -> None:
        self.data = data

    def __getitem__(self, plan: Plan) -> Batch:
        inputs = (torch.from_numpy(self.data.embeddings[plan.rows]),)
        return Batch(inputs, torch.from_numpy(self.data.targets[plan.rows]))


def training_loader(
    data: Data, *, batch_size: int, level: Level, seed: int, epoch: int, workers: int
) -> DataLoader[Batch]:
    """Shuffled and augmented batches of the training split, from `epoch` on."""
    batches = _batches(data, level, seed)
    return _loader(batches, EpochBatches(data.rows("train"), batch_size, seed, epoch), workers)


def plain_loader(data: Data, split: str, *, batch_size: int, workers: int) -> DataLoader[Batch]:
    """All rows of a split in their order, unchanged."""
    return _loader(_batches(data, "none", 0), EpochBatches(data.rows(split), batch_size, None), workers)


def _batches(data: Data, level: Level, seed: int) -> Dataset[Batch]:
    if isinstance(data, ImageSet):
        return PhotoBatches(data, level, seed)
    return EmbeddingBatches(data) if isinstance(data, EmbeddingSet) else RowBatches(data)


def _loader(batches: Dataset[Batch], sampler: EpochBatches, workers: int) -> DataLoader[Batch]:
    return DataLoader(batches, sampler=sampler, batch_size=None, collate_fn=_as_is, num_workers=workers)


def _as_is(batch: Batch) -> Batch:
    return batch
