"""A history in order of time: the first part, which the first model learns, and the rest, which is replayed."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pizzeria import atomic
from pizzeria.errors import DataError, RequestError, nearest
from pizzeria.examination import plain
from pizzeria.inference.truth import check_truth
from pizzeria.spec.problem import Problem
from pizzeria.tables import Tables

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

Times = NDArray[np.datetime64]
"""datetime64[us] [N], in UTC, rising."""


@dataclass(frozen=True)
class Stream:
    """What is replayed, oldest first.

    Attributes:
        times: Of each prediction.
        keys: Names of the inputs, no two the same.
        truths: What the label of each will say, canonical JSON of `pizzeria.inference.truth`; empty where nobody knows.
        listings: Listing of each photo; empty texts for rows.
        parts: Which source each comes from: 0 the spec's own, 1 the shifted one.
        rows: Plain columns of the rows, or
        photos: paths of the photos.
    """

    times: Times
    keys: Sequence[str]
    truths: Sequence[str]
    listings: Sequence[str]
    parts: NDArray[np.int64]
    rows: pa.Table | None = None
    photos: Sequence[Path] = ()

    def __len__(self) -> int:
        return len(self.keys)

    def row(self, first: int, last: int, columns: Sequence[str]) -> list[dict[str, Any]]:
        """Rows [first, last) as a client would send them."""
        assert self.rows is not None
        found: list[dict[str, Any]] = self.rows.select(list(columns)).slice(first, last - first).to_pylist()
        return found

    def moment(self, i: int) -> datetime:
        """When prediction i is made."""
        return as_datetime(self.times[i])


@dataclass(frozen=True)
class Cut:
    """A history in two.

    Attributes:
        data: Keys of the spec's section `data` that read the first part.
        learnt: Rows or photos in it.
    """

    data: Mapping[str, Any]
    learnt: int
    stream: Stream


def cut_rows(tables: Tables, problem: Problem, column: str, start: str, folder: Path) -> Cut:
    """Cut a table where the replay is to start; rows of one moment stay together.

    Args:
        column: With the time of each row.
        start: A share of the rows, or a date.
        folder: Where the first part is written, as Parquet.

    Raises:
        DataError: the column is absent or holds no times, or there is nothing before or after the cut.
    """
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    if tables.rows_file is not None:
        table = pq.read_table(tables.rows_file)
    else:
        table = pa.Table.from_pandas(tables.rows, preserve_index=False)
    times = _times(table, column)
    order = np.argsort(times, kind="stable")
    times, table = times[order], table.take(pa.array(order))
    at = place_of(times, start)
    file = folder / "past.parquet"
    _write_parquet(table.slice(0, at), file)
    rest = table.slice(at)
    target = str(problem.target)
    truths = [_truth(value, problem) for value in rest[target].to_pylist()]
    names = [name for name in rest.column_names if name not in ("row_id", target)]
    stream = Stream(
        times=times[at:],
        keys=[str(key) for key in rest["row_id"].to_pylist()],
        truths=truths,
        listings=[""] * len(rest),
        parts=np.zeros(len(rest), np.int64),
        rows=pa.table({name: plain(rest[name]) for name in names}),
    )
    if not any(truths):
        raise DataError(f"no row after the start has a {target}: nothing could be said of any model")
    if not pc.any(pc.is_valid(table.slice(0, at)[target])).as_py():
        raise DataError(f"no row before the start has a {target}", hint="move --start")
    return Cut({"use": "table", "path": str(file), "row_id": "row_id"}, at, stream)


def prediction_id(moment: datetime, key: str) -> str:
    """A name for the answer to an input at a time: a UUID of version 7, the same whenever the history is replayed.

    Example:
        >>> prediction_id(datetime(2026, 5, 1, tzinfo=UTC), "row-7")
        '019de0d5-c800-7525-b5ef-73c10169da9b'
    """
    from uuid import UUID

    milliseconds = int(moment.timestamp() * 1000) & (1 << 48) - 1
    chance = int.from_bytes(hashlib.sha256(key.encode()).digest()[:10])
    number = milliseconds << 80 | 7 << 76 | (chance >> 68) << 64 | 2 << 62 | chance & (1 << 62) - 1
    return str(UUID(int=number))


def is_labelled(key: str, share: float) -> bool:
    """Whether an input is among those that get a label; the same ones always.

    Example:
        >>> is_labelled("row-7", 1.0), is_labelled("row-7", 0.0)
        (True, False)
    """
    return int.from_bytes(hashlib.sha256(f"label {key}".encode()).digest()[:6]) < share * 2**48


def as_datetime(time: np.datetime64) -> datetime:
    """With its zone, which is UTC."""
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(
        microseconds=int(time.astype("datetime64[us]").astype(np.int64))
    )


def as_time(moment: datetime) -> np.datetime64:
    """The inverse of `as_datetime`."""
    return np.datetime64(moment.astimezone(UTC).replace(tzinfo=None), "us")


def times_in(frame: pd.DataFrame, column: str) -> Times:
    """The same of a frame's rows."""
    import pyarrow as pa

    return _times(pa.table({name: pa.array(frame[name]) for name in frame if name == column}), column)


