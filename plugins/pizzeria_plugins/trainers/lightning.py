"""Trainer `lightning`: PyTorch Lightning, with checkpoints that survive any kill."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field, model_validator

from pizzeria.contracts import TrainJob
from pizzeria.spec.problem import Problem
from pizzeria.spec.section import Options as PluginOptions

if TYPE_CHECKING:
    from pizzeria.predictions import Predictions

Share = Annotated[float, Field(ge=0, le=1)]

SIZE_STEP = 32
"""`multi_scale` makes photos whose sides are multiples of this, the stride of most backbones' coarsest map."""


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
    gradient_clip: float | None = Field(default=10.0, gt=0, description="Greatest norm of the gradient; null: any.")
    backbone_rate: float = Field(
        default=1.0, gt=0, le=1, description="Learning rate of the backbone, as a share of what the rest learns at."
    )
    cached_views: int = Field(
        default=0,
        ge=0,
        le=64,
        description="With a frozen backbone: what it makes of so many changed copies of each training photo is "
        "computed once and kept on disk, and epochs go through the rest of the network alone. 0: it runs in each step.",
    )
    unfreeze_after: int | None = Field(
        default=None, ge=1, description="Epochs after which a frozen backbone learns too; null: never."
    )
    augmentation: Literal["none", "flip", "standard"] = Field(
        default="standard",
        description="Random changes to training photos: flip: left and right; standard: also zoom, shift, colour.",
    )
    mosaic: Share = Field(default=0.0, description="Share of training photos that are made of four; for detection.")
    mixup: Share = Field(default=0.0, description="Share of batches in which photos are laid over each other.")
    cutmix: Share = Field(
        default=0.0, description="Share of batches in which photos get a piece of another one; for classification."
    )
    multi_scale: float = Field(
        default=0.0,
        ge=0,
        le=0.5,
        description="How much smaller and larger the photos of a batch may be, in steps of 32 pixels; 0.25: by a "
        "quarter. Validation and the exported model keep model.image_size.",
    )
    plain_epochs: int | None = Field(
        default=None,
        ge=0,
        description="Last epochs without mosaic, mixup, cutmix and multi_scale; null: a fifth of the training.",
    )
    sampling: Literal["even", "balanced", "repeat_factor"] = Field(
        default="even",
        description="How often training photos or rows are drawn: all alike; balanced: each class as often as any "
        "other; repeat_factor: those with a rare class more often.",
    )
    repeat_threshold: float = Field(
        default=0.1, gt=0, le=1, description="Share of photos or rows below which repeat_factor takes a class for rare."
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
    ema_decay: Annotated[float, Field(gt=0, lt=1)] | Literal["auto"] | None = Field(
        default=None,
        description="Keep an exponential average of the weights, such as 0.99; auto: over the last twentieth of the "
        "training; null: none.",
    )
    precision: Literal["auto", "32-true", "bf16-mixed", "16-mixed"] = Field(
        default="auto",
        description="auto: bf16-mixed on a GPU that has it, and for photos on a CPU that has it, else 32-true.",
    )
    checkpoint_minutes: float = Field(
        default=10,
        gt=0,
        description="At most so long from one checkpoint to the next; each epoch's end has one in any case.",
    )
    accelerator: Literal["auto", "cpu", "cuda", "mps"] = Field(
        default="auto", description="auto: a GPU if there is one."
    )
    workers: int = Field(
        default=0, ge=0, le=256, description="Processes that make batches; 0 makes them in the training process."
    )

    @property
    def last_plain_epochs(self) -> int:
        """`plain_epochs`, or what null stands for."""
        return round(self.max_epochs / 5) if self.plain_epochs is None else self.plain_epochs

    @model_validator(mode="after")
    def _mixing_happens(self) -> Options:
        wanted = [name for name in ("mosaic", "mixup", "cutmix", "multi_scale") if getattr(self, name)]
        if wanted and self.last_plain_epochs >= self.max_epochs:
            raise ValueError(
                f"{wanted[0]} never happens: plain_epochs {self.plain_epochs} leaves none of max_epochs "
                f"{self.max_epochs}; give fewer plain_epochs, or leave {wanted[0]} out"
            )
        if self.mixup + self.cutmix > 1:
            raise ValueError(f"mixup {self.mixup:g} and cutmix {self.cutmix:g} are shares of the same batches, above 1")
        return self


def check(options: Options, problem: Problem, model: Any, model_options: Any) -> Sequence[tuple[str, str, str]]:
    """Options that cannot work with the task or the model, as (path below `training`, message, hint)."""
    takes = getattr(model, "TAKES", "photos")
    faults = [
        (name, f"the model learns from {takes}, and {name} is for photos", "leave it out")
        for name in ("mosaic", "mixup", "cutmix", "multi_scale")
        if getattr(options, name) and takes != "photos"
    ]
    if options.mosaic and takes == "photos" and problem.task != "object_detection":
        faults.append(("mosaic", f"{problem.task} has no boxes to be found in four photos", "cutmix is what suits it"))
    if options.cutmix and problem.task == "object_detection":
        faults.append(("cutmix", "cutmix mixes the classes of whole photos, not boxes", "mosaic is what suits it"))
    side = getattr(model_options, "image_size", None)
    if options.multi_scale and side and options.multi_scale * side <= SIZE_STEP / 2:
        least = f"write at least {SIZE_STEP / 2 / side + 0.01:.2f}"
        faults.append(("multi_scale", f"of {side} px it makes no other size in steps of {SIZE_STEP}", least))
    if options.sampling == "balanced" and problem.task not in ("image_classification", "tabular_classification"):
        hint = "sampling: even" if problem.task == "tabular_regression" else "sampling: repeat_factor"
        faults.append(("sampling", f"{problem.task} has no one class for each to be balanced by", hint))
    if options.sampling == "repeat_factor" and problem.task == "tabular_regression":
        faults.append(("sampling", "tabular_regression has no rare classes", "sampling: even"))
    frozen = getattr(model_options, "freeze_backbone", False)
    if options.backbone_rate != 1 and (takes != "photos" or (frozen and options.unfreeze_after is None)):
        why = (
            "model.freeze_backbone trains nothing of it" if takes == "photos" else "the model has no backbone to train"
        )
        faults.append(("backbone_rate", why, "leave it out"))
    faults += _frozen_faults(options, problem, frozen)
    return faults


def _frozen_faults(options: Options, problem: Problem, frozen: bool) -> list[tuple[str, str, str]]:
    """Those of what only a frozen backbone allows."""
    faults = [
        (name, "the model's backbone is not frozen", "write model.freeze_backbone: true, or leave it out")
        for name, wanted in (("cached_views", options.cached_views), ("unfreeze_after", options.unfreeze_after))
        if wanted and not frozen
    ]
    if options.unfreeze_after is not None and options.unfreeze_after >= options.max_epochs:
        why = f"training ends after {options.max_epochs} epochs, before the backbone would learn"
        faults.append(("unfreeze_after", why, f"write at most {options.max_epochs - 1}, or null"))
    if options.cached_views and problem.task != "object_detection":
        hint = "features: embeddings with the model timm_probe does the same for classes of photos"
        faults.append(("cached_views", f"it is for object_detection, and the task is {problem.task}", hint))
    mixing = "what is kept comes in all epochs, also in those that must be plain"
    for name, why in (
        ("multi_scale", "what is kept is of photos of one size"),
        ("mosaic", mixing),
        ("mixup", mixing),
    ):
        if options.cached_views and getattr(options, name):
            faults.append(("cached_views", why, f"{name}: 0, or cached_views: 0"))
    return faults


def together(options: Options, processes: int) -> Sequence[tuple[str, str, str]]:
    """What stands in the way of so many processes: each must have an equal share of every batch, and learns the same
    weights from the first step to the last."""
    for name in ("cached_views", "unfreeze_after"):
        if processes > 1 and getattr(options, name):
            return [(name, f"it is for one process, and there are {processes}", "leave it out, or runner: local")]
    if options.batch_size % processes == 0:
        return []
    near = max(options.batch_size // processes, 1) * processes
    why = f"a batch of {options.batch_size} cannot be shared evenly by {processes} processes"
    return [("batch_size", why, f"write {near}, or another multiple of {processes}")]


def train(job: TrainJob) -> Mapping[str, Any]:
    """Train, or go on from the last whole checkpoint in `job.folder`.

    Leaves `model.safetensors` (the best epoch), `curves.csv` and `checkpoints/` in `job.folder`.

    Returns:
        epochs, best_epoch, stopped_early, the best epoch's metric and loss, seconds, items_per_second, parameters,
        device, precision.

    Raises:
        DataError: the training or validation split is empty, or the weights to begin from do not fit.
        TrainingError: the loss is not a number (the batch is kept in `not-a-number/`), memory is too small for one row
            at a time, or a checkpoint cannot be written.
        KeyboardInterrupt: Ctrl-C; the next call goes on from the last checkpoint.
        Terminated: SIGTERM; the next call goes on after the step that was at work.
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
