"""Shares of several processes: together they are the batch of one, photo by photo, however it is changed and mixed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from synthetic import classification_job, detection_job, row_job

from pizzeria.contracts import TrainJob, World
from pizzeria.datasets import open_dataset
from pizzeria.errors import DataError
from pizzeria_plugins.trainers import lightning
from pizzeria_plugins.trainers.batches import training_loader
from pizzeria_plugins.trainers.fit import step_seed
from pizzeria_plugins.trainers.plan import Batch, EpochBatches
from pizzeria_plugins.trainers.world import refuse_uneven


def of_rank(job: TrainJob, rank: int, size: int) -> list[Batch]:
    from dataclasses import replace

    data = open_dataset(job.features)
    return list(training_loader(data, replace(job, world=World(rank, size, "torchrun")), epoch=1))


JOBS: dict[str, Any] = {
    "rows": lambda root: row_job(root, "tabular_classification"),
    "boxes": lambda root: detection_job(root, augmentation="standard", mosaic=0.5, mixup=0.5, multi_scale=0.5),
    "classes": lambda root: classification_job(
        root, "image_classification", batch_size=8, augmentation="standard", mixup=0.4, cutmix=0.3
    ),
}


@pytest.mark.parametrize("kind", JOBS)
def test_shares_are_the_batch_of_one_process(kind: str, tmp_path: Path) -> None:
    job = JOBS[kind](tmp_path)
    whole = list(training_loader(open_dataset(job.features), job, epoch=1))
    shares = [of_rank(job, rank, 2) for rank in range(2)]
    assert len(whole) == len(shares[0]) == len(shares[1])
    for batch, *parts in zip(whole, *shares, strict=True):
        assert len(parts[0].inputs[0]) == len(parts[1].inputs[0])
        for tensor, *of_parts in zip(batch.inputs, *(part.inputs for part in parts), strict=True):
            assert torch.equal(tensor, torch.cat(of_parts))
        if isinstance(batch.targets, list):
            both = [*parts[0].targets, *parts[1].targets]
            for wanted, found in zip(batch.targets, both, strict=True):
                assert all(torch.equal(wanted[name], found[name]) for name in wanted)
        else:
            assert torch.equal(batch.targets, torch.cat([part.targets for part in parts]))


def test_every_row_is_judged_once_by_however_many() -> None:
    plans = [list(EpochBatches(np.arange(10), 4, None, share=(rank, 3))) for rank in range(3)]
    own = [plan.own.tolist() for batch in zip(*plans, strict=True) for plan in batch]
    assert [row for rows in own for row in rows] == list(range(10))


def test_each_process_draws_its_own_dropout_and_the_first_that_of_one_alone() -> None:
    assert step_seed(7, 3) == step_seed(7, 3, 0)
    assert len({step_seed(7, 3, rank) for rank in range(4)}) == 4


def test_what_cannot_be_shared_evenly_is_refused() -> None:
    refuse_uneven(World(0, 2, "ray"), 6, 8)
    refuse_uneven(None, 7, 8)
    with pytest.raises(DataError, match="7 rows, less than a batch of 8, and 2 processes cannot share them") as caught:
        refuse_uneven(World(0, 2, "ray"), 7, 8)
    assert "at most 6" in caught.value.hint
    assert lightning.together(lightning.Options(batch_size=16), 4) == []
    [(where, message, hint)] = lightning.together(lightning.Options(batch_size=16), 3)
    assert (where, hint) == ("batch_size", "write 15, or another multiple of 3")
    assert message == "a batch of 16 cannot be shared evenly by 3 processes"
