"""Turns table rows into the network's inputs, the same way for training and for serving.

What `preprocessing` says, and what becomes of a column, stands in `pizzeria.inference.column_inputs`; here rows are
read and checked.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pizzeria.errors import RequestError, nearest
from pizzeria.inference.column_inputs import (
    YEAR_1,
    YEAR_9999,
    category_codes,
    column_names,
    columns_of,
    date_inputs,
    has_limits,
    number_inputs,
    text_inputs,
)

ROW_ID = "row_id"
"""Key under which a row may carry an identifier; it is no input of the model."""
_FLOAT32, _FLOAT64 = 3.4e38, 1.7e308
"""Numbers a little smaller than the largest of their kind."""
Columns = dict[str, NDArray[np.float64] | list[str | None]]
"""By name, N values each: float64 [N] with NaN for missing, or N texts with None for missing."""
_HALF_CHARACTER = re.compile("[\ud800-\udfff]")
"""JSON may carry these; no file or database can."""


def encode(
    rows: Sequence[Mapping[str, Any]], preprocessing: Mapping[str, Any]
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Rows as they come in a request, strictly checked.

    Args:
        rows: N objects with just the columns of `preprocessing` (and `row_id`, if the client likes). None is "missing".
            Numeric columns take numbers and booleans, those of times and dates also ISO 8601 texts; categorical ones
            and texts take text, numbers and booleans.
        preprocessing: See `pizzeria.inference.column_inputs`.

    Returns:
        numeric float32 [N, F] and categorical int64 [N, G].

    Raises:
        RequestError: 422; names the value as `rows[3].price`.

    Example:
        >>> how = {"numeric": [{"name": "price", "median": 2, "mean": 1, "std": 2}],
        ...        "categorical": [{"name": "day", "values": ["mon", "tue"]}], "target": {"name": "class"}}
        >>> encode([{"price": 5, "day": "tue"}, {"price": None, "day": "sun"}], how)
        (array([[2. ],
               [0.5]], dtype=float32), array([[2],
               [0]]))
    """
    return encode_columns(to_columns(rows, preprocessing), preprocessing)


