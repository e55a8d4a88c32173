"""What shows that a file which a stage left is still the one that it left.

`result.json` has the sha256 of every other file of its folder, and its own `seal`: the sha256 of all that it says. A
changed, missing or added file is told by its name. A file is read once in a process, and again when its state on disk
(inode, size, times) is another one.

    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> _ = (folder / "splits.csv").write_text("a,train")
    >>> sealed = hashes(folder)
    >>> check(folder, sealed)
    >>> _ = (folder / "splits.csv").write_text("a,test")
    >>> faults(folder, sealed)
    ['splits.csv was changed']
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pizzeria import atomic
from pizzeria.errors import DamagedError
from pizzeria.hashing import sha256_of, sha256_of_all

RESULT = "result.json"
_MOST = 5
"""Faults that one message names."""
_SEALED = "# sealed "


def hashes(folder: Path) -> dict[str, str]:
    """sha256 of each file below a folder by its relative path, but for its result."""
    files = _files(folder)
    return dict(zip(files, sha256_of_all(folder / name for name in files), strict=True))


def faults(folder: Path, sealed: Mapping[str, str]) -> list[str]:
    """What is not as it was sealed, by file; empty when all is."""
    found = hashes(folder)
    told = [f"{name} is missing" for name in sealed.keys() - found.keys()]
    told += [f"{name} was not there when it was sealed" for name in found.keys() - sealed.keys()]
    told += [f"{name} was changed" for name in sealed.keys() & found.keys() if sealed[name] != found[name]]
    return sorted(told)


def check(folder: Path, sealed: Mapping[str, str]) -> None:
    """Check all files of a folder.

    Raises:
        DamagedError: names those that are not as they were sealed.
    """
    try:
        found = faults(folder, sealed)
    except OSError as error:
        found = [f"{error.filename or folder} cannot be read: {error.strerror}"]
    if found:
        raise damaged(folder, found)


def check_file(folder: Path, name: str) -> None:
    """Check one file of a stage's folder; one that no result seals is let pass.

    Raises:
        DamagedError: it, or the result, was changed.
    """
    plain = read(folder / RESULT) if (folder / RESULT).exists() else None
    if plain is None or name == RESULT or not (folder / name).is_file():
        return
    if plain["files"].get(name) != sha256_of(folder / name):
        raise damaged(folder, [f"{name} was changed"])


def write(path: Path, plain: Mapping[str, Any]) -> None:
    """Write a result with its seal."""
    told = atomic.finite(dict(plain))
    atomic.write_json(path, told | {"seal": seal_of(told)})


def read(path: Path) -> dict[str, Any] | None:
    """What a sealed JSON file says; None when an earlier Pizzeria wrote it, which sealed nothing.

    Raises:
        DamagedError: a byte of it was changed.
        FileNotFoundError: it is not there.
    """
    text = path.read_bytes()
    try:
        plain = json.loads(text)
        if not isinstance(plain, dict):
            raise ValueError("it holds no object")
        if "seal" not in plain and "files" not in plain:
            return None
        if not isinstance(plain.get("files"), dict):
            raise ValueError("its list of files is gone")
        told = {key: value for key, value in plain.items() if key != "seal"}
        if plain.get("seal") != seal_of(told) or text != atomic.json_bytes(plain):
            raise ValueError("its seal does not fit what it says")
    except (ValueError, RecursionError) as error:
        raise damaged(path.parent, [f"{path.name} was changed: {error}"]) from None
    return plain


def sealed_text(text: str) -> bytes:
    """A YAML text with its seal as a comment above it.

    Example:
        >>> sealed_text("name: a")[:20], sealed_text("name: a")[-8:]
        (b'# sealed 38702603204', b'\\nname: a')
    """
    return f"{_SEALED}{hashlib.sha256(text.encode()).hexdigest()}\n{text}".encode()


def check_text(path: Path) -> None:
    """Check a text with a seal; one without is let pass.

    Raises:
        DamagedError: it was changed.
        FileNotFoundError: it is not there.
    """
    data = path.read_bytes()
    head, _, rest = data.partition(b"\n")
    if head.startswith(_SEALED.encode()) and data != sealed_text(rest.decode(errors="replace")):
        raise DamagedError(
            f"{path} is damaged: it is not what its first line seals",
            hint="give the same `pizzeria run` again: it writes it anew",
        )


def damaged(folder: Path, told: Sequence[str]) -> DamagedError:
    """The error for a stage's folder, and how it is made anew."""
    more = f"; and {len(told) - _MOST} more" if len(told) > _MOST else ""
    return DamagedError(
        f"{folder} is damaged: {'; '.join(told[:_MOST])}{more}",
        hint=f"make it anew: remove it (rm -r {folder}), and give the same `pizzeria run` again",
    )


def _files(folder: Path) -> list[str]:
    found = (path for path in folder.rglob("*") if path.is_file())
    return sorted(name for path in found if (name := path.relative_to(folder).as_posix()) != RESULT)


def seal_of(told: Mapping[str, Any]) -> str:
    """The sha256 of all that plain data say, in whatever order."""
    text = json.dumps(told, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()
