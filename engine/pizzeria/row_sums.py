"""A sum in each row of an SQLite table, so that a changed value is found: SQLite keeps none, and would pass it on.

Triggers keep the sums, whoever writes through a connection of `opened_with_sums`, and queries have them checked:

    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "history.sqlite"
    >>> id = checked("findings", ("id", "value"))
    >>> with opened_with_sums(path, "remove it") as connection:
    ...     _ = connection.execute("create table findings(id integer primary key, value real not null) strict")
    ...     keep_sums(connection, "findings", ("id", "value"))
    ...     _ = connection.execute("insert into findings(value) values (0.9)")
    ...     connection.execute(f"select {id}, value from findings").fetchall()
    [(1, 0.9)]
"""

from __future__ import annotations

import sqlite3
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

from pizzeria.errors import DamagedError
from pizzeria.sqlite_files import opened, transaction


@contextmanager
def opened_with_sums(path: Path, hint: str) -> Iterator[sqlite3.Connection]:
    """A connection as `pizzeria.sqlite_files.opened` gives it, which knows the sums.

    Raises:
        DamagedError: the file is damaged, or a query met a row that is not as it was written.
    """
    changed: list[str] = []

    def row_checked(table: str, found: int | None, *values: Any) -> Any:
        if found != _sum(*values):
            changed.append(table)
            raise ValueError
        return values[0]

    with opened(path, hint) as connection:
        connection.create_function("row_sum", -1, _sum, deterministic=True)
        connection.create_function("row_checked", -1, row_checked)
        try:
            yield connection
        except sqlite3.OperationalError as error:  # all that SQLite says of what a function raised
            if not changed:
                raise
            raise DamagedError(f"{path} is damaged: a row of {changed[0]} was changed", hint=hint) from error


def keep_sums(connection: sqlite3.Connection, table: str, columns: Sequence[str], key: Sequence[str] = ("id",)) -> None:
    """Let a table keep sums, also of the rows that it has.

    Args:
        columns: All of the table's, but for `sum`, which it gets.
        key: Its primary key.
    """
    if not _has_sums(connection, table):
        with nullcontext() if connection.in_transaction else transaction(connection):
            if not _has_sums(connection, table):  # else another process was first
                connection.execute(f"alter table {table} add column sum integer")
                connection.execute(f"update {table} set sum = row_sum({', '.join(columns)})")  # noqa: S608 - our own words
    new, row = ", ".join(f"new.{one}" for one in columns), " and ".join(f"{one} = new.{one}" for one in key)
    for name, event in (("added", "insert"), ("changed", f"update of {', '.join(columns)}")):
        connection.execute(
            f"create trigger if not exists sum_of_{name}_{table} after {event} on {table}"  # noqa: S608 - our own words
            f" begin update {table} set sum = row_sum({new}) where {row}; end"
        )


def checked(table: str, columns: Sequence[str], alias: str = "") -> str:
    """The first column of a row that is as it was written, for what a query selects; on another row the query fails.

    Not for its `where`: there SQLite may put what a column is compared with in the place of the column.

    Args:
        columns: As `keep_sums` was given them.
        alias: Of the table in the query.

    Example:
        >>> checked("findings", ("id", "value"), "f")
        "row_checked('findings', f.sum, f.id, f.value)"
    """
    dot = f"{alias or table}."
    return f"row_checked('{table}', {', '.join(dot + one for one in ('sum', *columns))})"


def _sum(*values: Any) -> int:
    """SQLite gives -0.0 back as 0.0."""
    return zlib.crc32(repr([one + 0.0 if isinstance(one, float) else one for one in values]).encode())


def _has_sums(connection: sqlite3.Connection, table: str) -> bool:
    return connection.execute(f"select 1 from pragma_table_info('{table}') where name = 'sum'").fetchone() is not None  # noqa: S608 - our own words
