"""What the SQLite log does beyond the contract: its file, the schema of earlier ones, a full disk."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from pizzeria.errors import DataError
from pizzeria_plugins.prediction_logs import sqlite

from .conftest import record, small_disk

EARLIER = """
CREATE TABLE predictions (
    id INTEGER PRIMARY KEY,
    timestamp TEXT NOT NULL,
    sha256 TEXT NOT NULL,
    input_id TEXT,
    listing_id TEXT,
    latency_ms REAL,
    record_json TEXT NOT NULL
);
CREATE INDEX predictions_of_bundle ON predictions (sha256, timestamp);
INSERT INTO predictions (timestamp, sha256, input_id, latency_ms, record_json)
    VALUES ('2026-04-01T12:00:00.250+00:00', 'aa', 'old.jpg', 2.5, '{"p:bed":0.5}'),
           ('2026-04-01T12:00:01+00:00', 'aa', 'old too.jpg', 2.5, '{"p:bed":0.75}');
"""
"""What the log of Pizzeria 0.1's first months looks like."""


@pytest.fixture
def earlier(tmp_path: Path) -> Path:
    with closing(sqlite3.connect(tmp_path / "predictions.sqlite")) as connection:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.executescript(EARLIER)
    return tmp_path


def test_the_file_can_be_elsewhere(tmp_path: Path) -> None:
    options = sqlite.Options(path=str(tmp_path / "deep" / "log.db"))
    sqlite.writer(options, tmp_path / "unused")([record(1)])
    assert len(sqlite.read(options, tmp_path / "unused")) == 1
    assert (tmp_path / "deep" / "log.db").exists()
    relative = sqlite.Options(path="other.db")
    sqlite.writer(relative, tmp_path)([record(1)])
    assert (tmp_path / "other.db").exists()


def test_the_file_is_in_wal_mode(tmp_path: Path) -> None:
    sqlite.writer(sqlite.Options(), tmp_path)([record(1)])
    with closing(sqlite3.connect(tmp_path / "predictions.sqlite")) as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)


def test_an_earlier_file_can_be_read_as_it_is(earlier: Path) -> None:
    before = (earlier / "predictions.sqlite").read_bytes()
    frame = sqlite.read(sqlite.Options(), earlier)
    assert frame["input_id"].tolist() == ["old.jpg", "old too.jpg"]
    assert frame["p:bed"].tolist() == [0.5, 0.75]
    assert frame["prediction_id"].tolist() == [None, None]
    assert sqlite.photo(sqlite.Options(), earlier, "any") is None
    assert (earlier / "predictions.sqlite").read_bytes() == before


def test_an_earlier_file_goes_on_with_its_records(earlier: Path) -> None:
    new = record(1, photo=b"photo")
    sqlite.writer(sqlite.Options(), earlier)([new])
    frame = sqlite.read(sqlite.Options(), earlier)
    assert frame["input_id"].tolist() == ["old.jpg", "old too.jpg", "photo-1.jpg"]
    assert frame["prediction_id"].tolist() == [None, None, new["prediction_id"]]
    assert sqlite.photo(sqlite.Options(), earlier, new["prediction_id"]) == b"photo"


def test_an_earlier_file_can_be_pruned(earlier: Path) -> None:
    from datetime import UTC, datetime

    assert sqlite.prune(sqlite.Options(), earlier, datetime(2026, 4, 1, 12, 0, 1, tzinfo=UTC)) == 1
    assert sqlite.read(sqlite.Options(), earlier)["input_id"].tolist() == ["old too.jpg"]


def test_many_workers_bring_an_earlier_file_up_to_date_at_once(earlier: Path) -> None:
    program = """
import json, sys
from pathlib import Path
from pizzeria_plugins.prediction_logs import sqlite
write = sqlite.writer(sqlite.Options(), Path(sys.argv[1]))
print("ready", flush=True)
sys.stdin.readline()
write([json.loads(sys.argv[2]) | {"prediction_id": sys.argv[3]}])
"""
    arguments = [sys.executable, "-c", program, str(earlier), json.dumps(record(1))]
    workers = [
        subprocess.Popen([*arguments, str(n)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for n in range(6)
    ]
    for one in workers:
        assert one.stdout is not None
        assert one.stdout.readline() == "ready\n"
    for one in workers:
        one.communicate("go\n")
    assert [one.returncode for one in workers] == [0] * 6
    assert len(sqlite.read(sqlite.Options(), earlier)) == 2 + 6


def test_a_file_of_a_newer_pizzeria_is_left_alone(tmp_path: Path) -> None:
    write = sqlite.writer(sqlite.Options(), tmp_path)
    write([record(1)])
    with closing(sqlite3.connect(tmp_path / "predictions.sqlite")) as connection:
        connection.execute("PRAGMA user_version = 7")
    with pytest.raises(sqlite3.DatabaseError, match="written by a newer Pizzeria"):
        write([record(2)])


def test_a_file_that_is_no_database_is_named(tmp_path: Path) -> None:
    (tmp_path / "predictions.sqlite").write_bytes(b"no database at all" * 100)
    with pytest.raises(DataError, match=r"predictions\.sqlite cannot be read: file is not a database"):
        sqlite.read(sqlite.Options(), tmp_path)


def test_what_is_pruned_is_overwritten(tmp_path: Path) -> None:
    from datetime import UTC, datetime

    secret = b"the guest's kitchen" * 500
    sqlite.writer(sqlite.Options(), tmp_path)([record(1, photo=secret, input_id="secret-name.jpg")])
    assert sqlite.prune(sqlite.Options(), tmp_path, datetime(2027, 1, 1, tzinfo=UTC)) == 1
    left = (tmp_path / "predictions.sqlite").read_bytes()
    assert b"guest's kitchen" not in left
    assert b"secret-name" not in left


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    with small_disk(tmp_path / "disk", megabytes=1) as folder:
        yield folder


def test_a_full_disk_leaves_the_log_whole_and_takes_the_batch_later(disk: Path) -> None:
    write = sqlite.writer(sqlite.Options(), disk)
    write([record(1)])
    (disk / "ballast").write_bytes(bytes(600_000))
    batch = [record(2, **{"feature:text": "x" * 200_000}) for _ in range(4)]
    with pytest.raises((sqlite3.OperationalError, OSError)):
        write(batch)
    assert sqlite.read(sqlite.Options(), disk)["input_id"].tolist() == ["photo-1.jpg"]
    (disk / "ballast").unlink()
    for one in batch[:2]:
        write([one])
    assert len(sqlite.read(sqlite.Options(), disk)) == 3
