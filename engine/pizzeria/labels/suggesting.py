"""What the champion says of photos or rows that are to be labelled, for a labeller to correct instead of to draw."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pizzeria import atomic
from pizzeria.answering import BundleAnswers
from pizzeria.contracts import Progress
from pizzeria.errors import DataError, RequestError
from pizzeria.inference.photos import size_of
from pizzeria.inference.truth import CORNERS, FORMS
from pizzeria.labels.photos import Written
from pizzeria.labels.queueing import ANNOTATIONS, INTERFACE, PHOTOS, TABLE, TASKS
from pizzeria.labels.served import Served
from pizzeria.labels.writing.coco import coco
from pizzeria.labels.writing.drawn import Drawn
from pizzeria.labels.writing.label_studio import interface, tasks
from pizzeria.prediction import SUFFIXES

Format = Literal["coco", "label_studio", "csv"]


@dataclass(frozen=True)
class Suggested:
    """What was written.

    Attributes:
        file: For the tool, or the table.
        asked: Photos or rows with a suggestion.
        things: Boxes, or classes, that were suggested.
        failed: Photos that could not be answered, with the reason.
    """

    file: Path
    asked: int
    things: int
    failed: Mapping[str, str]


def suggest(
    served: Served, folder: Path, progress: Progress, *, form: Format, min_confidence: float | None = None
) -> Suggested:
    """Let the champion answer the photos of a folder, and write the answers beside them.

    Args:
        served: Whose bundle answers.
        folder: As `queue` wrote it, or any folder of photos.
        form: `coco` for CVAT and others (detection alone), `label_studio`, or `csv`: the queue's table with what the
            model says where the labels go, the only form for rows.
        min_confidence: Boxes or classes of at least this probability; each class's threshold by default.

    Raises:
        DataError: there is no photo or table, or the task has no boxes.
    """
    if not folder.is_dir():
        raise DataError(f"there is no folder {folder}", hint="give the folder that `pizzeria labels queue` wrote")
    task = served.bundle.task
    if form == "csv":
        return _table(folder, task)
    if not served.bundle.takes_photos:
        raise DataError(f"--format {form}: {task} has no photos", hint="write --format csv")
    if form == "coco" and task != "object_detection":
        raise DataError(f"--format coco: {task} has no boxes", hint="use label_studio, or csv")
    drawn, failed = _answered(served, folder, progress, min_confidence)
    bundle = served.bundle
    if form == "coco":
        file = folder / ANNOTATIONS
        atomic.write_json(file, coco(drawn, bundle.classes))
    else:
        file = folder / TASKS
        atomic.write_json(file, tasks(drawn, bundle.sha256, predicted=True))
        (folder / INTERFACE).write_text(interface(task, bundle.classes) + "\n")
    return Suggested(file, len(drawn), sum(len(one.boxes) + len(one.classes) for one in drawn), failed)


def _answered(
    served: Served, folder: Path, progress: Progress, min_confidence: float | None
) -> tuple[list[Drawn], dict[str, str]]:
    own = folder / PHOTOS
    paths = sorted(one for one in (own if own.is_dir() else folder).rglob("*") if one.suffix.lower() in SUFFIXES)
    if not paths:
        hint = "let the log keep photos (serving.log.photos), or give `labels queue` --photos"
        raise DataError(f"no photo in {folder}", hint=hint)
    answering = BundleAnswers(served.package / "bundle", served.spec.serving.max_megapixels)
    queued = _queued(folder)
    drawn: list[Drawn] = []
    failed: dict[str, str] = {}
    for path in progress.track(paths, "suggesting"):
        try:
            answer = answering.photo(path.read_bytes(), path.name)
        except (RequestError, OSError) as error:
            failed[path.name] = str(error)
            continue
        width, height = size_of(path)
        boxes, classes = _things(answer, served, min_confidence)
        name = path.relative_to(folder).as_posix()
        about = {"prediction_id": path.stem, "why": queued[path.stem]} if path.stem in queued else {}
        drawn.append(Drawn(Written(path.name, width, height), name, boxes, classes, about))
    return drawn, failed


def _things(
    answer: Mapping[str, Any], served: Served, min_confidence: float | None
) -> tuple[tuple[Mapping[str, Any], ...], Mapping[str, float | None]]:
    """Boxes, or the classes of the whole photo, that are sure enough."""
    limits = served.bundle.thresholds

    def least(name: str) -> float:
        return limits[name] if min_confidence is None else min_confidence

    if "boxes" in answer:
        kept = [box for box in answer["boxes"] if box["confidence"] >= least(box["class"])]
        corners = [{"class": box["class"], **{key: box[key] for key in CORNERS}} for box in kept]
        scored = [one | {"score": box["confidence"]} for one, box in zip(corners, kept, strict=True)]
        return tuple(one for one in scored if one["x_max"] > one["x_min"] and one["y_max"] > one["y_min"]), {}
    if "presence" in answer:
        found = {name: float(one["probability"]) for name, one in answer["presence"].items()}
        return (), {name: p for name, p in found.items() if p >= least(name)}
    return (), {str(answer["class"]): float(answer["probability"])}


def _queued(folder: Path) -> Mapping[str, str]:
    """Why each prediction is asked, by its id, where `queue` wrote the folder."""
    if not (folder / TABLE).is_file():
        return {}
    with open(folder / TABLE, newline="", encoding="utf-8") as stream:
        return {row["prediction_id"]: row.get("why") or "" for row in csv.DictReader(stream)}


def _table(folder: Path, task: str) -> Suggested:
    """The queue's table with what the model said of each when it was asked."""
    path, form = folder / TABLE, FORMS[task][-1]
    if not path.is_file():
        raise DataError(f"there is no {path}", hint="give the folder that `pizzeria labels queue` wrote")
    with open(path, newline="", encoding="utf-8") as stream:
        reader = csv.DictReader(stream)
        columns: Sequence[str] = reader.fieldnames or ()
        rows = list(reader)
    if form not in columns or "says" not in columns:
        raise DataError(f"{path} has no column {form!r} or 'says'", hint="`pizzeria labels queue` writes them")
    filled = 0
    for row in rows:
        if not (row[form] or "").strip():
            row[form] = row["says"]
            filled += 1
    stream_out = io.StringIO()
    writer = csv.DictWriter(stream_out, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    file = folder / "suggested.csv"
    atomic.write_bytes(file, stream_out.getvalue().encode())
    return Suggested(file, len(rows), filled, {})
