"""Which modules of Pizzeria a function needs: those that its first ones import, and so on."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache

from pizzeria.shipment import wheel_files

_ROOTS = ("pizzeria_plugins.functions.app", "pizzeria.registry")
_WHOLE = ("pizzeria.tasks", "pizzeria_plugins.servers.site")
"""Packages of which parts are looked up by name."""
_OWN = ("pizzeria", "pizzeria_plugins")
_METADATA = ("METADATA", "entry_points.txt")
"""The registry finds plugins by these."""


def serving_files(roots: Sequence[str], strangers: Iterable[bytes] = ()) -> dict[str, bytes]:
    """Files of Pizzeria by their name in `sys.path`'s folder: modules, pages and the metadata that names the plugins.

    Args:
        roots: Modules that the function imports besides the app itself, such as its front's and the prediction log's.
        strangers: Sources of modules that are none of Pizzeria's, and import some.

    Example:
        >>> files = serving_files(["pizzeria_plugins.prediction_logs.lines"])
        >>> "pizzeria/inference/contract.py" in files, "pizzeria/execution.py" in files
        (True, False)
    """
    every = wheel_files()
    named = (name for source in strangers for name in _imports(source, _modules()))
    wanted = _reached((*roots, *named))
    out = {}
    for name, data in every.items():
        module = _module(name)
        whole = any(name.startswith(f"{package.replace('.', '/')}/") for package in _WHOLE)
        metadata = ".dist-info/" in name and name.rpartition("/")[2] in _METADATA
        if module in wanted or whole or metadata:
            out[name] = data
    return out


@cache
def _reached(roots: tuple[str, ...]) -> frozenset[str]:
    modules = _modules()
    found: set[str] = set()
    waiting = [*_ROOTS, *roots]
    while waiting:
        name = waiting.pop()
        if name in found or name not in modules:
            continue
        found.add(name)
        waiting += name.rpartition(".")[:1]
        waiting += _imports(modules[name], modules)
    return frozenset(found)


@cache
def _modules() -> Mapping[str, bytes]:
    return {_module(name): data for name, data in wheel_files().items() if name.endswith(".py")}


def _module(name: str) -> str:
    """`a/b.py` and `a/b/__init__.py` are a.b; anything else is none."""
    if not name.endswith(".py") or name.startswith("pizzeria/conf/"):
        return ""
    return name.removesuffix(".py").removesuffix("/__init__").replace("/", ".")


def _imports(source: bytes, modules: Mapping[str, bytes]) -> Iterator[str]:
    """Own modules that a source imports, anywhere but for type checkers."""
    waiting: list[ast.AST] = [ast.parse(source)]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
            waiting += node.orelse
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name.split(".")[0] in _OWN)
        elif isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] in _OWN:
            yield node.module
            yield from (name for alias in node.names if (name := f"{node.module}.{alias.name}") in modules)
        waiting += ast.iter_child_nodes(node)
