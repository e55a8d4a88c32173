"""What each epoch of a training brought: which one was best, when to stop, and the curves for the report."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from pizzeria.atomic import write_bytes


@dataclass(frozen=True)
class Epoch:
    """One epoch, numbered from 1. Validation figures are None where it was not validated, NaN where undefined."""

    epoch: int
    train_loss: float
    validation_loss: float | None
    metric: float | None
    learning_rate: float
    seconds: float
    items_per_second: float


@dataclass
class History:
    """All epochs so far.

    Attributes:
        name: Of the metric.
        better: Which way it is better.
        watch: What decides which epoch is best: the metric (the validation loss where it is undefined) or the loss.
        patience: Stop after so many epochs without a better one; None never stops.
    """

    name: str
    better: Literal["higher", "lower"]
    watch: Literal["metric", "loss"]
    patience: int | None
    epochs: list[Epoch] = field(default_factory=list)

    @property
    def best(self) -> Epoch | None:
        """The best epoch, the earliest of equals; None before the first validation."""
        validated = [epoch for epoch in self.epochs if epoch.validation_loss is not None]
        return max(validated, key=self._worth, default=None)

    @property
    def stalled(self) -> bool:
        """Whether patience is at its end."""
        if self.patience is None or self.best is None:
            return False
        return len(self.epochs) - self.best.epoch >= self.patience

    def state(self) -> dict[str, Any]:
        """The epochs as plain data."""
        return {"epochs": [asdict(epoch) for epoch in self.epochs]}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Take back what `state` gave."""
        self.epochs = [Epoch(**epoch) for epoch in state["epochs"]]

    def write(self, path: Path) -> None:
        """`curves.csv`: one row an epoch, empty cells where it was not validated."""
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(["epoch", "train_loss", "validation_loss", self.name, "learning_rate", "seconds"])
        for e in self.epochs:
            writer.writerow([e.epoch, e.train_loss, e.validation_loss, e.metric, e.learning_rate, e.seconds])
        write_bytes(path, text.getvalue().encode())

    def _worth(self, epoch: Epoch) -> tuple[float, float]:
        assert epoch.validation_loss is not None
        by_loss = -epoch.validation_loss if math.isfinite(epoch.validation_loss) else -math.inf
        if self.watch == "loss" or epoch.metric is None or math.isnan(epoch.metric):
            return -math.inf, by_loss
        return epoch.metric if self.better == "higher" else -epoch.metric, by_loss
