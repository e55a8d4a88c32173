"""What is collected is read by the sources that users have, in the types of the data before."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pizzeria.conformance.asking import Quiet
from pizzeria.errors import DataError
from pizzeria.maintenance.joined_source import ids, write
from pizzeria.runs.store import Run
from pizzeria.spec.data import Data
from pizzeria.spec.problem import Problem
from pizzeria.spec.spec import Spec
from pizzeria.spec.split import Split
from pizzeria.spec.stages import Features, Model
from pizzeria_plugins.sources import image_folder, table

from ..runs.sealed import seal
from .test_collecting_photos import picture


def spec_of(task: str, **more: Any) -> Spec:
    success = ({"metric": "mae" if task == "tabular_regression" else "accuracy", "at_least": 0},)
    problem = Problem(need="test", owner="test", task=task, success=success, **more)
    data = Data(use="table", split=Split(order_by="at"))
    return Spec(name="m", problem=problem, data=data, features=Features(use="columns"), model=Model(use="x"))


def run_with(folder: Path, rows: pa.Table) -> Run:
    stage = folder / "stages" / "collect"
    stage.mkdir(parents=True)
    pq.write_table(rows, stage / "rows.parquet")
    seal(stage)
    return Run(folder)


def test_columns_come_in_the_types_that_they_had(tmp_path: Path) -> None:
    schema = pa.schema(
        {"row_id": pa.string(), "at": pa.timestamp("us"), "built": pa.timestamp("us"), "rooms": pa.int64()}
        | {"lift": pa.bool_(), "street": pa.string(), "area": pa.float64(), "note": pa.string(), "price": pa.int64()}
    )
    run = run_with(tmp_path / "run", schema.empty_table())
    examples = pd.DataFrame(
        {
            "prediction_id": ["p/0", "p/1"],
            "predicted_at": ["2026-02-01T00:00:00+00:00", "2026-02-02T00:00:00+00:00"],
            "truth": [json.dumps({"value": 250.5}), json.dumps({"value": 300.0})],
            "feature:built": [datetime(1990, 5, 1, tzinfo=UTC).timestamp(), None],
            "feature:rooms": [3.0, None],
            "feature:lift": [1.0, 0.0],
            "feature:street": ["Via", None],
            "feature:area": [50.5, 60.0],
        }
    )
    spec = spec_of("tabular_regression", target="price")
    write("table", examples, tmp_path, tmp_path, run, spec)
    read = table.collect(table.Options(path=str(tmp_path / "rows.parquet")), spec.problem, tmp_path / "run", Quiet())
    assert read.rows is not None
    assert read.rows.astype(object).where(read.rows.notna(), None).to_dict("list") == {
        "row_id": ["p/0", "p/1"],
        "at": [pd.Timestamp("2026-02-01"), pd.Timestamp("2026-02-02")],
        "built": [pd.Timestamp("1990-05-01"), None],
        "rooms": [3, None],
        "lift": [True, False],
        "street": ["Via", None],
        "area": [50.5, 60.0],
        "note": [None, None],
        "price": [250.5, 300.0],
    }
    assert ids(examples, "table") == ["p/0", "p/1"]
    examples["feature:area"] = ["large", "small"]
    with pytest.raises(DataError, match="column 'area' of the log cannot be joined with the data before"):
        write("table", examples, tmp_path, tmp_path, run, spec)
    bare = examples[["prediction_id", "predicted_at", "truth"]]
    with pytest.raises(DataError, match="the log keeps no columns"):
        write("table", bare, tmp_path, tmp_path, run, spec)


def test_labelled_photos_are_an_image_folder(tmp_path: Path) -> None:
    photos = tmp_path / "kept"
    photos.mkdir()
    for name in ("p1.png", "p2.png", "unused.png"):
        (photos / name).write_bytes(picture(len(name))[0])
    examples = pd.DataFrame(
        {
            "prediction_id": ["p1", "p2"],
            "file": ["p1.png", "p2.png"],
            "listing_id": ["L1", ""],
            "truth": [json.dumps({"classes": ["bed", "tv"]}), json.dumps({"classes": []})],
        }
    )
    spec = spec_of("multilabel_classification", classes=("bed", "tv"))
    folder = tmp_path / "version"
    folder.mkdir()
    write("image_folder", examples, photos, folder, Run(tmp_path), spec)
    options = image_folder.Options(root=str(folder / "photos"), labels=str(folder / "labels.csv"))
    images = image_folder.collect(options, spec.problem, tmp_path, Quiet()).images
    assert images is not None
    assert images["image_id"].tolist() == ids(examples, "image_folder")
    assert images["labels"].tolist() == [["bed", "tv"], []]
    assert images["listing_id"].tolist() == ["L1", "p2"], "a photo without a listing is one of its own"