def encode_columns(
    columns: Mapping[str, Sequence[Any] | NDArray[Any]], preprocessing: Mapping[str, Any]
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """The same for whole columns, whose names and types were checked before.

    Args:
        columns: By name, N values each: numbers with NaN for missing, or categories with None (or NaN) for missing.

    Raises:
        RequestError: 422; a number is infinite, or so far from the mean that the network cannot take it.
    """
    count = len(next(iter(columns.values()), ()))
    numeric: list[NDArray[Any]] = [np.empty((count, 0))]
    categorical: list[NDArray[Any]] = [np.empty((count, 0), np.int64)]
    for kind, column in columns_of(preprocessing):
        found = columns[column["name"]]
        if kind == "numeric":
            values = np.asarray(found, np.float64)
            _check_reach(column, values)
            numeric.append(number_inputs(column, values))
        elif kind == "categorical":
            categorical.append(category_codes(column, plain_texts(found))[:, None])
        elif kind == "dates":
            numbers, codes = date_inputs(column, np.asarray(found, np.float64))
            numeric.append(numbers)
            categorical.append(codes)
        else:
            numeric.append(text_inputs(column, plain_texts(found)))
    return np.concatenate(numeric, axis=1).astype(np.float32), np.concatenate(categorical, axis=1)


def bounds(column: Mapping[str, Any]) -> tuple[float, float]:
    """The smallest and the largest number of a numeric column that a float32 holds once it is scaled.

    Example:
        >>> bounds({"name": "price", "mean": 5.0, "std": 0.5})
        (-1.7e+38, 1.7e+38)
    """
    if not has_limits(column):
        return -_FLOAT64, _FLOAT64
    mean, reach = float(column["mean"]), _FLOAT32 * float(column["std"])
    return max(mean - reach, -_FLOAT64), min(mean + reach, _FLOAT64)


def to_columns(rows: Sequence[Mapping[str, Any]], preprocessing: Mapping[str, Any]) -> Columns:
    """Checked columns of a request's rows.

    Raises:
        RequestError: 422, as for `encode`.
    """
    numbers = number_readers(preprocessing)
    names = column_names(preprocessing)
    known = set(names)
    for i, row in enumerate(rows):
        if not isinstance(row, Mapping):
            raise _refused(f"rows[{i}]", f"found {_shown(row)}", "write an object of column names and values")
        if row.keys() != known:
            _check_names(i, row, known, str(preprocessing["target"]["name"]))
    columns: Columns = {}
    for name in names:
        read = numbers.get(name)
        if read is None:
            columns[name] = [_category(row[name], i, name) for i, row in enumerate(rows)]
        else:
            columns[name] = np.array([read(row[name], i, name) for i, row in enumerate(rows)], np.float64)
    return columns


def number_readers(preprocessing: Mapping[str, Any]) -> dict[str, Callable[[Any, int, str], float]]:
    """How a value of each numeric column and of each date is read; the other columns hold texts.

    Example:
        >>> how = {"numeric": [{"name": "price"}, {"name": "at", "time": True}], "categorical": [{"name": "day"}]}
        >>> [name for name, read in number_readers(how).items() if read is not number]
        ['at']
    """
    readers = {"numeric": number, "dates": moment}
    return {
        str(column["name"]): seconds if column.get("time") else readers[kind]
        for kind, column in columns_of(preprocessing)
        if kind in readers
    }


def plain_texts(values: Sequence[Any] | NDArray[Any]) -> list[str | None]:
    """Categories or texts as `text` writes them."""
    plain = values.tolist() if isinstance(values, np.ndarray) else values
    return [value if value.__class__ is str else text(value) for value in plain]


def text(value: Any) -> str | None:
    """A category as text, the same whether it comes from a table or from JSON; None when it is missing.

    Example:
        >>> text("mon"), text(3), text(3.0), text(0.5), text(True), text(None), text(float("nan"))
        ('mon', '3', '3', '0.5', 'true', None, None)
    """
    if isinstance(value, str):
        return value
    if value is None or value != value:
        return None
    if isinstance(value, bool | np.bool_):
        return "true" if value else "false"
    if isinstance(value, float | np.floating) and float(value).is_integer():
        return str(int(value))
    return str(value)


def row_name(value: Any, i: int) -> str:
    """A row's name in the prediction log, empty for none.

    Args:
        value: Its `row_id`.
        i: The row, for the error.

    Raises:
        RequestError: 422, it is a list or an object.

    Example:
        >>> row_name(7, 0), row_name(None, 0)
        ('7', '')
    """
    if isinstance(value, list | Mapping):
        raise _refused(f"rows[{i}].{ROW_ID}", f"found {_shown(value)}", "write a text or a number")
    return text(value) or ""


def seconds(value: Any, i: int, name: str) -> float:
    """A moment as Unix seconds, UTC where it names no zone; NaN for None.

    Args:
        value: A number of seconds, an ISO 8601 text, or a datetime.
        i, name: Row and column, for the error.

    Raises:
        RequestError: 422, it is no moment.

    Example:
        >>> seconds("1970-01-02T00:00:00Z", 0, "at")
        86400.0
    """
    try:
        moment = datetime.fromisoformat(value) if isinstance(value, str) else value
        if isinstance(moment, datetime):
            return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
        if isinstance(value, bool):
            raise ValueError
    except (ValueError, OverflowError):
        raise _refused(f"rows[{i}].{name}", f"found {_shown(value)}", "write a time as 2024-05-31T12:00:00Z") from None
    return number(value, i, name)


def moment(value: Any, i: int, name: str) -> float:
    """The same for the dates of a calendar: from the year 1 to 9999.

    Example:
        >>> moment("1970-01-01T01:00:00+01:00", 0, "at")
        0.0
    """
    found = seconds(value, i, name)
    if found < YEAR_1 or found > YEAR_9999:
        hint = "write a time as 2024-05-31T12:00:00Z, or its Unix seconds, from the year 1 to 9999"
        raise _refused(f"rows[{i}].{name}", f"found {_shown(value)}", hint)
    return found


def _check_reach(column: Mapping[str, Any], values: NDArray[np.float64]) -> None:
    low, high = bounds(column)
    out = (values < low) | (values > high)
    if out.any():
        row = int(np.flatnonzero(out)[0])
        hint = f"write a number from {low:g} to {high:g}, or null"
        raise _refused(f"rows[{row}].{column['name']}", f"found {values[row]:g}", hint)


def _check_names(i: int, row: Mapping[str, Any], known: set[str], target: str) -> None:
    extra = [name for name in row if name not in known and name != ROW_ID]
    missing = sorted(known - row.keys())
    if target in extra:
        raise _refused(f"rows[{i}].{target}", "this is what the model predicts", "leave it out")
    if extra:
        raise _refused(f"rows[{i}].{_short(extra[0])}", "there is no such column", nearest(_short(extra[0]), known))
    if missing:
        raise _refused(f"rows[{i}].{missing[0]}", "the column is missing", f"write {missing[0]}, or null if unknown")


def number(value: Any, i: int, name: str) -> float:
    """A number or a boolean; NaN for None.

    Raises:
        RequestError: 422, it is neither, or not finite.
    """
    if value is None:
        return math.nan
    if isinstance(value, bool | int | float):
        try:
            found = float(value)
        except OverflowError:
            found = math.inf
        if math.isfinite(found):
            return found
    hint = "write the number without quotes" if isinstance(value, str) else "write a finite number, or null"
    raise _refused(f"rows[{i}].{name}", f"found {_shown(value)} where a number is needed", hint)


def _category(value: Any, i: int, name: str) -> str | None:
    if value is None or isinstance(value, str | bool | int) or (isinstance(value, float) and math.isfinite(value)):
        found = text(value)
        if found is None or not _HALF_CHARACTER.search(found):
            return found
    raise _refused(f"rows[{i}].{name}", f"found {_shown(value)} where a text is needed", "write a text, or null")


def _shown(value: Any) -> str:
    if isinstance(value, list | Mapping):
        return "a list" if isinstance(value, list) else "an object"
    if value is None or isinstance(value, bool):
        return "null" if value is None else str(value).lower()
    if isinstance(value, int) and abs(value) >= 1 << 64:
        return "a number of too many digits"
    return _short(repr(value))


def _short(shown: str) -> str:
    return shown if len(shown) <= 60 else f"{shown[:57]}..."


def _refused(path: str, message: str, hint: str) -> RequestError:
    return RequestError(422, "wrong_rows", f"{path}: {message}", hint=hint)
