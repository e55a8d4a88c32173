"""`pizzeria predict`: photos or rows answered by a run's bundle or by a service, as records, files and drawn copies."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from pizzeria import atomic
from pizzeria.answering import Answering, renumbered
from pizzeria.contracts import Progress
from pizzeria.drawing import draw_boxes
from pizzeria.errors import DataError, RequestError
from pizzeria.examination import plain_rows
from pizzeria.inference.photos import decode

In = TypeVar("In")
Out = TypeVar("Out")

SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp"})
OUTPUTS = frozenset({".json", ".csv", ".parquet"})

_ALIKE_FOR_ALL = (401, 403, 404, 405)
_DATA = "pip install 'pizzeria[data]'"


@dataclass(frozen=True)
class Predicted:
    """What came of it.

    Attributes:
        records: One flat mapping for each box (detection), photo or row.
        failed: Files that could not be predicted, with the reason.
        drawn: Folder of the copies with boxes; None when nothing was drawn.
        inputs: Photos or rows that were asked for.
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


def predict_photos(answering: Answering, photos: Sequence[Path], drawn: Path | None, progress: Progress) -> Predicted:
    """Answer each photo; a broken one is told and left out.

    Args:
        answering: A bundle or a service.
        photos: Files.
        drawn: Detection: where copies with boxes go; None for none.

    Raises:
        RequestError: refused for a reason that holds for every photo, such as a missing API key.
        DeploymentError: the service is gone, or another model answers now.
    """
    if drawn is not None and answering.thresholds() is None:
        progress.say("no copies are drawn: the service does not tell its thresholds (serving.pages is off)")
        drawn = None
    records: list[dict[str, Any]] = []
    failed: dict[str, str] = {}
    copies = 0
    answers = _in_turn(lambda path: _ask(answering, path), photos, answering.at_once)
    for i, (path, answer) in enumerate(zip(photos, answers, strict=True)):
        if isinstance(answer, str):
            failed[str(path)] = answer
        else:
            records += _records(answer, path)
            if drawn is not None and "boxes" in answer:
                drawn.mkdir(parents=True, exist_ok=True)
                _draw(answer, answering.thresholds() or {}, path, drawn / f"{i:04d}_{path.stem}.jpg")
                copies += 1
        progress.update("predicting", i + 1, len(photos))
    return Predicted(records, failed, drawn if copies else None, len(photos))


def predict_rows(answering: Answering, table: Path, progress: Progress) -> Predicted:
    """Answer each row of a CSV, Parquet or JSON-lines file; columns that the model has no use for are passed over.

    Raises:
        DataError: the file cannot be read as a table.
        RequestError: a row lacks a column, or holds a wrong type.
        DeploymentError: the service is gone, or another model answers now.
    """
    rows, wanted = read_rows(table), answering.columns()
    if wanted is not None:
        rows = [{name: value for name, value in row.items() if name in wanted} for row in rows]
    size = answering.rows_at_once

    def ask(first: int) -> Sequence[Mapping[str, Any]]:
        try:
            return answering.rows(rows[first : first + size])
        except RequestError as error:
            raise renumbered(error, first) from None

    records: list[dict[str, Any]] = []
    for answers in _in_turn(ask, range(0, len(rows), size), answering.at_once):
        records += [{"row": i} | _flat(answer) for i, answer in enumerate(answers, start=len(records))]
        progress.update("predicting", len(records), len(rows))
    return Predicted(records, {}, None, len(rows))


def read_rows(table: Path) -> list[dict[str, Any]]:
    """Rows of a CSV, Parquet or JSON-lines file, None where a value is missing.

    Raises:
        DataError: it does not exist, or is none of these; or pandas, which reads them, is not installed.
    """
    if table.suffix not in (".csv", ".parquet", ".jsonl"):
        raise DataError(f"{table} is no table", hint="give a .csv, .parquet or .jsonl file")
    try:
        if table.suffix == ".jsonl":
            return _json_lines(table)
        import pandas as pd

        return plain_rows(pd.read_csv(table) if table.suffix == ".csv" else pd.read_parquet(table))
    except ImportError:
        raise DataError(f"pandas and pyarrow, which read {table}, are not installed", hint=_DATA) from None
    except (OSError, ValueError) as error:
        raise DataError(f"{table} cannot be read: {error}") from None


