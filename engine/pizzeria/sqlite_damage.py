"""SQLite files, and how one that was changed behind SQLite's back is told: as damage, with the name of the file."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from pizzeria.errors import DamagedError

_NO_DAMAGE = frozenset(
    {
        sqlite3.SQLITE_PERM,
        sqlite3.SQLITE_ABORT,
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_LOCKED,
        sqlite3.SQLITE_NOMEM,
        sqlite3.SQLITE_READONLY,
        sqlite3.SQLITE_INTERRUPT,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_CONSTRAINT,
        sqlite3.SQLITE_MISUSE,
    }
)
"""What SQLite says of locks, rights, room and the disk. All else comes from bytes that make no sense."""


@contextmanager
def damage_told(path: Path, hint: str) -> Iterator[None]:
    """Let what SQLite raises of a damaged file leave the block as such; all other errors pass.

    Raises:
        DamagedError: the file is damaged.
    """
    try:
        yield
    except (sqlite3.DatabaseError, sqlite3.Warning, UnicodeDecodeError) as error:  # what SQLite says may be no UTF-8
        # None where Python itself could not take up a value, such as a text that is no UTF-8
        code = getattr(error, "sqlite_errorcode", None)
        if (code is not None and code & 0xFF in _NO_DAMAGE) or isinstance(error, sqlite3.ProgrammingError):
            raise
        raise DamagedError(f"{path} is damaged: {error}", hint=hint) from error


@contextmanager
def opened(path: Path, hint: str) -> Iterator[sqlite3.Connection]:
    """A connection for the block: each statement is committed by itself, and on disk then; damage is told.

    Raises:
        DamagedError: the file is damaged, or a text or JSON in it.
    """
    with damage_told(path, hint), closing(sqlite3.connect(path, timeout=30, isolation_level=None)) as connection:
        connection.execute("pragma synchronous = full")
        try:
            yield connection
        except json.JSONDecodeError as error:
            raise DamagedError(f"{path} is damaged: {error}", hint=hint) from error


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """All that is written within, or nothing. The write lock is taken first: two that read before they wrote could only
    wait for each other."""
    connection.execute("begin immediate")
    try:
        yield
        connection.execute("commit")
    except BaseException:
        if connection.in_transaction:
            connection.execute("rollback")
        raise


def check_structure(connection: sqlite3.Connection, path: Path, hint: str) -> None:
    """Check that tables, indexes and pages fit each other; reads the whole file.

    Raises:
        DamagedError: they do not.
    """
    with damage_told(path, hint):
        told = [str(row[0]) for row in connection.execute("pragma integrity_check(3)")]
    if told != ["ok"]:
        raise DamagedError(f"{path} is damaged: {'; '.join(told)}", hint=hint)
