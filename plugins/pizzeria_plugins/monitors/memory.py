"""What the monitor remembers of one bundle's traffic: the chunks, and what was measured in each. One SQLite file.

Whatever is written is written whole or not at all, so a kill spoils nothing: the next pass measures what is missing. A
reading lies under a key that says what it depends on (see `Memory.key`); one under another key is not used, and goes.
A chunk that was judged is told again in the next pass, until `kept` says that the verdict lies in the history.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from pizzeria.row_sums import checked, keep_sums, opened_with_sums
from pizzeria.sqlite_files import transaction, use_wal
from pizzeria_plugins.monitors.chunks import Cut, Edge, Part, microseconds, moment_of

if TYPE_CHECKING:
    import pandas as pd

    from pizzeria_plugins.monitors.instruments import Reading

T = TypeVar("T")

NOTHING, LABELS, ALL = 0, 1, 2
"""What is to be measured in a chunk: nothing, what depends on labels, all."""
_SCHEMA = """
create table if not exists facts(key text primary key, value text not null) strict, without rowid;
create table if not exists remembered(key text primary key, value text not null) strict, without rowid;
create table if not exists chunks(
    id integer primary key, name text not null unique, first_moment integer not null, first_rows integer not null,
    last_moment integer not null, last_rows integer not null, rows integer not null, open integer not null,
    start text not null, end text not null, labelled integer not null, todo integer not null, untold integer not null
    ) strict;
create table if not exists readings(
    chunk integer not null, instrument text not null, key text not null, reading text not null,
    primary key (chunk, instrument)) strict, without rowid;
"""
_COLUMNS = {
    "facts": ("key", "value"),
    "remembered": ("key", "value"),
    "chunks": (
        "id", "name", "first_moment", "first_rows", "last_moment", "last_rows", "rows", "open", "start", "end",
        "labelled", "todo", "untold",
    ),
    "readings": ("chunk", "instrument", "key", "reading"),
}  # fmt: skip
_KEYS = {"facts": ("key",), "remembered": ("key",), "chunks": ("id",), "readings": ("chunk", "instrument")}
_CHECKED = {table: checked(table, columns) for table, columns in _COLUMNS.items()}


@dataclass(frozen=True)
class Remembered:
    """A chunk, and how far it got.

    Attributes:
        start: ISO 8601, of its first record; empty until it was measured, and where records have no time.
        todo: What is to be measured: `NOTHING`, `LABELS` or `ALL`.
        untold: Whether the next verdict has it.
    """

    id: int
    cut: Cut
    start: str
    end: str
    labelled: int
    todo: int
    untold: bool

    @property
    def part(self) -> Part:
        return Part(self.cut.name, 0, self.cut.rows, self.start, self.end, self.cut.open)


@dataclass(frozen=True)
class Measured:
    """What was measured in one chunk: its readings by instrument, and what it was found to be."""

    name: str
    rows: int
    labelled: int
    start: str
    end: str
    readings: Mapping[str, Reading]


class Memory:
    """What is remembered in a folder; used by one process at a time, as `pizzeria monitor` sees to.

    Args:
        folder: Of the traffic of one bundle.
        depends: Hash of the reference, and of the code that measures: part of every key.
    """

    def __init__(self, folder: Path, depends: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.path = folder / "readings.sqlite"
        self.depends = depends
        with _opened(self.path) as connection:
            use_wal(connection)
            connection.executescript(_SCHEMA)
            for table, columns in _COLUMNS.items():
                keep_sums(connection, table, columns, _KEYS[table])

    def chunks(self) -> list[Remembered]:
        """All that were cut, oldest first."""
        columns = ", ".join((_CHECKED["chunks"], *_COLUMNS["chunks"][1:]))
        query = f"select {columns} from chunks order by first_moment, first_rows, last_moment, last_rows"  # noqa: S608 - our own words, and values are parameters
        with _opened(self.path) as connection:
            rows = connection.execute(query).fetchall()
        return [
            Remembered(
                id,
                Cut(name, Edge(moment_of(first), before), Edge(moment_of(last), within), rows, bool(open)),
                start, end, labelled, todo, bool(untold),
            )
            for id, name, first, before, last, within, rows, open, start, end, labelled, todo, untold in rows
        ]  # fmt: skip

    def replace(self, gone: Iterable[Remembered], cuts: Iterable[Cut]) -> None:
        """Forget some chunks, and take in others, which are to be measured."""
        with self._transaction() as connection:
            self._forget(connection, gone)
            connection.executemany(
                """insert into chunks(name, first_moment, first_rows, last_moment, last_rows, rows, open, start, end,
                       labelled, todo, untold) values (?, ?, ?, ?, ?, ?, ?, '', '', 0, ?, 1)""",
                (
                    (c.name, microseconds(c.first.moment), c.first.rows, microseconds(c.last.moment), c.last.rows,
                     c.rows, c.open, ALL)
                    for c in cuts
                ),
            )  # fmt: skip

    def ask(self, todo: Iterable[tuple[Remembered, int, int]], facts: Mapping[str, Any] | None = None) -> None:
        """Note what is to be measured again, with facts that hold from then on; both or neither.

        Args:
            todo: Chunks, what of them, and how many rows they have now.
        """
        with self._transaction() as connection:
            connection.executemany(
                "update chunks set todo = max(todo, ?), rows = ?, untold = 1 where id = ?",
                ((what, rows, chunk.id) for chunk, what, rows in todo),
            )
            _note(connection, facts or {})

    def tell_all(self) -> None:
        """Judge all chunks again; nothing is measured for it."""
        with self._transaction() as connection:
            connection.execute("update chunks set untold = 1")

    def close(self, chunks: Iterable[Remembered]) -> None:
        """Note that no more records are to come to them, and judge them again."""
        with self._transaction() as connection:
            connection.executemany(
                "update chunks set open = 0, untold = 1 where id = ?", ((chunk.id,) for chunk in chunks)
            )

    def keep(self, measured: Sequence[Measured], keys: Mapping[str, str]) -> None:
        """Keep readings of chunks; nothing remains to be measured in these.

        Args:
            keys: By instrument.
        """
        with self._transaction() as connection:
            for one in measured:
                row = connection.execute(
                    """update chunks set rows = ?, labelled = ?, start = ?, end = ?, todo = 0, untold = 1
                       where name = ? returning id""",
                    (one.rows, one.labelled, one.start, one.end, one.name),
                ).fetchone()
                connection.executemany(
                    "insert or replace into readings(chunk, instrument, key, reading) values (?, ?, ?, ?)",
                    (
                        (row[0], name, keys[name], json.dumps(reading, allow_nan=False))
                        for name, reading in one.readings.items()
                    ),
                )

    def have(self, keys: Mapping[str, str]) -> dict[str, set[int]]:
        """By instrument, ids of the chunks with a reading under its key; all others go."""
        with self._transaction() as connection:
            listed = json.dumps([[name, key] for name, key in keys.items()])
            connection.execute(
                """delete from readings where not exists (
                       select 1 from json_each(?) as wanted
                       where wanted.value ->> 0 = readings.instrument and wanted.value ->> 1 = readings.key)""",
                (listed,),
            )
            found: dict[str, set[int]] = {name: set() for name in keys}
            query = f"select {_CHECKED['readings']}, instrument from readings"  # noqa: S608 - our own words
            for chunk, name in connection.execute(query):
                found[name].add(chunk)
        return found

    def readings(self, chunks: Sequence[Remembered]) -> dict[str, dict[str, Reading]]:
        """By instrument, by the chunk's name."""
        names = {chunk.id: chunk.cut.name for chunk in chunks}
        found: dict[str, dict[str, Reading]] = {}
        with _opened(self.path) as connection:
            query = f"""
                select {_CHECKED["readings"]}, instrument, reading from readings
                where chunk in (select value from json_each(?))
            """  # noqa: S608 - our own words, and values are parameters
            for chunk, instrument, reading in connection.execute(query, (json.dumps(list(names)),)):
                found.setdefault(instrument, {})[names[chunk]] = json.loads(reading)
        return found

    def fact(self, name: str) -> Any:
        """What `note` was told; None when it was not."""
        with _opened(self.path) as connection:
            query = f"select {_CHECKED['facts']}, value from facts where key = ?"  # noqa: S608 - our own words, and values are parameters
            row = connection.execute(query, (name,)).fetchone()
            return None if row is None else json.loads(row[1])

    def note(self, **facts: Any) -> None:
        """Keep facts, plain data as JSON has them."""
        with self._transaction() as connection:
            _note(connection, facts)

    def remember(self, key: Any, make: Callable[[], T]) -> T:
        """See `pizzeria_plugins.monitors.instruments.Context`."""
        name = hash_of([self.depends, key])
        with _opened(self.path) as connection:
            query = f"select {_CHECKED['remembered']}, value from remembered where key = ?"  # noqa: S608 - our own words, and values are parameters
            row = connection.execute(query, (name,)).fetchone()
        if row is None:
            made = json.dumps(make())
            with self._transaction() as connection:
                connection.execute("insert or replace into remembered(key, value) values (?, ?)", (name, made))
        else:
            made = row[1]
        value: T = json.loads(made)
        return value

    def key(self, name: str, settings: Mapping[str, Any]) -> str:
        """What an instrument's readings depend on."""
        return hash_of([self.depends, name, settings])

    @staticmethod
    def _forget(connection: sqlite3.Connection, chunks: Iterable[Remembered]) -> None:
        ids = [(chunk.id,) for chunk in chunks]
        connection.executemany("delete from readings where chunk = ?", ids)
        connection.executemany("delete from chunks where id = ?", ids)

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with _opened(self.path) as connection, transaction(connection):
            yield connection


