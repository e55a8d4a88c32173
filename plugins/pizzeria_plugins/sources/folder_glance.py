"""A quick look at a folder, for `recognise`: names of files, not too many of each folder, and how a file begins."""

from __future__ import annotations

import os
from collections import deque
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath

from pizzeria_plugins.sources.photo_listing import is_photo

_MOST_FILES = 400
_MOST_FOLDERS = 1500


@dataclass(frozen=True)
class Glance:
    """What was seen.

    Attributes:
        root: The folder.
        names: Files, relative to it with slashes: those of `root` first, then folder by folder.
        folders: Folders, in the same way.
    """

    root: Path
    names: tuple[str, ...]
    folders: tuple[str, ...]

    @cached_property
    def photos(self) -> tuple[str, ...]:
        """Names of photos."""
        return tuple(name for name in self.names if is_photo(name))

    def ending(self, *suffixes: str) -> list[str]:
        """Names that end so, in lower case."""
        return [name for name in self.names if PurePosixPath(name).suffix.lower() in suffixes]

    def head(self, name: str, most: int = 4096) -> bytes:
        """The first bytes of a file; none where it cannot be read."""
        return head(self.root / name, most)


def glance(path: Path) -> Glance:
    """Look at a folder and those in it, but for hidden files and links to folders; where none is, nothing is seen."""
    names: list[str] = []
    folders: list[str] = []
    waiting = deque([""])
    while waiting and len(folders) < _MOST_FOLDERS:
        below = waiting.popleft()
        try:
            with os.scandir(path / below) as entries:
                found = sorted(
                    (entry.name, entry.is_dir())
                    for entry in entries
                    if not entry.name.startswith(".") and not (entry.is_symlink() and entry.is_dir())
                )
        except OSError:
            continue
        prefix = f"{below}/" if below else ""
        # Photos are many; a file that says what they are must not be missed for them.
        files = [name for name, is_folder in found if not is_folder]
        others = [name for name in files if not is_photo(name)]
        names += [prefix + name for name in (*others[:_MOST_FILES], *[n for n in files if is_photo(n)][:_MOST_FILES])]
        inside = [prefix + name for name, is_folder in found if is_folder]
        folders += inside
        if prefix.count("/") < 5:
            waiting.extend(inside)
    return Glance(path, tuple(names), tuple(folders))


def head(path: Path, most: int) -> bytes:
    """The first bytes of a file; none where it cannot be read."""
    try:
        with open(path, "rb") as stream:
            return stream.read(most)
    except OSError:
        return b""
