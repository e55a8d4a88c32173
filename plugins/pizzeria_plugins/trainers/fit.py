"""The LightningModule that fits any network of `pizzeria_plugins.models.network.Network`."""

from __future__ import annotations

import math
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch
from timm.utils import ModelEmaV3
from torch import Tensor

from pizzeria.contracts import TrainJob
from pizzeria.datasets import Dataset
from pizzeria.errors import TrainingError
from pizzeria_plugins.trainers.answers import gather, main_metric
from pizzeria_plugins.trainers.batches import Batch
from pizzeria_plugins.trainers.history import Epoch, History
from pizzeria_plugins.trainers.optimizer import make_optimizer, set_pace
from pizzeria_plugins.trainers.schedule import Pace, pace, warmup_steps


class Fit(pl.LightningModule):
    """One training.

    Everything random in it comes from (seed, epoch), and the learning rate from the step, so that a training which is
    cut off and resumed at an epoch's end goes on exactly as if nothing had happened.

    Args:
        job: What to train and how.
        network: The network.
        data: The dataset; its validation split decides which epoch is best.
        history: Epochs so far; grows here.
        steps_per_epoch: Batches in an epoch.
        identity: Hash of everything that decides this training's course; stands in each checkpoint.
    """

    def __init__(
        self,
        job: TrainJob,
        network: Any,
        data: Dataset,
        history: History,
        steps_per_epoch: int,
        identity: str,
    ) -> None:
        super().__init__()
        self.job = job
        self.options = job.options
        self.network = network
        self.averaged = (
            ModelEmaV3(network, decay=self.options.ema_decay, use_warmup=True) if self.options.ema_decay else None
        )
        self.data = data
        self.history = history
        self.best_weights: dict[str, Tensor] = {}
        self._identity = identity
        self._truth = data.truth("validation", len(job.problem.classes))
        self._steps_per_epoch = steps_per_epoch
        self._steps = steps_per_epoch * self.options.max_epochs
        self._warmup = warmup_steps(self.options.schedule, self.options.warmup_epochs, steps_per_epoch, self._steps)
        self._pace = Pace(1.0)

    @property
    def judged(self) -> Any:
        """The network that is validated and kept: the averaged one where there is one."""
        return self.network if self.averaged is None else self.averaged.module

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return make_optimizer(self.network, self.options)

    def on_train_epoch_start(self) -> None:
        seeds = np.random.SeedSequence([self.job.seed, self.current_epoch])
        torch.manual_seed(int(seeds.generate_state(1)[0]))
        if self.current_epoch + 1 == self.options.max_epochs:
            # The last epoch is always validated, whatever the rhythm.
            self.trainer.check_val_every_n_epoch = 1
        self._started = time.perf_counter()
        self._validation_seconds = 0.0
        self._loss_sum, self._items = 0.0, 0
        self._validated: tuple[float, float] | None = None

    def on_train_batch_start(self, batch: Batch, batch_idx: int) -> None:
        self._pace = pace(self.options.schedule, self.global_step, self._steps, self._warmup)
        set_pace(self.trainer.optimizers[0], self._pace, self.options.learning_rate)

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        losses = self.network.loss(self.network(*batch.inputs), batch.targets)
        loss: Tensor = torch.stack(list(losses.values())).sum()
        value = float(loss.detach())
        if not math.isfinite(value):
            raise TrainingError(
                f"the loss became {value} in epoch {self.current_epoch + 1}, step {batch_idx + 1}",
                hint=f"lower training.learning_rate (now {self.options.learning_rate:g})"
                + ("" if self.options.gradient_clip else ", or set training.gradient_clip"),
            )
        size = len(batch.inputs[0])
        self._loss_sum += value * size
        self._items += size
        self.job.progress.update(
            "train", self.global_step + 1, self._steps, epoch=self.current_epoch + 1, loss=self._loss_sum / self._items
        )
        return loss

    def on_train_batch_end(self, outputs: Any, batch: Batch, batch_idx: int) -> None:
        if self.averaged is not None:
            self.averaged.update(self.network, step=self.global_step)

    def on_validation_start(self) -> None:
        self._validation_started = time.perf_counter()
        self._parts: list[Any] = []
        self._validation_loss, self._validation_items = 0.0, 0

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        outputs = self.judged(*batch.inputs)
        size = len(batch.inputs[0])
        self._validation_loss += sum(float(loss) for loss in self.judged.loss(outputs, batch.targets).values()) * size
        self._validation_items += size
        self._parts.append(self.judged.predict(outputs))

    def on_validation_end(self) -> None:
        metric = main_metric(self.job.problem, gather(self.data, "validation", self._parts), self._truth)
        self._validated = (self._validation_loss / self._validation_items, metric)
        self._validation_seconds = time.perf_counter() - self._validation_started

    def on_train_epoch_end(self) -> None:
        seconds = time.perf_counter() - self._started
        validation_loss, metric = self._validated or (None, None)
        self.history.epochs.append(
            Epoch(
                epoch=self.current_epoch + 1,
                train_loss=self._loss_sum / self._items,
                validation_loss=validation_loss,
                metric=metric,
                learning_rate=self.options.learning_rate * self._pace.rate,
                seconds=seconds,
                items_per_second=self._items / (seconds - self._validation_seconds),
            )
        )
        if self.history.best is self.history.epochs[-1]:
            self.best_weights = {name: value.detach().cpu().clone() for name, value in self.judged.state_dict().items()}
        self.trainer.should_stop = self.history.stalled
        self.trainer.save_checkpoint(checkpoint_path(self.job, self.current_epoch + 1), weights_only=False)
        self.history.write(self.job.folder / "curves.csv")

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        checkpoint["pizzeria"] = {
            "identity": self._identity,
            "history": self.history.state(),
            "best_weights": self.best_weights,
        }

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        self.history.restore(checkpoint["pizzeria"]["history"])
        self.best_weights = checkpoint["pizzeria"]["best_weights"]


def checkpoint_path(job: TrainJob, epoch: int) -> Path:
    """Folder of the checkpoint after `epoch`, counted from 1."""
    return job.folder / "checkpoints" / f"epoch-{epoch:06d}"
