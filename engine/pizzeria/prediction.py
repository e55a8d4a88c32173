"""`pizzeria predict`: photos or rows through a run's bundle, without a service."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pizzeria import atomic
from pizzeria.contracts import Progress
from pizzeria.drawing import draw_boxes
from pizzeria.errors import DataError, PizzeriaError
from pizzeria.examination import plain_rows
from pizzeria.inference.answers import PhotoAnswer
from pizzeria.inference.bundle import open_bundle
from pizzeria.inference.photos import decode
from pizzeria.inference.predictor import Predictor

SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp"})
OUTPUTS = frozenset({".json", ".csv", ".parquet"})


@dataclass(frozen=True)
class Predicted:
    """What came of it.

    Attributes:
        records: One flat mapping for each box (detection), photo or row.
        failed: Files that could not be predicted, with the reason.
        drawn: Folder of the copies with boxes; None when nothing was drawn.
    """

    records: list[dict[str, Any]]
    failed: dict[str, str]
    drawn: Path | None
    inputs: int


def find_photos(paths: Sequence[Path]) -> list[Path]:
    """Photos among files and folders (searched whole), in order of name.

    Raises:
        DataError: a path does not exist, or there is no photo.
    """
    found: list[Path] = []
    for path in paths:
        if path.is_dir():
            found += sorted(file for file in path.rglob("*") if file.suffix.lower() in SUFFIXES)
        elif path.exists():
            found.append(path)
        else:
            raise DataError(f"there is no {path}", hint="give photos, or folders that hold some")
    if not found:
        raise DataError(
            f"no photo in {', '.join(map(str, paths))}", hint=f"photos end in {', '.join(sorted(SUFFIXES))}"
        )
    return found


def predict_photos(
    bundle: Path, photos: Sequence[Path], drawn: Path | None, max_megapixels: float, progress: Progress
) -> Predicted:
    """Answer each photo; a broken one is told and left out.

    Args:
        bundle: Folder or zip.
        photos: Files.
        drawn: Detection: where copies with boxes go; None for none.
        max_megapixels: Larger photos are refused.
    """
    predictor = Predictor(open_bundle(bundle))
    records: list[dict[str, Any]] = []
    failed: dict[str, str] = {}
    if drawn is not None:
        drawn.mkdir(parents=True, exist_ok=True)
    for i, path in enumerate(progress.track(photos, "predicting")):
        try:
            data = path.read_bytes()
            photo = decode(data, max_megapixels=max_megapixels, preprocessing=predictor.bundle.preprocessing)
        except PizzeriaError as error:
            failed[str(path)] = error.message
            continue
        answer = predictor.photo(photo)
        records += _records(answer, path)
        if drawn is not None and answer.boxes is not None:
            shown = answer.wire()["boxes"]
            boxes = [[box[corner] for corner in ("x_min", "y_min", "x_max", "y_max")] for box in shown]
            names = answer.bundle.classes
            picture = draw_boxes(
                decode(data, max_megapixels=max_megapixels).image,
                boxes,
                [box["class"] for box in shown],
                [box["confidence"] for box in shown],
                names,
            )
            picture.save(drawn / f"{i:04d}_{path.stem}.jpg", quality=90)
    return Predicted(
        records,
        failed,
        drawn if drawn is not None and predictor.bundle.task == "object_detection" else None,
        len(photos),
    )


def predict_rows(bundle: Path, table: Path) -> Predicted:
    """Answer each row of a CSV, Parquet or JSON-lines file; columns that the model has no use for are passed over.

    Raises:
        DataError: the file cannot be read as a table.
        RequestError: a row lacks a column, or holds a wrong type.
    """
    predictor = Predictor(open_bundle(bundle))
    preprocessing = predictor.bundle.preprocessing
    wanted = {column["name"] for kind in ("numeric", "categorical") for column in preprocessing[kind]}
    rows = [{name: value for name, value in row.items() if name in wanted} for row in read_rows(table)]
    answers = predictor.rows(rows)
    records = [{"row": i} | _flat(answer.wire()) for i, answer in enumerate(answers)]
    return Predicted(records, {}, None, len(rows))


def read_rows(table: Path) -> list[dict[str, Any]]:
    """Rows of a CSV, Parquet or JSON-lines file, None where a value is missing.

    Raises:
        DataError: it does not exist, or is none of these.
    """
    import pandas as pd

    if table.suffix not in (".csv", ".parquet", ".jsonl"):
        raise DataError(f"{table} is no table", hint="give a .csv, .parquet or .jsonl file")
    try:
        if table.suffix == ".csv":
            frame = pd.read_csv(table)
        else:
            frame = pd.read_parquet(table) if table.suffix == ".parquet" else pd.read_json(table, lines=True)
    except (OSError, ValueError) as error:
        raise DataError(f"{table} cannot be read: {error}") from None
    return plain_rows(frame)


def write_predictions(records: Sequence[Mapping[str, Any]], task: str, path: Path) -> None:
    """Write all predictions as JSON (detection: COCO's results form), CSV or Parquet, by the file's ending.

    Raises:
        DataError: another ending.
    """
    if path.suffix not in OUTPUTS:
        raise DataError(f"{path} ends in none of {', '.join(sorted(OUTPUTS))}", hint="choose one of them for --out")
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".json":
        atomic.write_json(path, list(map(_coco if task == "object_detection" else dict, records)))
        return
    import pandas as pd

    frame = pd.DataFrame.from_records(list(records))
    data = frame.to_csv(index=False).encode() if path.suffix == ".csv" else frame.to_parquet(index=False)
    atomic.write_bytes(path, data)


def _records(answer: PhotoAnswer, path: Path) -> Iterable[dict[str, Any]]:
    if answer.boxes is None:
        return [{"file_name": str(path)} | _flat(answer.wire())]
    names = answer.bundle.classes
    rows = zip(answer.boxes.xyxy, answer.boxes.scores, answer.boxes.labels, answer.confidences(), strict=True)
    return [
        {
            "file_name": str(path),
            "category_id": int(label) + 1,
            "category": names[label],
            "x": round(float(box[0]), 2),
            "y": round(float(box[1]), 2),
            "width": round(float(box[2] - box[0]), 2),
            "height": round(float(box[3] - box[1]), 2),
            "score": round(float(score), 6),
            "confidence": round(float(confidence), 6),
        }
        for box, score, label, confidence in rows
    ]


def _coco(record: Mapping[str, Any]) -> dict[str, Any]:
    """One entry of COCO's results file; the file's name stands for the image id."""
    return {
        "image_id": Path(record["file_name"]).name,
        "category_id": record["category_id"],
        "bbox": [record["x"], record["y"], record["width"], record["height"]],
        "score": record["score"],
        "category": record["category"],
        "confidence": record["confidence"],
    }


def _flat(wire: Mapping[str, Any]) -> dict[str, Any]:
    out: dict[str, Any] = {}
    for name, value in wire.items():
        if isinstance(value, Mapping):
            out |= {f"{name}.{key}": item for key, item in _flat(value).items()}
        else:
            out[name] = value
    return out