def kept(folder: Path) -> None:
    """Note that the last verdict lies in the history: its chunks are told no more."""
    path = folder / "readings.sqlite"
    if path.is_file():
        with _opened(path) as connection:
            connection.execute("update chunks set untold = 0 where todo = 0")


def depends_on(reference: pd.DataFrame) -> str:
    """Hash of the reference and of the code that measures: this package's, NannyML's and pandas' versions."""
    from pandas.util import hash_pandas_object

    total = hashlib.sha256()
    for source in sorted(Path(__file__).parent.glob("*.py")):
        total.update(source.read_bytes())
    for name in ("nannyml", "pandas", "numpy", "scikit-learn", "lightgbm"):
        total.update(f"{name} {version(name)}".encode())
    total.update(json.dumps(reference.attrs, sort_keys=True, default=str).encode())
    for column in reference:
        series = reference[column]
        total.update(f"{column} {series.dtype} {len(series)}".encode())
        values = series.map(repr) if series.dtype == object else series
        total.update(hash_pandas_object(values, index=False, categorize=False).to_numpy().tobytes())
    return total.hexdigest()


def hash_of(value: Any) -> str:
    """Of plain data."""
    return hashlib.sha256(json.dumps(value, sort_keys=True, default=str).encode()).hexdigest()


def _note(connection: sqlite3.Connection, facts: Mapping[str, Any]) -> None:
    rows = [(name, json.dumps(value)) for name, value in facts.items()]
    connection.executemany("insert or replace into facts(key, value) values (?, ?)", rows)


def _opened(path: Path) -> AbstractContextManager[sqlite3.Connection]:
    return opened_with_sums(path, f"remove it (rm {path}): the next `pizzeria monitor` measures all traffic anew")
