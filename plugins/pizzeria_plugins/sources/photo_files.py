"""Which files of a folder are photos. Whether they can be decoded is for the engine to see."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from pizzeria.account import Account
from pizzeria.inference.photos import stored_format_of

SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff")


def photos_in(folder: Path, account: Account, *, other_than: Path | None = None) -> Iterator[Path]:
    """Yield the photos below a folder, by name; whatever else lies there is counted as read and set aside.

    A file is a photo by its name or by its first bytes; a hidden file is none.

    Args:
        other_than: A file that is not looked at, such as the labels.
    """
    skipped = other_than.resolve() if other_than is not None else None
    for path in sorted(folder.rglob("*")):
        if not path.is_file() or (skipped is not None and path.resolve() == skipped):
            continue
        account.add("images", 1)
        if path.name.startswith("."):
            account.set_aside("images", "a hidden file", str(path))
        elif path.suffix.lower() not in SUFFIXES and not _begins_as_photo(path):
            account.set_aside("images", "no photo, by its name and its first bytes", str(path))
        else:
            yield path


def _begins_as_photo(path: Path) -> bool:
    try:
        with open(path, "rb") as stream:
            return stored_format_of(stream.read(16)) is not None
    except OSError:
        return False
