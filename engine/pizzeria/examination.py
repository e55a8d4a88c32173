"""A bundle's answers to the test split, by the very path that a client's request takes."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pizzeria.contracts import Progress
from pizzeria.datasets import Dataset, RowSet
from pizzeria.inference.answers import PhotoAnswer, RowAnswer
from pizzeria.inference.bundle import Bundle
from pizzeria.inference.column_inputs import column_names
from pizzeria.inference.photos import decode
from pizzeria.inference.predictor import Predictor
from pizzeria.inference.records import class_record, presence_record, value_record
from pizzeria.measuring.judged import Answers
from pizzeria.predictions import Predictions
from pizzeria.spec.spec import Spec
from pizzeria.tables import Tables
from pizzeria.tasks import task

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

Answer = PhotoAnswer | RowAnswer
MOST_ROWS = 100_000
"""Rows of a test split that a bundle is examined on; of a larger one, so many that lie evenly in it."""


@dataclass(frozen=True)
class Answered:
    """What a bundle answered.

    Attributes:
        answers: By image_id or row_id, in the order of the test split.
        milliseconds: Median for one photo, decoding included; for rows, the mean in one request of all.
    """

    answers: Mapping[str, Answer]
    milliseconds: float

    def predictions(self) -> Predictions:
        """The answers as evaluators take them: boxes with raw scores, probabilities calibrated."""
        keys, found = tuple(self.answers), list(self.answers.values())
        boxes = tuple(one.boxes for one in found if isinstance(one, PhotoAnswer) and one.boxes is not None)
        if boxes:
            return Predictions(keys, boxes=boxes)
        probabilities = [one.probabilities for one in found if one.probabilities is not None]
        if probabilities:
            return Predictions(keys, probabilities=np.stack(probabilities))
        return Predictions(
            keys, values=np.array([one.value for one in found if isinstance(one, RowAnswer)], np.float32)
        )


def test_inputs(tables: Tables, dataset: Dataset) -> dict[str, Any]:
    """The test split as a client would send it, by key: photo files, or rows of plain values, `MOST_ROWS` at most."""
    rows = dataset.rows("test")
    if not isinstance(dataset, RowSet):
        assert tables.images is not None
        path_of = dict(zip(tables.images["image_id"].astype(str), tables.images["path"], strict=True))
        return {key: Path(path_of[key]) for key in dataset.index["image_id"].iloc[rows].astype(str)}
    if len(rows) > MOST_ROWS:
        rows = rows[np.linspace(0, len(rows) - 1, MOST_ROWS).round().astype(np.int64)]
    keys = list(dataset.index["row_id"].iloc[rows].astype(str))
    return _rows_of(tables, keys, column_names(dataset.preprocessing))


def _rows_of(tables: Tables, keys: Sequence[str], columns: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Some rows by their `row_id`, in the order of the keys, as JSON could carry them; no others are kept in memory."""
    import pyarrow as pa
    import pyarrow.dataset as ds

    if tables.rows_file is not None:
        source = ds.dataset(tables.rows_file)
    else:
        assert tables.rows is not None
        source = ds.dataset(pa.Table.from_pandas(tables.rows, preserve_index=False))
    name = ds.field("row_id").cast(pa.string())
    wanted = {"row_id": name} | {column: ds.field(column) for column in columns}
    found = source.to_table(wanted, filter=name.isin(pa.array(keys, pa.string())))
    names = found["row_id"].to_pylist()
    rows = pa.table({column: plain(found[column]) for column in columns})
    by_key = dict(zip(names, rows.to_pylist(), strict=True))
    return {key: by_key[key] for key in keys}


def plain(values: pa.ChunkedArray) -> pa.ChunkedArray:
    """Values of types that JSON has, and times; null where missing."""
    import pyarrow as pa
    import pyarrow.compute as pc

    kind = values.type
    if pa.types.is_dictionary(kind):
        return plain(values.cast(kind.value_type))
    if pa.types.is_decimal(kind):
        return values.cast(pa.float64())
    if pa.types.is_date(kind):
        return values.cast(pa.timestamp("us"))
    if pa.types.is_floating(kind):
        wide = values.cast(pa.float64())
        return pc.if_else(pc.is_nan(wide), None, wide)
    return values


def plain_rows(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """A table's rows as JSON could carry them; None where a value is missing."""
    whole = frame.astype(object).where(frame.notna(), None)
    return [{str(name): value for name, value in row.items()} for row in whole.to_dict("records")]


def sample_of(inputs: Mapping[str, Any]) -> tuple[str, bytes]:
    """The first test input as a golden request: file name and content."""
    first = next(iter(inputs.values()))
    if isinstance(first, Path):
        return first.name, first.read_bytes()
    return "request.json", json.dumps({"rows": [first]}, default=str).encode()


def answer(predictor: Predictor, inputs: Mapping[str, Any], max_megapixels: float, progress: Progress) -> Answered:
    """Let the bundle answer each input."""
    if not predictor.bundle.takes_photos:
        started = time.perf_counter()
        rows = predictor.rows(list(inputs.values()))
        per_row = (time.perf_counter() - started) * 1000 / max(1, len(inputs))
        return Answered(dict(zip(inputs, rows, strict=True)), per_row)
    answers: dict[str, Answer] = {}
    seconds = []
    for key in progress.track(list(inputs), "asking the bundle"):
        data = inputs[key].read_bytes()
        started = time.perf_counter()
        answers[key] = predictor.photo(
            decode(data, max_megapixels=max_megapixels, preprocessing=predictor.bundle.preprocessing)
        )
        seconds.append(time.perf_counter() - started)
    return Answered(answers, float(np.median(seconds)) * 1000)


def answers_of(bundle: Bundle, inputs: Mapping[str, Any], spec: Spec, progress: Progress) -> Answers:
    """What a bundle says, by the very path that a request takes, with the calibration that is still to be applied."""
    found = answer(Predictor(bundle), inputs, spec.serving.max_megapixels, progress).predictions()
    calibration = dict(bundle.calibration)
    if found.boxes is None:
        calibration["method"] = "none"  # answers carry calibrated probabilities
    return Answers(found, calibration)


def reference(task_name: str, answered: Answered, truth: Predictions) -> pd.DataFrame:
    """One record for each test input with its truth: what monitors compare traffic with. Dates come as times."""
    import pandas as pd

    judged = task(task_name).JUDGED
    records = []
    for i, (key, one) in enumerate(answered.answers.items()):
        record, classes = one.record(), one.bundle.classes
        if judged == "value":
            assert isinstance(one, RowAnswer)
            assert one.value is not None
            assert truth.values is not None
            record |= value_record(one.value, float(truth.values[i]))
        else:
            assert one.probabilities is not None
            present = truth.presence(len(classes))[i]
            if judged == "presence":
                record |= presence_record(classes, one.probabilities, one.bundle.thresholds, present)
            else:
                record |= class_record(classes, one.probabilities, present)
        records.append({"input_id": key} | record)
    frame = pd.DataFrame.from_records(records)
    dates = answered.answers[records[0]["input_id"]].bundle.preprocessing.get("dates", ()) if records else ()
    for name in (f"feature:{column['name']}" for column in dates):
        microseconds = frame[name].fillna(0).mul(1e6).round().astype("int64").astype("datetime64[us]")
        frame[name] = microseconds.where(frame[name].notna())
    return frame
