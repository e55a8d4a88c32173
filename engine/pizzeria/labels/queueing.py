"""Writes the predictions that are most worth a label: a table always, the photos where there are some."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pizzeria import atomic
from pizzeria.errors import DataError, nearest
from pizzeria.inference.truth import FORMS
from pizzeria.intake.hashes import dhash, phash
from pizzeria.labels.choosing import Looks, choose
from pizzeria.labels.photos import Photos, Written
from pizzeria.labels.served import Served
from pizzeria.labels.worth import Worth, judge
from pizzeria.labels.writing.coco import coco
from pizzeria.labels.writing.drawn import Drawn
from pizzeria.labels.writing.label_studio import interface, tasks
from pizzeria.runs.seals import check_file

if TYPE_CHECKING:
    import pandas as pd

Format = Literal["csv", "coco", "label_studio"]
TABLE, PHOTOS, TASKS, INTERFACE, ANNOTATIONS = (
    "queue.csv",
    "photos",
    "tasks.json",
    "label_studio.xml",
    "annotations.json",
)


@dataclass(frozen=True)
class Queued:
    """What was written.

    Attributes:
        files: The table first.
        asked: Predictions in it.
        photos: Photos beside it.
        logged, labelled: Predictions of the model in the log, and those that have a label already.
        alike: Near-equal ones that were passed over.
        notes: What could not be done, and why.
    """

    files: tuple[Path, ...]
    asked: int
    photos: int
    logged: int
    labelled: int
    alike: int
    notes: tuple[str, ...]


def queue(
    served: Served,
    out: Path,
    *,
    limit: int = 100,
    form: Format = "csv",
    photos: Path | None = None,
    listings: Path | None = None,
) -> Queued:
    """Rank the model's unlabelled predictions, and write the first ones to a folder.

    Args:
        served: The model and its log.
        out: Folder; it must not exist, or be empty.
        limit: Predictions at most.
        form: `csv` writes the table alone; the others also what a labelling tool imports.
        photos: Folder of photos by their input id; without it those that the log keeps.
        listings: CSV with listing_id and declared; without it the listings on which the model was trained.

    Raises:
        DataError: the folder is taken, there is nothing to ask, or the format wants photos and there are none.
    """
    import pandas as pd

    bundle = served.bundle
    _check_form(form, served, Photos(served, photos))
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise DataError(f"{out} is taken", hint="give --out a folder that does not exist")
    predictions = served.predictions()
    open_ = predictions[~_labelled(predictions)].reset_index(drop=True)
    if not len(open_):
        raise DataError(
            f"{len(predictions)} predictions of {bundle.sha256[:12]} are in the log, and all of them have labels"
            if len(predictions)
            else f"no prediction of {bundle.sha256[:12]} is in the log",
            hint="send it photos or rows first",
        )
    reference = pd.read_parquet(served.package / "reference.parquet")
    notes: list[str] = []
    declared = _declared(served, listings, set(open_["listing_id"].dropna().astype(str)), notes)
    worth = judge(open_, reference, bundle, declared)
    if not bundle.classes:
        notes.append("a number has no probability: predictions are ranked by how unusual their input is")
    rows, alike = choose(open_, reference, worth.total, limit, _looks(Photos(served, photos), open_))
    if not rows:
        raise DataError(f"none of {len(open_)} unlabelled predictions is worth asking", hint="all are sure and usual")
    out.mkdir(parents=True, exist_ok=True)
    store = Photos(served, photos)
    written = {}
    if store.anywhere:
        for i in rows:
            found = store.write(str(open_["prediction_id"][i]), _text(open_["input_id"][i]), out / PHOTOS)
            if found is not None:
                written[i] = found
    elif bundle.takes_photos:
        notes.append("no photo is written: the log keeps none (serving.log.photos), and --photos names no folder")
    if store.missing:
        notes.append(f"{store.missing} photos are not there, or cannot be decoded; their predictions are in the table")
    atomic.write_bytes(out / TABLE, table(open_, rows, worth, written, served).encode())
    files = [out / TABLE, *_for_tool(form, served, open_, rows, worth, written, out)]
    return Queued(
        tuple(files), len(rows), len(written), len(predictions), len(predictions) - len(open_), alike, tuple(notes)
    )


def says(record: Mapping[str, Any], task: str, classes: Sequence[str]) -> str:
    """What the model says, in the form in which a table of labels would say it."""
    if "classes" in FORMS[task]:
        return ";".join(name for name in classes if record.get(f"pred:{name}") == 1) or "-"
    return str(record.get("pred", ""))


def table(
    predictions: pd.DataFrame, rows: Sequence[int], worth: Worth, written: Mapping[int, Written], served: Served
) -> str:
    """The CSV, with an empty column to be filled in, as `pizzeria labels add` reads it."""
    task, classes = served.bundle.task, served.bundle.classes
    form = FORMS[task][-1]
    every = [str(name) for name in predictions if str(name).startswith("feature:")]
    features = [] if served.bundle.takes_photos else every
    stream = io.StringIO()
    head = ["rank", "prediction_id", "input_id", "listing_id", form, "says", "worth", "unsure", "drifted", "disagrees"]
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow([*head, "why", "photo", *(name.removeprefix("feature:") for name in features)])
    for rank, i in enumerate(rows, start=1):
        record = {str(key): value for key, value in predictions.iloc[i].items()}
        scores = [f"{one[i]:.3f}" for one in (worth.total, worth.unsure, worth.drifted, worth.disagrees)]
        photo = f"{PHOTOS}/{written[i].name}" if i in written else ""
        names = [_shown(record[name]) for name in ("prediction_id", "input_id", "listing_id")]
        told = [_shown(says(record, task, classes)), *scores, _shown("; ".join(worth.why[i])), photo]
        writer.writerow([rank, *names, "", *told, *(_shown(record[name]) for name in features)])
    return stream.getvalue()


def _for_tool(
    form: Format,
    served: Served,
    predictions: pd.DataFrame,
    rows: Sequence[int],
    worth: Worth,
    written: Mapping[int, Written],
    out: Path,
) -> list[Path]:
    if form == "csv":
        return []
    bundle = served.bundle
    drawn = []
    for i in rows:
        if i in written:
            about = {"prediction_id": str(predictions["prediction_id"][i]), "why": "; ".join(worth.why[i])}
            drawn.append(Drawn(written[i], f"{PHOTOS}/{written[i].name}", about=about))
    if form == "coco":
        atomic.write_json(out / ANNOTATIONS, coco(drawn, bundle.classes))
        return [out / ANNOTATIONS]
    atomic.write_json(out / TASKS, tasks(drawn, bundle.sha256, predicted=False))
    (out / INTERFACE).write_text(interface(bundle.task, bundle.classes) + "\n")
    return [out / TASKS, out / INTERFACE]


def _check_form(form: Format, served: Served, photos: Photos) -> None:
    if form == "csv":
        return
    if not served.bundle.takes_photos:
        raise DataError(f"--format {form}: {served.bundle.task} has no photos", hint="leave --format out: csv")
    if form == "coco" and served.bundle.task != "object_detection":
        raise DataError(f"--format coco: {served.bundle.task} has no boxes", hint="use label_studio, or csv")
    if not photos.anywhere:
        hint = "set serving.log.photos: true, or give --photos DIR with the photos by the names that were sent"
        raise DataError(f"--format {form} needs photos, and the log keeps none", hint=hint)


def _looks(photos: Photos, predictions: pd.DataFrame) -> Looks | None:
    """How photos look, where they are at hand."""
    if not photos.anywhere:
        return None

    def look(i: int) -> tuple[int, int] | None:
        from PIL import Image, ImageOps

        data = photos.find(str(predictions["prediction_id"][i]), _text(predictions["input_id"][i]))
        if data is None:
            return None
        try:
            with Image.open(io.BytesIO(data)) as image:
                image.draft("RGB", (256, 256))  # JPEG alone: decoded small, and fast
                upright = ImageOps.exif_transpose(image).convert("RGB")
        except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
            return None
        return phash(upright), dhash(upright)

    return look


def _labelled(predictions: pd.DataFrame) -> Any:
    names = [name for name in predictions if name == "true" or str(name).startswith("true:")]
    return predictions[names].notna().any(axis="columns")


def _declared(served: Served, path: Path | None, wanted: set[str], notes: list[str]) -> Mapping[str, Sequence[str]]:
    """What listings declare, of those that have predictions."""
    if not served.bundle.judges_presence:
        return {}
    if path is None:
        import pandas as pd

        file = served.run.folder / "stages" / "collect" / "listings.parquet"
        if not file.is_file():
            return {}
        check_file(file.parent, file.name)
        frame = pd.read_parquet(file)
        if "declared" not in frame:
            return {}
        every = dict(zip(frame["listing_id"].astype(str), frame["declared"], strict=True))
    else:
        every = _read_listings(path)
    found = {name: tuple(every[name]) for name in wanted if name in every}
    if path is not None and not found:
        notes.append(f"no prediction in the log is of a listing of {path}")
    return found


def _read_listings(path: Path) -> dict[str, list[str]]:
    try:
        with open(path, newline="", encoding="utf-8-sig") as stream:
            reader = csv.DictReader(stream)
            for column in ("listing_id", "declared"):
                if column not in (reader.fieldnames or ()):
                    raise DataError(f"{path} has no column {column!r}", hint=nearest(column, reader.fieldnames or ()))
            return {row["listing_id"]: re.findall(r"[^\s;,]+", row["declared"] or "") for row in reader}
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path} cannot be read: {error}") from None


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _shown(value: Any) -> Any:
    """A cell. What a client sent must not become a formula of the spreadsheet in which the table is opened."""
    if isinstance(value, str):
        return f"'{value}" if value[:1] in ("=", "+", "@", "\t", "\r") else value
    if value is None or value != value:
        return ""
    return json.dumps(value) if isinstance(value, list | dict) else value
