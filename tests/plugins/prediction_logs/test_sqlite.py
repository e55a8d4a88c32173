"""The SQLite prediction log: what goes in comes out, several writers at once, readers beside them."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pandas as pd
import pytest

from pizzeria_plugins.prediction_logs import sqlite


def record(second: int, sha256: str = "aa", **values: object) -> dict[str, object]:
    return {
        "timestamp": f"2026-05-01T12:00:{second:02d}.500000+00:00",
        "sha256": sha256,
        "input_id": f"photo-{second}.jpg",
        "listing_id": "",
        "latency_ms": 3.5,
        "p:bed": 0.25,
        "pred:bed": 0,
        **values,
    }


def test_records_come_back_flat_typed_and_oldest_first(tmp_path: Path) -> None:
    write = sqlite.writer(sqlite.Options(), tmp_path)
    write([record(2), record(1, **{"feature:brightness": 0.5, "pred": "Küche"})])
    frame = sqlite.read(sqlite.Options(), tmp_path)
    assert frame["input_id"].tolist() == ["photo-1.jpg", "photo-2.jpg"]
    assert str(frame["timestamp"].dt.tz) == "UTC"
    assert frame["timestamp"][0] == pd.Timestamp("2026-05-01T12:00:01.5Z")
    assert frame["p:bed"].tolist() == [0.25, 0.25]
    assert frame["pred:bed"].tolist() == [0, 0]
    assert frame["pred"][0] == "Küche"
    assert pd.isna(frame["feature:brightness"][1])


def test_one_bundle_can_be_read_alone(tmp_path: Path) -> None:
    sqlite.writer(sqlite.Options(), tmp_path)([record(1, "aa"), record(2, "bb"), record(3, "aa")])
    assert len(sqlite.read(sqlite.Options(), tmp_path, sha256="aa")) == 2
    assert sqlite.read(sqlite.Options(), tmp_path, sha256="cc").empty


def test_no_log_yet_is_an_empty_frame_with_the_fixed_columns(tmp_path: Path) -> None:
    frame = sqlite.read(sqlite.Options(), tmp_path)
    assert list(frame.columns) == ["timestamp", "sha256", "input_id", "listing_id", "latency_ms"]
    assert str(frame["timestamp"].dtype).endswith("UTC]")
    assert not list(tmp_path.iterdir()), "reading makes no file"


def test_the_file_can_be_elsewhere(tmp_path: Path) -> None:
    options = sqlite.Options(path=str(tmp_path / "deep" / "log.db"))
    sqlite.writer(options, tmp_path / "unused")([record(1)])
    assert len(sqlite.read(options, tmp_path / "unused")) == 1
    assert (tmp_path / "deep" / "log.db").exists()
    relative = sqlite.Options(path="other.db")
    sqlite.writer(relative, tmp_path)([record(1)])
    assert (tmp_path / "other.db").exists()


def test_a_batch_with_a_faulty_record_leaves_nothing(tmp_path: Path) -> None:
    write = sqlite.writer(sqlite.Options(), tmp_path)
    with pytest.raises(KeyError, match="sha256"):
        write([record(1), {"timestamp": "2026-05-01T12:00:00+00:00"}])
    assert sqlite.read(sqlite.Options(), tmp_path).empty


def test_several_processes_write_at_once_and_lose_nothing(tmp_path: Path) -> None:
    program = """
import json, sys
from pathlib import Path
from pizzeria_plugins.prediction_logs import sqlite
write = sqlite.writer(sqlite.Options(), Path(sys.argv[1]))
for batch in range(40):
    write([json.loads(sys.argv[2]) | {"input_id": f"{sys.argv[3]}-{batch}-{i}"} for i in range(5)])
"""
    writers = [
        subprocess.Popen([sys.executable, "-c", program, str(tmp_path), json.dumps(record(1)), str(n)])
        for n in range(4)
    ]
    while any(one.poll() is None for one in writers):
        sqlite.read(sqlite.Options(), tmp_path)
    assert [one.returncode for one in writers] == [0, 0, 0, 0]
    frame = sqlite.read(sqlite.Options(), tmp_path)
    assert len(frame) == 4 * 40 * 5
    assert frame["input_id"].is_unique


def test_the_file_is_in_wal_mode(tmp_path: Path) -> None:
    sqlite.writer(sqlite.Options(), tmp_path)([record(1)])
    with closing(sqlite3.connect(tmp_path / "predictions.sqlite")) as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
