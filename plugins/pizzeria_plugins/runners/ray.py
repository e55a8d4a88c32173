"""Runner `ray`: Ray Train for trainings, Ray Data for predictions in bulk, here or on a cluster.

The machines of a cluster have the same Pizzeria and the same plugins, and see the store by the same path.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import Field

from pizzeria.contracts import BulkWork, Trainer, TrainJob
from pizzeria.spec.section import Options as PluginOptions


class Options(PluginOptions):
    """Options of `ray`."""

    workers: int = Field(default=2, ge=1, le=4096, description="Processes that work at the same time.")
    cpus_per_worker: float = Field(default=1, gt=0, description="Cores that each of them takes.")
    gpus_per_worker: int = Field(default=0, ge=0, description="GPUs that each of them takes.")
    address: str | None = Field(
        default=None,
        description="Of the cluster: auto, host:6379, ray://host:10001. null: RAY_ADDRESS, or else one on this machine "
        "that ends with the command.",
    )
    restarts: int = Field(default=2, ge=0, description="How often work goes on when one of them dies.")


def processes(options: Options) -> int:
    """How many train together."""
    return options.workers


def train(options: Options, trainer: Trainer, job: TrainJob) -> Mapping[str, Any]:
    """Let Ray Train start the workers, and start them again, from the last checkpoint, when one dies.

    Raises:
        PizzeriaError: what ended one of the workers.
        TrainingError: the cluster cannot be had, or has too few cores or GPUs; or a worker died once too often.
    """
    from pizzeria_plugins.runners.ray_cluster import cluster
    from pizzeria_plugins.runners.ray_train import launch
    from pizzeria_plugins.runners.together import train_together

    def wait_for(path: Path) -> str:
        with cluster(options, job.progress):
            return launch(options, path)

    return train_together(trainer, job, wait_for)


def each(options: Options, work: BulkWork, items: Sequence[str]) -> Iterator[str]:
    """As Ray Data does it: each item goes to an actor, which has opened the work once.

    Raises:
        TrainingError: the cluster cannot be had, or has too few cores or GPUs.
    """
    from pizzeria_plugins.runners.ray_cluster import cluster
    from pizzeria_plugins.runners.ray_data import answers

    if items:
        with cluster(options):
            yield from answers(options, work, items)
