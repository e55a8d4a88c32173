from __future__ import annotations

import json
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pizzeria import examination
from pizzeria.datasets import RowSet
from pizzeria.inference.row_reader import RowReader
from pizzeria.tables import Tables

HOW: dict[str, Any] = {
    "kind": "columns",
    "numeric": [{"name": name} for name in ("x", "price")],
    "categorical": [{"name": name, "values": []} for name in ("id", "word")],
    "dates": [{"name": name, "parts": []} for name in ("day", "at")],
    "target": {"name": "up"},
}
TABLE = pa.table(
    {
        "row_id": pa.array(["c", "a", "b", "d"]),
        "unused": pa.array([[1], [2], [3], [4]]),
        "x": pa.array([0.1, float("nan"), None, 2.0], pa.float32()),
        "price": pa.array([Decimal("1.50"), None, Decimal("2.25"), None]),
        "id": pa.array([2**60 + 1, None, 3, 4]),
        "word": pa.array(["a", None, "b", "a"]).dictionary_encode(),
        "day": pa.array([date(2024, 2, 29), None, date(1, 1, 1), None]),
        "at": pa.array([datetime(2024, 2, 29, 12), None, datetime(9999, 12, 31), None], pa.timestamp("us", "+02:00")),
        "up": pa.array([1, 0, 1, 0]),
    }
)


def dataset(splits: list[str], keys: list[str]) -> RowSet:
    empty = np.zeros((len(keys), 0))
    index = pd.DataFrame({"row_id": keys, "split": splits})
    return RowSet(empty.astype(np.float32), empty.astype(np.int64), np.zeros(len(keys)), index, HOW)


@pytest.mark.parametrize("lies_in_a_file", [True, False])
def test_rows_of_the_test_split_come_as_a_client_would_send_them(tmp_path: Path, lies_in_a_file: bool) -> None:
    pq.write_table(TABLE, tmp_path / "rows.parquet")
    rows: Any = tmp_path / "rows.parquet" if lies_in_a_file else TABLE.drop_columns(["price", "id"]).to_pandas()
    if not lies_in_a_file:
        rows["price"], rows["id"] = TABLE["price"].to_pylist(), pd.array(TABLE["id"].to_pylist(), dtype="Int64")
    tables = Tables(rows=rows)
    found = examination.test_inputs(tables, dataset(["test", "train", "test", "test"], ["c", "a", "b", "d"]))
    assert list(found) == ["c", "b", "d"]
    assert found["c"] | {"at": None, "day": None} == {
        **{"x": float(np.float32(0.1)), "price": 1.5, "id": 2**60 + 1, "word": "a", "day": None, "at": None}
    }
    body = json.dumps(list(found.values()), default=str).encode()
    columns = RowReader(HOW, 9).read(body).columns
    assert columns["id"] == [str(2**60 + 1), "3", "4"]
    assert np.array_equal(columns["day"], [1709164800.0, -62135596800.0, np.nan], equal_nan=True)
    assert np.array_equal(columns["at"], [1709208000.0, 253402214400.0, np.nan], equal_nan=True)
    if lies_in_a_file:
        assert tables._rows is None  # the table was never read whole


def test_of_a_large_test_split_some_rows_are_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(examination, "MOST_ROWS", 2)
    pq.write_table(TABLE, tmp_path / "rows.parquet")
    found = examination.test_inputs(Tables(rows=tmp_path / "rows.parquet"), dataset(["test"] * 4, ["c", "a", "b", "d"]))
    assert list(found) == ["c", "d"]
