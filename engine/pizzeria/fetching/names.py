"""Names that come from elsewhere, from a bucket or an archive, before they become paths here."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import PurePosixPath

from pizzeria.errors import DataError


def safe(name: str, where: str) -> str:
    """The name, if it stays within the folder that it is put in.

    Raises:
        DataError: it does not, or cannot be a path.

    Example:
        >>> safe("photos/1.jpg", "s3://bucket")
        'photos/1.jpg'
    """
    parts = name.split("/")
    if (
        not name
        or name.startswith("/")
        or name[1:2] == ":"  # a drive, elsewhere
        or any(part in ("", ".", "..") for part in parts)
        or any(character in name for character in "\\\0\n\r")
        or any(len(part.encode("utf-8", "surrogatepass")) > 255 for part in parts)
    ):
        raise DataError(
            f"{where} holds {name!r}, which cannot be the name of a file here", hint="rename it, or leave it out"
        )
    return name


def consistent(names: Iterable[str], where: str) -> None:
    """See that no name is used twice, and none is a file and a folder at once.

    Raises:
        DataError: names the one.
    """
    files: set[str] = set()
    for name in names:
        if name in files:
            raise DataError(f"{where} holds {name!r} twice", hint="leave one of them out")
        files.add(name)
    for name in files:
        for folder in PurePosixPath(name).parents:
            if str(folder) in files:
                raise DataError(
                    f"{where} holds {str(folder)!r} both as a file and as a folder", hint="rename one of them"
                )
