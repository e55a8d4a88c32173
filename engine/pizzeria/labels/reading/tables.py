"""Labels in a table: CSV, Parquet or JSON lines.

| column | meaning |
|---|---|
| `prediction_id` or `input_id` (or `file`) | of what |
| `class`, `classes` (with ; between), `value` or `boxes` (JSON) | what, as the task has it; `-` in `classes`: none |
| `true`, or `true:<class>` for each class | the same, as monitoring writes it |
| `at`, `source` | when, and by whom |

A line that says nothing is one that nobody has labelled yet. Other columns are passed over.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from pizzeria.errors import DataError, nearest
from pizzeria.inference.truth import FORMS, Key, read_moment
from pizzeria.labels.reading.said import Read, Said, photo_keys

_NONE = "-"
_KEYS = ("prediction_id", "input_id", "file")
_Line = tuple[str, dict[str, Any]]


def read(path: Path, task: str, classes: Sequence[str]) -> Read:
    """See the module's table.

    Raises:
        DataError: a line cannot be read, or a column is missing; says which.
    """
    out = Read()
    for where, values in {".csv": _csv, ".parquet": _parquet, ".jsonl": _lines}[path.suffix.lower()](path):
        keys = _keys(where, values)
        said = Said(where, keys, _truth(where, values, task, classes), _at(where, values), _plain(values.get("source")))
        (out.said if said.truth else out.empty).append(said)
    return out


def _keys(where: str, values: Mapping[str, Any]) -> tuple[Key, ...]:
    found: list[Key] = []
    for column in _KEYS:
        name = _plain(values.get(column))
        if name:
            found += [(column, name)] if column != "file" else photo_keys(name)
    if not found:
        raise DataError(f"{where}: neither prediction_id nor input_id", hint="each label says of which prediction")
    return tuple(found)


def _truth(where: str, values: Mapping[str, Any], task: str, classes: Sequence[str]) -> dict[str, Any]:
    """What `check_truth` takes; empty where the line says nothing."""
    out: dict[str, Any] = {}
    for form in FORMS[task]:
        value = values.get(form)
        if _is_empty(value):
            continue
        if form == "value":
            out[form] = _number(where, form, value)
        elif form == "class":
            out[form] = _class(value)
        elif form == "boxes":
            out[form] = _boxes(where, value)
        else:
            out[form] = _names(value)
    if out:
        return out
    if not _is_empty(values.get("true")) and FORMS[task] == ("value",):
        return {"value": _number(where, "true", values["true"])}
    if not _is_empty(values.get("true")) and FORMS[task] == ("class",):
        return {"class": _class(values["true"])}
    flags = {key.removeprefix("true:"): value for key, value in values.items() if key.startswith("true:")}
    if "classes" not in FORMS[task] or all(map(_is_empty, flags.values())):
        return {}
    for name in classes:
        if name not in flags:
            raise DataError(f"{where}: there is no column true:{name}", hint=nearest(f"true:{name}", values))
    for name, value in flags.items():
        if name in classes and (_is_empty(value) or _number(where, f"true:{name}", value) not in (0, 1)):
            raise DataError(f"{where}: true:{name} is {value!r}", hint="write 1 or 0 for each class")
    return {"classes": [name for name in classes if _number(where, name, flags[name]) == 1]}


def _at(where: str, values: Mapping[str, Any]) -> str:
    text = _plain(values.get("at"))
    try:
        return read_moment(text) if text else ""
    except (ValueError, OverflowError):
        raise DataError(f"{where}: at is {text!r}", hint="ISO 8601, such as 2026-05-01T12:00:00Z") from None


def _boxes(where: str, value: Any) -> Any:
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except (ValueError, RecursionError):
        hint = '[{"class": "bed", "x_min": 1, "y_min": 2, "x_max": 30, "y_max": 40}]'
        raise DataError(f"{where}: boxes is no JSON: {value[:60]!r}", hint=hint) from None


def _names(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    return [] if value.strip() == _NONE else [name.strip() for name in value.split(";") if name.strip()]


def _class(value: Any) -> Any:
    """A class as the model has it: tables make a number of 1."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value).strip() if isinstance(value, str | int | float) else value


def _number(where: str, column: str, value: Any) -> float:
    try:
        return float(value)
    except (TypeError, ValueError):
        raise DataError(f"{where}: {column} is {str(value)[:60]!r}", hint="write a number") from None


def _is_empty(value: Any) -> bool:
    return value is None or (isinstance(value, str) and not value.strip()) or value != value


def _plain(value: Any) -> str:
    return "" if _is_empty(value) else str(value).strip()


def _csv(path: Path) -> Iterator[_Line]:
    try:
        with open(path, newline="", encoding="utf-8-sig") as stream:
            reader = csv.DictReader(stream)
            _check_columns(path, reader.fieldnames or ())
            for row in reader:
                if None in row:
                    raise DataError(f"{path}:{reader.line_num}: more fields than columns", hint="quote the commas")
                yield f"{path}:{reader.line_num}", row
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path} cannot be read: {error}") from None


def _parquet(path: Path) -> Iterator[_Line]:
    from pyarrow import ArrowException, parquet

    try:
        table = parquet.read_table(path)
    except (ArrowException, OSError) as error:
        raise DataError(f"{path} cannot be read: {error}") from None
    _check_columns(path, table.column_names)
    for number, row in enumerate(table.to_pylist()):
        yield f"{path}: row {number}", row


def _lines(path: Path) -> Iterator[_Line]:
    try:
        with open(path, encoding="utf-8-sig") as stream:
            for number, line in enumerate(stream, start=1):
                if not line.strip():
                    continue
                try:
                    row = json.loads(line)
                except (ValueError, RecursionError) as error:
                    raise DataError(f"{path}:{number}: not JSON: {error}") from None
                if not isinstance(row, dict):
                    raise DataError(f"{path}:{number}: no JSON object", hint='{"prediction_id": "...", "class": "bed"}')
                yield f"{path}:{number}", row
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path} cannot be read: {error}") from None


def _check_columns(path: Path, columns: Sequence[str]) -> None:
    if not any(key in columns for key in _KEYS):
        raise DataError(f"{path} has no column prediction_id or input_id", hint=nearest("prediction_id", columns))
