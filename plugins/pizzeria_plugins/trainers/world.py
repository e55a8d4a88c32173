"""Several processes that train one network: how Lightning places them, and what they tell each other.

Process r of n takes the rows r/n to (r + 1)/n of every batch, and gradients are averaged over all: a step is that of
one process with the whole batch, but for the order of sums, dropout (each draws its own) and batch norm (over the whole
batch on GPUs, where Lightning synchronises it, and over each process's share on CPUs).
"""

from __future__ import annotations

import os
from typing import Any, TypeVar

import torch
from torch import distributed

from pizzeria.contracts import World
from pizzeria.errors import DataError

T = TypeVar("T")

AGREE_EVERY = 10
"""Steps between two questions whether it is time for a checkpoint within an epoch."""


def placed(world: World | None, device: str) -> dict[str, Any]:
    """Arguments of Lightning's trainer: devices, strategy, and the plugin that knows the other processes."""
    if world is None:
        return {"devices": 1, "plugins": []}
    shared = {"use_distributed_sampler": False, "sync_batchnorm": device == "cuda"}
    if world.launcher == "ray":
        from ray.train.lightning import RayDDPStrategy, RayLightningEnvironment

        return {**shared, "devices": "auto", "strategy": RayDDPStrategy(), "plugins": [RayLightningEnvironment()]}
    here = int(os.environ["LOCAL_WORLD_SIZE"])
    return {
        **shared,
        "devices": here,
        "num_nodes": world.size // here,
        "strategy": world.strategy,
        "plugins": [],
    }


def share_of(world: World | None) -> tuple[int, int]:
    """Number of this process, and how many there are."""
    return (0, 1) if world is None else (world.rank, world.size)


def refuse_uneven(world: World | None, rows: int, batch_size: int) -> None:
    """See that each process has its share of every batch.

    Raises:
        DataError: the training split is less than a batch, and cannot be shared evenly.
    """
    if world is not None and rows < batch_size and rows % world.size:
        raise DataError(
            f"the training split has {rows} rows, less than a batch of {batch_size}, and {world.size} processes cannot "
            "share them evenly",
            hint=f"set training.batch_size to at most {rows - rows % world.size}, or runner: local",
        )


def gathered(value: T, world: World | None) -> list[T] | None:
    """The values of all processes, in order of rank, for rank 0; None for the others."""
    if world is None:
        return [value]
    found: list[Any] | None = [None] * world.size if world.rank == 0 else None
    distributed.gather_object(value, found, dst=0)
    return found


def agreed(value: T, world: World | None) -> T:
    """Rank 0's value, for all."""
    if world is None:
        return value
    box = [value]
    distributed.broadcast_object_list(box, src=0)
    return box[0]


def summed(values: list[float], world: World | None, device: torch.device) -> list[float]:
    """The sums over all processes."""
    if world is None:
        return values
    tensor = torch.tensor(values, dtype=torch.float64 if device.type != "mps" else torch.float32, device=device)
    distributed.all_reduce(tensor)
    found: list[float] = tensor.tolist()
    return found
