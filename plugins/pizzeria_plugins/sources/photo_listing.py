"""Finds the photos below a folder, and keeps names that data give inside of it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from pizzeria.account import Account
from pizzeria_plugins.sources.photo_files import SUFFIXES

SPLITS = {
    "train": "train",
    "training": "train",
    "val": "validation",
    "valid": "validation",
    "validation": "validation",
    "dev": "validation",
    "test": "test",
    "testing": "test",
}
"""What folders and files call a split, and what it is called here."""

HIDDEN = "a hidden file"


def photos_below(folder: Path, account: Account | None = None) -> list[str]:
    """Names of the photos, relative to `folder` with slashes, in order; with an account, hidden ones are counted there.

    Links to folders are not followed.
    """
    found = []
    for name in sorted(_walk(folder)):
        if not is_photo(name):
            continue
        if _is_hidden(name):
            if account is not None:
                account.add("images", 1)
                account.set_aside("images", HIDDEN, name)
        else:
            found.append(name)
    return found


def files_below(folder: Path) -> list[str]:
    """Names of all files but hidden ones, relative to `folder` with slashes, in order."""
    return sorted(name for name in _walk(folder) if not _is_hidden(name))


def _walk(folder: Path) -> Iterator[str]:
    for at, _, names in os.walk(folder):
        below = Path(at).relative_to(folder).as_posix()
        for name in names:
            yield name if below == "." else f"{below}/{name}"


def _is_hidden(name: str) -> bool:
    return any(part.startswith(".") for part in PurePosixPath(name).parts)


def is_photo(name: str) -> bool:
    """Whether a file's name ends as a photo's does.

    Example:
        >>> is_photo("a/1.JPG"), is_photo("a/1.xml")
        (True, False)
    """
    return PurePosixPath(name).suffix.lower() in SUFFIXES


def leads_out(name: str) -> bool:
    r"""Whether a name that data give is no plain path below a folder, also as Windows would read it.

    Example:
        >>> [leads_out(name) for name in ("a/1.jpg", "../1.jpg", "/etc/passwd", "C:\\1.jpg", "a\\..\\..\\1.jpg")]
        [False, True, True, True, True]
    """
    plain = name.replace("\\", "/")
    path = PurePosixPath(plain)
    return not plain or "\0" in plain or path.is_absolute() or ".." in path.parts or plain[1:2] == ":"


def split_of(name: str) -> str | None:
    """The split that a folder in a relative path names, the outermost first; None where none does.

    Example:
        >>> split_of("images/val2017/1.jpg"), split_of("valid/images/1.jpg"), split_of("photos/train.jpg")
        ('validation', 'validation', None)
    """
    for part in PurePosixPath(name).parts[:-1]:
        found = SPLITS.get(part.lower().rstrip("0123456789_-"))
        if found:
            return found
    return None
