"""Finds plugins: entry points in groups `pizzeria.<kind>`, and `./plugins/<kind>/<name>.py` of the working folder.

Nothing is imported until a spec names it, and the built-in plugins come the same way as a stranger's.
"""

from __future__ import annotations

import importlib.util
import sys
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from types import ModuleType
from typing import Any

from pizzeria.errors import PluginError, nearest

KINDS = {
    "sources": ("Options", "TASKS", "inputs", "collect"),
    "validators": ("Options", "check_names", "validate"),
    "features": ("Options", "TASKS", "build"),
    "models": ("Options", "TASKS", "build", "export"),
    "trainers": ("Options", "train", "predict"),
    "evaluators": ("Options", "calibrate", "evaluate", "verdict_bands", "verdict_figures"),
    "servers": ("Options", "render"),
    "targets": ("Options", "render", "apply", "status", "remove"),
    "prediction_logs": ("Options", "writer", "read", "photo", "prune"),
    "monitors": ("Options", "judge"),
    "alerts": ("Options", "send"),
}
"""Each kind with what `pizzeria.contracts` asks of its plugins."""


@dataclass(frozen=True)
class Found:
    """Where a plugin is: an entry point of a distribution, or a file."""

    name: str
    origin: str
    entry_point: EntryPoint | None = None
    file: Path | None = None


@cache
def _installed(kind: str) -> tuple[Found, ...]:
    found = {
        (point.name, point.value): Found(point.name, f"{point.dist.name if point.dist else '?'}: {point.value}", point)
        for point in entry_points(group=f"pizzeria.{kind}")
    }
    return tuple(found.values())


def find(kind: str) -> dict[str, list[Found]]:
    """All plugins of a kind by name; more than one under a name means that the name cannot be used."""
    out: dict[str, list[Found]] = {}
    local = [
        Found(path.stem, f"./{path.relative_to(Path.cwd())}", file=path)
        for path in sorted((Path.cwd() / "plugins" / kind).glob("*.py"))
        if not path.stem.startswith("_")
    ]
    for found in (*_installed(kind), *local):
        out.setdefault(found.name, []).append(found)
    return dict(sorted(out.items()))


def load(kind: str, name: str) -> Any:
    """Import one plugin.

    Raises:
        PluginError: no plugin, or more than one, has this name; it cannot be imported; or lacks a part of its contract.
    """
    found = find(kind).get(name, [])
    if not found:
        hint = nearest(name, find(kind))
        raise PluginError(f"no plugin {name!r} among the {kind}", hint=hint)
    if len(found) > 1:
        origins = " and ".join(one.origin for one in found)
        raise PluginError(f"the plugin {name!r} of kind {kind} is there twice: {origins}", hint="rename or remove one")
    return _import(kind, found[0])


def _import(kind: str, found: Found) -> Any:
    try:
        plugin = found.entry_point.load() if found.entry_point else _import_file(kind, found)
    except PluginError:
        raise
    except Exception as error:  # whatever a plugin does on import is its fault, and is named
        raise PluginError(
            f"the plugin {found.name!r} ({found.origin}) cannot be imported: {type(error).__name__}: {error}",
            hint="pip install 'pizzeria[all]' if a library is missing" if isinstance(error, ImportError) else "",
        ) from error
    missing = [part for part in KINDS[kind] if not hasattr(plugin, part)]
    if missing:
        raise PluginError(
            f"the plugin {found.name!r} ({found.origin}) lacks {', '.join(missing)}",
            hint=f"docs/plugins.md says what each of the {kind} must offer",
        )
    return plugin


def _import_file(kind: str, found: Found) -> ModuleType:
    assert found.file is not None
    name = f"pizzeria_local.{kind}.{found.name}"
    loaded = sys.modules.get(name)
    if loaded is not None and loaded.__file__ == str(found.file):
        return loaded
    spec = importlib.util.spec_from_file_location(name, found.file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


def module_of(plugin: Any) -> ModuleType:
    """The module that a plugin is, or that defines it."""
    return plugin if isinstance(plugin, ModuleType) else import_module(type(plugin).__module__)
