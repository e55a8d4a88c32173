"""Keeps the batch whose loss was no number, so that it can be looked at and run again.

not-a-number/
  batch.safetensors    inputs.0 ..., and targets, or targets.0.boxes, targets.0.labels ... of photos with boxes
  weights.safetensors  the network as it was when it met the batch, where the device lets that be known
  batch.json           loss, epoch, step, seed (for `torch.manual_seed` before the step), and the ids of its rows
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors.torch import save
from torch import Tensor, nn

from pizzeria.atomic import write_bytes, write_json
from pizzeria.contracts import TrainJob
from pizzeria.datasets import Dataset, RowSet
from pizzeria.errors import TrainingError
from pizzeria_plugins.trainers.checkpoint_io import writing
from pizzeria_plugins.trainers.plan import Batch, EpochBatches

FOLDER = "not-a-number"
_SHOWN = 5


class Met(NamedTuple):
    """Where a loss was met that is no number: epoch and step within it, counted from 0, and the seed of the step."""

    loss: float
    epoch: int
    step: int
    seed: int


def blame(
    met: Met, batch: Batch, job: TrainJob, data: Dataset, sampler: EpochBatches, network: nn.Module | None
) -> TrainingError:
    """Keep the batch below `job.folder`, and say in an error where it is and whose it was.

    Args:
        network: As it was when it met the batch; None where that is not known any more.

    Raises:
        TrainingError: the batch cannot be written.
    """
    what = "row_id" if isinstance(data, RowSet) else "image_id"
    ids = data.index[what].iloc[_rows(sampler, met)].astype(str).tolist()
    about = {"loss": str(met.loss), "epoch": met.epoch + 1, "step": met.step + 1, "seed": met.seed, what: ids}
    about["inputs"] = "of Network.from_stem" if batch.stem else "of the network"
    with writing(job.folder):
        kept = _keep(job.folder / FOLDER, batch, network, about)
    where = f"epoch {met.epoch + 1}, step {met.step + 1}"
    message = f"the loss became {met.loss} in {where}; the batch is kept in {kept}: {what} {_listed(ids)}"
    unfit = [ids[place] for place in unfit_rows(batch.inputs)]
    if unfit:
        return TrainingError(message, hint=f"inputs of {what} {_listed(unfit)} are no numbers: mend the data")
    hint = f"lower training.learning_rate (now {job.options.learning_rate:g})"
    hint += "" if job.options.gradient_clip else ", or set training.gradient_clip"
    return TrainingError(message, hint=f"{hint}; docs/training.md says how to look at the batch")


def unfit_rows(inputs: Sequence[Tensor]) -> list[int]:
    """Places in the batch whose inputs are no numbers themselves.

    Example:
        >>> unfit_rows([torch.tensor([[1.0], [float("nan")]])])
        [1]
    """
    bad = torch.zeros(len(inputs[0]), dtype=torch.bool)
    for tensor in inputs:
        if tensor.is_floating_point():
            bad |= ~tensor.detach().cpu().isfinite().flatten(1).all(dim=1)
    return [int(place) for place in bad.nonzero()]


def _rows(sampler: EpochBatches, met: Met) -> Any:
    again = copy.copy(sampler)
    again.set_epoch(met.epoch)
    return next(plan.own for plan in again if plan.number == met.step)


def _keep(folder: Path, batch: Batch, network: nn.Module | None, about: Mapping[str, Any]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    tensors = dict(_named("inputs", list(batch.inputs)) + _named("targets", batch.targets))
    write_bytes(folder / "batch.safetensors", save({name: _plain(tensor) for name, tensor in tensors.items()}))
    if network is not None:
        weights = {name: _plain(value) for name, value in network.state_dict().items()}
        write_bytes(folder / "weights.safetensors", save(weights))
    write_json(folder / "batch.json", about)
    return folder


def _listed(ids: Sequence[str]) -> str:
    more = f" and {len(ids) - _SHOWN} more" if len(ids) > _SHOWN else ""
    return ", ".join(ids[:_SHOWN]) + more


def _named(name: str, value: Any) -> list[tuple[str, Tensor]]:
    if isinstance(value, Tensor):
        return [(name, value)]
    parts = value.items() if isinstance(value, Mapping) else enumerate(value)
    return [pair for key, part in parts for pair in _named(f"{name}.{key}", part)]


def _plain(tensor: Tensor) -> Tensor:
    return tensor.detach().cpu().contiguous().clone()
