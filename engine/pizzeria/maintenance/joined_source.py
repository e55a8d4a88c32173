"""Collected examples as a further source of the champion's spec: the files that it reads, and the spec with it."""

from __future__ import annotations

import csv
import io
import json
import os
import shutil
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pizzeria import atomic
from pizzeria.errors import DataError
from pizzeria.inference.truth import CORNERS
from pizzeria.intake.joining import named
from pizzeria.labels.photos import Written
from pizzeria.labels.served import Served
from pizzeria.labels.writing.coco import coco
from pizzeria.labels.writing.drawn import Drawn
from pizzeria.runs.store import Run
from pizzeria.spec.data import Source
from pizzeria.spec.spec import Spec

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

PHOTOS, ANNOTATIONS, LABELS, ROWS = "photos", "annotations.json", "labels.csv", "rows.parquet"
START = "start"
_LEAST_PIXELS = 1.0
_SOURCE = "source"


def kind_of(served: Served) -> str:
    """The source plugin that reads the files."""
    if not served.bundle.takes_photos:
        return "table"
    return "coco" if served.bundle.task == "object_detection" else "image_folder"


def name_of(spec: Spec, use: str, *, replace: bool) -> str:
    """What the further source is called in the joined data, such as `table-2`.

    Args:
        replace: The spec's last source is of collected examples already.
    """
    also = spec.data.also[:-1] if replace else spec.data.also
    return named(spec.data.model_copy(update={"also": (*also, Source(use=use))}))[-1][0]


def ids(examples: pd.DataFrame, use: str) -> list[str]:
    """The examples' ids in the source."""
    return [str(one) for one in examples["file" if use == "image_folder" else "prediction_id"]]


def write(use: str, examples: pd.DataFrame, photos: Path, folder: Path, run: Run, spec: Spec) -> None:
    """Write what the source reads.

    Args:
        examples: Those that are on some side, in order of time.
        photos: Where the photos are kept.
        folder: Of the version.
        run: The champion's, whose table says which columns there are, and their types.

    Raises:
        DataError: the log does not keep the columns.
    """
    if use == "table":
        _write_rows(examples, folder / ROWS, run, spec)
        return
    (folder / PHOTOS).mkdir()
    for file in examples["file"]:
        _link(photos / file, folder / PHOTOS / file)
    if use == "coco":
        drawn = [_drawn(one) for one in examples.to_dict("records")]
        content = coco(drawn, spec.problem.classes)
        by_number = {image["id"]: image["prediction_id"] for image in content["images"]}
        for image in content["images"]:  # ids that stay the same whatever photos come later
            image["id"] = image.pop("prediction_id")
        for annotation in content["annotations"]:
            annotation["image_id"] = by_number[annotation["image_id"]]
        atomic.write_json(folder / ANNOTATIONS, content)
        return
    stream = io.StringIO()
    lines = csv.writer(stream, lineterminator="\n")
    grouped = bool(examples["listing_id"].ne("").any())
    lines.writerow(["file", "labels", *(["listing_id"] * grouped)])
    for one in examples.to_dict("records"):
        said = json.loads(one["truth"])
        # A photo without a listing is one of its own.
        listing = [one["listing_id"] or one["prediction_id"]] if grouped else []
        lines.writerow([one["file"], ";".join(said["classes"] if "classes" in said else [said["class"]]), *listing])
    atomic.write_bytes(folder / LABELS, stream.getvalue().encode())


