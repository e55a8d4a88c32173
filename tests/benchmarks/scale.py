"""Photos per second of one worker and of two: a training by torchrun or Ray Train, predictions in bulk by Ray Data.

    python tests/benchmarks/scale.py [--runner torchrun] [--workers 1,2] [--photos 2048] [--epochs 3]

Each worker has one core (OMP_NUM_THREADS=1), so that two have twice what one has. The batch grows with the workers: 16
photos for each. The time to start processes is told apart, as it is the same for a training of days.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

os.environ["OMP_NUM_THREADS"] = "1"
sys.path.append(str(Path(__file__).parents[1] / "plugins" / "trainers"))

import pyarrow as pa
from pyarrow import parquet
from serving_bundles import prepare
from synthetic import Recorder, problem, write_photos

from pizzeria import registry
from pizzeria.bulk import predict_in_bulk
from pizzeria.contracts import TrainJob
from pizzeria_plugins.models import timm_classifier
from pizzeria_plugins.runners import ray, torchrun
from pizzeria_plugins.trainers import lightning

SIDE = 96
PART_ROWS = 25


def training(folder: Path, runner: str, workers: int, photos: int, epochs: int) -> tuple[float, float]:
    """Photos per second once it runs, and seconds of everything else."""
    features = folder / "features"
    if not features.exists():
        write_photos(features, "image_classification", (photos, 64, 64), SIDE)
    own = folder / f"{runner}-{workers}"
    own.mkdir()
    options = {"max_epochs": epochs, "batch_size": 16 * workers, "augmentation": "flip", "accelerator": "cpu"}
    job = TrainJob(
        problem=problem("image_classification"),
        model=registry.load("models", "timm_classifier"),
        model_options=timm_classifier.Options(backbone="resnet18", image_size=SIDE),
        options=lightning.Options(**options),
        seed=0,
        features=features,
        folder=own,
        progress=Recorder(),
    )
    trainer = registry.load("trainers", "lightning")
    started = time.perf_counter()
    if runner == "ray":
        facts = ray.train(ray.Options(workers=workers), trainer, job)
    elif workers == 1:
        facts = trainer.train(job)
    else:
        facts = torchrun.train(torchrun.Options(devices=workers), trainer, job)
    rest = time.perf_counter() - started - facts["seconds"]
    return facts["items_per_second"], rest


def predicting(folder: Path, workers: int, photos: int) -> float:
    """Photos per second from the first part that is there to the last: a detector, JPEGs of 640x480 pixels."""
    case, table = prepare(folder, "detector"), folder / "photos.parquet"
    if not table.exists():
        bodies = [case.bodies[i % len(case.bodies)] for i in range(photos)]
        parquet.write_table(pa.table({"photo": bodies}), table, row_group_size=PART_ROWS)
    moments: list[float] = []

    def each(work: Any, items: Any) -> Any:
        for answer in ray.each(ray.Options(workers=workers), work, items):
            moments.append(time.perf_counter())
            yield answer

    out = folder / f"out-{workers}"
    predict_in_bulk(case.bundle, 40, [str(table)], str(out), each, Recorder(), part_rows=PART_ROWS)
    return PART_ROWS * (len(moments) - 1) / (moments[-1] - moments[0])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runner", choices=("torchrun", "ray"), default="torchrun")
    parser.add_argument("--workers", default="1,2", help="how many, with commas between")
    parser.add_argument("--photos", type=int, default=2048)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--predict", type=int, default=2000, help="photos that are predicted; 0: none")
    args = parser.parse_args()
    folder = Path(tempfile.mkdtemp())
    print(f"load of this machine in the last minute: {os.getloadavg()[0]:.1f}, cores: {os.cpu_count()}")
    first: dict[str, float] = {}
    try:
        for workers in map(int, args.workers.split(",")):
            rate, rest = training(folder, args.runner, workers, args.photos, args.epochs)
            told = f"{rate:.1f} photos/s, {rate / first.setdefault('train', rate):.2f} times the first"
            print(f"training, {args.runner}, {workers} workers: {told}; {rest:.0f} s around it", flush=True)
            if args.predict:
                rate = predicting(folder, workers, args.predict)
                told = f"{rate:.0f} photos/s, {rate / first.setdefault('predict', rate):.2f} times the first"
                print(f"predicting, ray, {workers} workers: {told}", flush=True)
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
