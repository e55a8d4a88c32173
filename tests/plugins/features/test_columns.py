from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from pizzeria.datasets import RowSet, open_dataset
from pizzeria.errors import DataError
from pizzeria.inference.rows import encode
from pizzeria.spec.problem import Problem
from pizzeria.tables import Tables
from pizzeria_plugins.features import columns


def problem(**changes: Any) -> Problem:
    plain = {"need": "n", "owner": "o", "task": "tabular_classification", "classes": ["down", "up"], "target": "move"}
    return Problem.model_validate(plain | {"success": [{"metric": "accuracy", "at_least": 0.5}]} | changes)


REGRESSION = problem(task="tabular_regression", classes=[], target="price", success=[{"metric": "mae", "at_most": 1}])


def table(**changes: Any) -> pd.DataFrame:
    plain = {
        "row_id": [f"r{i}" for i in range(6)],
        "at": pd.date_range("1970-01-01", periods=6, freq="min"),
        "price": [1.0, 3.0, np.nan, 3.0, 100.0, -5.0],
        "busy": [True, False, True, False, True, False],
        "day": ["tue", "mon", None, "mon", "sun", "mon"],
        "move": ["up", "down", "up", "down", "up", "up"],
    }
    return pd.DataFrame(plain | changes)


SPLITS = pd.Series(["train"] * 4 + ["validation", "test"], index=[f"r{i}" for i in range(6)])


def build(rows: pd.DataFrame, folder: Path, progress: Any, of: Problem | None = None, **options: Any) -> RowSet:
    folder.mkdir(exist_ok=True)
    splits = SPLITS.reindex(rows["row_id"]) if len(rows) == 6 else pd.Series("train", index=rows["row_id"])
    columns.build(columns.Options(**options), of or problem(), Tables(rows=rows), splits, None, folder, progress)
    dataset = open_dataset(folder)
    assert isinstance(dataset, RowSet)
    return dataset


def refused(rows: pd.DataFrame, folder: Path, progress: Any, of: Problem | None = None, **options: Any) -> str:
    with pytest.raises(DataError) as caught:
        build(rows, folder, progress, of, **options)
    return f"{caught.value.message} [{caught.value.hint}]"


def test_the_training_split_alone_is_fitted(tmp_path: Path, progress: Any) -> None:
    dataset = build(table(), tmp_path / "a", progress)
    numeric, busy = dataset.preprocessing["numeric"]
    fitted = {"median": 3.0, "mean": 2.5, "std": pytest.approx(np.std([1, 3, 3, 3])), "missing": True}
    assert numeric == {"name": "price"} | fitted
    assert busy["mean"] == 0.5
    assert dataset.preprocessing["categorical"] == [
        {"name": "day", "values": ["mon", "tue"], "mode": "mon", "missing": True}
    ]
    assert dataset.preprocessing["target"] == {"name": "move", "classes": ["down", "up"]}
    assert dataset.targets.tolist() == [1, 0, 1, 0, 1, 1]
    assert dataset.categorical[:, 0].tolist() == [2, 1, 3, 1, 0, 1]
    other = table()
    other.loc[4:, ["price", "day"]] = [[-7e5, "fri"], [9e9, "sat"]]
    assert build(other, tmp_path / "b", progress).preprocessing == dataset.preprocessing


def test_what_was_fitted_before_is_kept(tmp_path: Path, progress: Any) -> None:
    before = build(table(), tmp_path / "a", progress)
    kept = tmp_path / "a" / "preprocessing.json"
    other = table(price=[500.0, 600.0, 700.0, 800.0, 900.0, 1.0], day=["fri", "mon", "sat", "sun", "tue", None], new=1)
    dataset = build(other, tmp_path / "b", progress, fitted=kept)
    assert dataset.preprocessing == before.preprocessing
    assert dataset.categorical[:, 0].tolist() == [0, 1, 0, 0, 2, 3], "values that it did not know stay unknown"
    assert columns.files(columns.Options(fitted=kept)) == [kept]
    assert "no column 'day' in the data" in refused(other.drop(columns="day"), tmp_path / "c", progress, fitted=kept)
    swapped = problem(classes=["up", "down"])
    assert "of other classes" in refused(table(), tmp_path / "c", progress, swapped, fitted=kept)
    assert "cannot be read" in refused(table(), tmp_path / "c", progress, fitted=tmp_path / "none.json")


def test_serving_rows_give_what_training_saw(tmp_path: Path, progress: Any) -> None:
    rows = table(code=[1, 2, 3, 1, 2, 9], share=[1.0, np.nan, 2.0, 2.0, 0.5, 1.0])
    dataset = build(
        rows, tmp_path / "a", progress, numeric=["at", "price", "busy"], categorical=["day", "code", "share"]
    )
    assert dataset.preprocessing["numeric"][0]["time"] is True
    sent = rows.drop(columns=["row_id", "move"]).astype(object)
    sent = sent.where(sent.notna(), None)
    sent["at"] = [str(moment) for moment in sent["at"]]
    numeric, categorical = encode(sent.to_dict("records"), dataset.preprocessing)
    assert (numeric == dataset.numeric).all()
    assert (categorical == dataset.categorical).all()
    assert {c["name"]: c["values"] for c in dataset.preprocessing["categorical"]}["share"] == ["1", "2"]