def _link(source: Path, target: Path) -> None:
    """The same file under another name; copied where that cannot be."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)


def _drawn(example: Mapping[Any, Any]) -> Drawn:
    width, height = int(example["width"]), int(example["height"])
    boxes = [_inside(box, width, height) for box in json.loads(example["truth"])["boxes"]]
    kept = [
        box
        for box in boxes
        if box["x_max"] - box["x_min"] >= _LEAST_PIXELS and box["y_max"] - box["y_min"] >= _LEAST_PIXELS
    ]
    about = {"prediction_id": example["prediction_id"]}
    if example["listing_id"]:
        about["listing_id"] = example["listing_id"]
    return Drawn(Written(example["file"], width, height), example["file"], tuple(kept), {}, about)


def _inside(box: Mapping[str, Any], width: int, height: int) -> dict[str, Any]:
    """Corners that reach out of the photo end at its border."""
    limits = dict(zip(CORNERS, (width, height, width, height), strict=True))
    return {"class": box["class"], **{corner: min(box[corner], limit) for corner, limit in limits.items()}}


def _write_rows(examples: pd.DataFrame, file: Path, run: Run, spec: Spec) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    schema = pq.read_schema(run.stage("collect") / ROWS)
    there = [str(name).removeprefix("feature:") for name in examples if str(name).startswith("feature:")]
    target = str(spec.problem.target)
    if not set(there) & set(schema.names):
        raise DataError(
            "the log keeps no columns of the rows that were predicted",
            hint="take feature:* out of serving.log.redact: nothing can be learnt from labels alone",
        )
    columns: dict[str, pa.Array] = {"row_id": pa.array(examples["prediction_id"], pa.string())}
    for field in schema:
        name = field.name
        if name in ("row_id", _SOURCE):
            continue
        if name == target:
            said = [json.loads(truth) for truth in examples["truth"]]
            values: list[Any] = [one["class"] if "class" in one else one["value"] for one in said]
        elif f"feature:{name}" in examples:
            values = [None if value is None or value != value else value for value in examples[f"feature:{name}"]]
        elif name == spec.data.split.order_by and pa.types.is_timestamp(field.type):
            # The model does not see it, so the log has it not; the time of the prediction stands in its place.
            values = [datetime.fromisoformat(at).timestamp() for at in examples["predicted_at"]]
        else:
            values = [None] * len(examples)
        columns[name] = _cast(name, values, field.type)
    pq.write_table(pa.table(columns), file)


def _cast(name: str, values: Sequence[Any], kind: pa.DataType) -> pa.Array:
    """Values as a log has them, in the type that the champion's table has."""
    import pyarrow as pa

    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    try:
        if pa.types.is_timestamp(kind) or pa.types.is_date(kind):
            return _times(values).cast(kind)
        if pa.types.is_boolean(kind):
            return pa.array([None if one is None else one in (True, 1, "1", "true") for one in values], kind)
        if pa.types.is_integer(kind):
            numbers = [None if one is None else float(one) for one in values]
            whole = all(one is None or one.is_integer() for one in numbers)
            return pa.array([one if one is None else int(one) for one in numbers] if whole else numbers)
        if pa.types.is_string(kind) or pa.types.is_large_string(kind):
            return pa.array([None if one is None else str(one) for one in values], kind)
        return pa.array([None if one is None else float(one) for one in values], pa.float64())
    except (ValueError, TypeError, pa.ArrowInvalid) as error:
        raise DataError(
            f"column {name!r} of the log cannot be joined with the data before, where it is {kind}: {error}",
            hint="models of before took another type; prune their records from the log",
        ) from None


def _times(values: Sequence[Any]) -> pa.Array:
    """From Unix seconds, as the log has them, or from ISO 8601."""
    import pyarrow as pa

    seconds = [datetime.fromisoformat(one).timestamp() if isinstance(one, str) else one for one in values]
    return pa.array([None if one is None else round(one * 1e6) for one in seconds], pa.int64()).cast(pa.timestamp("us"))


def write_start(run: Run, spec: Spec, folder: Path) -> None:
    """The champion's weights, and what they were trained with, so that a training can begin from them."""
    target = folder / START
    target.mkdir()
    preprocessing = run.stage("features") / "preprocessing.json"
    _link(run.stage("train") / "model.safetensors", target / "model.safetensors")
    shutil.copyfile(preprocessing, target / "preprocessing.json")
    about = {"classes": list(spec.problem.classes), "preprocessing": json.loads(preprocessing.read_text())}
    atomic.write_json(target / "start.json", about)


def spec_text(spec: Spec, use: str, folder: Path, *, replace: bool) -> str:
    """The champion's spec as resolved, with the further source and the sides of all rows.

    Args:
        folder: Where the version will lie.
        replace: The spec's last source is of an earlier version, whose place this one takes.
    """
    import yaml

    plain = spec.resolved()
    options: dict[str, Any] = {"use": use}
    if use == "table":
        options["path"] = str(folder / ROWS)
    elif use == "coco":
        options |= {"root": str(folder), "annotations": ANNOTATIONS, "photos": PHOTOS, "same_listings": True}
    else:
        options |= {"root": str(folder / PHOTOS), "labels": str(folder / LABELS), "same_listings": True}
    data = plain["data"]
    data["also"] = [*(data["also"][:-1] if replace else data["also"]), options]
    data["split"] |= {"column": None, "files": None, "folds": None, "fold": 0, "stratify_by": None, "gap": 0}
    data["split"] |= {"fixed": str(folder / "fixed.parquet"), "rest": "learn"}
    features = plain["features"]
    if use == "table" and "drop" in features and _SOURCE not in features["drop"]:
        # Where a row came from is no feature: a request has no such column.
        features["drop"] = [*features["drop"], _SOURCE]
    warm = spec.maintenance.start == "warm"
    collected = str(folder.parent)  # what an earlier version set is no wish of the spec
    for section, name, file in (
        ("training", "start", "model.safetensors"),
        ("features", "fitted", "preprocessing.json"),
    ):
        known = section == "training" or "fitted" in features
        if known and (warm or str(plain[section].get(name) or "").startswith(collected)):
            plain[section][name] = str(folder / START / file) if warm else None
    return yaml.safe_dump(plain, sort_keys=False, allow_unicode=True, width=110)
