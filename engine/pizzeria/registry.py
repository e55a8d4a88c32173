"""Finds plugins: entry points in groups `pizzeria.<kind>`, and `./plugins/<kind>/<name>.py` of the working folder.

Nothing is imported until a spec names it, and the built-in plugins come the same way as a stranger's.
"""

from __future__ import annotations

import importlib.util
import sys
import threading
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import cache, partial
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from types import ModuleType
from typing import Any

from pizzeria.errors import PluginError, nearest
from pizzeria.plugin_guard import Guarded, check_parts, guarded_import

KINDS = {
    "sources": ("Options", "TASKS", "inputs", "collect"),
    "validators": ("Options", "check_names", "validate"),
    "features": ("Options", "TASKS", "build"),
    "models": ("Options", "TASKS", "build", "export"),
    "trainers": ("Options", "train", "predict"),
    "runners": ("Options", "train", "each"),
    "evaluators": ("Options", "calibrate", "evaluate", "verdict_bands", "verdict_figures"),
    "servers": ("Options", "render"),
    "targets": ("Options", "render", "apply", "status", "remove"),
    "prediction_logs": ("Options", "writer", "read", "photo", "prune"),
    "monitors": ("Options", "judge"),
    "alerts": ("Options", "send"),
    "trackers": ("Options", "begin"),
}
"""Each kind with what `pizzeria.contracts` asks of its plugins."""
_importing: dict[str, threading.RLock] = {}
"""By module of a file: held by the thread that imports it, as Python does for packages."""


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
    """Import one plugin, whose functions then fail with its name: see `pizzeria.plugin_guard`.

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
    return take(kind, found[0])


def take(kind: str, found: Found) -> Any:
    """Import the plugin that was found; for one that stands neither in ./plugins nor in a package, see `of_file`.

    Raises:
        PluginError: it cannot be imported, or lacks a part of its contract.
    """
    what = f"the plugin {found.name!r} ({found.origin})"
    point = found.entry_point
    plugin = guarded_import(what, point.load if point is not None else partial(_import_file, kind, found))
    check_parts(what, kind, KINDS[kind], plugin)
    return Guarded(kind, found.name, found.origin, plugin)


def of_file(file: Path) -> Found:
    """A plugin in a file anywhere."""
    return Found(file.stem, str(file), file=file.absolute())


def sound(kind: str) -> Iterator[tuple[str, Any]]:
    """Name and plugin of all of a kind that can be used; broken ones are passed over."""
    for name in find(kind):
        with suppress(PluginError):
            yield name, load(kind, name)


def broken(kind: str) -> Iterator[str]:
    """What is wrong with each plugin of a kind that cannot be used."""
    for name in find(kind):
        try:
            load(kind, name)
        except PluginError as error:
            yield error.message


def _import_file(kind: str, found: Found) -> ModuleType:
    assert found.file is not None
    name = f"pizzeria_local.{kind}.{found.name}"
    with _importing.setdefault(name, threading.RLock()):  # or another thread would take the half of it that is there
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
    if isinstance(plugin, Guarded):
        plugin = plugin.plugin
    return plugin if isinstance(plugin, ModuleType) else import_module(type(plugin).__module__)
