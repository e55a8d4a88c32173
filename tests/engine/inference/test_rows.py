from __future__ import annotations

import math
import time
from typing import Any

import numpy as np
import pytest

from pizzeria.errors import RequestError
from pizzeria.inference.rows import encode, encode_columns

HOW = {
    "kind": "columns",
    "numeric": [
        {"name": "price", "median": 2.0, "mean": 1.0, "std": 2.0},
        {"name": "at", "median": 0.0, "mean": 0.0, "std": 1.0, "time": True},
    ],
    "categorical": [{"name": "day", "values": ["3", "mon", "true"]}],
    "target": {"name": "up"},
}


def row(**changes: Any) -> dict[str, Any]:
    return {"price": 5, "at": 10, "day": "mon"} | changes


def refused(*rows: Any) -> RequestError:
    with pytest.raises(RequestError) as caught:
        encode(rows, HOW)
    assert caught.value.status == 422
    assert caught.value.hint
    return caught.value


def test_numbers_are_standardised_and_categories_coded() -> None:
    numeric, categorical = encode([row(), row(price=None, day="sun"), row(price=True, day=None)], HOW)
    assert (numeric.dtype, categorical.dtype) == (np.float32, np.int64)
    assert numeric[:, 0].tolist() == [2.0, 0.5, 0.0]
    assert categorical[:, 0].tolist() == [2, 0, 0]


def test_categories_are_the_same_as_text_number_or_boolean() -> None:
    rows = [row(day=day) for day in ("3", 3, 3.0, True, "true", "True")]
    assert encode(rows, HOW)[1][:, 0].tolist() == [1, 1, 1, 3, 3, 0]


def test_times_are_seconds_or_iso_texts() -> None:
    rows = [row(at=at) for at in (60, "1970-01-01T00:01:00Z", "1970-01-01 00:01:00", "1970-01-01T01:01:00+01:00")]
    assert encode(rows, HOW)[0][:, 1].tolist() == [60] * 4
    assert "rows[0].at" in refused(row(at="tomorrow")).message


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, 10**400, 1e300, "5", [5], {"a": 1}])
def test_a_value_that_is_no_number_is_named(value: Any) -> None:
    error = refused(row(), row(price=value))
    assert error.message.startswith("rows[1].price: ")
    assert len(error.message) < 200


def test_quotes_around_a_number_are_explained() -> None:
    assert refused(row(price="5")).hint == "write the number without quotes"


@pytest.mark.parametrize("value", [math.nan, [1], {"a": 1}])
def test_a_value_that_is_no_category_is_named(value: Any) -> None:
    assert refused(row(day=value)).message.startswith("rows[0].day: ")


def test_a_missing_column_is_named() -> None:
    error = refused(row(), {"price": 1, "at": 1})
    assert "rows[1].day: the column is missing" in error.message


def test_an_unknown_column_is_named_with_the_nearest() -> None:
    error = refused(row(prise=4))
    assert "rows[0].prise" in error.message
    assert error.hint == "did you mean price?"


def test_the_target_is_told_apart_from_a_typing_error() -> None:
    assert "predicts" in refused(row(up=1)).message


def test_a_row_must_be_an_object() -> None:
    assert refused(row(), [1, 2]).message == "rows[1]: found a list"
    assert refused(1).message == "rows[0]: found 1"


def test_row_id_is_no_column() -> None:
    assert encode([row(row_id="a-1")], HOW)[0].shape == (1, 2)


def test_no_rows_keep_their_shape() -> None:
    numeric, categorical = encode([], HOW)
    assert (numeric.shape, categorical.shape) == ((0, 2), (0, 1))


def test_columns_and_rows_give_the_same() -> None:
    rows = [row(price=p, day=d) for p, d in zip([1.5, None, -3], ["mon", None, "3"], strict=True)]
    columns = {"price": np.array([1.5, np.nan, -3]), "at": np.array([10, 10, 10]), "day": np.array(["mon", None, "3"])}
    for a, b in zip(encode(rows, HOW), encode_columns(columns, HOW), strict=True):
        assert (a == b).all()


def test_many_rows_take_little_time() -> None:
    count = 300_000
    rng = np.random.default_rng(0)
    columns = {"price": rng.normal(size=count), "at": rng.normal(size=count), "day": rng.choice(["mon", "3"], count)}
    started = time.thread_time()  # of the processor, for which others wait, too
    encode_columns(columns, HOW)
    assert time.thread_time() - started < 3
