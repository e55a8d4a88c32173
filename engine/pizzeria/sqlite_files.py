"""SQLite files that several processes use, and how one that was changed behind SQLite's back is told: as damage, with
the name of the file."""

from __future__ import annotations

import json
import sqlite3
import time
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
        sqlite3.SQLITE_PROTOCOL,
        sqlite3.SQLITE_CONSTRAINT,
        sqlite3.SQLITE_MISUSE,
    }
)
"""What SQLite says of locks, rights, room and the disk. All else comes from bytes that make no sense."""
_AGAIN_S = 0.01
"""Until the lock of a file is asked for again."""


def is_damage(error: sqlite3.Error | sqlite3.Warning | UnicodeDecodeError) -> bool:
    """Whether what SQLite raises means that the bytes of a file make no sense; not, say, that others hold its lock.

    Example:
        >>> try:
        ...     sqlite3.connect("/no/such/folder/ledger.sqlite")
        ... except sqlite3.Error as error:
        ...     is_damage(error)
        False
    """
    # None where Python itself could not take up a value, such as a text that is no UTF-8
    code = getattr(error, "sqlite_errorcode", None)
    if code is not None and code & 0xFF in _NO_DAMAGE:
        return False
    return not isinstance(error, sqlite3.ProgrammingError)


@contextmanager
def damage_told(path: Path, hint: str) -> Iterator[None]:
    """Let what SQLite raises of a damaged file leave the block as such; all other errors pass.

    Raises:
        DamagedError: the file is damaged.
    """
    try:
        yield
    except (sqlite3.DatabaseError, sqlite3.Warning, UnicodeDecodeError) as error:  # what SQLite says may be no UTF-8
        if not is_damage(error):
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


def use_wal(connection: sqlite3.Connection, timeout_s: float = 30) -> None:
    """Let readers and a writer use the file at once: a write-ahead log, as https://sqlite.org/wal.html has it.

    SQLite does not wait for others here: of several processes that begin a file at once, all but one are refused, and
    ask again.

    Raises:
        sqlite3.OperationalError: others held the file's lock for all that time.
    """
    until = time.monotonic() + timeout_s
    while True:
        try:
            connection.execute("pragma journal_mode = wal")
            return
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > until:
                raise
            time.sleep(_AGAIN_S)


def remove(path: Path) -> None:
    """Remove a file that can be made again, and what SQLite keeps beside it, which belongs to no other."""
    for ending in ("", "-wal", "-shm"):
        path.with_name(path.name + ending).unlink(missing_ok=True)


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
