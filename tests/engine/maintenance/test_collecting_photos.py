"""Photos that the log keeps become data of a detector; killed on the way, nothing is lost."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from pizzeria.conformance.asking import Quiet
from pizzeria.execution import execute

from .served_model import open_model

SPEC = """
defaults:
  - override /data: coco
  - override /features: photos
  - override /model: timm_detector
  - override /deployment: shelf
name: kitchen
problem:
  need: Test.
  owner: tests
  task: object_detection
  classes: [red, blue]
  success: [{metric: map_50, at_least: 0}]
data:
  root: photos
  split: {group_by: listing_id, validation: 0.2, test: 0.3}
  expectations:
    images: [{expect_column_values_to_be_between: {column: sharpness, min_value: 0}}]
model: {backbone: test_resnet, weights: null, image_size: 64, strides: [8, 16], fpn_channels: 32, head_convs: 1}
training: {max_epochs: 1, batch_size: 16, accelerator: cpu}
serving: {log: {photos: true}}
maintenance: {least_labels: 5, window: 0.25}
"""


def picture(seed: int) -> tuple[bytes, dict[str, Any]]:
    """Noise with one rectangle on it, and its box."""
    draw = np.random.default_rng(seed)
    coarse = Image.fromarray(draw.integers(0, 256, (4, 6, 3), np.uint8)).resize((96, 64), Image.Resampling.BICUBIC)
    pixels = np.array(coarse)
    x, y = int(draw.integers(0, 50)), int(draw.integers(0, 30))
    red = bool(draw.random() < 0.5)
    pixels[y : y + 30, x : x + 40] = (220, 30, 30) if red else (30, 30, 220)
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "PNG")
    corners = {"x_min": x, "y_min": y, "x_max": x + 40, "y_max": y + 30}
    return stream.getvalue(), {"class": "red" if red else "blue", **corners}


def write_coco(folder: Path, seeds: Sequence[int]) -> None:
    folder.mkdir()
    images, annotations = [], []
    for i, seed in enumerate(seeds):
        data, box = picture(seed)
        (folder / f"{i}.png").write_bytes(data)
        images.append({"id": i, "file_name": f"{i}.png", "width": 96, "height": 64, "listing_id": f"L{i % 20}"})
        extent = [box["x_min"], box["y_min"], 40, 30]
        annotations.append({"id": i, "image_id": i, "category_id": 1 + (box["class"] == "blue"), "bbox": extent})
    categories = [{"id": 1, "name": "red"}, {"id": 2, "name": "blue"}]
    content = {"images": images, "annotations": annotations, "categories": categories}
    (folder / "annotations.json").write_text(json.dumps(content))


_KILLED = """
import os, signal, sys
from pathlib import Path
from pizzeria import atomic
from pizzeria.conformance.asking import Quiet
from pizzeria.deployments import champion
from pizzeria.maintenance.collecting import collect_labelled
from pizzeria.runs.store import Store

left = int(sys.argv[1])
rename = atomic.rename

def counted(source, target):
    global left
    left -= 1
    if left == 0:
        os.kill(os.getpid(), signal.SIGKILL)
    rename(source, target)

atomic.rename = counted
store = Store(Path("runs"))
_, run, spec = champion("kitchen", store)
version = collect_labelled("kitchen", spec, run, store, Quiet())
print(version.number)
"""


def collect_killed(at: int) -> int:
    """Collect in a process that is killed at its n-th rename."""
    done = subprocess.run(
        [sys.executable, "-c", _KILLED, str(at)], env=os.environ | {"OMP_NUM_THREADS": "1"}, check=False
    )
    return done.returncode


@pytest.mark.slow
def test_photos_of_the_log_to_a_second_detector(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_coco(tmp_path / "photos", range(40))
    model = open_model(tmp_path, SPEC)
    run, _ = model.champion
    before = pd.read_parquet(run.stage("split") / "splits.parquet").set_index("key")["split"]
    images = pd.read_parquet(run.stage("collect") / "images.parquet").set_index("image_id")
    of_side = {side: images.loc[before.index[before == side], "listing_id"].iloc[0] for side in ("train", "test")}
    known = int(before.index[before == "train"][0])

    sent = {
        "known": model.photo("known.png", picture(known)[0]),
        "train": model.photo("a.png", picture(100)[0], of_side["train"]),
        "test": model.photo("b.png", picture(101)[0], of_side["test"]),
        **{f"new{i}": model.photo(f"{i}.png", picture(200 + i)[0], f"N{i // 2}") for i in range(8)},
        "bare": model.photo("c.png", picture(300)[0]),
        "again": model.photo("d.png", picture(207)[0]),
    }
    seeds = {"known": known, "train": 100, "test": 101, "bare": 300, "again": 207}
    seeds |= {f"new{i}": 200 + i for i in range(8)}
    truths: dict[str, Any] = {sent[name]: {"boxes": [picture(seed)[1]]} for name, seed in seeds.items()}
    outside = picture(300)[1] | {"x_max": 500, "y_max": 64.2}
    truths[sent["bare"]] = {"boxes": [outside, {"class": "red", "x_min": 95.5, "y_min": 1, "x_max": 99, "y_max": 9}]}
    model.label(truths)

    assert collect_killed(3) == -signal.SIGKILL, "while photos are kept"
    kept = model.store.root / ".collected" / "kitchen"
    assert len([*(kept / "kept" / "photos").glob("[!.]*")]) == 2
    assert not (kept / "kept" / "examples.parquet").exists()
    assert collect_killed(14) == -signal.SIGKILL, "just before the version is whole"
    assert not (kept / "1").exists()
    version = model.collect()
    assert (version.number, [path.name for path in kept.iterdir() if path.name.endswith(".partial")]) == (1, [])

    found = pd.read_parquet(version.folder / "examples.parquet").set_index("prediction_id")
    split = {name: found.loc[key, "split"] for name, key in sent.items()}
    assert split["train"] == "train", "a new photo of a listing is where the listing is"
    assert (split["test"], found.loc[sent["test"], "why"]) == ("none", "belongs to what is in the frozen test")
    assert (split["known"], found.loc[sent["known"], "why"]) == ("none", "the same photo as one of the data before")
    assert [split["bare"], split["new6"], split["new7"]] == ["test"] * 3, "the newest, and the rest of their listing"
    assert split["again"] == "none", "the same photo as new7, which was labelled later"
    assert len({split[f"new{i}"] for i in (2, 3)}) == 1
    done = execute(version.spec, model.store, Quiet(), until="evaluate")
    tables = pd.read_parquet(done.results["collect"].folder / "images.parquet").set_index("image_id")
    assert tables.loc[f"coco-2:{sent['train']}", "listing_id"] == f"coco:{of_side['train']}", "the same listing"
    boxes = pd.read_parquet(done.results["collect"].folder / "boxes.parquet")
    mine = boxes[boxes["image_id"] == f"coco-2:{sent['bare']}"]
    assert mine[["x_max", "y_max"]].to_numpy().tolist() == [[96, 64]], (
        "cut at the border, and what is left of none is out"
    )
    parts = json.loads((done.results["evaluate"].folder / "parts.json").read_text())
    assert {name: part["count"] for name, part in parts.items()} == {
        "frozen": int((before == "test").sum()),
        "window": 3,
    }
    splits = pd.read_parquet(done.results["split"].folder / "splits.parquet").set_index("key")["split"]
    for side in ("train", "validation", "test"):
        mine = {key for key in splits.index[splits == side] if key.startswith("coco:")}
        assert mine == {f"coco:{key}" for key in before.index[before == side]}