def test_options_choose_columns(tmp_path: Path, progress: Any) -> None:
    def names(**options: Any) -> tuple[list[str], list[str]]:
        how = build(table(), tmp_path / "a", progress, **options).preprocessing
        return [c["name"] for c in how["numeric"]], [c["name"] for c in how["categorical"]]

    assert names() == (["price", "busy"], ["day"])
    assert names(drop=["day"]) == (["price", "busy"], [])
    assert names(categorical=["busy"]) == (["price"], ["busy"])
    assert names(numeric=["price"]) == (["price"], ["day"])
    assert names(numeric=["at", "price"], categorical=[]) == (["at", "price"], [])
    assert build(table(), tmp_path / "a", progress, max_values=1).preprocessing["categorical"][0]["values"] == ["mon"]


def test_wrong_names_are_told(tmp_path: Path, progress: Any) -> None:
    assert "features.drop: 'pryce' is no column of the data [did you mean price?]" in refused(
        table(), tmp_path, progress, drop=["pryce"]
    )
    assert "'move' is the target" in refused(table(), tmp_path, progress, categorical=["move"])
    assert "price named twice" in refused(table(), tmp_path, progress, numeric=["price"], drop=["price"])
    assert "'at' holds times" in refused(table(), tmp_path, progress, categorical=["at"])
    assert "'day' holds no numbers" in refused(table(), tmp_path, progress, numeric=["day"])
    assert "no column is left" in refused(table(), tmp_path, progress, drop=["price", "busy", "day"])
    assert "'mov' is no column" in refused(table(), tmp_path, progress, problem(target="mov"))


@pytest.mark.parametrize(
    ("classes", "values"),
    [
        (["0", "1"], [1, 0, 1, 0, 1, 1]),
        (["0", "1"], [1.0, 0.0, 1.0, 0.0, 1.0, 1.0]),
        (["False", "True"], [True, False, True, False, True, True]),
        (["false", "true"], [True, False, True, False, True, True]),
    ],
)
def test_classes_may_be_numbers_and_booleans(tmp_path: Path, progress: Any, classes: list[str], values: Any) -> None:
    dataset = build(table(move=values), tmp_path / "a", progress, problem(classes=classes))
    assert dataset.targets.tolist() == [1, 0, 1, 0, 1, 1]
    assert dataset.targets.dtype == np.int64


def test_bad_targets_name_their_rows(tmp_path: Path, progress: Any) -> None:
    text = refused(table(move=["up", "down", "sideways", "up", "up", "up"]), tmp_path, progress)
    assert "r2 has 'sideways'" in text
    assert "down, up" in text
    assert "missing in the rows r1" in refused(table(move=["up", None, "up", "up", "up", "up"]), tmp_path, progress)
    assert "'price' is missing in the rows r2" in refused(table(), tmp_path, progress, REGRESSION)
    infinite = table(price=[1, 2, 3, np.inf, 5, 6])
    assert "'price' is infinite in the rows r3" in refused(infinite, tmp_path, progress, REGRESSION)


def test_regression_targets_are_fitted_on_training_rows(tmp_path: Path, progress: Any) -> None:
    dataset = build(table(price=[1, 2, 3, 4, 50, 60]), tmp_path / "a", progress, REGRESSION)
    assert dataset.preprocessing["target"] == {"name": "price", "mean": 2.5, "std": pytest.approx(np.std([1, 2, 3, 4]))}
    assert (dataset.targets.tolist(), dataset.targets.dtype) == ([1, 2, 3, 4, 50, 60], np.float32)
    truth = dataset.truth("test", 0)
    assert truth.values is not None
    assert (truth.keys, truth.values.tolist()) == (("r5",), [60])


def test_odd_columns(tmp_path: Path, progress: Any) -> None:
    constant = build(table(price=[7.0] * 6), tmp_path / "a", progress)
    assert (constant.numeric[:, 0] == 0).all()
    empty = [np.nan] * 4 + [1.0, 2.0]
    assert "'price' has no value in the training split [features.drop: [price]]" in refused(
        table(price=empty), tmp_path, progress
    )
    assert "infinite in the rows r1" in refused(table(price=[1, np.inf, 1, 1, 1, 1.0]), tmp_path, progress)
    assert "out of reach" in refused(table(price=[1, 2, 1, 1, 1, 1e300]), tmp_path, progress)
    nothing = build(table(day=[None] * 4 + ["mon", "tue"]), tmp_path / "b", progress)
    assert nothing.preprocessing["categorical"] == [{"name": "day", "values": [], "mode": None, "missing": True}]
    assert nothing.categorical[:, 0].tolist() == [1, 1, 1, 1, 0, 0]
    plain = build(table(day=[None] * 4 + ["mon", "tue"]), tmp_path / "b", progress, missing_indicator=False)
    assert plain.preprocessing["categorical"] == [{"name": "day", "values": [], "mode": None}]
    assert (plain.categorical == 0).all()


def test_a_real_table_is_encoded(tmp_path: Path, progress: Any, shared_data: Path) -> None:
    rows = pd.read_parquet(shared_data / "tabular/flights.parquet").dropna(subset="arr_delay")
    rows.insert(0, "row_id", [f"r{i}" for i in range(len(rows))])
    flights = problem(
        task="tabular_regression", classes=[], target="arr_delay", success=[{"metric": "mae", "at_most": 9}]
    )
    dataset = build(rows, tmp_path / "a", progress, flights, drop=["air_time"])
    assert [c["name"] for c in dataset.preprocessing["categorical"]] == ["carrier", "origin", "dest"]
    assert dataset.numeric.shape == (len(rows), 4)
    assert np.isfinite(dataset.numeric).all()
