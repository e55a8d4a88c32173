"""What can be said of a plugin to somebody who may want to use it."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import yaml
from pydantic import BaseModel

from pizzeria import registry
from pizzeria.errors import PluginError, nearest
from pizzeria.registry import Found
from pizzeria.spec_reference import Row, option_rows

_PLACES = {
    "sources": ("data",),
    "features": ("features",),
    "models": ("model",),
    "trainers": ("training",),
    "runners": ("runner",),
    "evaluators": ("evaluation",),
    "servers": ("serving",),
    "targets": ("deployment",),
    "prediction_logs": ("serving", "log"),
    "monitors": ("monitoring",),
    "alerts": ("monitoring", "alerts", "-"),
    "trackers": ("tracking", "-"),
}
"""By kind, the keys of a spec below which a plugin of it is named; `-` is an entry of a list."""
_OPTIONAL = {
    "targets": {
        "build": "writes what is taken along",
        "stage": "lets a new model take over in steps (deployment.rollout)",
        "LOCK": "ships the packages that `pizzeria sbom --image` lists",
        "SCHEDULES": "installs deployment.schedule",
    },
    "prediction_logs": {
        "interval_s": "says how often it is written",
        "secrets": "needs secrets",
        "local_files": "says whether it needs files that stay",
        "add_labels": "keeps ground truth that comes later",
    },
    "sources": {"recognise": "knows its data by their looks (pizzeria init)"},
    "features": {"inputs": "is decided by files too"},
    "models": {"check": "checks the spec", "inputs": "is decided by files too"},
    "trainers": {"together": "trains in several processes (runner)"},
    "validators": {"profile": "learns expectations from data (pizzeria data profile, data.reference)"},
    "monitors": {"check": "checks the spec"},
    "trackers": {"prepare": "imports its libraries beforehand"},
    "alerts": {"secrets": "needs secrets", "show": "shows the state after each pass"},
}
"""By kind, what a plugin may have besides."""


@dataclass(frozen=True)
class Facts:
    """One plugin.

    Attributes:
        origin: Distribution and module, or file.
        version: Of its distribution; empty for a file.
        summary: First line of its docstring.
        documentation: The whole docstring.
        options: A row for each option.
        abilities: What it can do besides, in words, by the name of the part.
        snippet: YAML to paste into a spec.
        fault: Why it cannot be used; empty when it can.
        hint: What to do about that.
    """

    kind: str
    name: str
    origin: str
    version: str = ""
    summary: str = ""
    documentation: str = ""
    options: tuple[Row, ...] = ()
    abilities: Mapping[str, str] | None = None
    snippet: str = ""
    fault: str = ""
    hint: str = ""


def facts_of(kind: str) -> list[Facts]:
    """All plugins of a kind, the broken ones with their fault."""
    return [_facts(kind, name, found) for name, found in registry.find(kind).items()]


def find_plugin(name: str, kind: str | None = None) -> Facts:
    """One plugin by its name, and by its kind where two kinds have one of that name.

    Raises:
        PluginError: there is none, or more than one.
    """
    if kind is not None and kind not in registry.KINDS:
        raise PluginError(f"there is no kind {kind!r}", hint=nearest(kind, registry.KINDS))
    kinds = list(registry.KINDS) if kind is None else [kind]
    found = [(one, registry.find(one)[name]) for one in kinds if name in registry.find(one)]
    if not found:
        every = {other for one in kinds for other in registry.find(one)}
        raise PluginError(
            f"there is no plugin {name!r}" + (f" among the {kind}" if kind else ""), hint=nearest(name, every)
        )
    if len(found) > 1:
        named = " and ".join(one for one, _ in found)
        raise PluginError(f"{name!r} is there among the {named}", hint=f"say the kind first: {found[-1][0]} {name}")
    return _facts(found[0][0], name, found[0][1])


def snippet(kind: str, name: str, options: Mapping[str, Any]) -> str:
    """YAML that names a plugin in a spec.

    Example:
        >>> print(snippet("alerts", "bell", {"path": "ring.txt"}))
        monitoring:
          alerts:
            - use: bell
              path: ring.txt
    """
    if kind == "validators":
        return f"data:\n  validator: {name}"
    lines = yaml.safe_dump({"use": name, **options}, sort_keys=False, allow_unicode=True, width=110).splitlines()
    *above, last = _PLACES[kind]
    if last == "-":
        lines = [f"- {lines[0]}", *(f"  {line}" for line in lines[1:])]
    else:
        above = [*above, last]
    head = [f"{'  ' * depth}{key}:" for depth, key in enumerate(above)]
    return "\n".join([*head, textwrap.indent("\n".join(lines), "  " * len(above))])


def _facts(kind: str, name: str, found: list[Found]) -> Facts:
    origin = " and ".join(one.origin for one in found)
    point = found[0].entry_point
    version = point.dist.version if point is not None and point.dist is not None else ""
    if len(found) > 1:
        return Facts(kind, name, origin, fault="named twice, cannot be used", hint="rename or remove one")
    try:
        plugin = registry.load(kind, name)
    except PluginError as error:
        return Facts(kind, name, origin, version, fault=error.message, hint=error.hint)
    documentation = (getattr(plugin.plugin, "__doc__", None) or "").strip()
    model: type[BaseModel] = plugin.Options
    return Facts(
        kind,
        name,
        origin,
        version,
        " ".join(documentation.split("\n\n")[0].split()),
        documentation,
        tuple(option_rows(model)),
        {part: says for part, says in _OPTIONAL.get(kind, {}).items() if getattr(plugin, part, False)},
        snippet(kind, name, _values(model)),
    )


def _values(model: type[BaseModel]) -> dict[str, Any]:
    """Each option with its default, as YAML has it; `...` where the user must write something."""
    out: dict[str, Any] = {}
    for name, info in model.model_fields.items():
        key = info.alias or name
        if info.is_required():
            out[key] = "..."
            continue
        default = info.get_default(call_default_factory=True, validated_data={})
        out[key] = _plain(default)
    return out


def _plain(value: Any) -> Any:
    from pydantic_core import to_jsonable_python

    return to_jsonable_python(value, fallback=str)
