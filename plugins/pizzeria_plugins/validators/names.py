"""Checks the names and arguments of a spec's expectations against `gx_names.json`, and imports no heavy library."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from pizzeria.errors import nearest
from pizzeria.tables import NAMES

_PYTHON_TYPES: dict[str, tuple[type, ...]] = {
    "string": (str,),
    "number": (int, float),
    "integer": (int,),
    "boolean": (bool,),
    "array": (list, tuple),
    "object": (dict,),
}
_NO_ROW_CONDITION = (
    "pandas would evaluate a text as code, and a spec never runs code; write it as GX's own mapping: "
    "{type: comparison, column: {name: carrier}, operator: ==, parameter: UA}, "
    "{type: nullity, column: {name: carrier}, is_null: false}, or {type: and, conditions: [...]}"
)
_OPERATORS = ("==", "!=", "<", "<=", ">", ">=", "IN", "NOT_IN")
_SEVERITIES = ("critical", "warning", "info")
_UNSAFE = re.compile(r"[`\\\x00-\x1f]")


def check_names(expectations: Mapping[str, Sequence[Mapping[str, Any]]]) -> list[tuple[str, str, str]]:
    """Faults as (path below `data.expectations`, message, hint); none when every name and argument is right.

    Example:
        >>> check_names({"boxes": [{"expect_column_to_exist": {"colum": "width"}}]})[0]
        ('boxes[0].expect_column_to_exist.colum', 'unknown argument colum', 'did you mean column?')
    """
    return list(_faults(expectations))


def in_memory_only() -> frozenset[str]:
    """Expectations that Great Expectations has on pandas and not on SQL."""
    return frozenset(name for name, entry in known().items() if not entry["sql"])


@cache
def known() -> dict[str, Any]:
    """The content of `gx_names.json`; see `pizzeria_plugins.validators.list_names`."""
    names: dict[str, Any] = json.loads(Path(__file__).with_name("gx_names.json").read_text())
    return names


def _faults(expectations: Mapping[str, Sequence[Mapping[str, Any]]]) -> Iterator[tuple[str, str, str]]:
    for table, entries in expectations.items():
        if table not in NAMES:
            yield table, f"unknown table {table}", nearest(table, NAMES)
            continue
        for position, entry in enumerate(entries):
            path = f"{table}[{position}]"
            if len(entry) != 1:
                found = ", ".join(entry) or "nothing"
                yield path, f"one expectation expected, found {found}", "start each expectation with its own dash"
                continue
            ((name, arguments),) = entry.items()
            yield from _faults_of_one(f"{path}.{name}", name, arguments)


def _faults_of_one(path: str, name: str, arguments: Any) -> Iterator[tuple[str, str, str]]:
    if name not in known():
        yield path, f"unknown expectation {name}", _nearest(name)
        return
    if not isinstance(arguments, Mapping):
        yield path, f"arguments must be a mapping, found {arguments!r}", f"write {name}: {{column: ...}}"
        return
    rules = known()[name]["arguments"]
    for key, value in arguments.items():
        if key == "severity":
            if value not in _SEVERITIES:
                yield f"{path}.{key}", f"{value!r} is not allowed", f"write one of {', '.join(_SEVERITIES)}"
        elif key == "row_condition" and known()[name]["conditional"] and isinstance(value, Mapping):
            yield from _faults_of_condition(f"{path}.{key}", value)
        elif key in ("row_condition", "condition_parser"):
            yield f"{path}.{key}", f"{key} is not allowed", _NO_ROW_CONDITION
        elif key not in rules:
            yield f"{path}.{key}", f"unknown argument {key}", nearest(key, rules)
        elif wrong := _wrong(value, rules[key]):
            yield f"{path}.{key}", f"{value!r} is not allowed", wrong
        elif key == "mostly" and not value:
            yield (
                f"{path}.{key}",
                "it asks this of no row",
                "write more than 0, or severity: info",
            )
    for key in known()[name]["required"]:
        if key not in arguments:
            yield path, f"argument {key} is missing", f"add {key}"


def _faults_of_condition(path: str, value: Any, depth: int = 0) -> Iterator[tuple[str, str, str]]:
    """Of a condition as Great Expectations writes it down. Only plain values go through: what pandas is then asked is
    put together from a column's name, an operator and the values' literals."""
    kind = value.get("type") if isinstance(value, Mapping) else None
    keys = {
        "comparison": {"type", "column", "operator", "parameter"},
        "nullity": {"type", "column", "is_null"},
        "and": {"type", "conditions"},
        "or": {"type", "conditions"},
    }.get(str(kind))
    if keys is None or set(value) != keys or depth > 2:
        yield path, f"{value!r} is no condition", _NO_ROW_CONDITION
        return
    if "conditions" in keys:
        parts = value["conditions"]
        if not isinstance(parts, list | tuple) or not 1 <= len(parts) <= 20:
            yield f"{path}.conditions", f"{parts!r} is not allowed", "write a list of conditions"
            return
        for position, part in enumerate(parts):
            yield from _faults_of_condition(f"{path}.conditions[{position}]", part, depth + 1)
        return
    column = value["column"]
    if not (isinstance(column, Mapping) and set(column) == {"name"} and _plain_text(column["name"])):
        yield f"{path}.column", f"{column!r} is not allowed", "write {name: COLUMN}"
    if kind == "nullity":
        if not isinstance(value["is_null"], bool):
            yield f"{path}.is_null", f"{value['is_null']!r} is not allowed", "write true or false"
        return
    if value["operator"] not in _OPERATORS:
        yield f"{path}.operator", f"{value['operator']!r} is not allowed", f"write one of {', '.join(_OPERATORS)}"
    parameter = value["parameter"]
    many = value["operator"] in ("IN", "NOT_IN")
    values = parameter if many and isinstance(parameter, list | tuple) and len(parameter) <= 1000 else [parameter]
    if not all(_plain_text(each) or type(each) in (int, float, bool) for each in values):
        yield f"{path}.parameter", f"{parameter!r} is not allowed", "write a number, a plain text, or a list of them"


def _plain_text(value: Any) -> bool:
    return isinstance(value, str) and len(value) <= 200 and not _UNSAFE.search(value)


def _wrong(value: Any, rule: Mapping[str, Any]) -> str:
    """What to write instead of `value`; empty when it is right. None is GX's own 'not given'."""
    if value is None:
        return ""
    types = rule["type"]
    allowed = tuple(kind for name in types for kind in _PYTHON_TYPES[name])
    if not isinstance(value, allowed) or (isinstance(value, bool) and "boolean" not in types):
        return f"write a value of type {' or '.join(types)}"
    if "enum" in rule and value not in rule["enum"]:
        return f"write one of {', '.join(map(str, rule['enum']))}"
    if isinstance(value, int | float) and not rule.get("minimum", value) <= value <= rule.get("maximum", value):
        bounds = [f"{word} {rule[key]:g}" for key, word in (("minimum", "from"), ("maximum", "to")) if key in rule]
        return f"write a number {' '.join(bounds)}"
    return ""


def _nearest(name: str) -> str:
    """The nearest expectations; all fifty names would bury the message."""
    hint = nearest(name, known())
    return hint if hint.startswith("did you mean") else "greatexpectations.io/expectations lists them"
