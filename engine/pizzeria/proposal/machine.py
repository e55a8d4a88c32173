"""A model and a training that fit the machine: as large as a first run of some minutes lets them be."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pizzeria.inference.predictor import usable_cores
from pizzeria.proposal.framing import Framing

MINUTES = 10.0
"""How long a first training shall take, about."""
BACKBONE, WEIGHTS = "tf_efficientnet_lite0", "package"
"""What photos are looked at with unless the user has weights: ImageNet's, which come with the libraries of training."""
_RATE_160 = 45.0
"""Photos a second and core that a detector on that backbone, frozen, trains on at 160 pixels: 81 in a measurement of
forward and backward pass alone (docs/models.md), less what loading, validation and a second thread take."""
_GPU_CORES = 60.0
"""How many cores a GPU is worth, roughly."""
_ROWS_A_SECOND = 15_000.0
"""Rows a second and core that the tabular network trains on."""


@dataclass(frozen=True)
class Machine:
    """What there is to train on."""

    cores: int
    gpu: bool

    @property
    def power(self) -> float:
        """In cores."""
        return _GPU_CORES if self.gpu else float(self.cores)

    def __str__(self) -> str:
        return "a GPU" if self.gpu else f"{self.cores} core{'s' if self.cores > 1 else ''}"


@dataclass(frozen=True)
class Choice:
    """Plugins and settings.

    Attributes:
        why: One line for the spec.
    """

    features: str
    model: str
    model_options: Mapping[str, Any]
    training: Mapping[str, Any]
    why: str


def this_machine() -> Machine:
    """What this machine has; a GPU is known by its driver, so that no library need be loaded."""
    return Machine(usable_cores(), any(Path("/dev").glob("nvidia[0-9]*")))


def choose(framing: Framing, count: int, machine: Machine, weights: str | None, minutes: float = MINUTES) -> Choice:
    """A model for so many photos or rows to train on.

    Args:
        count: Photos or rows of the training split.
        weights: File of pretrained weights of a timm backbone, whose name is that of the backbone; None for `WEIGHTS`.
    """
    if framing.task.startswith("tabular"):
        return _network(count, machine, minutes)
    backbone = {"backbone": BACKBONE if weights is None else Path(weights).stem, "weights": weights or WEIGHTS}
    if framing.task == "object_detection":
        return _detector(count, machine, backbone, minutes)
    return _probe(backbone)


def _network(count: int, machine: Machine, minutes: float) -> Choice:
    # What a table shows is learnt long before the time is over.
    epochs = _epochs(minutes / 5 * 60 * _ROWS_A_SECOND * machine.power / count, 3, 20)
    training = {"max_epochs": epochs, "batch_size": 256 if count >= 5_000 else 32, "learning_rate": 2.0e-3}
    return Choice("columns", "tabular_network", {}, training, f"{count:,} rows for training, on {machine}")


def _probe(backbone: Mapping[str, str]) -> Choice:
    training = {"max_epochs": 30, "batch_size": 64, "learning_rate": 3.0e-3}
    why = "the pretrained backbone runs once over each photo; its last layer alone is trained, in seconds"
    return Choice("embeddings", "timm_probe", backbone, training, why)


def _detector(count: int, machine: Machine, backbone: Mapping[str, str], minutes: float) -> Choice:
    size, epochs = 0, 0.0
    for size in (320, 256, 160):  # the largest that leaves time for some epochs
        epochs = minutes * 60 * _RATE_160 * (160 / size) ** 2 * machine.power / count
        if epochs >= 12:
            break
    training = {
        "max_epochs": _epochs(epochs, 3, 30),
        "batch_size": 8,
        "learning_rate": 2.0e-3,
        "augmentation": "flip",
    }
    options = {**backbone, "image_size": size, "freeze_backbone": True}
    why = f"the pretrained backbone stays as it is, and the detector on it is trained; {machine}"
    return Choice("photos", "timm_detector", options, training, why)


def _epochs(affordable: float, least: int, most: int) -> int:
    return max(least, min(most, round(affordable)))
