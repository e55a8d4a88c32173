"""Photos per second of the trainer against a hand-written PyTorch loop, and against Ultralytics' trainer.

    python tests/benchmarks/training.py [--rounds 3] [--photos 320] [--size 256] [--backbone regnetx_002] [--write]

All learn from the same photos (real listings where ../shared/data/listings is, generated ones elsewhere) on the same
machine, in turns; the medians are compared. The time is that from the first training step's end to the last one's: it
includes checkpoints, augmentation, checks and progress, and neither validation nor the building of the network.

- by hand: the same network, photos and precision, channels_last, PyTorch's fused AdamW, and no more.
- by hand, as most are: the same in float32.
- Ultralytics: yolo11n from its YAML, without weights, with its own defaults (mosaic, averaged weights, clipped
  gradients), against the trainer with the same things on. It gets the better of its own choice of threads and all
  cores. It is installed into an environment of its own from `ultralytics.txt`, beside the PyTorch of this one.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import shutil
import statistics
import subprocess
import sys
import sysconfig
import tempfile
import time
import venv
from pathlib import Path
from typing import NamedTuple

import torch

sys.path.append(str(Path(__file__).parents[1] / "plugins" / "trainers"))

from serving_page import write_section
from synthetic import Recorder, problem
from training_photos import write_features, write_yolo

from pizzeria.contracts import TrainJob
from pizzeria.datasets import open_dataset
from pizzeria_plugins.models import timm_detector
from pizzeria_plugins.trainers import lightning
from pizzeria_plugins.trainers.batches import training_loader
from pizzeria_plugins.trainers.bfloat16 import keep_slow_layers_wide
from pizzeria_plugins.trainers.device import precision_name
from pizzeria_plugins.trainers.optimizer import make_optimizer

HERE = Path(__file__).parent
EPOCHS = 2
WANTED = {"by hand": 1.0, "Ultralytics": 1.2}
AS_ULTRALYTICS = {"mosaic": 1.0, "plain_epochs": 0, "ema_decay": 0.9999}
"""What its trainer does by default and ours does not."""


class Rate(NamedTuple):
    """Photos per second of the clock, and of CPU time, which hardly minds what else the machine does."""

    clock: float
    cpu: float


class Clock(Recorder):
    """Notes when each training step ended, by the clock and in CPU time."""

    def __init__(self) -> None:
        super().__init__()
        self.times: list[tuple[float, float]] = []

    def update(self, label: str, done: int, total: int, **figures: float) -> None:
        if label == "train":
            self.times.append((time.perf_counter(), time.process_time()))


def ours(job: TrainJob, **options: object) -> Rate:
    """Photos per second of `lightning.train`."""
    clock, folder = Clock(), job.folder / "run"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    settings = lightning.Options(**(job.options.model_dump() | options))
    lightning.train(dataclasses.replace(job, folder=folder, options=settings, progress=clock))
    return rate(clock.times, job.options.batch_size)


def by_hand(job: TrainJob, precision: str) -> Rate:
    """Photos per second of the plain loop."""
    data = open_dataset(job.features)
    torch.manual_seed(job.seed)
    network = timm_detector.build(job.model_options, job.problem, data.preprocessing, pretrained=True).train()
    half = precision == "bf16-mixed"
    if half:
        keep_slow_layers_wide(network)
    optimizer = make_optimizer(network, job.options)
    times = []
    for epoch in range(EPOCHS):
        for batch in training_loader(data, job, epoch):
            with torch.autocast("cpu", torch.bfloat16, enabled=half):
                loss = sum(network.loss(network(*batch.inputs), batch.targets).values())
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            times.append((time.perf_counter(), time.process_time()))
    return rate(times, job.options.batch_size)


class Ultralytics:
    """Its trainer, in an environment of its own.

    Raises:
        OSError, subprocess.SubprocessError: it cannot be installed here.
    """

    def __init__(self, folder: Path) -> None:
        venv.create(folder / "env", with_pip=True)
        self.python = folder / "env" / "bin" / "python"
        pip = [self.python, "-m", "pip", "install", "-q", "--no-deps", "--require-hashes"]
        subprocess.run([*pip, "-r", HERE / "ultralytics.txt"], check=True, timeout=600)
        # PyTorch and whatever else it needs are those of this environment: the same for both.
        [packages] = (folder / "env" / "lib").glob("*/site-packages")
        (packages / "beside.pth").write_text(sysconfig.get_path("purelib") + "\n")
        self.environment = {
            **os.environ,
            "YOLO_CONFIG_DIR": str(folder / "config"),
            "YOLO_OFFLINE": "true",
            "YOLO_AUTOINSTALL": "false",
        }
        config = folder / "config" / "Ultralytics"
        config.mkdir(parents=True)
        import matplotlib

        # It would fetch a font, if only to name the classes.
        fonts = Path(matplotlib.get_data_path()) / "fonts" / "ttf"
        shutil.copy(fonts / "DejaVuSans.ttf", config / "Arial.ttf")

    def train(self, data: Path, size: int, batch: int, threads: int) -> tuple[Rate, int]:
        """Photos per second, and parameters."""
        numbers = [size, batch, EPOCHS, threads, os.cpu_count() or 1]
        command = [self.python, HERE / "ultralytics_training.py", data, "yolo11n.yaml", *numbers]
        done = subprocess.run(
            [str(part) for part in command],
            env=self.environment,
            cwd=data.parent,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise SystemExit(f"Ultralytics failed:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
        found = json.loads(done.stdout.splitlines()[-1])
        return rate(found["times"], batch), found["parameters"]


def rate(times: list[tuple[float, float]], batch: int) -> Rate:
    """From the first step's end to the last one's."""
    photos = (len(times) - 1) * batch
    return Rate(*(photos / (last - first) for first, last in zip(times[0], times[-1], strict=True)))


def main() -> int:
    """Print the table; 1 when a ratio is below what is wanted."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--photos", type=int, default=320)
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--backbone", default="regnetx_002", help="2.6 million parameters with pyramid and head")
    parser.add_argument("--no-ultralytics", action="store_true")
    parser.add_argument("--write", action="store_true", help="Write the section of docs/performance.md.")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        classes = write_features(root / "features", arguments.photos, arguments.size)
        job = TrainJob(
            problem=problem("object_detection", classes),
            model=timm_detector,
            model_options=timm_detector.Options(image_size=arguments.size, backbone=arguments.backbone),
            options=lightning.Options(
                max_epochs=EPOCHS, batch_size=arguments.batch, validate_every=EPOCHS, accelerator="cpu"
            ),
            seed=0,
            features=root / "features",
            folder=root,
            progress=Recorder(),
        )
        text, ratios = measure(job, classes, arguments)
    print(text)
    if arguments.write:
        write_section(HERE.parents[1] / "docs" / "performance.md", "training", text)
    return 0 if all(ratio >= WANTED[against] for against, ratio in ratios.items()) else 1


