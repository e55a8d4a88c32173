"""Rows of a table in pieces, whether they lie in a file or in memory; and arrays written piece by piece."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, BinaryIO, Self

import numpy as np
from numpy.typing import NDArray

from pizzeria.errors import DataError
from pizzeria.inference.rows import text
from pizzeria.tables import Tables

if TYPE_CHECKING:
    import pyarrow as pa

PIECE = 1 << 16
"""Rows in one piece."""
_EPOCH_US = 1_000_000
_EXACT_US = 1 << 53
"""Microseconds up to which a float64 tells each from the next."""


class Pieces:
    """The `rows` of some tables, column by column, in their order and in pieces of at most `PIECE` rows.

    Args:
        tables: With rows, in a Parquet file or in memory.

    Attributes:
        schema: Names and Arrow types of the columns.
        count: Rows.

    Raises:
        DataError: there are no rows, or a column in memory mixes types, or holds what no file could.
    """

    def __init__(self, tables: Tables) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        self._file = tables.rows_file
        if self._file is not None:
            metadata = pq.read_metadata(self._file)
            self.schema, self.count = metadata.schema.to_arrow_schema(), metadata.num_rows
        elif tables.rows is not None:
            try:
                self._table = pa.Table.from_pandas(tables.rows, preserve_index=False)
            except (pa.ArrowException, UnicodeEncodeError, OverflowError) as error:
                raise DataError(f"a column cannot be read: {error}", hint="give each column one type") from None
            self.schema, self.count = self._table.schema, self._table.num_rows
        else:
            self.count = 0
        if not self.count:
            raise DataError("there are no rows to make features of", hint="use a source that brings a rows table")

    def read(self, columns: Sequence[str]) -> Iterator[tuple[int, dict[str, pa.Array]]]:
        """Yield the number of a piece's first row, and the piece's columns by name."""
        import pyarrow as pa

        at = 0
        for batch in self._batches(list(columns)):
            yield at, dict(zip(batch.schema.names, map(_plain, batch.columns), strict=True))
            at += batch.num_rows
        pa.default_memory_pool().release_unused()

    def keys(self, rows: Sequence[int]) -> list[str]:
        """`row_id` of some rows, by their numbers, ascending."""
        wanted, found = np.asarray(rows, np.int64), []
        for at, piece in self.read(["row_id"]):
            here = wanted[(wanted >= at) & (wanted < at + len(piece["row_id"]))] - at
            found += [str(text(piece["row_id"][int(row)].as_py())) for row in here]
            if len(found) == len(wanted):
                break
        return found

    def _batches(self, columns: list[str]) -> Iterator[pa.RecordBatch]:
        import pyarrow.parquet as pq

        if self._file is None:
            yield from self._table.select(columns).to_batches(max_chunksize=PIECE)
            return
        with pq.ParquetFile(self._file) as file:
            yield from file.iter_batches(PIECE, columns=columns)


class ArrayFile:
    """A `.npy` file that is written piece by piece, so that no more than a piece is in memory.

    Args:
        path: Of the file.
        dtype: Of its numbers.
        shape: Of the whole array; the pieces must add up to it.

    Example:
        >>> from tempfile import TemporaryDirectory
        >>> with TemporaryDirectory() as folder:
        ...     with ArrayFile(Path(folder) / "a.npy", np.float32, (3, 1)) as file:
        ...         file.write(np.zeros((2, 1)))
        ...         file.write(np.ones((1, 1)))
        ...     np.load(Path(folder) / "a.npy").tolist()
        [[0.0], [0.0], [1.0]]
    """

    def __init__(self, path: Path, dtype: Any, shape: tuple[int, ...]) -> None:
        self._dtype, self._shape = np.dtype(dtype), shape
        self._file: BinaryIO = path.open("wb")
        header = {"descr": np.lib.format.dtype_to_descr(self._dtype), "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(self._file, header)

    def write(self, piece: NDArray[Any]) -> None:
        """Append rows."""
        self._file.write(np.ascontiguousarray(piece, self._dtype).data)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()


def numbers(values: pa.Array) -> NDArray[np.float64]:
    """A column's piece as float64 [N], NaN where missing; times as Unix seconds, texts of numbers as numbers.

    Raises:
        DataError: it holds no numbers.

    Example:
        >>> import pyarrow as pa
        >>> numbers(pa.array([True, None])), numbers(pa.array([2, 3]))
        (array([ 1., nan]), array([2., 3.]))
    """
    import pyarrow as pa

    kind = values.type
    if pa.types.is_null(kind):
        return np.full(len(values), np.nan)
    if is_time(kind):
        return _seconds(values)
    if pa.types.is_boolean(kind):
        values = values.cast(pa.uint8())
    elif not (pa.types.is_integer(kind) or pa.types.is_floating(kind)):
        try:
            values = values.cast(pa.float64())
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
            raise DataError(str(error).splitlines()[0]) from None
    return np.asarray(values.to_numpy(zero_copy_only=False), np.float64)


def texts(values: pa.Array) -> list[str | None]:
    """A column's piece as texts, None where missing, each just as a request would carry it."""
    import pyarrow as pa

    if pa.types.is_decimal(values.type):
        values = values.cast(pa.float64())
    return [value if value.__class__ is str else text(value) for value in values.to_pylist()]


