"""Several processes begin, hold and lose a file of SQLite at once."""

from __future__ import annotations

import sqlite3
import threading
from contextlib import closing
from pathlib import Path

import pytest

from pizzeria.sqlite_files import is_damage, remove, use_wal


@pytest.fixture
def locked(tmp_path: Path) -> Path:
    """A file, of a connection of its own."""
    path = tmp_path / "some.sqlite"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("create table some(value)")
    return path


def test_who_comes_second_waits_until_the_file_is_free(locked: Path) -> None:
    with closing(sqlite3.connect(locked, check_same_thread=False)) as holder, closing(sqlite3.connect(locked)) as other:
        holder.execute("begin exclusive")
        freed = threading.Timer(0.3, holder.rollback)
        freed.start()
        other.execute("pragma busy_timeout = 0")
        use_wal(other)
        freed.join()
        assert other.execute("pragma journal_mode").fetchone() == ("wal",)


def test_the_wait_has_an_end_and_a_lock_is_no_damage(locked: Path) -> None:
    with closing(sqlite3.connect(locked)) as holder, closing(sqlite3.connect(locked, timeout=0)) as other:
        holder.execute("begin exclusive")
        with pytest.raises(sqlite3.OperationalError, match="locked") as caught:
            use_wal(other, timeout_s=0.05)
    assert not is_damage(caught.value)


def test_a_race_for_a_lock_that_was_lost_for_seconds_is_no_damage() -> None:
    """Of a write-ahead log, among many who read and write at once: see https://sqlite.org/rescode.html#protocol."""
    error = sqlite3.OperationalError("locking protocol")
    error.sqlite_errorcode = sqlite3.SQLITE_PROTOCOL
    assert not is_damage(error)


def test_what_is_no_database_is_damage(tmp_path: Path) -> None:
    path = tmp_path / "some.sqlite"
    path.write_bytes(b"this is no database" * 100)
    with closing(sqlite3.connect(path)) as connection, pytest.raises(sqlite3.DatabaseError) as caught:
        use_wal(connection)
    assert is_damage(caught.value)


def test_a_file_is_removed_with_what_lies_beside_it(locked: Path) -> None:
    with closing(sqlite3.connect(locked)) as connection:
        use_wal(connection)
        connection.execute("insert into some values (1)")
        connection.commit()
        assert len(list(locked.parent.iterdir())) == 3
        remove(locked)
        assert list(locked.parent.iterdir()) == []
    remove(locked)