def measure(job: TrainJob, classes: list[str], arguments: argparse.Namespace) -> tuple[str, dict[str, float]]:
    """All sides in turns; the table, and the ratios that something is wanted of."""
    cores, load = os.cpu_count() or 1, os.getloadavg()[0]
    precision = precision_name("auto", "cpu", photos=True)
    sides = {
        "lightning": lambda: ours(job),
        "by hand": lambda: by_hand(job, precision),
        "by hand, float32": lambda: by_hand(job, "32-true"),
    }
    sizes = {}
    if not arguments.no_ultralytics:
        try:
            rival = Ultralytics(job.folder)
        except (OSError, subprocess.SubprocessError) as error:
            print(f"ULTRALYTICS IS LEFT OUT: it cannot be installed here ({error})", file=sys.stderr)
        else:
            page = write_yolo(job.features, job.folder / "yolo", classes)
            sides["lightning, as Ultralytics"] = lambda: ours(job, **AS_ULTRALYTICS)
            sides["lightning, as Ultralytics, float32"] = lambda: ours(job, **AS_ULTRALYTICS, precision="32-true")

            def run_rival(threads: int) -> Rate:
                found, sizes["Ultralytics"] = rival.train(page, arguments.size, arguments.batch, threads)
                return found

            for threads in sorted({max(1, cores - 1), torch.get_num_threads()}):
                sides[f"Ultralytics, {threads} threads"] = lambda threads=threads: run_rival(threads)
    by_hand(job, precision)  # warms up caches and allocators
    rates: dict[str, list[Rate]] = {side: [] for side in sides}
    for _ in range(arguments.rounds):
        for side, run in sides.items():
            rates[side].append(run())
            print(f"  {side}: {rates[side][-1]}", file=sys.stderr, flush=True)
    medians = {side: Rate(*map(statistics.median, zip(*found, strict=True))) for side, found in rates.items()}

    def of(side: str, other: str) -> str:
        clock, cpu = (one / another for one, another in zip(medians[side], medians[other], strict=True))
        return f"{clock:.2f} by the clock, {cpu:.2f} by CPU time"

    lines = [
        f"`python tests/benchmarks/training.py {' '.join(sys.argv[1:])}`, {time.strftime('%Y-%m-%d')}, {cores} cores, "
        f"{torch.get_num_threads()} threads, load {load:.1f} before, torch {torch.__version__}; {arguments.photos} "
        f"photos of {arguments.size} px an epoch, {EPOCHS} epochs, batches of {arguments.batch}, {arguments.rounds} "
        f"rounds in turns; precision auto is {precision} here.",
        "",
        "| | median photos/s | least | most | photos/s of CPU time |",
        "|---|---|---|---|---|",
    ]
    for side, found in rates.items():
        clock = [one.clock for one in found]
        lines.append(
            f"| {side} | {medians[side].clock:.1f} | {min(clock):.1f} | {max(clock):.1f} | {medians[side].cpu:.1f} |"
        )
    lines += [
        "",
        f"Of the loop by hand: {of('lightning', 'by hand')} (wanted: {WANTED['by hand']}). Of the one in float32: "
        f"{of('lightning', 'by hand, float32')}.",
    ]
    ratios = {"by hand": medians["lightning"].clock / medians["by hand"].clock}
    if sizes:
        best = max((side for side in sides if side.startswith("Ultralytics")), key=medians.__getitem__)
        ratios["Ultralytics"] = medians["lightning, as Ultralytics"].clock / medians[best].clock
        lines.append(
            f"Of Ultralytics (yolo11n, {sizes['Ultralytics'] / 1e6:.1f} million parameters, float32, the better of its "
            f"threads): {of('lightning, as Ultralytics', best)} (wanted: {WANTED['Ultralytics']}); in float32 too: "
            f"{of('lightning, as Ultralytics, float32', best)}. The detector on {arguments.backbone} has "
            f"{parameters(job) / 1e6:.1f} million."
        )
    return "\n".join(lines), ratios


def parameters(job: TrainJob) -> int:
    """Of the detector that was trained."""
    data = open_dataset(job.features)
    network = timm_detector.build(job.model_options, job.problem, data.preprocessing, pretrained=False)
    return sum(parameter.numel() for parameter in network.parameters())


if __name__ == "__main__":
    sys.exit(main())
