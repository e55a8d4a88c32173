"""What comes of a disk is told by the disk's name, and what to do, wherever it was noticed."""

from __future__ import annotations

import errno
import json
import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import click
import pytest

from pizzeria.cli.group import Commands
from pizzeria.disk_trouble import disk_trouble_told, trouble_of
from pizzeria.errors import DataError, PluginError, StorageError
from pizzeria.plugin_guard import Guarded
from pizzeria.torture.disk_full import impossible, mounting


def test_whatever_library_runs_out_of_room_it_is_told_by_the_name_of_the_disk(tmp_path: Path) -> None:
    if why := impossible(mounting(), tmp_path):
        pytest.skip(why)
    disk = tmp_path / "disk"
    disk.mkdir()
    script = Path(__file__).with_name("full_disk.py")
    done = subprocess.run(
        [*mounting(), sys.executable, str(script), str(disk)], capture_output=True, text=True, check=True, timeout=300
    )
    told = json.loads(done.stdout)
    assert 90_000 < int(told.pop("free")) <= 100_000
    assert {name for name, text in told.items() if f"the disk at {disk} has no room" not in text} == set()
    assert all("the store in" in text and "pizzeria gc" in text for text in told.values())


def test_a_file_that_is_closed_to_us_is_named(tmp_path: Path) -> None:
    trouble = trouble_of(PermissionError(errno.EACCES, "Permission denied", str(tmp_path / "a.bin")))
    assert trouble is not None
    assert str(tmp_path / "a.bin") in trouble.message
    assert f"user {os.getuid()}" in trouble.hint


def test_a_port_that_is_closed_to_us_is_no_trouble_of_a_disk() -> None:
    assert trouble_of(PermissionError(errno.EACCES, "Permission denied")) is None


def test_a_database_that_cannot_be_written_is_one(tmp_path: Path) -> None:
    path = tmp_path / "l.sqlite"
    sqlite3.connect(path).execute("create table t(a)").connection.close()
    connection = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
    with pytest.raises(StorageError, match="it is read-only"), disk_trouble_told():
        connection.execute("insert into t values (1)")
    connection.close()


def test_a_database_that_is_busy_is_none() -> None:
    with pytest.raises(sqlite3.OperationalError), disk_trouble_told():
        sqlite3.connect(":memory:").execute("select * from nothing")


def _raised_from_a_full_disk(error: Exception) -> Exception:
    error.__cause__ = OSError(errno.ENOSPC, "No space left on device")
    return error


def test_the_cause_of_an_error_is_seen() -> None:
    assert trouble_of(_raised_from_a_full_disk(RuntimeError("the export failed"))) is not None


def test_what_was_told_on_purpose_stays_as_it_was_told() -> None:
    assert trouble_of(_raised_from_a_full_disk(DataError("photos.zip does not fit on the disk of the cache"))) is None


class _Plugin:
    @staticmethod
    def fit(number: int) -> None:
        raise OSError(number, os.strerror(number))


def test_a_plugin_that_runs_out_of_room_is_not_to_blame() -> None:
    guarded = Guarded("trainers", "quick", "here", _Plugin)
    with pytest.raises(StorageError, match="has no room"):
        guarded.fit(errno.ENOSPC)
    with pytest.raises(StorageError, match="quota"):
        guarded.fit(errno.EDQUOT)
    with pytest.raises(PluginError, match="'quick'"):
        guarded.fit(errno.ENOTCONN)


def test_a_command_ends_with_a_message_and_no_traceback(capsys: pytest.CaptureFixture[str]) -> None:
    @click.group(cls=Commands)
    def main() -> None: ...

    @main.command()
    def write() -> None:
        raise OSError(errno.EROFS, "Read-only file system", "/proc/runs/ledger.sqlite")

    with pytest.raises(SystemExit) as ended:
        main(["write"])
    assert ended.value.code == StorageError.exit_code
    said = capsys.readouterr().err
    assert "the disk at /proc cannot be written to (/proc/runs/ledger.sqlite): it is read-only" in said
    assert "Traceback" not in said
