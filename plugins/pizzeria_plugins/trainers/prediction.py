"""Runs a trained network over a split."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

from pizzeria.contracts import TrainJob
from pizzeria.datasets import open_dataset
from pizzeria.errors import TrainingError
from pizzeria.predictions import Predictions
from pizzeria_plugins.trainers.answers import gather
from pizzeria_plugins.trainers.batches import plain_loader
from pizzeria_plugins.trainers.device import device_name
from pizzeria_plugins.trainers.memory import Portions
from pizzeria_plugins.trainers.plan import Batch


def run(job: TrainJob, weights: Path, split: str) -> Predictions:
    """See `pizzeria_plugins.trainers.lightning.predict`. Always in float32, as the exported model will answer."""
    data = open_dataset(job.features)
    network = job.model.build(job.model_options, job.problem, data.preprocessing, pretrained=False)
    try:
        network.load_state_dict(load_file(weights))
    except (OSError, SafetensorError, RuntimeError) as error:
        raise TrainingError(
            f"{weights} does not hold weights of this model: {str(error).splitlines()[0]}", hint="train it again"
        ) from error
    device = torch.device(device_name(job.options.accelerator))
    network.to(device).eval()
    loader = plain_loader(data, split, batch_size=job.options.batch_size, workers=job.options.workers)
    portions = Portions(1, job.progress.say)

    def answers(parts: Sequence[Batch]) -> list[Any]:
        return [network.predict(network(*(tensor.to(device) for tensor in part.inputs))) for part in parts]

    found: list[Any] = []
    with torch.inference_mode():
        for number, batch in enumerate(loader):
            found += portions.of(batch, answers)
            job.progress.update(f"predict {split}", number + 1, len(loader))
    return gather(data, split, found)
