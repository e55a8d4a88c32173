"""Photos per second of the trainer against a hand-written PyTorch loop with the same model and loader.

    python tests/benchmarks/training.py [--rounds 5] [--size 192]

Both run in turns, in the same process, over the same photos; the medians are compared. The trainer's time includes its
checkpoints, its finite-loss check and its progress; neither side's includes validation or the building of the network.
"""

from __future__ import annotations

import argparse
import dataclasses
import shutil
import statistics
import sys
import tempfile
import time
from pathlib import Path

import torch

sys.path.append(str(Path(__file__).parents[1] / "plugins" / "trainers"))

from synthetic import Recorder, problem, write_photos

from pizzeria.contracts import TrainJob
from pizzeria.datasets import open_dataset
from pizzeria_plugins.models import timm_detector
from pizzeria_plugins.trainers import lightning
from pizzeria_plugins.trainers.batches import training_loader
from pizzeria_plugins.trainers.optimizer import make_optimizer

EPOCHS = 3
PHOTOS = 640
"""In an epoch; of the order of the demo, so that checkpoints weigh as they do there."""
TARGET = 0.95


class Clock(Recorder):
    """Notes when the first and the last training step ended."""

    def __init__(self) -> None:
        super().__init__()
        self.times: list[float] = []

    def update(self, label: str, done: int, total: int, **figures: float) -> None:
        if label == "train":
            self.times.append(time.perf_counter())


def ours(job: TrainJob, folder: Path) -> float:
    """Photos per second of `lightning.train`."""
    clock = Clock()
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    lightning.train(dataclasses.replace(job, folder=folder, progress=clock))
    return _rate(job, clock.times)


def by_hand(job: TrainJob) -> float:
    """Photos per second of the plain loop."""
    data = open_dataset(job.features)
    torch.manual_seed(job.seed)
    network = timm_detector.build(job.model_options, job.problem, data.preprocessing, pretrained=True).train()
    optimizer = make_optimizer(network, job.options)
    times = []
    for epoch in range(EPOCHS):
        loader = training_loader(data, job, epoch)
        for images, targets in loader:
            loss = torch.stack(list(network.loss(network(*images), targets).values())).sum()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            times.append(time.perf_counter())
    return _rate(job, times)


def _rate(job: TrainJob, times: list[float]) -> float:
    return (len(times) - 1) * job.options.batch_size / (times[-1] - times[0])


def main() -> int:
    """Print the table; 1 when the trainer is slower than the target."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--size", type=int, default=192)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        write_photos(root / "features", "object_detection", (PHOTOS, 8, 8), arguments.size)
        job = TrainJob(
            problem=problem("object_detection"),
            model=timm_detector,
            model_options=timm_detector.Options(image_size=arguments.size, strides=(16, 32)),
            options=lightning.Options(max_epochs=EPOCHS, batch_size=8, augmentation="flip", validate_every=EPOCHS),
            seed=0,
            features=root / "features",
            folder=root,
            progress=Recorder(),
        )
        by_hand(job)  # warms up caches and allocators
        rates: dict[str, list[float]] = {"trainer": [], "by hand": []}
        for _ in range(arguments.rounds):
            rates["trainer"].append(ours(job, root / "run"))
            rates["by hand"].append(by_hand(job))
    medians = {name: statistics.median(values) for name, values in rates.items()}
    print(f"{'':10}{'median photos/s':>16}{'lowest':>9}{'highest':>9}")
    for name, values in rates.items():
        print(f"{name:10}{medians[name]:16.1f}{min(values):9.1f}{max(values):9.1f}")
    ratio = medians["trainer"] / medians["by hand"]
    print(f"ratio {ratio:.3f} (target {TARGET}) on {torch.get_num_threads()} threads")
    return 0 if ratio >= TARGET else 1


if __name__ == "__main__":
    sys.exit(main())
