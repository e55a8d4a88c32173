"""What a Parquet log holds, part by part, in a SQLite file beside it: so that a look at what is new need not open all
parts, and labels are found by their name.

It is made from the parts alone, may be deleted at any time, and is brought up to date at each look. Where it cannot be
written (see `index_place`), it is made anew in memory for the one look.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Collection, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pizzeria.holding import in_turn
from pizzeria.inference.truth import Label
from pizzeria.sqlite_files import transaction
from pizzeria_plugins.prediction_logs.index_place import index_folder
from pizzeria_plugins.prediction_logs.parts import Store
from pizzeria_plugins.prediction_logs.truth import LABEL_COLUMNS, Names, as_label, labels_among

if TYPE_CHECKING:
    import pyarrow as pa
    from pyarrow import parquet as pq

KINDS = ("predictions", "labels")
_FILE = ".parquet-index.sqlite"
_VERSION = 2
_SCHEMA = """
create table parts(
    kind text not null, name text not null, first integer, last integer, primary key (kind, name)) strict;
create index parts_by_last on parts(kind, last);
create table units(
    part text not null, number integer not null, rows integer not null, first integer not null, last integer not null,
    sha256 text, primary key (part, number)) strict, without rowid;
create index units_by_last on units(last, first);
create table repeats(part text not null, row integer not null, primary key (part, row)) strict, without rowid;
create table labels(
    received text not null, subject text not null, name text not null, said_at text not null, source text not null,
    truth text not null, part text not null) strict;
