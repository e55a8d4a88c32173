"""One thing that may go, and how it goes."""

from __future__ import annotations

import os
import secrets
import shutil
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from stat import S_ISREG


@dataclass(frozen=True)
class Leftover:
    """Something that nobody needs.

    Attributes:
        what: Its kind, in words for people.
        size: Bytes that are free when it has gone.
    """

    what: str
    path: Path
    size: int

    @classmethod
    def at(cls, path: Path, what: str) -> Leftover:
        return cls(what, path, size_of(path))

    def remove(self) -> None:
        """Remove it. A folder loses its name first, so that a kill in the middle leaves nothing that looks whole.

        Raises:
            OSError: it may not be removed.
        """
        if self.path.is_symlink() or not self.path.is_dir():
            self.path.unlink(missing_ok=True)
            return
        going = self.path
        if not (going.name.startswith(".") and going.name.endswith(".tmp")):
            going = self.path.with_name(f".{self.path.name}.{secrets.token_hex(4)}.tmp")
            os.replace(self.path, going)  # noqa: PTH105
        shutil.rmtree(going)


def size_of(path: Path) -> int:
    """Bytes of a file, or of all files in a folder; what has another name elsewhere (a hard link) takes none.

    Example:
        >>> import tempfile
        >>> folder = Path(tempfile.mkdtemp())
        >>> _ = (folder / "a").write_bytes(b"12345")
        >>> size_of(folder)
        5
    """
    total = 0
    for one in within(path):
        with suppress(OSError):
            stat = one.lstat()
            total += stat.st_size if stat.st_nlink == 1 else 0
    return total


def idle_s(path: Path, *, read: bool = False) -> float:
    """Seconds since a file, or anything in a folder, was changed last.

    Args:
        read: Or read, where the file system keeps that.
    """
    newest = 0.0
    for one in (path, *within(path)):
        with suppress(OSError):
            stat = one.lstat()
            newest = max(newest, stat.st_mtime)
            if read and S_ISREG(stat.st_mode):  # a look into a folder reads it
                newest = max(newest, stat.st_atime)
    return time.time() - newest


def within(path: Path) -> list[Path]:
    """The file, or all files in the folder; no link is followed."""
    if path.is_symlink() or not path.is_dir():
        return [path]
    return [Path(at) / name for at, _, files in os.walk(path) for name in files]