def _times(table: pa.Table, column: str) -> Times:
    """Time of each row.

    Raises:
        DataError: there is no such column, or it holds something else.
    """
    import pyarrow as pa

    if column not in table.column_names:
        raise DataError(
            f"the data have no column {column!r} to order them by", hint=nearest(column, table.column_names)
        )
    values = table[column]
    kind = values.type
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        try:
            values = values.cast(pa.timestamp("us"))
        except pa.ArrowInvalid as error:
            raise DataError(f"{column} holds no times: {error}", hint="give a column of times or dates") from None
    elif not (pa.types.is_timestamp(kind) or pa.types.is_date(kind)):
        raise DataError(
            f"{column} is {kind}, and a replay needs to know when each row came",
            hint="give a column of times or dates: --time COLUMN",
        )
    if values.null_count:
        raise DataError(f"{values.null_count} rows have no {column}", hint="a replay needs a time for each row")
    return np.asarray(values.cast(pa.timestamp("us")).to_numpy(), "datetime64[us]")


def place_of(times: Times, start: str) -> int:
    """Number of rows before the start."""
    share = _share(start)
    if share is not None:
        at = int(np.searchsorted(times, times[min(int(len(times) * share), len(times) - 1)]))
    else:
        try:
            moment = datetime.fromisoformat(start)
        except ValueError:
            raise DataError(
                f"--start is {start!r}", hint="write a share of the history such as 0.25, or a date such as 1997-05-01"
            ) from None
        at = int(np.searchsorted(times, as_time(moment if moment.tzinfo else moment.replace(tzinfo=UTC))))
    if not 0 < at < len(times):
        raise DataError(
            f"{at} rows lie before the start {start}, and {len(times) - at} after it",
            hint=f"the history goes from {times[0]} to {times[-1]}",
        )
    return at


def _share(start: str) -> float | None:
    try:
        share = float(start)
    except ValueError:
        return None
    if not 0 < share < 1:
        raise DataError(f"--start is {start}", hint="write a share between 0 and 1, such as 0.25, or a date")
    return share


def _truth(value: Any, problem: Problem) -> str:
    """The label of a row; empty where its target is missing."""
    if value is None or value != value:
        return ""
    said = {"value": float(value)} if problem.task == "tabular_regression" else {"class": str(value)}
    try:
        return check_truth(said, problem.task, problem.classes)
    except RequestError as error:
        raise DataError(f"{problem.target}: {error.message}", hint=error.hint) from None


def _write_parquet(table: pa.Table, path: Path) -> None:
    import pyarrow.parquet as pq

    temporary = path.with_name(f".{path.name}.tmp")
    pq.write_table(table, temporary, compression="zstd")
    atomic.sync(temporary)
    atomic.rename(temporary, path)
