"""The parts of a prediction in bulk: which rows of which file each takes. The same inputs make the same parts."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from pizzeria.errors import DataError
from pizzeria.fetching.store import Item, Store, asked

if TYPE_CHECKING:
    import pyarrow as pa
    from pyarrow import parquet as pq

_ENDING = ".parquet"


@dataclass(frozen=True)
class Table:
    """One Parquet file.

    Attributes:
        address: Its own, as fsspec opens it.
        mark: Changes when its content does.
        rows: How many it has.
    """

    address: str
    mark: str
    rows: int


@dataclass(frozen=True)
class Part:
    """Rows `first` to `first + rows` of a file, whose predictions become one file."""

    number: int
    address: str
    first: int
    rows: int

    @property
    def name(self) -> str:
        """Of the file of its predictions.

        Example:
            >>> Part(7, "photos.parquet", 0, 1000).name
            'part-0000007.parquet'
        """
        return f"part-{self.number:07d}{_ENDING}"

    def text(self) -> str:
        """As it goes to a worker."""
        return json.dumps(asdict(self))

    @classmethod
    def of(cls, text: str) -> Part:
        """What `text` gave."""
        return cls(**json.loads(text))


def find_tables(addresses: Sequence[str]) -> tuple[list[Table], pa.Schema]:
    """The Parquet files at some addresses (files, folders, patterns), in order, and the columns that all of them have.

    Raises:
        DataError: there is none, one cannot be read, or two have different columns.
    """
    tables: list[Table] = []
    schema: pa.Schema | None = None
    for address in addresses:
        store = Store.open(address)
        items = [item for item in store.list()[1] if item.name.endswith(_ENDING)]
        if not items:
            raise DataError(f"no Parquet file at {address}", hint=f"give files that end in {_ENDING}, or their folder")
        for item in items:
            with open_table(_own_address(store, item)) as file:
                found = file.schema_arrow.remove_metadata()
                tables.append(Table(_own_address(store, item), f"{item.size} {item.mark}", file.metadata.num_rows))
            if schema is not None and not found.equals(schema):
                raise DataError(
                    f"{tables[-1].address} has other columns than {tables[0].address}: {_names(found)} instead of "
                    f"{_names(schema)}",
                    hint="give them to two commands, with an --out for each",
                )
            schema = found
    assert schema is not None
    return tables, schema


def cut(tables: Sequence[Table], rows: int) -> list[Part]:
    """Parts of at most so many rows, none across two files.

    Example:
        >>> [(part.number, part.first, part.rows) for part in cut([Table("a", "", 5), Table("b", "", 2)], 3)]
        [(0, 0, 3), (1, 3, 2), (2, 0, 2)]
    """
    spans = [
        (table.address, first, min(rows, table.rows - first))
        for table in tables
        for first in range(0, table.rows, rows)
    ]
    return [Part(number, *span) for number, span in enumerate(spans)]


def read_part(part: Part, columns: Sequence[str] | None) -> pa.Table:
    """Rows of a part; of the file, only the row groups that hold some of them are read.

    Raises:
        DataError: the file cannot be read, or has fewer rows now.
    """
    with open_table(part.address) as file:
        wanted: list[int] = []
        at, skip = 0, 0
        for group in range(file.metadata.num_row_groups):
            count = file.metadata.row_group(group).num_rows
            if at + count > part.first and at < part.first + part.rows:
                skip = part.first - at if not wanted else skip
                wanted.append(group)
            at += count
        found: pa.Table = file.read_row_groups(wanted, columns=columns).slice(skip, part.rows)
    if len(found) != part.rows:
        raise DataError(f"{part.address} has fewer rows than when the prediction began", hint="choose another --out")
    return found


@contextmanager
def open_table(address: str) -> Iterator[pq.ParquetFile]:
    """A Parquet file, of which no more is read than what is asked for.

    Raises:
        DataError: it cannot be read; names it.
    """
    import pyarrow as pa
    from pyarrow import parquet

    store = Store.open(address)
    with asked(address), store.files.open(store.root, "rb") as stream:
        try:
            yield parquet.ParquetFile(stream)
        except (pa.ArrowInvalid, pa.ArrowKeyError) as error:
            raise DataError(f"{address} cannot be read as Parquet: {error}") from error


def _own_address(store: Store, item: Item) -> str:
    return str(store.files.unstrip_protocol(item.path))


def _names(schema: Any) -> str:
    return ", ".join(f"{field.name} ({field.type})" for field in schema)
