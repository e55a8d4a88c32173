"""What decides a stage's result, and a hash of it: spec part, inputs, data and code.

Code is hashed by following imports from the stage's and its plugins' modules through their own packages, so that a
change to one plugin reruns what it did and no more. Declarations (spec, contracts, errors) do no work and do not count.
"""

from __future__ import annotations

import ast
import hashlib
import importlib.util
import json
import sqlite3
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

from pizzeria.errors import DataError

_DECLARATIONS = (
    "pizzeria.atomic",
    "pizzeria.contracts",
    "pizzeria.errors",
    "pizzeria.progress",
    "pizzeria.registry",
    "pizzeria.runs",
    "pizzeria.spec",
    "pizzeria.stages.stage",
    "pizzeria.tracking",
)
_RACY_S = 2.0


def digest(value: Any) -> str:
    """sha256 over canonical JSON: sorted keys, no spaces.

    Example:
        >>> digest({"b": 1, "a": 2}) == digest({"a": 2, "b": 1})
        True
    """
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, default=str)
    return hashlib.sha256(text.encode()).hexdigest()


def flatten(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Each leaf of nested mappings with its dotted path; lists count as leaves.

    Example:
        >>> dict(flatten({"model": {"use": "x", "depth": 3}}))
        {'model.use': 'x', 'model.depth': 3}
    """
    if isinstance(value, Mapping) and value:
        for key, item in value.items():
            yield from flatten(item, f"{path}.{key}" if path else str(key))
    else:
        yield path, value


def code_hashes(modules: Sequence[ModuleType]) -> dict[str, str]:
    """sha256 of each source file that the modules' own packages contribute, by module name."""
    found: dict[str, str] = {}
    waiting = [(module.__name__, Path(str(module.__file__))) for module in modules]
    while waiting:
        name, path = waiting.pop()
        if name in found:
            continue
        sha, imports = _read_once(path, name)
        found[name] = sha
        own = {name.split(".")[0], "pizzeria"}
        for target in imports:
            if target.split(".")[0] in own and not _declares(target) and target not in found:
                file = _found_once(target)
                if file is not None:
                    waiting.append((target, file))
    return found


def _declares(name: str) -> bool:
    return any(name == one or name.startswith(f"{one}.") for one in _DECLARATIONS)


def _source(path: Path, name: str) -> tuple[str, tuple[str, ...]]:
    data = path.read_bytes()
    imports: list[str] = []
    package = name if path.name == "__init__.py" else name.rpartition(".")[0]
    for node in ast.walk(ast.parse(data)):
        if isinstance(node, ast.Import):
            imports += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                parents = package.split(".")[: len(package.split(".")) - node.level + 1]
                base = ".".join([*parents, *([base] if base else [])])
            imports += [base, *(f"{base}.{alias.name}" for alias in node.names)]
    return hashlib.sha256(data).hexdigest(), tuple(imports)


def _file_of(name: str) -> Path | None:
    """The source file of a module, found without importing anything; None for names that are no module."""
    root, *parts = name.split(".")
    spec = importlib.util.find_spec(root)
    for location in (spec.submodule_search_locations or ()) if spec is not None else ():
        path = Path(location, *parts)
        for file in (path.with_suffix(".py"), path / "__init__.py"):
            if file.is_file():
                return file
    return None


_read_once, _found_once = cache(_source), cache(_file_of)


class FileHashes:
    """sha256 of files, remembered by size and modification time so that unchanged files are not read again.

    Args:
        path: The SQLite file of what is remembered; may be deleted at any time.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def of(self, paths: Sequence[Path | str]) -> str | None:
        """One hash over the names and contents of files and folders; None when there are none.

        Args:
            paths: A text stands for itself: what a source says of data that are no file here, such as the listing of
                a bucket.

        Raises:
            DataError: a path does not exist.
        """
        if not paths:
            return None
        with closing(sqlite3.connect(self._path, timeout=30)) as known:
            known.execute("create table if not exists file(path text primary key, size int, mtime int, sha256 text)")
            files = _files([path for path in paths if isinstance(path, Path)])
            read: list[tuple[str, int, int, str]] = []
            entries = [(name, self._one(known, file, read)) for name, file in files]
            # All at once at the end: who writes keeps others out, and it may take hours to read the files.
            known.executemany("insert or replace into file values (?, ?, ?, ?)", read)
            known.commit()
        return digest(entries + [(path, "") for path in paths if isinstance(path, str)])

    def _one(self, known: sqlite3.Connection, file: Path, read: list[tuple[str, int, int, str]]) -> str:
        stat, looked = file.stat(), time.time()
        key = str(file.absolute())
        row = known.execute("select size, mtime, sha256 from file where path = ?", (key,)).fetchone()
        if row is not None and row[:2] == (stat.st_size, stat.st_mtime_ns):
            return str(row[2])
        with open(file, "rb") as stream:
            sha = hashlib.file_digest(stream, "sha256").hexdigest()
        # A file changed a moment before may change again within the clock's step, so it is not remembered yet.
        if looked - stat.st_mtime > _RACY_S:
            read.append((key, stat.st_size, stat.st_mtime_ns, sha))
        return sha


def _files(paths: Sequence[Path]) -> Iterator[tuple[str, Path]]:
    for path in paths:
        if path.is_dir():
            for file in sorted(_below(path)):
                yield f"{path.name}/{file.relative_to(path)}", file
        elif path.exists():
            yield path.name, path
        else:
            raise DataError(
                f"there is no {path}", hint="check the path, or set it on the command line: data.<option>=..."
            )


def _below(folder: Path, above: frozenset[Path] = frozenset()) -> Iterator[Path]:
    """Files in a folder and its folders, also in those that are links, for they are read as well.

    A link to a folder that it lies in has nothing of its own.
    """
    real = folder.resolve()
    if real in above:
        return
    for path in folder.iterdir():
        if path.is_dir():
            yield from _below(path, above | {real})
        elif path.is_file():
            yield path
