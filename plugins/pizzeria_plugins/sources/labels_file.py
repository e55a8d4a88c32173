"""Reads a CSV of labels of photos, as people and their spreadsheets write it."""

from __future__ import annotations

import csv
import re
from io import StringIO
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from pizzeria.account import Account
from pizzeria.errors import DataError
from pizzeria_plugins.sources.photo_listing import leads_out
from pizzeria_plugins.sources.text_file import read_text

_FILE = ("file", "filename", "file_name", "image", "path")
_LABELS = ("labels", "label", "classes", "class")
_OWN = frozenset({"image_id", "path", "label", "labels", "source"})
"""Columns of the images table that a CSV cannot fill with something else."""


class Labelled(NamedTuple):
    """One photo.

    Attributes:
        file: relative to the photos' folder, with slashes.
        labels: each once, in the order of the file.
        columns: the CSV's other columns, such as listing_id or split.
    """

    file: str
    labels: tuple[str, ...]
    columns: dict[str, str]


def read_labels(path: Path, encoding: str | None, account: Account, *, single: bool) -> list[Labelled]:
    """One entry for each photo, in the order of the file.

    Columns are separated by commas, semicolons or tabs; labels in one cell by semicolons or bars. A photo may stand on
    several lines, with one label each.

    Raises:
        DataError: the file is malformed, or one photo has two labels where there can be but one; names the line.
    """
    text, found = read_text(path, encoding)
    lines = text.splitlines()
    delimiter = _delimiter(lines[0] if lines else "")
    reader = csv.DictReader(StringIO(text, newline=""), delimiter=delimiter, strict=True)
    out: dict[str, Labelled] = {}
    try:
        header = [name.strip() for name in reader.fieldnames or ()]
        reader.fieldnames = header
        file_column, label_column = _column(path, header, _FILE), _column(path, header, _LABELS)
        others = [name for name in header if name and name not in _OWN | {file_column, label_column}]
        for row in reader:
            where = f"{path}:{reader.line_num}"
            if None in row or None in row.values():
                raise DataError(
                    f"{where}: has another number of cells than the first line",
                    hint="put labels that hold a comma in quotes, or semicolons between several labels",
                )
            file = _file(row[file_column].strip(), where, account)
            labels = tuple(dict.fromkeys(_labels(row[label_column], delimiter)))
            entry = Labelled(file, labels, {name: row[name].strip() for name in others})
            if file in out:
                entry = _together(out[file], entry, where, path, account, single=single)
            out[file] = entry
            if single and len(entry.labels) > 1:
                raise DataError(f"{where}: {file} has {len(labels)} labels; image_classification needs one")
    except csv.Error as error:
        raise DataError(f"{path}:{reader.line_num}: is no CSV: {error}") from error
    if found != "utf-8":
        account.handle("labels", f"read from {path.name} as {found}", str(path), max(1, len(out)))
    return list(out.values())


def columns_in(header: str) -> tuple[str, str, str] | None:
    """How the first line of a file separates columns, and which ones name the photo and its labels; None without them.

    Example:
        >>> columns_in("Image;split;label"), columns_in("price,area")
        ((';', 'Image', 'label'), None)
    """
    delimiter = _delimiter(header)
    names = [name.strip() for name in next(csv.reader([header], delimiter=delimiter), [])]
    found = [next((n for wanted in some for n in names if n.lower() == wanted), "") for some in (_FILE, _LABELS)]
    return (delimiter, found[0], found[1]) if all(found) else None


def _delimiter(header: str) -> str:
    """The first of these in the first line; a single column needs none."""
    found = re.search(r"[,;\t]", header)
    return found.group() if found else ","


def _column(path: Path, header: list[str], names: tuple[str, ...]) -> str:
    for name in names:
        for there in header:
            if there.lower() == name:
                return there
    raise DataError(f"{path} has no column {names[0]}", hint="its columns are: file, labels")


def _file(file: str, where: str, account: Account) -> str:
    if "\\" in file:
        file = file.replace("\\", "/")
        account.handle("images", "named with backslashes", f"{where}: {file}")
    if leads_out(file):
        raise DataError(f"{where}: file {file!r} is not a path below data.root")
    return PurePosixPath(file).as_posix()


def _labels(cell: str, delimiter: str) -> list[str]:
    """
    Example:
        >>> _labels("bed; dining table|bed", ",")
        ['bed', 'dining table', 'bed']
    """
    parts = re.split(r"[;|]" if delimiter == "," else r"[;|,]", cell)
    return [part.strip() for part in parts if part.strip()]


def _together(before: Labelled, entry: Labelled, where: str, path: Path, account: Account, *, single: bool) -> Labelled:
    """A photo on another line: its labels come together."""
    if single and before.labels != entry.labels:
        names = " and ".join(", ".join(one.labels) or "no label" for one in (before, entry))
        raise DataError(f"{where}: {entry.file} stands twice, as {names}", hint="image_classification needs one label")
    if before.columns != entry.columns:
        odd = next(name for name in before.columns if before.columns[name] != entry.columns[name])
        raise DataError(f"{where}: {entry.file} stands twice, with another {odd}")
    account.handle(
        "images", f"on several lines of {path.name}, whose labels were put together", f"{where}: {entry.file}"
    )
    return before._replace(labels=tuple(dict.fromkeys((*before.labels, *entry.labels))))
