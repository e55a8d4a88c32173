"""The photos of the training benchmark: as Pizzeria's features, and as Ultralytics wants them."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image
from synthetic import write_photos

from pizzeria.inference.resize import resize

LISTINGS = Path(__file__).parents[3] / "shared" / "data" / "listings"
HELD_OUT = 8
"""Photos of validation and of test: each trainer wants some, and no figure comes from them."""


def write_features(folder: Path, count: int, size: int) -> list[str]:
    """`count` photos for training and some more, letterboxed to `size`; returns the classes."""
    if not LISTINGS.is_dir():
        print(f"{LISTINGS} is absent: the photos are generated")
        write_photos(folder, "object_detection", (count, HELD_OUT, HELD_OUT), size)
        return list("abc")
    said = json.loads((LISTINGS / "annotations.json").read_text())
    chosen = said["images"][: count + 2 * HELD_OUT]
    how = {"kind": "photos", "size": [size, size], "resize": "letterbox", "fill": 114}
    number = {category["id"]: i for i, category in enumerate(said["categories"])}
    pixels, rows, boxes = [], [], []
    by_image: dict[int, list[dict]] = {}
    for one in said["annotations"]:
        by_image.setdefault(one["image_id"], []).append(one)
    for row, image in enumerate(chosen):
        with Image.open(LISTINGS / image["file_name"]) as photo:
            seen, place = resize(photo.convert("RGB"), how)
        pixels.append(seen)
        rows.append({"width": image["width"], "height": image["height"], **asdict(place)})
        for one in by_image.get(image["id"], []):
            x, y, width, height = one["bbox"]
            [corners] = place.to_network(np.array([[x, y, x + width, y + height]]))
            boxes.append((row, number[one["category_id"]], *map(float, corners)))
    folder.mkdir(parents=True)
    np.save(folder / "images.npy", np.stack(pixels))
    names = ["row", "class_index", "x_min", "y_min", "x_max", "y_max"]
    pd.DataFrame(boxes, columns=names).to_parquet(folder / "boxes.parquet")
    index = pd.DataFrame(rows)
    index["image_id"] = [Path(image["file_name"]).stem for image in chosen]
    index["split"] = np.repeat(["train", "validation", "test"], (len(chosen) - 2 * HELD_OUT, HELD_OUT, HELD_OUT))
    index.to_parquet(folder / "index.parquet")
    (folder / "preprocessing.json").write_text(json.dumps(how))
    return [category["name"] for category in said["categories"]]


def write_yolo(features: Path, folder: Path, classes: list[str]) -> Path:
    """The same pixels as JPEGs, with labels in Ultralytics' form; returns the YAML that names them."""
    images = np.load(features / "images.npy", mmap_mode="r")
    boxes = pd.read_parquet(features / "boxes.parquet")
    split = pd.read_parquet(features / "index.parquet")["split"]
    side = images.shape[1]
    for name in ("train", "validation"):
        for what in ("images", "labels"):
            (folder / what / name).mkdir(parents=True)
        for row in np.flatnonzero(split == name):
            Image.fromarray(images[row]).save(folder / "images" / name / f"{row:05d}.jpg", quality=95)
            lines = []
            for box in boxes[boxes["row"] == row].itertuples():
                centre = (box.x_min + box.x_max) / 2, (box.y_min + box.y_max) / 2
                numbers = (*centre, box.x_max - box.x_min, box.y_max - box.y_min)
                lines.append(
                    " ".join([str(int(box.class_index)), *(f"{number / side:.6f}" for number in numbers)]) + "\n"
                )
            (folder / "labels" / name / f"{row:05d}.txt").write_text("".join(lines))
    page = folder / "data.yaml"
    page.write_text(f"path: {folder}\ntrain: images/train\nval: images/validation\nnames: {json.dumps(classes)}\n")
    return page
