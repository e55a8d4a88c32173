"""Trainer `lightgbm`: boosts trees round by round on columns, with checkpoints that survive any kill."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import Field

from pizzeria.contracts import TrainJob
from pizzeria.spec.section import Options as PluginOptions

if TYPE_CHECKING:
    from pizzeria.predictions import Predictions

FITS = "lightgbm"
"""The form of model that it trains."""


class Options(PluginOptions):
    """Options of `lightgbm`."""

    rounds: int = Field(default=500, ge=1, le=100_000, description="Most trees (for each class, where there are many).")
    learning_rate: float = Field(default=0.05, gt=0, le=1, description="Share of a tree's answer that counts.")
    early_stopping_rounds: int | None = Field(
        default=50, ge=1, description="Stop after so many rounds without a lower loss on validation; null: never."
    )
    checkpoint_every: int = Field(
        default=50, ge=1, description="Rounds between checkpoints; what is cut off loses no more."
    )
    threads: int | None = Field(
        default=None, ge=1, le=256, description="Threads; null: OMP_NUM_THREADS, or as many as it may use cores."
    )


def train(job: TrainJob) -> Mapping[str, Any]:
    """Train, or go on from the last whole checkpoint in `job.folder`.

    Leaves `model.safetensors` (the trees up to the best round), `curves.csv`, where a round counts as an epoch, and
    `checkpoint.safetensors` in `job.folder`. With `job.start` its trees come first, and new ones correct them.

    Returns:
        epochs, best_epoch, stopped_early, the best round's metric and loss, seconds, items_per_second, parameters
        (leaves), device, cores.

    Raises:
        DataError: the training or validation split is empty, or the trees to begin from do not fit.
        TrainingError: the loss is not a number, or a checkpoint cannot be written.
    """
    from pizzeria_plugins.trainers.boosting import run

    return run(job)


def predict(job: TrainJob, weights: Path, split: str) -> Predictions:
    """What the trees say of one split.

    Args:
        job: As for `train`.
        weights: A `model.safetensors`.
        split: train, validation or test.
    """
    from pizzeria_plugins.trainers.boosting import predict

    return predict(job, weights, split)
