"""A record that changed on the disk is told when it is read, and an index that lacks records is, too."""

from __future__ import annotations

import random
import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from pizzeria.errors import DataError
from pizzeria_plugins.prediction_logs import parquet
from pizzeria_plugins.prediction_logs import sqlite as log

OPTIONS = log.Options()
BEGIN = datetime(2026, 5, 1, tzinfo=UTC)


def records(count: int = 40) -> list[dict[str, object]]:
    moments = [(BEGIN + timedelta(seconds=i)).isoformat() for i in range(count)]
    return [
        {"timestamp": at, "sha256": "ab", "prediction_id": f"{i:03d}", "latency_ms": 1.5, "pred:yes": i / 7}
        for i, at in enumerate(moments)
    ]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    log.writer(OPTIONS, tmp_path)(records())
    log._checked.clear()
    return tmp_path / "predictions.sqlite"


def change(file: Path, *statements: str) -> None:
    with closing(sqlite3.connect(file)) as connection, connection:
        for statement in statements:
            connection.execute(statement)


def test_a_changed_record_is_told_by_file_and_number(file: Path) -> None:
    change(file, "UPDATE predictions SET record_json = replace(record_json, '0.14', '0.94') WHERE id = 2")
    with pytest.raises(DataError, match=r"predictions\.sqlite cannot be read: record 2 is not what was written"):
        log.read(OPTIONS, file.parent)


def test_a_record_of_before_has_no_sum_and_is_read(file: Path) -> None:
    change(file, "DROP INDEX predictions_counted", "ALTER TABLE predictions DROP COLUMN crc")
    assert len(log.read(OPTIONS, file.parent)) == 40
    log.writer(OPTIONS, file.parent)(records(41))
    assert len(log.read(OPTIONS, file.parent)) == 41


def lose_records(file: Path) -> None:
    """Let the index by time lack some."""
    with closing(sqlite3.connect(file)) as connection, connection:
        page, size = connection.execute(
            "SELECT rootpage, (SELECT page_size FROM pragma_page_size) FROM sqlite_master"
            " WHERE name = 'predictions_by_time'"
        ).fetchone()
    data = bytearray(file.read_bytes())
    start = (page - 1) * size
    count = int.from_bytes(data[start + 3 : start + 5])
    data[start + 3 : start + 5] = (count - 3).to_bytes(2)
    file.write_bytes(data)


def test_an_index_that_lacks_records_is_told(file: Path) -> None:
    lose_records(file)
    with pytest.raises(DataError, match="predictions_by_time"):
        log.read(OPTIONS, file.parent)
    with pytest.raises(DataError, match="predictions_by_time"):
        log.check(OPTIONS, file.parent)


def test_a_file_is_checked_whose_inode_was_that_of_another_one(file: Path, tmp_path: Path) -> None:
    assert len(log.read(OPTIONS, file.parent)) == 40
    (tmp_path / "later").mkdir()
    later = file.rename(tmp_path / "later" / file.name)
    lose_records(later)
    with pytest.raises(DataError, match="predictions_by_time"):
        log.read(OPTIONS, later.parent)


def test_no_flipped_bit_is_read_as_if_it_were_true(file: Path) -> None:
    before, data, draw, told = log.read(OPTIONS, file.parent), file.read_bytes(), random.Random(4), 0
    for _ in range(60):
        at = draw.randrange(len(data))
        file.write_bytes(data[:at] + bytes([data[at] ^ 1 << draw.randrange(8)]) + data[at + 1 :])
        log._checked.clear()
        try:
            assert log.read(OPTIONS, file.parent).equals(before), at
        except DataError as error:
            told += file.name in error.message
    assert told > 5


def test_a_changed_page_of_a_part_is_told(tmp_path: Path) -> None:
    parquet.writer(parquet.Options(), tmp_path)(records())
    [part] = (path for path in tmp_path.rglob("*.parquet"))
    data = part.read_bytes()
    at = data.index(b"\x03\x00\x00\x00038") if b"\x03\x00\x00\x00038" in data else data.index(b"ab", 4)
    part.write_bytes(data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :])
    with pytest.raises(DataError, match=part.name):
        parquet.read(parquet.Options(), tmp_path)
