"""Training and serving make the same inputs, bit for bit, of whatever a table may hold."""

from __future__ import annotations

import json
import math
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from tests.plugins.features.test_columns import problem

from pizzeria.datasets import RowSet, open_dataset
from pizzeria.errors import DataError, RequestError
from pizzeria.inference.row_reader import RowReader
from pizzeria.inference.rows import encode, encode_columns
from pizzeria.tables import Tables
from pizzeria_plugins.features import columns, row_pieces

PARTS = ["trend", "month", "weekday", "hour", "month_category", "weekday_category", "hour_category"]
numbers = st.none() | st.floats(-1e30, 1e30) | st.sampled_from([0.0, -0.0, 5e-324, 1e-171, 0.1, 1e30, math.nan])
words = (
    st.none() | st.text(st.characters(exclude_categories=["Cs"]), max_size=12) | st.sampled_from(["", "a", "b", "3"])
)
moments = st.none() | st.datetimes() | st.sampled_from([datetime.min, datetime.max, datetime(1969, 12, 31, 23, 59, 59)])
rows_of = st.lists(
    st.fixed_dictionaries(
        {
            "x": numbers,
            "small": st.none()
            | st.floats(width=32, allow_nan=False, allow_infinity=False, max_value=2**99, min_value=-9),
            "count": st.integers(-(2**63), 2**63 - 1),
            "flag": st.none() | st.booleans(),
            "word": words,
            "code": st.none() | st.integers(0, 3),
            "share": st.none() | st.sampled_from([0.5, 1.0, -0.0, 1e20]),
            "at": moments,
            "zoned": moments,
            "note": words,
        }
    ),
    min_size=3,
    max_size=12,
)
TYPES = pa.schema(
    [
        *(("row_id", pa.string()), ("x", pa.float64()), ("small", pa.float32()), ("count", pa.int64())),
        *(("flag", pa.bool_()), ("word", pa.string()), ("code", pa.int64()), ("share", pa.float64())),
        *(("at", pa.timestamp("us")), ("zoned", pa.timestamp("us", "+05:45")), ("note", pa.string())),
        ("move", pa.string()),
    ]
)
options_of = st.fixed_dictionaries(
    {
        "scaling": st.sampled_from(["standard", "robust", "quantile", "min_max"]),
        "clip": st.sampled_from([None, [0.1, 0.9], [0, 1]]),
        "log": st.sampled_from(["off", "auto"]),
        "missing_indicator": st.booleans(),
        "min_count": st.integers(1, 3),
        "max_values": st.sampled_from([2, 1000]),
        "date_parts": st.permutations(PARTS).flatmap(lambda p: st.integers(1, 7).map(lambda n: p[:n])),
    }
)


FULL: list[dict[str, Any]] = [
    {"x": 1e30, "small": 2.0**99, "count": 3, "flag": True, "word": "a", "code": 1, "share": 0.5, "note": "A note, 7."}
    | {"at": datetime(2024, 2, 29, 12), "zoned": datetime(2000, 1, 1)},
    {
        "x": -1e30,
        "small": float(np.float32(0.1)),
        "count": -3,
        "flag": None,
        "word": None,
        "code": 1,
        "share": 1.0,
        "note": "",
    }
    | {"at": datetime(2023, 12, 31, 23, 59, 59, 999999), "zoned": datetime(1999, 7, 4, 5)},
]
"""So that each column has something to learn from."""


def plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat()
    return None if isinstance(value, float) and math.isnan(value) else value


def built(rows: list[dict[str, Any]], folder: Path, progress: Any, options: dict[str, Any]) -> RowSet:
    path = folder / "rows.parquet"
    whole = [{"row_id": str(i), "move": "up", **row} for i, row in enumerate(rows)]
    pq.write_table(pa.Table.from_pylist(whole, TYPES), path)
    splits = pd.Series(["train"] * (len(rows) - 2) + ["validation", "test"], index=[str(i) for i in range(len(rows))])
    chosen = {"categorical": ["word", "code", "share"], "dates": ["at", "zoned"], "text": ["note"]}
    made = columns.Options.model_validate(options | chosen)
    columns.build(made, problem(), Tables(rows=path), splits, None, folder, progress)
    dataset = open_dataset(folder)
    assert isinstance(dataset, RowSet)
    return dataset


@settings(max_examples=100)
@given(rows=rows_of, options=options_of)
def test_a_request_gives_bit_for_bit_what_training_saw(
    tmp_path: Path, progress: Any, rows: list[dict[str, Any]], options: dict[str, Any]
) -> None:
    rows = [*FULL, *rows]
    try:
        dataset = built(rows, tmp_path, progress, options)
    except DataError as error:  # a number that no float32 holds once it is scaled is refused, and rightly
        assume("is out of reach" not in error.message)
        raise
    how = json.loads((tmp_path / "preprocessing.json").read_text())
    body = json.dumps([{name: plain(value) for name, value in row.items()} for row in rows]).encode()
    for typed in (True, False):
        numeric, categorical = encode_columns(RowReader(how, 99, typed=typed).read(body).columns, how)
        assert numeric.tobytes() == dataset.numeric.tobytes()
        assert categorical.tobytes() == dataset.categorical.tobytes()
        assert np.isfinite(numeric).all()


