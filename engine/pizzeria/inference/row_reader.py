"""Reads the rows of `POST /predict` into columns.

msgspec, where it is installed, decodes a good body straight into typed rows, several times as fast as plain Python. It
only ever says yes: of a body that it refuses, or that holds a key twice, plain Python decides, and names the fault.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from pizzeria.errors import RequestError
from pizzeria.inference import requests
from pizzeria.inference.column_inputs import column_names
from pizzeria.inference.rows import ROW_ID, Columns, number, number_readers, plain_texts, row_name, text, to_columns

if TYPE_CHECKING:
    import msgspec


@dataclass(frozen=True)
class Table:
    """The rows of a request.

    Attributes:
        columns: See `pizzeria.inference.rows.to_columns`.
        row_ids: One for each row; empty where the client gave none.
    """

    columns: Columns
    row_ids: list[str]

    def __len__(self) -> int:
        return len(self.row_ids)


class RowReader:
    """Reads bodies for one model; safe to use from several threads at once.

    Args:
        preprocessing: See `pizzeria.inference.column_inputs`.
        max_rows: Rows of one request.
        typed: Whether to use msgspec where it is there.

    Example:
        >>> how = {"numeric": [{"name": "price"}], "categorical": [{"name": "day"}], "target": {"name": "up"}}
        >>> table = RowReader(how, max_rows=9).read(b'[{"price": 5, "day": "tue", "row_id": 7}]')
        >>> table.columns, table.row_ids
        ({'price': array([5.]), 'day': ['tue']}, ['7'])
    """

    def __init__(self, preprocessing: Mapping[str, Any], max_rows: int, *, typed: bool = True) -> None:
        self._preprocessing = preprocessing
        self._max_rows = max_rows
        self._names = column_names(preprocessing)
        self._numbers = number_readers(preprocessing)
        self._decoder = self._typed_decoder() if typed else None

    def read(self, body: bytes) -> Table:
        """The rows of a body: a JSON list of objects, or {"rows": that list}.

        Raises:
            RequestError: 400 no JSON; 413 too many rows; 422 another shape, no row, NaN or Infinity, a key twice, or a
                column that is missing, unknown or of a wrong type; names it as `rows[3].price`.
        """
        table = None if self._decoder is None else self._read_typed(self._decoder, body)
        if table is not None:
            return table
        rows = requests.rows(body, self._max_rows)
        columns = to_columns(rows, self._preprocessing)
        return Table(columns, [row_name(row.get(ROW_ID), i) for i, row in enumerate(rows)])

    def _typed_decoder(self) -> msgspec.json.Decoder[Any] | None:
        try:
            import msgspec
        except ImportError:
            return None
        scalar = str | bool | int | float | None
        plain = bool | float | None
        types = {name: plain if self._numbers.get(name) is number else scalar for name in self._names}
        if ROW_ID in types:
            return None
        columns = {f"c{i}": name for i, name in enumerate(types)}
        fields: list[Any] = [(field, types[name]) for field, name in columns.items()]
        fields.append(("row_id", scalar | msgspec.UnsetType, msgspec.UNSET))
        try:
            row = msgspec.defstruct("Row", fields, rename=columns, forbid_unknown_fields=True, gc=False)
            listed: Any = list[row]  # type: ignore[valid-type]
            body = msgspec.defstruct("Body", [("rows", listed)], forbid_unknown_fields=True, gc=False)
        except ValueError:  # a column's name holds quotes or the like
            return None
        self._unset = msgspec.UNSET
        self._hold_texts = (*(self._numbers.get(name) is not number for name in self._names), True)
        self._refusals = (msgspec.MsgspecError, ValueError, RecursionError)
        self._fields = msgspec.structs.astuple
        return msgspec.json.Decoder(body | listed)

    def _read_typed(self, decoder: msgspec.json.Decoder[Any], body: bytes) -> Table | None:
        """The rows, or None where plain Python must decide."""
        try:
            found = decoder.decode(body)
        except self._refusals:
            return None
        bare = isinstance(found, list)
        rows = found if bare else found.rows
        if not 0 < len(rows) <= self._max_rows:
            return None
        *values, ids = zip(*map(self._fields, rows), strict=True)
        given = len(ids) - ids.count(self._unset)
        keys = len(rows) * len(values) + given + (not bare)
        texts = sum(_texts(column) for column, holds in zip((*values, ids), self._hold_texts, strict=True) if holds)
        if _quotes(body) != 2 * (keys + texts):
            return None  # a key is there twice, so msgspec took the last of them
        try:
            columns = self._to_columns(values)
        except RequestError:  # a text that is no time
            return None
        return Table(columns, [self._row_id(value) for value in ids] if given else [""] * len(rows))

    def _to_columns(self, values: Sequence[Sequence[Any]]) -> Columns:
        columns: Columns = {}
        for name, column in zip(self._names, values, strict=True):
            read = self._numbers.get(name)
            if read is None:
                columns[name] = plain_texts(column)
            elif read is number:
                columns[name] = np.array(column, np.float64)  # None becomes NaN
            else:
                columns[name] = np.array([read(value, i, name) for i, value in enumerate(column)], np.float64)
        return columns

    def _row_id(self, value: Any) -> str:
        if value.__class__ is str:
            return str(value)
        return "" if value is self._unset else text(value) or ""


def _texts(values: Sequence[Any]) -> int:
    return [*map(type, values)].count(str)


def _quotes(body: bytes) -> int:
    """Quotes that begin or end a text: two for each key and each text that the JSON holds."""
    # Without pairs of backslashes, each that is left escapes what follows it.
    plain = body.replace(b"\\\\", b"") if b"\\\\" in body else body
    return plain.count(b'"') - plain.count(b'\\"')
