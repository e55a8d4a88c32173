"""Photos per second of an epoch of batches from the cache, against decoding and resizing each photo each time.

    python tests/benchmarks/photo_cache.py [--root ../shared/data/listings/photos] [--size 224] [--rounds 5]

Both go through the same batches in turns, in the same process: shuffled, 16 photos each, as uint8 tensors, without
augmentation or training. `decoding` uses as many threads as there are cores. Also the seconds of a first build of the
features into an empty cache, of a second one, and of one with ten photos more.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from PIL import Image

from pizzeria.datasets import ImageSet, open_dataset
from pizzeria.inference.photos import decode
from pizzeria.inference.predictor import usable_cores
from pizzeria.inference.resize import resize
from pizzeria.spec.problem import Problem
from pizzeria.tables import Tables
from pizzeria_plugins.features import photos
from pizzeria_plugins.trainers.photo_batches import PhotoBatches
from pizzeria_plugins.trainers.plan import EpochBatches

BATCH = 16
TARGET = 2.0


class Silent:
    def track(self, items: Any, label: str) -> Any:
        yield from items

    def update(self, label: str, done: int, total: int, **figures: float) -> None:
        pass

    def say(self, text: str) -> None:
        pass


def build(paths: list[Path], size: int, folder: Path) -> tuple[ImageSet, float]:
    """The features of the photos, and the seconds that they took; hashes are `collect`'s work, and are not counted."""
    problem = Problem.model_validate(
        {
            "need": "n",
            "owner": "o",
            "task": "image_classification",
            "classes": ["a", "b"],
            "success": [{"metric": "f1", "at_least": 0}],
        }
    )
    images = pd.DataFrame({"image_id": [path.name for path in paths], "path": [str(path) for path in paths]})
    images["label"], images["sha256"] = "a", [sha256(path.read_bytes()).hexdigest() for path in paths]
    splits = pd.Series("train", index=images["image_id"])
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    begun = time.perf_counter()
    model = {"image_size": size}
    photos.build(photos.Options(), problem, Tables(images=images), splits, model, folder, Silent())
    seconds = time.perf_counter() - begun
    found = open_dataset(folder)
    assert isinstance(found, ImageSet)
    return found, seconds


def from_cache(data: ImageSet, epoch: int) -> float:
    """Photos per second."""
    batches = PhotoBatches(data)
    begun, seen = time.perf_counter(), 0
    for plan in EpochBatches(data.rows("train"), BATCH, seed=0, epoch=epoch):
        seen += len(batches[plan].inputs[0])
    return seen / (time.perf_counter() - begun)


def decoding(data: ImageSet, epoch: int) -> float:
    """Photos per second of the same batches, from the files."""
    paths, how = data.index["path"].tolist(), data.preprocessing

    def one(row: int) -> np.ndarray:
        photo = decode(Path(paths[row]).read_bytes(), max_megapixels=100, preprocessing=how)
        return resize(photo.image, how, (photo.width, photo.height))[0]

    rows = np.random.default_rng([0, epoch]).permutation(data.rows("train"))
    begun, seen = time.perf_counter(), 0
    with ThreadPoolExecutor(usable_cores()) as pool:
        for start in range(0, len(rows) - BATCH + 1, BATCH):
            batch = torch.from_numpy(np.stack(list(pool.map(one, rows[start : start + BATCH]))))
            seen += len(batch)
    return seen / (time.perf_counter() - begun)


def main() -> int:
    """Print the table; 1 when the cache is not twice as fast."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--root", type=Path, default=Path("../shared/data/listings/photos"))
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args()
    paths = sorted(given.root.rglob("*.jpg"))
    with tempfile.TemporaryDirectory() as name:
        os.environ["PIZZERIA_CACHE"] = str(Path(name, "cache"))
        _, first = build(paths, given.size, Path(name, "features"))
        more = []
        for i in range(10):
            more.append(Path(name, f"{i}.jpg"))
            Image.open(paths[i]).rotate(180).save(more[-1])
        _, tenth = build([*paths, *more], given.size, Path(name, "features"))
        data, second = build(paths, given.size, Path(name, "features"))
        rates: dict[str, list[float]] = {"from the cache": [], "decoding each": []}
        from_cache(data, 0)
        for epoch in range(1, given.rounds + 1):
            rates["from the cache"].append(from_cache(data, epoch))
            rates["decoding each"].append(decoding(data, epoch))
    print(f"{len(paths)} photos at {given.size} px: built in {first:.2f} s, again in {second:.2f} s,", end=" ")
    print(f"with ten more in {tenth:.2f} s")
    print(f"{'':16}{'median photos/s':>16}{'lowest':>9}{'highest':>9}")
    for label, values in rates.items():
        print(f"{label:16}{statistics.median(values):16.0f}{min(values):9.0f}{max(values):9.0f}")
    each = [a / b for a, b in zip(*rates.values(), strict=True)]
    ratio = statistics.median(each)
    print(f"ratio {ratio:.1f} (target {TARGET:g}), between {min(each):.1f} and {max(each):.1f}, {usable_cores()} cores")
    return 0 if ratio >= TARGET else 1


if __name__ == "__main__":
    sys.exit(main())
