"""Trainer `lightning`: PyTorch Lightning, with checkpoints that survive any kill."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from pizzeria.contracts import TrainJob
from pizzeria.spec.section import Options as PluginOptions

if TYPE_CHECKING:
    from pizzeria.predictions import Predictions


class Options(PluginOptions):
    """Options of `lightning`."""

    max_epochs: int = Field(default=10, ge=1, description="Times that the training split is gone through.")
    batch_size: int = Field(default=16, ge=1, description="Photos or rows in one step.")
    accumulate: int = Field(
        default=1,
        ge=1,
        description="Parts in which a step's batch goes through the network, one after the other: less memory for the "
        "same step, except that batch norm sees one part at a time.",
    )
    learning_rate: float = Field(default=1e-3, gt=0, description="Highest learning rate.")
    optimizer: Literal["adamw", "sgd"] = Field(default="adamw", description="SGD has Nesterov momentum.")
    weight_decay: float = Field(default=0.01, ge=0, description="Of weights; biases and norms are not decayed.")
    schedule: Literal["one_cycle", "cosine", "constant"] = Field(
        default="one_cycle", description="How the learning rate goes up and down."
    )
    warmup_epochs: float | None = Field(
        default=None,
        ge=0,
        description="Epochs of the climb; null: 30% of the training for one_cycle, one for cosine, none for constant.",
    )
    gradient_clip: float | None = Field(default=None, gt=0, description="Greatest norm of the gradient.")
    augmentation: Literal["none", "flip", "standard"] = Field(
        default="standard",
        description="Random changes to training photos: flip: left and right; standard: also zoom, shift, colour.",
    )
    early_stopping_patience: int | None = Field(
        default=None, ge=1, description="Stop after so many epochs without a better one; null never stops early."
    )
    monitor: Literal["metric", "loss"] = Field(
        default="metric", description="Which epoch is best: by the task's main metric, or by the loss, on validation."
    )
    validate_every: int = Field(
        default=1, ge=1, description="Epochs from one validation to the next; the last has one."
    )
    ema_decay: float | None = Field(
        default=None, gt=0, lt=1, description="Keep an exponential average of the weights, such as 0.99; null: none."
    )
    precision: Literal["auto", "32-true", "bf16-mixed", "16-mixed"] = Field(
        default="auto", description="auto: bf16-mixed on a GPU that has it, else 32-true."
    )
    accelerator: Literal["auto", "cpu", "cuda", "mps"] = Field(
        default="auto", description="auto: a GPU if there is one."
    )
    workers: int = Field(
        default=0, ge=0, le=256, description="Processes that make batches; 0 makes them in the training process."
    )


def train(job: TrainJob) -> Mapping[str, Any]:
    """Train, or go on from the last whole checkpoint in `job.folder`.

    Leaves `model.safetensors` (the best epoch), `curves.csv` and `checkpoints/` in `job.folder`.

    Returns:
        epochs, best_epoch, stopped_early, the best epoch's metric and loss, seconds, items_per_second, parameters,
        device, precision.

    Raises:
        DataError: the training or validation split is empty, or the weights to begin from do not fit.
        TrainingError: the loss is not a number, or a checkpoint cannot be written.
        KeyboardInterrupt: Ctrl-C; the next call goes on from the last whole epoch.
    """
    from pizzeria_plugins.trainers.training import run

    return run(job)


def predict(job: TrainJob, weights: Path, split: str) -> Predictions:
    """What the network with these weights says of one split; boxes in pixels of the original photos.

    Args:
        job: As for `train`.
        weights: A `model.safetensors`.
        split: train, validation or test.
    """
    from pizzeria_plugins.trainers.prediction import run

    return run(job, weights, split)
