"""The LightningModule that fits any network of `pizzeria_plugins.models.network.Network`."""

from __future__ import annotations

import copy
import math
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch
from pytorch_lightning.core.optimizer import LightningOptimizer
from timm.utils import ModelEmaV3
from torch import Tensor

from pizzeria.contracts import TrainJob
from pizzeria.datasets import Dataset
from pizzeria_plugins.trainers.answers import gather, main_metric
from pizzeria_plugins.trainers.bad_batch import Met, blame
from pizzeria_plugins.trainers.checkpoint_io import writing
from pizzeria_plugins.trainers.history import Epoch, History
from pizzeria_plugins.trainers.memory import Portions
from pizzeria_plugins.trainers.optimizer import make_optimizer, set_pace
from pizzeria_plugins.trainers.plan import Batch, EpochBatches
from pizzeria_plugins.trainers.schedule import Pace, ema_decay, pace, warmup_steps
from pizzeria_plugins.trainers.world import AGREE_EVERY, agreed, gathered, share_of, summed


@dataclass
class EpochSoFar:
    """What the epoch at work has brought, for a checkpoint within it.

    Attributes:
        steps: Steps that a checkpoint within the epoch stands after; None where it stands at an epoch's end.
    """

    loss_sum: float = 0.0
    items: int = 0
    seconds: float = 0.0
    steps: int | None = None


