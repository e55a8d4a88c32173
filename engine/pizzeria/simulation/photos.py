"""A history of photos: the first ones become a source of their own, and the rest is replayed, after them a shifted one.

Photos seldom say when they were taken. Without a column of times they come evenly spaced over `STEPS` steps from
`BEGIN` on, in an order that their names decide like a draw, as sources tend to have one class after the other; a
listing's photos stay together.
"""

from __future__ import annotations

import csv
import hashlib
import io
import shutil
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pizzeria import atomic
from pizzeria.errors import DataError, RequestError
from pizzeria.inference.truth import CORNERS, check_truth
from pizzeria.simulation.stream import Cut, Stream, Times, as_time, place_of, times_in
from pizzeria.spec.problem import Problem
from pizzeria.tables import Tables

if TYPE_CHECKING:
    import pandas as pd

BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
STEPS = 60


def cut_photos(
    tables: Tables,
    problem: Problem,
    column: str | None,
    start: str,
    every: timedelta,
    shifted: Tables | None,
    folder: Path,
) -> Cut:
    """Cut photos where the replay is to start.

    Args:
        column: Of the images, with the time of each; None spaces them evenly.
        every: From one step to the next.
        shifted: Photos that come after all of the others.
        folder: Where the first part is written: links to the photos, and their labels.

    Raises:
        DataError: nothing lies before or after the start, or a photo has a class that the problem lacks.
    """
    assert tables.images is not None
    images = tables.images.reset_index(drop=True)
    if column is None:
        images, times = _drawn(images), None
        at = place_of(np.arange(len(images)).astype("datetime64[us]"), _as_share(start))
        at = _end_of_listing(images, at)
    else:
        times = times_in(images, column)
        order = np.argsort(times, kind="stable")
        images, times = images.iloc[order].reset_index(drop=True), times[order]
        at = place_of(times, start)
    labels = _truths(images, tables.boxes, problem)
    data = _write(images.iloc[:at], labels[:at], problem, folder / "past")
    rest = _stream(images.iloc[at:], labels[at:], 0)
    if shifted is not None and shifted.images is not None:
        later = _drawn(shifted.images)
        rest = _joined(rest, _stream(later, _truths(later, shifted.boxes, problem), 1))
    made = _evenly(len(rest), every) if times is None or shifted is not None else times[at:]
    if not any(rest.truths):
        raise DataError("no photo after the start has a label: nothing could be said of any model")
    return Cut(data, at, replace(rest, times=made))


def _drawn(images: pd.DataFrame) -> pd.DataFrame:
    """Shuffled by their names, with the photos of a listing beside each other."""
    names = images["image_id"].astype(str)
    if "listing_id" in images:
        names = images["listing_id"].where(images["listing_id"].notna(), names).astype(str)
    drawn = [hashlib.sha256(name.encode()).hexdigest() for name in names]
    return images.iloc[np.argsort(drawn, kind="stable")].reset_index(drop=True)


def _as_share(start: str) -> str:
    try:
        float(start)
    except ValueError:
        raise DataError(f"--start is {start}, and the photos have no times", hint="give a share such as 0.5") from None
    return start


def _end_of_listing(images: pd.DataFrame, at: int) -> int:
    if "listing_id" not in images:
        return at
    listing = images["listing_id"].to_numpy()
    while at < len(listing) and listing[at] == listing[at - 1]:
        at += 1
    return at


def _evenly(count: int, every: timedelta) -> Times:
    """A little after each other, so that the last of them is in the last step."""
    apart = every * STEPS / max(count, 1)
    return np.array([as_time(BEGIN + i * apart) for i in range(count)], "datetime64[us]")


def _truths(images: pd.DataFrame, boxes: pd.DataFrame | None, problem: Problem) -> list[str]:
    """What the label of each photo says; empty where it has none."""
    drawn: dict[str, list[dict[str, Any]]] = {}
    if boxes is not None and problem.task == "object_detection":
        for box in boxes[["image_id", "class_name", *CORNERS]].to_dict("records"):
            corners = {corner: max(0.0, float(box[corner])) for corner in CORNERS}
            drawn.setdefault(str(box["image_id"]), []).append({"class": box["class_name"], **corners})
    out = []
    for i, name in enumerate(images["image_id"].astype(str)):
        said: dict[str, Any]
        if problem.task == "object_detection":
            said = {"boxes": drawn.get(name, [])}
        elif problem.task == "multilabel_classification":
            said = {"classes": list(images["labels"].iloc[i])}
        else:
            label = images["label"].iloc[i]
            if not isinstance(label, str):
                out.append("")
                continue
            said = {"class": label}
        try:
            out.append(check_truth(said, problem.task, problem.classes))
        except RequestError as error:
            hint = "leave it out, or give it another name, with data.class_map"
            raise DataError(f"{name}: {error.message}", hint=hint) from None
    return out