create index labels_by_name on labels(name);
create index labels_by_time on labels(received);
create index labels_by_part on labels(part);
create index labels_of_inputs on labels(subject) where subject = 'input_id';
create table store(root text not null) strict;
"""
_AT_ONCE = 1_000
"""Parts that are added in one transaction: a kill costs no more."""
_KEPT = 64
_WAIT_S = 600


@dataclass(frozen=True)
class Unit:
    """A row group of a part.

    Attributes:
        first, last: Times of its records, in microseconds of 1970.
        sha256: Of the bundle whose records they all are; None where there are several.
    """

    part: str
    number: int
    rows: int
    first: int
    last: int
    sha256: str | None


class PartIndex:
    """See `of`.

    Attributes:
        store: Where the parts are.
    """

    def __init__(self, store: Store, connection: sqlite3.Connection) -> None:
        self.store = store
        self._connection = connection
        self._ids: dict[str, pa.Array] = {}

    @classmethod
    @contextmanager
    def of(cls, url: str, folder: Path, kinds: Sequence[str] = KINDS) -> Iterator[PartIndex]:
        """The index of the log at an address, up to date.

        Args:
            folder: The deployment's log folder, where the index lies.
            kinds: Of parts that matter; what it says of others may be old.

        Raises:
            PluginError: a library is missing.
            DataError: a part cannot be read; names it.
        """
        store = Store.open(url, folder)
        names = {kind: store.parts(kind) for kind in kinds}
        if not any(names.values()) and not (folder / _FILE).exists():  # looking makes no file
            with closing(_made(":memory:", store)) as connection:
                yield cls(store, connection)
            return
        with _lasting(folder, store) as connection:
            index = cls(store, connection)
            for kind, there in names.items():
                index._follow(kind, there)
            yield index

    @classmethod
    def forget(cls, url: str, folder: Path) -> None:
        """Let an index that there is know nothing of parts that are gone."""
        if (folder / _FILE).exists():
            with cls.of(url, folder):
                pass

    def units(self, since: int, until: int, sha256: str | None) -> list[Unit]:
        """Row groups with records of [since, until), by their first."""
        query = """
            select part, number, rows, first, last, sha256 from units
            where last >= ? and first < ? and (? is null or sha256 is null or sha256 = ?) order by first, part, number
        """
        found = self._connection.execute(query, (since, until, sha256, sha256)).fetchall()
        return [Unit(*values) for values in found]

    def repeats(self, part: str) -> list[int]:
        """Rows of a part that lie in another one, too."""
        query = "select row from repeats where part = ? order by row"
        return [row for (row,) in self._connection.execute(query, (part,))]

    def repeating(self) -> set[str]:
        """Parts with such rows."""
        return {part for (part,) in self._connection.execute("select distinct part from repeats")}

    def has_labels(self) -> bool:
        return self._connection.execute("select 1 from labels limit 1").fetchone() is not None

    def labels_of(self, names: Names) -> Iterator[Label]:
        """The labels of some records."""
        return labels_among(self._connection, names)

    def labels_named(self, names: Collection[str]) -> Iterator[Label]:
        """The labels of these predictions or inputs."""
        query = f"select {', '.join(LABEL_COLUMNS[1:])} from labels where name in (select value from json_each(?))"  # noqa: S608 - our own words, and values are parameters
        for values in self._connection.execute(query, (json.dumps(list(names)),)):
            yield as_label(*values)

    def labels_since(self, since: str) -> Iterator[tuple[str, Label]]:
        """The labels that came at a time or later, behind that time, in order of it."""
        query = f"select {', '.join(LABEL_COLUMNS)} from labels where received >= ? order by received"  # noqa: S608 - our own words, and values are parameters
        for received, *values in self._connection.execute(query, (since,)):
            yield received, as_label(*values)

    def _follow(self, kind: str, there: Sequence[str]) -> None:
        """Take up new parts, and forget those that are gone."""
        known = self._known(kind)
        new = sorted(set(there) - known)
        while known - set(there):
            with transaction(self._connection):
                there = self.store.parts(kind)  # another process may have taken up one that came since we looked
                self._forget(kind, sorted(self._known(kind) - set(there))[:_AT_ONCE])
            known = self._known(kind)
        for at in range(0, len(new), _AT_ONCE):
            with transaction(self._connection):
                known = self._known(kind)  # another process may have been faster
                for name in new[at : at + _AT_ONCE]:
                    if name not in known:
                        with suppress(FileNotFoundError):
                            self._take(kind, name)

    def _known(self, kind: str) -> set[str]:
        return {name for (name,) in self._connection.execute("select name from parts where kind = ?", (kind,))}

    def _forget(self, kind: str, names: Sequence[str]) -> None:
        gone = json.dumps(names)
        tables = (("labels", "part"),) if kind == "labels" else (("units", "part"), ("repeats", "part"))
        for table, column in tables:
            query = f"delete from {table} where {column} in (select value from json_each(?))"  # noqa: S608 - our own words, and values are parameters
            self._connection.execute(query, (gone,))
        query = "delete from parts where kind = ? and name in (select value from json_each(?))"
        self._connection.execute(query, (kind, gone))

    def _take(self, kind: str, name: str) -> None:
        with self.store.opened(kind, name) as file:
            if kind == "labels":
                rows = zip(*file.read(columns=list(LABEL_COLUMNS)).to_pydict().values(), strict=True)
                self._connection.executemany(
                    "insert into labels values (?, ?, ?, ?, ?, ?, ?)", [(*row, name) for row in rows]
                )
                self._connection.execute("insert into parts values (?, ?, null, null)", (kind, name))
                return
            units = [_unit(file, name, number) for number in range(file.metadata.num_row_groups)]
        units = [unit for unit in units if unit.rows]
        first, last = min((unit.first for unit in units), default=0), max((unit.last for unit in units), default=-1)
        if units:
            self._note_repeats(name, first, last)
        self._connection.executemany(
            "insert into units values (?, ?, ?, ?, ?, ?)",
            [(unit.part, unit.number, unit.rows, unit.first, unit.last, unit.sha256) for unit in units],
        )
        self._connection.execute("insert into parts values (?, ?, ?, ?)", (kind, name, first, last))

    def _note_repeats(self, name: str, first: int, last: int) -> None:
        """A batch that was cut anew leaves records in two parts. They have the same time in both."""
        import pyarrow.compute as pc

        query = "select name from parts where kind = 'predictions' and last >= ? and first <= ?"
        beside = [found for (found,) in self._connection.execute(query, (first, last))]
        if not beside:
            return
        ids = self._ids_of(name)
        for other in beside:
            with suppress(FileNotFoundError):
                rows = pc.indices_nonzero(pc.is_in(ids, value_set=self._ids_of(other)))
                self._connection.executemany(
                    "insert or ignore into repeats values (?, ?)", [(name, row) for row in rows.to_pylist()]
                )

    def _ids_of(self, name: str) -> pa.Array:
        """Those of a part; the ones that were looked at last are kept, as the next part lies beside them, too."""
        if name not in self._ids:
            with self.store.opened("predictions", name) as file:
                ids = file.read(columns=["prediction_id"])["prediction_id"].combine_chunks()
            if len(self._ids) >= _KEPT:
                del self._ids[next(iter(self._ids))]
            self._ids[name] = ids
        return self._ids[name]


def _unit(file: pq.ParquetFile, part: str, number: int) -> Unit:
    """By the statistics of the row group; where it has none, by its values."""
    group = file.metadata.row_group(number)
    places = {file.schema_arrow.names[i]: i for i in range(len(file.schema_arrow.names))}
    ends: dict[str, tuple[Any, Any]] = {}
    for name in ("timestamp", "sha256"):
        found = group.column(places[name]).statistics
        if found is None or not found.has_min_max:
            import pyarrow.compute as pc

            extremes = pc.min_max(file.read_row_group(number, columns=[name])[name]).as_py()
            ends[name] = extremes["min"], extremes["max"]
        else:
            ends[name] = found.min, found.max
    (first, last), (least, most) = map(microseconds, ends["timestamp"]), ends["sha256"]
    return Unit(part, number, group.num_rows, first, last, least if least == most else None)


def microseconds(at: datetime) -> int:
    """Of 1970, of an aware moment.

    Example:
        >>> microseconds(datetime(1970, 1, 1, 0, 0, 1, 5, tzinfo=UTC))
        1000005
    """
    return (at - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)


@contextmanager
def _lasting(folder: Path, store: Store) -> Iterator[sqlite3.Connection]:
    place = index_folder(folder)
    connection: sqlite3.Connection | None = None
    if place is not None:
        with suppress(OSError, sqlite3.OperationalError):
            connection = _opened(place / _FILE, store)
    if connection is None:
        connection = _made(":memory:", store)
    with closing(connection):
        yield connection


def _opened(file: Path, store: Store) -> sqlite3.Connection:
    """One that is broken, of another version or of another log is made anew; by one process, or the next would delete
    what it has just made."""
    with in_turn(file.with_name(f"{file.name}.lock")):
        connection = _made(str(file), store)
        try:
            version = connection.execute("pragma user_version").fetchone()[0]
            if version == _VERSION and connection.execute("select root from store").fetchall() == [(store.root,)]:
                return connection
        except sqlite3.OperationalError:
            connection.close()
            raise
        except sqlite3.DatabaseError:
            pass
        connection.close()
        file.unlink(missing_ok=True)
        return _made(str(file), store)


def _made(file: str, store: Store) -> sqlite3.Connection:
    connection = sqlite3.connect(file, timeout=_WAIT_S, isolation_level=None)
    try:
        connection.execute("pragma secure_delete = on")
        if connection.execute("pragma user_version").fetchone()[0] == 0:
            with transaction(connection):
                if connection.execute("pragma user_version").fetchone()[0] == 0:
                    for statement in _SCHEMA.split(";\n"):
                        connection.execute(statement)
                    connection.execute("insert into store values (?)", (store.root,))
                    connection.execute(f"pragma user_version = {_VERSION}")
    except sqlite3.DatabaseError as error:
        if isinstance(error, sqlite3.OperationalError):
            connection.close()
            raise
    return connection
