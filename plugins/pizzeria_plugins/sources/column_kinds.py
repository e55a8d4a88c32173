"""Which type a column of values from a database has, when the values come in chunks.

    none -> boolean -> text,  none -> whole -> real -> text,  none -> date -> time -> text,  none -> zoned -> text ...

A kind only ever widens, so a column that is empty in the first chunk, or has a text in the last one, has one type in
the end.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pyarrow as pa

SQL = {
    "none": "VARCHAR",
    "boolean": "BOOLEAN",
    "whole": "BIGINT",
    "real": "DOUBLE",
    "date": "TIMESTAMP",
    "time": "TIMESTAMP",
    "zoned": "TIMESTAMP WITH TIME ZONE",
    "bytes": "BLOB",
    "text": "VARCHAR",
}
"""DuckDB's type for each kind."""
_WIDER = {frozenset(("whole", "real")): "real", frozenset(("date", "time")): "time"}
_LARGEST = 2**63


def widest(first: str, second: str) -> str:
    """The kind that holds values of both.

    Example:
        >>> widest("none", "whole"), widest("whole", "real"), widest("real", "time")
        ('whole', 'real', 'text')
    """
    if first == second or second == "none":
        return first
    if first == "none":
        return second
    return _WIDER.get(frozenset((first, second)), "text")


def kind_of(values: Sequence[Any]) -> str:
    """The narrowest kind that holds all values."""
    kind = "none"
    for one in {type(value) for value in values} - {type(None)}:
        kind = widest(kind, _of_type(one, values))
    return kind


def _of_type(kind: type, values: Sequence[Any]) -> str:
    if issubclass(kind, bool):
        return "boolean"
    if issubclass(kind, int):
        fits = all(-_LARGEST <= value < _LARGEST for value in values if isinstance(value, int))
        return "whole" if fits else "real"
    if issubclass(kind, float | Decimal):
        return "real"
    if issubclass(kind, datetime):
        times = [value for value in values if isinstance(value, datetime)]
        zoned = sum(value.tzinfo is not None for value in times)
        return "zoned" if zoned == len(times) else "text" if zoned else "time"
    if issubclass(kind, date):
        return "date"
    return "bytes" if issubclass(kind, bytes | bytearray | memoryview) else "text"


def as_array(values: Sequence[Any], kind: str) -> pa.Array:
    """The values in Arrow's type for the kind."""
    import pyarrow as pa

    types = {
        "none": pa.string(),
        "boolean": pa.bool_(),
        "whole": pa.int64(),
        "real": pa.float64(),
        "date": pa.date32(),
        "time": pa.timestamp("us"),
        "zoned": pa.timestamp("us", "UTC"),
        "bytes": pa.binary(),
        "text": pa.string(),
    }
    turn: dict[str, Callable[[Any], Any]] = {"real": float, "text": _text, "bytes": bytes, "time": _moment}
    if kind in turn:
        values = [None if value is None else turn[kind](value) for value in values]
    return pa.array(values, types[kind])


def _moment(value: date) -> datetime:
    return value if isinstance(value, datetime) else datetime(value.year, value.month, value.day)


def _text(value: Any) -> str:
    """As DuckDB would cast the narrower kinds, so that chunks before and after agree."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict | list):
        return json.dumps(value, ensure_ascii=False, default=str)
    return bytes(value).hex() if isinstance(value, bytes | bytearray | memoryview) else str(value)
