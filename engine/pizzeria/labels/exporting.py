"""Labelled predictions as new training data, in a form that a source reads."""

from __future__ import annotations

import csv
import hashlib
import io
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pizzeria import atomic
from pizzeria.contracts import Progress
from pizzeria.errors import DataError
from pizzeria.inference.truth import Label, holding, latest
from pizzeria.labels.photos import Photos
from pizzeria.labels.queueing import ANNOTATIONS, PHOTOS
from pizzeria.labels.served import Served
from pizzeria.labels.writing.coco import coco
from pizzeria.labels.writing.drawn import Drawn

if TYPE_CHECKING:
    import pandas as pd

LABELS, ROWS = "labels.csv", "rows.csv"


@dataclass(frozen=True)
class Exported:
    """What was written.

    Attributes:
        file: With the labels.
        examples: Photos or rows.
        things: Boxes, or classes of photos; 0 for rows.
        without_photo: Labelled predictions whose photo is not kept.
        without_boxes: Detection: labels that name the classes alone, which no detector learns from.
        twice: Photos that are there under another prediction already.
        snippet: What to write below `data.also`.
    """

    file: Path
    examples: int
    things: int
    without_photo: int
    without_boxes: int
    twice: int
    snippet: str


def export(served: Served, out: Path, progress: Progress, *, photos: Path | None = None) -> Exported:
    """Write all labelled predictions, of whatever model, that can be learnt from.

    Args:
        served: The log, and the classes.
        out: Folder; it must not exist, or be empty.
        photos: Folder of photos by their input id; without it those that the log keeps.

    Raises:
        DataError: the folder is taken, or nothing can be learnt from what is labelled; says why.
    """
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise DataError(f"{out} is taken", hint="give --out a folder that does not exist")
    predictions = served.predictions(of_all=True)
    current = latest(served.labels())
    labelled = [
        (i, label)
        for i, (name, input_id) in enumerate(zip(predictions["prediction_id"], predictions["input_id"], strict=True))
        if (label := holding(current, name, input_id)) is not None
    ]
    if not labelled:
        raise DataError(
            "no prediction in the log has a label", hint="add some: `pizzeria labels add`, or POST /feedback"
        )
    if served.bundle.takes_photos:
        return _photos(served, out, predictions, labelled, Photos(served, photos), progress)
    return _rows(served, out, predictions, labelled)


def _photos(
    served: Served,
    out: Path,
    predictions: pd.DataFrame,
    labelled: list[tuple[int, Label]],
    store: Photos,
    progress: Progress,
) -> Exported:
    detection = served.bundle.task == "object_detection"
    with_boxes = [(i, label) for i, label in labelled if not detection or "boxes" in label.says()]
    without_boxes = len(labelled) - len(with_boxes)
    drawn: list[Drawn] = []
    seen: set[str] = set()
    twice = 0
    # The newest label first: of a photo that was sent twice, it is the one that holds.
    for i, label in progress.track(sorted(with_boxes, key=lambda one: one[1].rank, reverse=True), "exporting"):
        record = predictions.iloc[i]
        name, input_id = str(record["prediction_id"]), record["input_id"]
        written = store.write(name, input_id if isinstance(input_id, str) else "", out / PHOTOS)
        if written is None:
            continue
        digest = hashlib.sha256((out / PHOTOS / written.name).read_bytes()).hexdigest()
        if digest in seen:
            (out / PHOTOS / written.name).unlink()
            twice += 1
            continue
        seen.add(digest)
        truth = label.says()
        classes = truth["classes"] if "classes" in truth else [truth["class"]]
        boxes = tuple(_inside(box, written.width, written.height) for box in truth.get("boxes", ()))
        about = {"prediction_id": name} | _listing(record)
        drawn.append(Drawn(written, f"{PHOTOS}/{written.name}", boxes, dict.fromkeys(classes), about))
    if not drawn:
        parts = [f"{len(labelled)} predictions have labels", f"{store.missing} of them have no photo"]
        parts += [f"{without_boxes} name classes alone, without boxes"] * bool(without_boxes)
        hint = "set serving.log.photos: true before photos are sent, or give --photos DIR"
        raise DataError(f"nothing to learn from: {', '.join(parts)}", hint=hint)
    drawn.sort(key=lambda one: one.path)
    if detection:
        file = out / ANNOTATIONS
        atomic.write_json(file, coco(drawn, served.bundle.classes))
        things, snippet = sum(len(one.boxes) for one in drawn), f"{{use: coco, root: {out}}}"
    else:
        file = out / LABELS
        lines = [[one.path, ";".join(one.classes)] for one in drawn]
        atomic.write_bytes(file, _csv(["file", "labels"], lines).encode())
        things = sum(len(one.classes) for one in drawn)
        snippet = f"{{use: image_folder, root: {out}, labels: {file}}}"
    return Exported(file, len(drawn), things, store.missing, without_boxes, twice, snippet)


def _inside(box: Mapping[str, Any], width: int, height: int) -> dict[str, Any]:
    """Corners that reach out of the photo a little end at its border."""
    return {
        "class": box["class"],
        "x_min": min(box["x_min"], width),
        "y_min": min(box["y_min"], height),
        "x_max": min(box["x_max"], width),
        "y_max": min(box["y_max"], height),
    }


def _listing(record: pd.Series[Any]) -> dict[str, str]:
    listing = record["listing_id"]
    return {"listing_id": listing} if isinstance(listing, str) and listing else {}


def _rows(served: Served, out: Path, predictions: pd.DataFrame, labelled: list[tuple[int, Label]]) -> Exported:
    target = served.spec.problem.target
    features = [str(name) for name in predictions if str(name).startswith("feature:")]
    if not features:
        raise DataError("the log keeps no columns of the rows", hint="serving.log.redact leaves them out")
    columns = [name.removeprefix("feature:") for name in features]
    lines = []
    for i, label in labelled:
        record, truth = predictions.iloc[i], label.says()
        values = ["" if record[name] is None or record[name] != record[name] else record[name] for name in features]
        lines.append([record["prediction_id"], *values, truth["class"] if "class" in truth else truth["value"]])
    out.mkdir(parents=True, exist_ok=True)
    file = out / ROWS
    atomic.write_bytes(file, _csv(["row_id", *columns, str(target)], lines).encode())
    return Exported(file, len(lines), 0, 0, 0, 0, f"{{use: table, path: {file}}}")


def _csv(head: list[str], lines: list[list[Any]]) -> str:
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(head)
    writer.writerows(lines)
    return stream.getvalue()
