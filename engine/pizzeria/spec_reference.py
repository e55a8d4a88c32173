"""docs/spec.md: every section, key, default and plugin, written from the models themselves."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, NamedTuple, get_args, get_origin

from pydantic import BaseModel
from pydantic_core import PydanticUndefined

from pizzeria import registry
from pizzeria.spec.section import PluginSection
from pizzeria.spec.spec import Spec
from pizzeria.tasks import NAMES, task

_HEAD = """# The spec, key by key

Written from the models by `make schema`; do not edit. Values below are the defaults; *required* means that a spec (or a
config group that it names) must set the key. `pizzeria validate` checks all of it, and conf/spec.schema.json lets
an editor complete it.

"""


def markdown() -> str:
    """The whole reference, with the options of every installed plugin."""
    lines = [_HEAD, "| key | type | default | meaning |\n|---|---|---|---|\n"]
    lines.append("| `name` | text | *required* | Lower-case name of the model. |\n")
    for name, info in Spec.model_fields.items():
        section = _model_in(info.annotation)
        if section is not None:
            lines += _section(f"{name}[]" if get_origin(info.annotation) is tuple else name, section)
    lines.append("\n## Metrics\n\nWhat `problem.success` may name, by task.\n")
    for name in NAMES:
        lines.append(f"\n### {name}\n\n| metric | meaning | better | by class |\n|---|---|---|---|\n")
        for metric, one in task(name).METRICS.items():
            lines.append(f"| `{metric}` | {one.meaning} | {one.better} | {'yes' if one.by_class else ''} |\n")
    return "".join(lines)


def _section(name: str, section: type[BaseModel]) -> Iterator[str]:
    yield f"\n## `{name}`\n\n{_first_paragraph(section)}\n\n"
    yield from _table(section, "")
    yield from _plugins(section)
    for key, info in section.model_fields.items():
        inner = _model_in(info.annotation)
        if inner is not None:
            yield f"\n### `{name}.{key}`\n\n{_first_paragraph(inner)}\n\n"
            yield from _table(inner, "")
            yield from _plugins(inner)


def _plugins(section: type[BaseModel]) -> Iterator[str]:
    if not issubclass(section, PluginSection):
        return
    for name, plugin in registry.sound(section.KIND):
        options = plugin.Options
        yield f"\n#### `use: {name}`\n\n"
        if options.model_fields:
            yield from _table(options, "")
        else:
            yield "No options.\n"


class Row(NamedTuple):
    """One key of a section or of a plugin, in words."""

    key: str
    type: str
    default: str
    """As one would write it; `required` where there is none."""
    meaning: str


def option_rows(model: type[BaseModel]) -> Iterator[Row]:
    """A row for each key of a model."""
    for name, info in model.model_fields.items():
        if name == "options":
            continue
        default = "required" if info.is_required() else _plain(info.get_default(call_default_factory=True))
        meaning = " ".join(part for part in (info.description or "", _bounds(info.metadata)) if part)
        yield Row(info.alias or name, _type(info.annotation), default, meaning)


def _table(model: type[BaseModel], prefix: str) -> Iterator[str]:
    yield "| key | type | default | meaning |\n|---|---|---|---|\n"
    for row in option_rows(model):
        default = "*required*" if row.default == "required" else f"`{row.default}`"
        yield f"| `{prefix}{row.key}` | {_cell(row.type)} | {_cell(default)} | {_cell(row.meaning)} |\n"


def _plain(default: Any) -> str:
    if default is PydanticUndefined:
        return ""
    if isinstance(default, BaseModel):
        return str(default.model_dump(mode="json", exclude_none=True))
    if isinstance(default, tuple):
        return "[" + ", ".join(map(_plain, default)) + "]"
    if default is None or isinstance(default, bool):
        return {None: "null", True: "true", False: "false"}[default]
    return str(default) or '""'


def _bounds(metadata: list[Any]) -> str:
    words = {"gt": "above", "ge": "at least", "lt": "below", "le": "at most"}
    found = [f"{word} {getattr(one, key):g}" for one in metadata for key, word in words.items() if hasattr(one, key)]
    return f"({', '.join(found)})" if found else ""


def _type(annotation: Any) -> str:
    names = {
        int: "integer",
        float: "number",
        str: "text",
        bool: "true or false",
        type(None): "null",
        Path: "path",
        Any: "any",
    }
    if annotation in names:
        return names[annotation]
    arguments = get_args(annotation)
    if get_origin(annotation) is Annotated:
        return _type(arguments[0])
    if str(annotation).startswith("typing.Literal"):
        return " or ".join(f"`{one}`" for one in arguments)
    if getattr(annotation, "__origin__", None) in (tuple, list):
        return f"list of {_type(arguments[0])}"
    if getattr(annotation, "__origin__", None) is dict:
        return f"mapping of {_type(arguments[0])} to {_type(arguments[1])}"
    if arguments:
        return " or ".join(map(_type, arguments))
    return f"section {annotation.__name__}" if isinstance(annotation, type) else str(annotation)


def _model_in(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((found for one in get_args(annotation) if (found := _model_in(one)) is not None), None)


def _first_paragraph(model: type[BaseModel]) -> str:
    return " ".join((model.__doc__ or "").split("\n\n")[0].split())


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")