def _stream(images: pd.DataFrame, labels: Sequence[str], part: int) -> Stream:
    listings = images["listing_id"] if "listing_id" in images else [""] * len(images)
    return Stream(
        times=np.zeros(len(images), "datetime64[us]"),
        keys=[f"{part}-{name}" if part else str(name) for name in images["image_id"]],
        truths=list(labels),
        listings=[name if isinstance(name, str) else "" for name in listings],
        parts=np.full(len(images), part),
        photos=[Path(path) for path in images["path"]],
    )


def _joined(one: Stream, other: Stream) -> Stream:
    return Stream(
        times=np.concatenate([one.times, other.times]),
        keys=[*one.keys, *other.keys],
        truths=[*one.truths, *other.truths],
        listings=[*one.listings, *other.listings],
        parts=np.concatenate([one.parts, other.parts]),
        photos=[*one.photos, *other.photos],
    )


def _write(images: pd.DataFrame, labels: Sequence[str], problem: Problem, folder: Path) -> dict[str, Any]:
    """The first photos as a folder that a source reads; returns the section's keys."""
    temporary = folder.with_name(f".{folder.name}.tmp")
    shutil.rmtree(temporary, ignore_errors=True)
    (temporary / "photos").mkdir(parents=True)
    names = []
    for i, path in enumerate(images["path"]):
        names.append(f"{i:06}{Path(path).suffix.lower()}")
        (temporary / "photos" / names[-1]).symlink_to(Path(path).absolute())
    if problem.task == "object_detection":
        atomic.write_json(temporary / "annotations.json", _coco(images, labels, names, problem.classes))
        data = {"use": "coco", "root": str(folder), "photos": "photos"}
    else:
        atomic.write_bytes(temporary / "labels.csv", _labels_csv(images, labels, names).encode())
        data = {"use": "image_folder", "root": str(folder / "photos"), "labels": str(folder / "labels.csv")}
    atomic.sync_all(temporary)
    atomic.replace_folder(temporary, folder)
    return data


def _labels_csv(images: pd.DataFrame, labels: Sequence[str], names: Sequence[str]) -> str:
    import json

    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    listed = "listing_id" in images
    writer.writerow(["file", "labels", *(["listing_id"] if listed else [])])
    for i, (name, label) in enumerate(zip(names, labels, strict=True)):
        said = json.loads(label) if label else {"classes": []}
        shown = said["classes"] if "classes" in said else [said["class"]]
        writer.writerow([name, ";".join(shown), *([images["listing_id"].iloc[i]] if listed else [])])
    return stream.getvalue()


def _coco(images: pd.DataFrame, labels: Sequence[str], names: Sequence[str], classes: Sequence[str]) -> dict[str, Any]:
    import json

    number = {name: i for i, name in enumerate(classes, start=1)}
    plain: list[dict[str, Any]] = []
    boxes: list[dict[str, Any]] = []
    for i, (name, label) in enumerate(zip(names, labels, strict=True), start=1):
        row = images.iloc[i - 1]
        listing = {"listing_id": row["listing_id"]} if "listing_id" in images else {}
        plain.append({"id": i, "file_name": name, "width": int(row["width"]), "height": int(row["height"]), **listing})
        for box in json.loads(label)["boxes"]:
            left, top, right, bottom = (float(box[corner]) for corner in CORNERS)
            extent = [left, top, right - left, bottom - top]
            boxes.append(
                {"id": len(boxes) + 1, "image_id": i, "category_id": number[box["class"]], "bbox": extent}
                | {"area": extent[2] * extent[3], "iscrowd": 0}
            )
    categories = [{"id": i, "name": name} for name, i in number.items()]
    return {"images": plain, "annotations": boxes, "categories": categories}
