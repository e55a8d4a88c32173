"""Reads Open Images' CSV files: gigabytes of boxes and labels, in pieces, of which rows of wanted photos are kept."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator, Mapping, Sequence
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from pizzeria.errors import DataError
from pizzeria_plugins.sources.plain_numbers import number
from pizzeria_plugins.sources.text_file import read_text

if TYPE_CHECKING:
    import pyarrow as pa

_BLOCK = 2 << 20
"""Bytes of a file that are read at a time."""
_MOST_NAMES = 100_000_000


class Row(NamedTuple):
    """One row: the line of the file where it stands (from 1), and its cells by column."""

    line: int
    cells: Mapping[str, str]


def rows_of(
    path: Path, needed: Sequence[str], wanted: Sequence[str], image_ids: pa.Array, skipped: Callable[[int, str], None]
) -> Iterator[Row]:
    """Yield the rows of some photos, in the file's order.

    Args:
        needed: Columns that the file must have, besides ImageID.
        wanted: Columns that come where the file has them.
        image_ids: Of the photos that are wanted.
        skipped: Called with a number of rows of other photos, and one such ImageID.

    Raises:
        DataError: the file cannot be read, or lacks a column.
    """
    import pyarrow as pa
    import pyarrow.compute as pc
    from pyarrow import csv as pacsv

    header = _header(path)
    lacking = [name for name in ("ImageID", *needed) if name not in header]
    if lacking:
        raise DataError(f"{path} has no column {', '.join(lacking)}", hint=f"its columns are: {', '.join(header)}")
    columns = [name for name in header if name in ("ImageID", *needed, *wanted)]
    line = 1
    try:
        with pacsv.open_csv(
            path,
            read_options=pacsv.ReadOptions(block_size=_BLOCK),
            convert_options=pacsv.ConvertOptions(
                include_columns=columns, column_types=dict.fromkeys(columns, pa.string()), strings_can_be_null=False
            ),
        ) as reader:
            for batch in reader:
                keep = pc.is_in(batch["ImageID"], value_set=image_ids)
                kept = pc.indices_nonzero(keep)
                others = batch.num_rows - len(kept)
                if others:
                    skipped(others, batch["ImageID"][pc.index(keep, False).as_py()].as_py())
                lists = [batch[name].take(kept).to_pylist() for name in columns]
                for at, cells in zip(kept.to_pylist(), zip(*lists, strict=True), strict=True):
                    yield Row(line + 1 + at, dict(zip(columns, cells, strict=True)))
                line += batch.num_rows
    except (pa.ArrowException, OSError) as error:
        raise DataError(f"{path} cannot be read: {str(error).splitlines()[0]}", hint="it may be cut off") from None


def columns_of(path: Path) -> list[str]:
    """The columns of a CSV; none where it cannot be read."""
    try:
        return _header(path)
    except DataError:
        return []


def _header(path: Path) -> list[str]:
    try:
        with open(path, "rb") as stream:
            first = stream.readline(100_000)
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror or error}") from error
    text = first.decode("utf-8-sig", errors="replace")
    if not text.strip():
        raise DataError(f"{path} is empty", hint="its first line names its columns: ImageID, ...")
    return next(csv.reader([text]))


def read_names(path: Path) -> dict[str, str]:
    """What each LabelName is called, by a CSV of two columns, with or without a line that names them.

    Raises:
        DataError: the file cannot be read, or calls one LabelName by two names.
    """
    if path.is_file() and path.stat().st_size > _MOST_NAMES:
        raise DataError(f"{path} has more than {_MOST_NAMES:,} bytes, too many for names of classes")
    out: dict[str, str] = {}
    reader = csv.reader(StringIO(read_text(path)[0], newline=""))
    try:
        for row in reader:
            cells = [cell.strip() for cell in row]
            if not any(cells) or (reader.line_num == 1 and cells[0].lower() == "labelname"):
                continue
            where = f"{path}:{reader.line_num}"
            if len(cells) < 2 or not cells[0] or not cells[1]:
                raise DataError(f"{where}: {','.join(row)!r} is no LabelName and its name", hint="/m/03ssj5,Bed")
            if out.setdefault(cells[0], cells[1]) != cells[1]:
                raise DataError(f"{where}: {cells[0]} is called {cells[1]}, and {out[cells[0]]} before")
    except csv.Error as error:
        raise DataError(f"{path}:{reader.line_num}: is no CSV: {error}") from error
    return out


def share(row: Row, column: str, path: Path, least: float = 0, most: float = 1) -> float:
    """A number in a cell.

    Raises:
        DataError: it is none, or not from `least` to `most`.
    """
    value = number(row.cells[column])
    if value is None or not least <= value <= most:
        what = "no number" if value is None else "no share of the photo's size, which are from 0 to 1"
        raise DataError(f"{path}:{row.line}: {column} is {row.cells[column]!r}, {what}")
    return value


def flag(row: Row, column: str) -> bool:
    """Whether a cell says 1; 0, -1 (not known) and a column that is not there say no."""
    return row.cells.get(column, "0").strip().lower() in ("1", "1.0", "true")


def array_of(names: Sequence[str]) -> Any:
    """Names as `rows_of` takes them."""
    import pyarrow as pa

    return pa.array(names, pa.string())