class Fit(pl.LightningModule):
    """One training.

    Everything random in it comes from the seed and the step, and so does the learning rate: a training that is cut off
    and resumed goes on exactly as if nothing had happened.

    Args:
        job: What to train and how.
        network: The network.
        data: The dataset; its validation split decides which epoch is best.
        history: Epochs so far; grows here.
        steps_per_epoch: Batches in an epoch.
        identity: Hash of everything that decides this training's course; stands in each checkpoint.

    Attributes:
        portions: In how many parts a batch goes through the network.
        stepping: Whether SIGTERM is answered after the step at work, by a checkpoint.
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
        decay = ema_decay(self.options.ema_decay, steps_per_epoch * self.options.max_epochs)
        self.averaged = None if decay is None else ModelEmaV3(network, decay=decay, use_warmup=True)
        if self.averaged is not None:
            self.averaged.requires_grad_(False)  # else several processes wait for gradients that never come
        self.data = data
        self.history = history
        self.best_weights: dict[str, Tensor] = {}
        self._identity = identity
        self._truth = data.truth("validation", len(job.problem.classes))
        self._steps_per_epoch = steps_per_epoch
        self._steps = steps_per_epoch * self.options.max_epochs
        self._warmup = warmup_steps(self.options.schedule, self.options.warmup_epochs, steps_per_epoch, self._steps)
        self._pace = Pace(1.0)
        self.automatic_optimization = False
        self.stepping = False
        note = "; the step stays the same, but batch norm sees one part at a time"
        self.portions = Portions(self.options.accumulate, job.progress.say, note, alone=job.world is None)
        self._unread: deque[tuple[Tensor, Batch, int]] = deque()
        self._step = 0
        self._epoch, self._resumed = EpochSoFar(), EpochSoFar()
        self._loops: dict[str, Any] | None = None

    @property
    def judged(self) -> Any:
        """The network that is validated and kept: the averaged one where there is one."""
        return self.network if self.averaged is None else self.averaged.module

    def configure_optimizers(self) -> torch.optim.Optimizer:
        if self.options.unfreeze_after is None:
            return make_optimizer(self.network, self.options)
        # The optimizer knows the backbone from the beginning, and passes over what has no gradient yet.
        self.network.freeze(False)
        optimizer = make_optimizer(self.network, self.options)
        self.network.freeze(True)
        return optimizer

    def on_train_start(self) -> None:
        self.stepping = True

    def on_train_end(self) -> None:
        self.stepping = False

    def on_train_epoch_start(self) -> None:
        if self.current_epoch + 1 == self.options.max_epochs:
            # The last epoch is always validated, whatever the rhythm.
            self.trainer.check_val_every_n_epoch = 1
        if self.options.unfreeze_after is not None:
            self.network.freeze(self.current_epoch < self.options.unfreeze_after)
        self._epoch, self._resumed = self._resumed, EpochSoFar()
        self._saved_at = time.perf_counter()
        self._started = self._saved_at - self._epoch.seconds
        self._validation_seconds = 0.0
        self._validated: tuple[float, float] | None = None

    def on_train_batch_start(self, batch: Batch, batch_idx: int) -> None:
        self._step = self.current_epoch * self._steps_per_epoch + batch_idx
        self._pace = pace(self.options.schedule, self._step, self._steps, self._warmup)
        set_pace(self.trainer.optimizers[0], self._pace, self.options.learning_rate)

    def training_step(self, batch: Batch, batch_idx: int) -> None:
        if not batch.inputs:  # made before the training was cut off
            return
        self._unread.append((self.portions.of(batch, self._gradients), batch, self._step))
        # A GPU is not waited for: what it says of a step is read when the next one is under way.
        lag = 0 if self.device.type == "cpu" else 1
        self._read(lag)
        optimizer = self.optimizers()
        assert isinstance(optimizer, LightningOptimizer)
        optimizer.step()
        if self.averaged is not None:
            self.averaged.update(self.network, step=self._step + 1)

    def on_before_optimizer_step(self, optimizer: torch.optim.Optimizer) -> None:
        if self.options.gradient_clip is not None:
            torch.nn.utils.clip_grad_norm_(self.network.parameters(), self.options.gradient_clip)

    def on_train_batch_end(self, outputs: Any, batch: Batch, batch_idx: int) -> None:
        if batch.inputs and batch_idx + 1 < self._steps_per_epoch and self._is_time_to_save(batch_idx):
            self._save_within(batch_idx + 1)

    def on_validation_start(self) -> None:
        self._validation_started = time.perf_counter()
        self._judged: list[list[tuple[float, int, Any]]] = []

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        self._judged.append(self.portions.of(batch, self._judge) if batch.inputs else [])

    def on_validation_batch_end(self, outputs: Any, batch: Batch, batch_idx: int) -> None:
        if self.trainer.received_sigterm and self.job.world is None:  # Lightning ends after this batch
            self._save_within(self._steps_per_epoch)

    def on_validation_end(self) -> None:
        found = gathered(self._judged, self.job.world)
        self._validated = agreed(None if found is None else self._validation_of(found), self.job.world)
        self._validation_seconds = time.perf_counter() - self._validation_started

    def on_train_epoch_end(self) -> None:
        self._read(0)
        seconds = time.perf_counter() - self._started
        validation_loss, metric = self._validated or (None, None)
        loss_sum, items = summed([self._epoch.loss_sum, self._epoch.items], self.job.world, self.device)
        self.history.epochs.append(
            Epoch(
                epoch=self.current_epoch + 1,
                train_loss=loss_sum / items,
                validation_loss=validation_loss,
                metric=metric,
                learning_rate=self.options.learning_rate * self._pace.rate,
                seconds=seconds,
                items_per_second=items / (seconds - self._validation_seconds),
            )
        )
        if self.history.best is self.history.epochs[-1]:
            self.best_weights = {name: value.detach().cpu().clone() for name, value in self.judged.state_dict().items()}
        self.trainer.should_stop = self.history.stalled
        self.trainer.save_checkpoint(checkpoint_path(self.job, self.current_epoch + 1), weights_only=False)
        if self.trainer.is_global_zero:
            with writing(self.job.folder):
                self.history.write(self.job.folder / "curves.csv")

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        if self._epoch.steps is None:
            self._loops = copy.deepcopy(checkpoint["loops"])
        else:
            # Lightning begins the epoch again, and is given no more than the batches that are left.
            checkpoint["loops"] = self._loops
        checkpoint["pizzeria"] = {
            "identity": self._identity,
            "history": self.history.state(),
            "best_weights": self.best_weights,
            "parts": self.portions.parts,
            "epoch": asdict(self._epoch),
        }

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        own = checkpoint["pizzeria"]
        self.history.restore(own["history"])
        self.best_weights = own["best_weights"]
        self.portions.parts = own["parts"]
        self._loops = checkpoint["loops"]
        if own["epoch"]["steps"] is not None:
            self._resumed = replace(EpochSoFar(**own["epoch"]), steps=None)

    @property
    def _sampler(self) -> EpochBatches:
        loader: Any = self.trainer.train_dataloader
        sampler: EpochBatches = loader.sampler
        return sampler

    def _gradients(self, parts: Sequence[Batch]) -> Tensor:
        """The batch's loss; its gradient is left in the parameters."""
        torch.manual_seed(self._seed_of(self._step))
        optimizer = self.trainer.optimizers[0]
        optimizer.zero_grad()
        size = sum(len(part.inputs[0]) for part in parts)
        losses = []
        for part in parts:
            named = self.network.loss(part.through(self.network), part.targets)
            loss = torch.stack(list(named.values())).sum() * (len(part.inputs[0]) / size)
            self.manual_backward(loss)
            losses.append(loss.detach())
        return torch.stack(losses).sum()

    def _judge(self, parts: Sequence[Batch]) -> list[tuple[float, int, Any]]:
        """Loss, size and answers of each part."""
        found = []
        for part in parts:
            outputs = part.through(self.judged)
            loss = sum(float(loss) for loss in self.judged.loss(outputs, part.targets).values())
            found.append((loss, len(part.inputs[0]), self.judged.predict(outputs)))
        return found

    def _read(self, lag: int) -> None:
        """Read the losses of all but the last `lag` steps."""
        while len(self._unread) > lag:
            loss, batch, step = self._unread.popleft()
            value, size = float(loss), len(batch.inputs[0])
            if not math.isfinite(value):
                met = Met(value, *divmod(step, self._steps_per_epoch), self._seed_of(step))
                # On a GPU the weights have been through another step since.
                network = self.network if self.device.type == "cpu" else None
                raise blame(met, batch, self.job, self.data, self._sampler, network)
            self._epoch.loss_sum += value * size
            self._epoch.items += size
            mean = self._epoch.loss_sum / self._epoch.items
            self.job.progress.update("train", step + 1, self._steps, epoch=self.current_epoch + 1, loss=mean)

    def _seed_of(self, step: int) -> int:
        return step_seed(self.job.seed, step, share_of(self.job.world)[0])

    def _validation_of(self, found: Sequence[Sequence[Sequence[tuple[float, int, Any]]]]) -> tuple[float, float]:
        """Loss and metric, of what each process judged of each batch."""
        judged = [part for batch in zip(*found, strict=True) for share in batch for part in share]
        loss, items = sum(loss * size for loss, size, _ in judged), sum(size for _, size, _ in judged)
        answers = gather(self.data, "validation", [answers for _, _, answers in judged])
        return loss / items, main_metric(self.job.problem, answers, self._truth)

    def _is_time_to_save(self, batch_idx: int) -> bool:
        """Whether it is, after this batch; several processes ask each other now and then."""
        late = time.perf_counter() - self._saved_at > 60 * self.options.checkpoint_minutes
        if self.job.world is None:
            return late or self.trainer.received_sigterm
        return (batch_idx + 1) % AGREE_EVERY == 0 and agreed(late, self.job.world)

    def _save_within(self, steps: int) -> None:
        """Save a checkpoint after so many steps of this epoch."""
        self._read(0)
        self._saved_at = time.perf_counter()
        self._epoch.steps, self._epoch.seconds = steps, self._saved_at - self._started
        self.trainer.save_checkpoint(checkpoint_path(self.job, self.current_epoch, steps), weights_only=False)
        self._epoch.steps = None


def step_seed(seed: int, step: int, rank: int = 0) -> int:
    """What PyTorch's random numbers of one step are seeded with, in the process of this rank."""
    return int(np.random.SeedSequence([seed, step, *([rank] if rank else [])]).generate_state(1)[0])


def checkpoint_path(job: TrainJob, epoch: int, steps: int = 0) -> Path:
    """Folder of the checkpoint after `epoch`, counted from 1, and so many steps of the one that follows."""
    name = f"epoch-{epoch:06d}" + (f"-step-{steps:09d}" if steps else "")
    return job.folder / "checkpoints" / name