def distinct(values: pa.Array) -> tuple[list[str | None], NDArray[np.int64]]:
    """A column's piece as its different texts, and for each row which of them it has, int64 [N]."""
    import pyarrow as pa

    if pa.types.is_null(values.type):
        return [None], np.zeros(len(values), np.int64)
    coded = values.dictionary_encode(null_encoding="encode")
    return texts(coded.dictionary), np.asarray(coded.indices.to_numpy(zero_copy_only=False), np.int64)


def is_time(kind: pa.DataType) -> bool:
    """Whether a column of this type holds moments or days."""
    import pyarrow as pa

    return bool(pa.types.is_timestamp(kind) or pa.types.is_date(kind))


def is_number(kind: pa.DataType) -> bool:
    """Whether a column of this type is numeric unless somebody says otherwise."""
    import pyarrow as pa

    types = pa.types
    return bool(types.is_integer(kind) or types.is_floating(kind) or types.is_boolean(kind) or types.is_decimal(kind))


def is_text(kind: pa.DataType) -> bool:
    """Whether a column of this type can be a category or a text."""
    import pyarrow as pa

    types = pa.types
    whole = types.is_string(kind) or types.is_large_string(kind) or types.is_string_view(kind) or types.is_null(kind)
    return bool(whole or is_number(kind))


def _plain(values: pa.Array) -> pa.Array:
    """Without a dictionary, under which the same text may come as another type."""
    import pyarrow as pa

    return values.dictionary_decode() if pa.types.is_dictionary(values.type) else values


def _seconds(values: pa.Array) -> NDArray[np.float64]:
    """Unix seconds, just as `datetime.timestamp` tells them of what a request carries: microseconds at most."""
    import pyarrow as pa
    import pyarrow.compute as pc

    zone = getattr(values.type, "tz", None)
    unit = getattr(values.type, "unit", "ms")
    if unit == "ns":  # safe=False would round towards 0, and a request's digits are cut off
        ticks = np.floor_divide(_integers(values), 1000)
    else:
        try:
            ticks = _integers(values.cast(pa.timestamp("us", zone)))
        except pa.ArrowInvalid as error:
            raise DataError(str(error).splitlines()[0]) from None
    out = ticks / _EPOCH_US
    far = np.flatnonzero(np.abs(ticks) > _EXACT_US)
    out[far] = [int(tick) / _EPOCH_US for tick in ticks[far]]  # Python divides exactly
    out[np.asarray(pc.is_null(values).to_numpy(zero_copy_only=False), bool)] = np.nan
    return np.asarray(out, np.float64)


def _integers(values: pa.Array) -> NDArray[np.int64]:
    """int64 [N], 0 where missing."""
    import pyarrow as pa
    import pyarrow.compute as pc

    whole = values.cast(pa.timestamp(values.type.unit)) if pa.types.is_timestamp(values.type) else values
    return np.asarray(pc.fill_null(whole.cast(pa.int64()), 0).to_numpy(zero_copy_only=False), np.int64)
