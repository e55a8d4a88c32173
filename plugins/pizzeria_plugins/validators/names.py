"""Checks the names and arguments of a spec's expectations against `gx_names.json`, and imports no heavy library."""

from __future__ import annotations

import json
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
_NO_ROW_CONDITION = "Pandas evaluates it as code, and a spec never runs code; filter in the source, or leave it out"


def check_names(expectations: Mapping[str, Sequence[Mapping[str, Any]]]) -> list[tuple[str, str, str]]:
    """Faults as (path below `data.expectations`, message, hint); none when every name and argument is right.

    Example:
        >>> check_names({"boxes": [{"expect_column_to_exist": {"colum": "width"}}]})[0]
        ('boxes[0].expect_column_to_exist.colum', 'unknown argument colum', 'did you mean column?')
    """
    return list(_faults(expectations))


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
        if key in ("row_condition", "condition_parser"):
            yield f"{path}.{key}", f"{key} is not allowed", _NO_ROW_CONDITION
        elif key not in rules:
            yield f"{path}.{key}", f"unknown argument {key}", nearest(key, rules)
        elif wrong := _wrong(value, rules[key]):
            yield f"{path}.{key}", f"{value!r} is not allowed", wrong
    for key in known()[name]["required"]:
        if key not in arguments:
            yield path, f"argument {key} is missing", f"add {key}"


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