def test_the_size_of_pieces_changes_nothing(tmp_path: Path, progress: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    count = 400
    rows = [
        {
            "x": float(x) if x > -1 else None,
            **{"small": 1.5, "count": int(x * 100), "flag": bool(x > 0), "word": "abc"[i % 3], "code": i % 5},
            **{"share": 0.5, "at": datetime.fromtimestamp(x * 1e9, UTC).replace(tzinfo=None), "note": f"No {i} {x}"},
            "zoned": datetime(2024, 1 + i % 12, 1 + i % 28, i % 24),
        }
        for i, x in enumerate(rng.normal(size=count))
    ]
    options = {"scaling": "quantile", "log": "auto", "min_count": 2}
    whole = built(rows, tmp_path, progress, options)
    expected = {p.name: p.read_bytes() for p in tmp_path.iterdir() if p.suffix in (".npy", ".json")}
    assert len(expected) == 4
    assert whole.numeric.shape == (count, 5 + 2 * 6 + 5)
    numeric = np.array(whole.numeric)
    monkeypatch.setattr(row_pieces, "PIECE", 7)
    built(rows, tmp_path, progress, options)
    assert {name: (tmp_path / name).read_bytes() for name in expected} == expected
    frame = pd.read_parquet(tmp_path / "rows.parquet")
    splits = pd.Series(["train"] * (count - 2) + ["validation", "test"], index=frame["row_id"])
    made = columns.Options.model_validate(
        options | {"categorical": ["word", "code", "share"], "dates": ["at", "zoned"], "text": ["note"]}
    )
    columns.build(made, problem(), Tables(rows=frame), splits, None, tmp_path, progress)
    assert {name: (tmp_path / name).read_bytes() for name in expected} == expected
    order = rng.permutation(count)
    columns.build(made, problem(), Tables(rows=frame.iloc[order]), splits, None, tmp_path, progress)
    assert (tmp_path / "preprocessing.json").read_bytes() == expected["preprocessing.json"]
    mixed = open_dataset(tmp_path)
    assert isinstance(mixed, RowSet)
    assert (mixed.numeric == numeric[order]).all()
    assert list(mixed.index["split"][mixed.rows("test")]) == ["test"]


HOW = {
    "numeric": [{"name": "x", "median": 0.0, "mean": 0.0, "std": 1.0}],
    "categorical": [{"name": "word", "values": ["a"], "mode": "a", "rare": ["b"], "missing": True}],
    "dates": [{"name": "at", "median": 0.0, "parts": ["month", "weekday_category"], "missing": True}],
    "texts": [{"name": "note", "inputs": [{"part": "words", "median": 1.0, "mean": 0.0, "std": 1.0}]}],
    "target": {"name": "move"},
}
GOOD = {"x": 1, "word": "a", "at": "2024-02-29T12:00:00Z", "note": "two words"}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("at", value) for value in ("2016-12-31T23:59:60Z", "2024-02-30", "soon", "", True, [1], {}, math.nan)),
        *(("at", value) for value in ("10000-01-01T00:00:00Z", "0000-01-01", 1e300, -1e12, math.inf, 10**400)),
        *(("at", value) for value in ("0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59", "\ud800")),
        *(("note", value) for value in (["a"], {"a": 1}, math.nan, "\udc00")),
        *(("word", value) for value in (["a"], {"a": 1}, math.inf, "\udc00")),
        *(("x", value) for value in ("1", [], math.nan, 1e300)),
    ],
)
def test_hostile_values_are_refused_by_the_columns_name(name: str, value: Any) -> None:
    with pytest.raises(RequestError) as caught:
        encode([GOOD, GOOD | {name: value}], HOW)
    assert caught.value.status == 422
    assert caught.value.message.startswith(f"rows[1].{name}: ")
    assert caught.value.hint


def test_rare_unseen_and_missing_are_three_things() -> None:
    rows = [GOOD | {"word": word} for word in ("a", "b", None, "never seen", "")]
    assert encode(rows, HOW)[1][:, 0].tolist() == [1, 2, 3, 0, 0]


def test_dates_are_read_in_utc_whatever_their_zone() -> None:
    same = ["2024-01-01T00:30:00+01:00", "2023-12-31T23:30:00Z", "2023-12-31 23:30:00", 1704065400]
    numeric, codes = encode([GOOD | {"at": at} for at in same], HOW)
    assert (numeric == numeric[0]).all()
    assert codes[:, 1].tolist() == [7] * 4
    numeric, codes = encode([GOOD | {"at": None}], HOW)
    assert (numeric[0, 1:4].tolist(), codes[0, 1]) == ([0, 0, 1], 0)
    ends = encode([GOOD | {"at": at} for at in ("0001-01-01", "9999-12-31T23:59:59.999999")], HOW)[0]
    assert np.isfinite(ends).all()
