"""A bundle with dates, texts and missing values answers, explains and describes itself by the table's own columns."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pandas as pd
import torch
from safetensors.torch import save_file
from tests.plugins.features.test_columns import problem

from pizzeria import examination
from pizzeria.datasets import RowSet, open_dataset
from pizzeria.inference import openapi_schemas
from pizzeria.inference.bundle import draft_bundle
from pizzeria.inference.contributions import contributions, explain_rows
from pizzeria.inference.predictor import Predictor
from pizzeria.inference.row_reader import RowReader
from pizzeria.spec.problem import Problem
from pizzeria.tables import Tables
from pizzeria_plugins.features import columns
from pizzeria_plugins.models import tabular_network
from pizzeria_plugins.monitors import schema as monitored

DELAY = problem(task="tabular_regression", classes=[], target="arr_delay", success=[{"metric": "mae", "at_most": 99}])

NAMES = ["distance", "sched_dep_time", "sched_arr_time", "carrier", "origin", "dest", "scheduled", "note"]


def flights(shared_data: Path, every: int) -> pd.DataFrame:
    """Some of the flights of 2013, a tenth of their distances and carriers lost, with a note and no leaking column."""
    rows = pd.read_parquet(shared_data / "tabular/flights.parquet").iloc[::every].reset_index(drop=True)
    rows = rows.drop(columns=["dep_delay", "air_time"])
    rng = np.random.default_rng(0)
    rows["distance"] = rows["distance"].astype(float).mask(rng.random(len(rows)) < 0.1)
    rows["carrier"] = rows["carrier"].mask(rng.random(len(rows)) < 0.1)
    rows["note"] = [f"{a} to {b}, seat {i}" for i, (a, b) in enumerate(zip(rows["origin"], rows["dest"], strict=True))]
    rows.insert(0, "row_id", [f"f{i}" for i in range(len(rows))])
    return rows


def split(rows: pd.DataFrame) -> pd.Series[str]:
    sides = np.random.default_rng(1).choice(["train", "train", "train", "validation", "test"], len(rows))
    return pd.Series(sides, index=rows["row_id"])


def test_a_bundle_speaks_of_the_tables_own_columns(shared_data: Path, tmp_path: Path, progress: Any) -> None:
    rows = flights(shared_data, 500)
    options = columns.Options(dates=("scheduled",), text=("note",), min_count=5, scaling="quantile")
    columns.build(options, DELAY, Tables(rows=rows), split(rows), {}, tmp_path, progress)
    dataset = open_dataset(tmp_path)
    assert isinstance(dataset, RowSet)
    how = dataset.preprocessing
    torch.manual_seed(0)
    small = tabular_network.Options(hidden=16, blocks=1)
    network = tabular_network.build(small, DELAY, how, pretrained=False).eval()
    save_file(network.state_dict(), tmp_path / "w.safetensors")
    tabular_network.export(small, DELAY, how, tmp_path / "w.safetensors", tmp_path / "m.onnx")
    plain: dict[str, Any] = {key: {} for key in ("metrics", "lineage", "versions")} | {"name": "rows", "gate": []}
    about = plain | {"task": DELAY.task, "classes": [], "preprocessing": how, "calibration": {"method": "none"}}
    predictor = Predictor(draft_bundle(about, tmp_path / "m.onnx"), threads=1)

    inputs = examination.test_inputs(Tables(rows=rows), dataset)
    answered = examination.answer(predictor, inputs, 1, progress)
    test = dataset.rows("test")
    with torch.no_grad():
        trained = network.predict(
            network(torch.from_numpy(dataset.numeric[test]), torch.from_numpy(dataset.categorical[test]))
        )
    values = answered.predictions().values
    assert values is not None
    np.testing.assert_allclose(values, trained, rtol=1e-4, atol=1e-3)

    _, body = examination.sample_of(inputs)
    schema = openapi_schemas.row(how)
    assert list(schema["properties"]) == [*NAMES, "row_id"]
    for sent in json.loads(body)["rows"]:
        jsonschema.validate(sent, schema)
    table = RowReader(how, 9).read(body)
    told = predictor.columns(table.columns)
    [explained] = explain_rows(predictor, table.columns, told)
    assert list(explained["contributions"]) == NAMES
    made = contributions(predictor, table.columns, told)
    np.testing.assert_allclose(made.base + made.shares.sum(axis=1), told.values, rtol=1e-9)

    known = examination.reference(DELAY.task, answered, dataset.truth("test", 0))
    assert known["feature:scheduled"].dtype.kind == "M"
    assert known["feature:scheduled"].tolist() == [inputs[key]["scheduled"] for key in inputs]
    traffic = pd.DataFrame.from_records([one.record() for one in answered.answers.values()])
    fitted, _ = monitored.fit(known, Problem.model_validate(DELAY.model_dump()))
    seen = {column.name: column.kind for column in fitted.columns}
    assert "scheduled" not in seen  # it never comes again, and that is no drift
    assert not fitted.undecided
    assert not fitted.read(traffic).surplus
    assert seen["note"] == "length"  # each is another
    assert seen["carrier"] == "category"


def test_dates_help_to_foresee_real_delays(shared_data: Path, tmp_path: Path, progress: Any) -> None:
    """A linear model on the inputs, as they were before and with the time of the flight."""

    def error(**options: Any) -> float:
        made = columns.Options(drop=("note",), **options)
        columns.build(made, DELAY, Tables(rows=rows), sides, {}, tmp_path, progress)
        found = open_dataset(tmp_path)
        assert isinstance(found, RowSet)
        codes = [np.eye(int(column.max()) + 1)[column] for column in found.categorical.T]
        inputs = np.concatenate([np.ones((len(rows), 1)), found.numeric, *codes], axis=1)
        train, test = found.rows("train"), found.rows("test")
        square = inputs[train].T @ inputs[train] + np.eye(inputs.shape[1])
        weights = np.linalg.solve(square, inputs[train].T @ found.targets[train])
        return float(np.sqrt(np.mean((inputs[test] @ weights - found.targets[test]) ** 2)))

    rows = flights(shared_data, 10)
    sides = split(rows)
    before = error(missing_indicator=False)
    dates = error(dates=("scheduled",), min_count=20)
    assert dates < before
