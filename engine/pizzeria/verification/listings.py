"""The listings of a CSV or Parquet file, and where their photos are."""

from __future__ import annotations

import csv
import re
from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pizzeria.errors import DataError, nearest
from pizzeria.prediction import SUFFIXES

COLUMNS = ("listing_id", "declared")


@dataclass(frozen=True)
class Listing:
    """One line of the table.

    Attributes:
        listing_id: As the table has it.
        declared: Amenities, as written; whether the model knows them is for the judge to say.
        photos: Files, which need not exist.
        fault: Why it cannot be judged; empty when it can.
    """

    listing_id: str
    declared: tuple[str, ...]
    photos: tuple[Path, ...]
    fault: str = ""


def read_listings(path: Path, photos: Path | None = None) -> list[Listing]:
    """Listings of a .csv or .parquet file with the columns `listing_id`, `declared` and perhaps `photos`.

    Names in `declared` and `photos` are parted by `;`, `,` or spaces, or are a list (Parquet). Without `photos`, a
    listing's photos are the files `<listing_id>_*` or the folder `<listing_id>/` in the folder `photos` beside the
    table. A line without an id or without photos is a listing with a `fault`.

    Args:
        path: The table.
        photos: Another folder for the photos.

    Raises:
        DataError: the table is missing, cannot be read, lacks a column, or has no line.
    """
    rows = _rows(path)
    if not rows:
        raise DataError(f"{path} has no listing")
    for column in COLUMNS:
        if column not in rows[0]:
            raise DataError(f"{path} has no column {column!r}", hint=nearest(column, rows[0]))
    folder = photos or (path.parent / "photos" if (path.parent / "photos").is_dir() else path.parent)
    names = None if all(_names(row.get("photos")) for row in rows) else _Folder(folder)
    return [_listing(path, number, row, photos or path.parent, names) for number, row in enumerate(rows, start=2)]


class _Folder:
    """Photos of one folder, found by listing without looking through all of them each time."""

    def __init__(self, path: Path) -> None:
        if not path.is_dir():
            raise DataError(f"there is no folder {path}", hint="name the photos in a column `photos`, or pass --photos")
        self.path = path
        self._files = sorted(one.name for one in path.iterdir() if one.suffix.lower() in SUFFIXES)

    def photos(self, listing_id: str) -> Iterable[Path]:
        own = self.path / listing_id
        if own.parent == self.path and listing_id != ".." and own.is_dir():
            return sorted(one for one in own.iterdir() if one.suffix.lower() in SUFFIXES)
        prefix = f"{listing_id}_"
        start = bisect_left(self._files, prefix)
        end = bisect_left(self._files, prefix[:-1] + chr(ord("_") + 1))
        return [self.path / name for name in self._files[start:end]]


def _listing(path: Path, number: int, row: Mapping[str, Any], beside: Path, folder: _Folder | None) -> Listing:
    listing_id = str(row["listing_id"] if row["listing_id"] is not None else "").strip()
    declared, named = tuple(_names(row["declared"])), _names(row.get("photos"))
    if not listing_id:
        return Listing(listing_id, declared, (), f"{path.name}:{number}: there is no listing_id")
    if named or folder is None:
        return Listing(listing_id, declared, tuple(beside / name for name in named))
    files = tuple(folder.photos(listing_id))
    fault = "" if files else f"{path.name}:{number}: no photo of listing {listing_id[:60]} in {folder.path}"
    return Listing(listing_id, declared, files, fault)


def _rows(path: Path) -> Sequence[Mapping[str, Any]]:
    if not path.is_file():
        raise DataError(f"there is no {path}", hint="give a .csv or .parquet file with listing_id and declared")
    if path.suffix == ".parquet":
        from pizzeria.prediction import read_rows

        return read_rows(path)
    if path.suffix != ".csv":
        raise DataError(f"{path} is no table of listings", hint="give a .csv or .parquet file")
    try:
        with open(path, newline="", encoding="utf-8-sig") as stream:
            return list(csv.DictReader(stream))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path} cannot be read: {error}", hint="write the CSV file in UTF-8") from None


def _names(value: Any) -> list[str]:
    """Names in a text, or in a list as Parquet may hold it.

    Example:
        >>> _names("bed; sofa,tv"), _names(["bed", "tv"]), _names(None)
        (['bed', 'sofa', 'tv'], ['bed', 'tv'], [])
    """
    if value is None:
        return []
    if isinstance(value, str):
        return [name for name in re.split(r"[;,\s]+", value) if name]
    return [str(name) for name in value]
