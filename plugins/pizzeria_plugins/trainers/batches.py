"""Batches straight from the memory-mapped features."""

from __future__ import annotations

from typing import Any

import torch
from torch.utils.data import DataLoader, Dataset

from pizzeria.contracts import TrainJob
from pizzeria.datasets import Dataset as Data
from pizzeria.datasets import EmbeddingSet, ImageSet, RowSet
from pizzeria_plugins.trainers.photo_batches import ChangedPhotoBatches, PhotoBatches
from pizzeria_plugins.trainers.plan import Batch, EpochBatches, Plan
from pizzeria_plugins.trainers.sampling import row_weights
from pizzeria_plugins.trainers.stem_cache import keeps, kept_batches
from pizzeria_plugins.trainers.world import share_of


class RowBatches(Dataset[Batch]):
    """Rows of a table with their class or value."""

    def __init__(self, data: RowSet) -> None:
        self.data = data

    def __getitem__(self, plan: Plan) -> Batch:
        columns = (self.data.numeric, self.data.categorical)
        inputs = tuple(torch.from_numpy(part[plan.own]) for part in columns if part.shape[1])
        return Batch(inputs, torch.from_numpy(self.data.targets[plan.own]))


class EmbeddingBatches(Dataset[Batch]):
    """Embeddings of photos with their class or classes; there is nothing in them to be augmented."""

    def __init__(self, data: EmbeddingSet) -> None:
        self.data = data

    def __getitem__(self, plan: Plan) -> Batch:
        inputs = (torch.from_numpy(self.data.embeddings[plan.own]),)
        return Batch(inputs, torch.from_numpy(self.data.targets[plan.own]))


class Wanted(Dataset[Batch]):
    """What another one makes, except that a plan without rows is an empty batch."""

    def __init__(self, batches: Dataset[Batch]) -> None:
        self.batches = batches

    def __getitem__(self, plan: Plan) -> Batch:
        return self.batches[plan] if len(plan.own) else Batch((), ())


def training_loader(data: Data, job: TrainJob, epoch: int, done: int = 0, network: Any = None) -> DataLoader[Batch]:
    """Batches of the training split from `epoch` on: drawn, augmented and mixed as the job's options say.

    Args:
        done: So many batches of that epoch come empty: they were trained on before.
        network: For `cached_views`: whose backbone it is that sees each photo a few times, and not in every epoch.
    """
    options, rows = job.options, data.rows("train")
    weights = row_weights(data, rows, options.sampling, options.repeat_threshold)
    batches = ChangedPhotoBatches(data, job) if isinstance(data, ImageSet) else _batches(data)
    if isinstance(data, ImageSet) and keeps(job, epoch):
        batches = kept_batches(network, data, job, "train", batches)
    share = share_of(job.world)
    sampler = EpochBatches(rows, options.batch_size, job.seed, epoch, weights, done, share)
    return _loader(batches, sampler, options.workers)


def plain_loader(data: Data, split: str, *, batch_size: int, workers: int) -> DataLoader[Batch]:
    """All rows of a split in their order, unchanged."""
    return _loader(_batches(data), EpochBatches(data.rows(split), batch_size, None), workers)


def validation_loader(data: Data, job: TrainJob, epoch: int, network: Any) -> DataLoader[Batch]:
    """What each epoch from `epoch` on is judged by."""
    options, batches = job.options, _batches(data)
    if isinstance(data, ImageSet) and keeps(job, epoch):
        batches = kept_batches(network, data, job, "validation", batches)
    sampler = EpochBatches(data.rows("validation"), options.batch_size, None, share=share_of(job.world))
    return _loader(batches, sampler, options.workers)


def _batches(data: Data) -> Dataset[Batch]:
    if isinstance(data, ImageSet):
        return PhotoBatches(data)
    return EmbeddingBatches(data) if isinstance(data, EmbeddingSet) else RowBatches(data)


def _loader(batches: Dataset[Batch], sampler: EpochBatches, workers: int) -> DataLoader[Batch]:
    # From pinned memory a GPU fetches a batch while it is at work on the one before.
    pinned = torch.cuda.is_available()
    return DataLoader(
        Wanted(batches), sampler=sampler, batch_size=None, collate_fn=_as_is, num_workers=workers, pin_memory=pinned
    )


def _as_is(batch: Batch) -> Batch:
    return batch
