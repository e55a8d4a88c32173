"""Writes `gx_names.json`: what a spec may name of the installed Great Expectations, with the arguments.

`pizzeria validate` reads the listing instead of importing Great Expectations, which takes seconds. A test fails when
the listing and the installed library differ; then run `python -m pizzeria_plugins.validators.list_names`.

Left out: expectations that need a database; `expect_column_values_to_match_json_schema`, whose `$ref` can fetch from
the network; and what Great Expectations only displays (`notes`, `meta` ...), since YAML has comments. `severity` is
every expectation's, and `row_condition` is checked apart: pandas would evaluate a text as code, so a spec could run
some.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

PATH = Path(__file__).with_name("gx_names.json")
_LEFT_OUT = frozenset({"expect_column_values_to_match_json_schema"})
_DISPLAY = {"id", "meta", "notes", "description", "rendered_content", "severity", "metadata", "library_metadata"}
_RUNTIME = {"result_format", "catch_exceptions", "windows", "batch_id"}
_CODE = {"row_condition", "condition_parser"}
_NOT_ARGUMENTS = _DISPLAY | _RUNTIME | _CODE


def listing() -> dict[str, Any]:
    """`{expectation: {"required": [argument], "arguments": {argument: {"type": [...], "enum": [...], ...}}}}`, with
    `sql`, whether it runs on the SQL engine too, and `conditional`, whether it takes a `row_condition`."""
    from pizzeria_plugins.validators.great_expectations import import_quietly

    import_quietly()
    from great_expectations.expectations.registry import (
        get_expectation_impl,
        list_registered_expectation_implementations,
    )

    out = {}
    for name in sorted(list_registered_expectation_implementations()):
        schema = get_expectation_impl(name).schema()
        properties = schema["properties"]
        engines = properties["metadata"]["properties"].get("supported_data_sources", {}).get("const", ["Pandas"])
        if "Pandas" not in engines or name in _LEFT_OUT:
            continue
        arguments = {key: _rule(value) for key, value in properties.items() if key not in _NOT_ARGUMENTS}
        out[name] = {
            "required": sorted(schema.get("required", [])),
            "arguments": arguments,
            "sql": "PostgreSQL" in engines,
            "conditional": "row_condition" in properties,
        }
    return out


def text(names: Mapping[str, Any]) -> str:
    """The listing as JSON, one expectation a line, so that a change of the library reads well in a diff."""
    lines = [f"  {json.dumps(name)}: {json.dumps(entry, sort_keys=True)}" for name, entry in names.items()]
    return "{\n" + ",\n".join(lines) + "\n}\n"


def _rule(schema: Mapping[str, Any]) -> dict[str, Any]:
    leaves = list(_leaves(schema))
    types = {leaf.get("type", "object") for leaf in leaves}
    if len(types) > 1 and not any("$ref" in leaf for leaf in leaves):
        types.discard("object")  # {"$PARAMETER": ...}, which only a Checkpoint of Great Expectations can fill in
    rule: dict[str, Any] = {"type": sorted(types)}
    for leaf in leaves:
        rule |= {key: leaf[key] for key in ("enum", "minimum", "maximum") if key in leaf}
    return rule


def _leaves(schema: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    branches = schema.get("anyOf") or schema.get("oneOf") or schema.get("allOf")
    if branches is None:
        yield schema
        return
    for branch in branches:
        yield from _leaves(branch)


if __name__ == "__main__":
    PATH.write_text(text(listing()))