def write_predictions(records: Sequence[Mapping[str, Any]], task: str, path: Path) -> None:
    """Write all predictions as JSON (detection: COCO's results form), CSV or Parquet, by the file's ending.

    Raises:
        DataError: another ending; or Parquet without pandas.
    """
    if path.suffix not in OUTPUTS:
        raise DataError(f"{path} ends in none of {', '.join(sorted(OUTPUTS))}", hint="choose one of them for --out")
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".json":
        atomic.write_json(path, list(map(_coco if task == "object_detection" else dict, records)))
    else:
        atomic.write_bytes(path, _csv(records) if path.suffix == ".csv" else _parquet(records))


def _json_lines(table: Path) -> list[dict[str, Any]]:
    rows = []
    for number, line in enumerate(table.read_text(encoding="utf-8").splitlines(), start=1):
        if line.strip():
            row = json.loads(line)
            if not isinstance(row, dict):
                raise DataError(f"{table}:{number}: this is no row", hint='write {"column": value} in each line')
            rows.append(row)
    return rows


def _ask(answering: Answering, path: Path) -> Mapping[str, Any] | str:
    """The answer, or why there is none for this photo."""
    try:
        return answering.photo(path.read_bytes(), path.name)
    except OSError as error:
        return f"it cannot be read: {error.strerror}"
    except RequestError as error:
        if error.status in _ALIKE_FOR_ALL:
            raise
        return error.message


def _in_turn(work: Callable[[In], Out], items: Sequence[In], at_once: int) -> Iterator[Out]:
    """Results in the order of `items`, some of them worked on at the same time."""
    if at_once == 1:
        yield from map(work, items)
        return
    pool = ThreadPoolExecutor(at_once)
    try:
        yield from pool.map(work, items)
    finally:
        pool.shutdown(cancel_futures=True)


def _draw(answer: Mapping[str, Any], thresholds: Mapping[str, float], path: Path, target: Path) -> None:
    """Save a copy of the photo with the boxes that reach their class's threshold."""
    shown = [box for box in answer["boxes"] if box["confidence"] >= thresholds[box["class"]]]
    megapixels = answer["width"] * answer["height"] / 1e6  # allowed, as it was answered
    picture = draw_boxes(
        decode(path.read_bytes(), max_megapixels=megapixels + 1).image,
        [[box[corner] for corner in ("x_min", "y_min", "x_max", "y_max")] for box in shown],
        [box["class"] for box in shown],
        [box["confidence"] for box in shown],
        list(answer["presence"]),
    )
    picture.save(target, quality=90)


def _csv(records: Sequence[Mapping[str, Any]]) -> bytes:
    stream = io.StringIO()
    writer = csv.DictWriter(stream, _columns(records), lineterminator="\n")
    writer.writeheader()
    writer.writerows(records)
    return stream.getvalue().encode()


def _parquet(records: Sequence[Mapping[str, Any]]) -> bytes:
    try:
        import pandas as pd
        import pyarrow  # noqa: F401
    except ImportError:
        raise DataError("pandas and pyarrow, which write Parquet, are not installed", hint=_DATA) from None
    data: bytes = pd.DataFrame.from_records(list(records)).to_parquet(index=False)
    return data


def _columns(records: Sequence[Mapping[str, Any]]) -> list[str]:
    return list(dict.fromkeys(name for record in records for name in record))


def _records(answer: Mapping[str, Any], path: Path) -> Iterable[dict[str, Any]]:
    if "boxes" not in answer:
        return [{"file_name": str(path)} | _flat(answer)]
    classes = list(answer["presence"])
    return [
        {
            "file_name": str(path),
            "category_id": classes.index(box["class"]) + 1,
            "category": box["class"],
            "x": box["x_min"],
            "y": box["y_min"],
            "width": round(box["x_max"] - box["x_min"], 2),
            "height": round(box["y_max"] - box["y_min"], 2),
            "score": box["score"],
            "confidence": box["confidence"],
        }
        for box in answer["boxes"]
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
