"""What the Parquet log does beyond the contract: its parts, its addresses, other readers of them."""

from __future__ import annotations

import sqlite3
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import fsspec
import pytest
from pydantic import ValidationError

from pizzeria.errors import DataError, PluginError
from pizzeria_plugins.prediction_logs import parquet, part_index
from pizzeria_plugins.prediction_logs.part_index import PartIndex
from pizzeria_plugins.prediction_logs.parts import Store

from .conftest import record, small_disk


def parts(folder: Path, kind: str = "predictions") -> list[str]:
    return sorted(path.name for path in (folder / "records" / kind).iterdir())


def test_a_batch_is_one_part_named_by_its_newest_record(tmp_path: Path) -> None:
    write = parquet.writer(parquet.Options(), tmp_path)
    write([record(7), record(3)])
    (name,) = parts(tmp_path)
    assert name.startswith("20260501T120007.500000Z-")
    assert name.endswith(".parquet")
    assert not (tmp_path / "records" / "photos").exists()


def test_a_batch_that_is_tried_again_replaces_itself(tmp_path: Path) -> None:
    write = parquet.writer(parquet.Options(), tmp_path)
    batch = [record(1, photo=b"one"), record(2)]
    write(batch)
    write(batch)
    assert len(parts(tmp_path)) == 1
    assert len(parts(tmp_path, "photos")) == 1


def test_a_relative_path_starts_at_the_log_folder(tmp_path: Path) -> None:
    for url, place in (("elsewhere", tmp_path / "elsewhere"), (str(tmp_path / "a b"), tmp_path / "a b")):
        parquet.writer(parquet.Options(url=url), tmp_path)([record(1)])
        assert list((place / "predictions").glob("*.parquet"))


def test_other_programs_read_the_parts(tmp_path: Path) -> None:
    write = parquet.writer(parquet.Options(), tmp_path)
    write([record(1, **{"feature:size": 3})])
    write([record(2, **{"feature:size": 1.5, "feature:kind": "flat"})])
    query = f"""
        SELECT sum("feature:size"), count("feature:kind"), epoch_ms(min(timestamp))
        FROM read_parquet('{tmp_path}/records/predictions/*.parquet', union_by_name = true)
    """
    with duckdb.connect() as connection:
        ((size, kinds, first),) = connection.execute(query).fetchall()
    assert (size, kinds) == (4.5, 1)
    assert first == 1000 * datetime(2026, 5, 1, 12, 0, 1, 500_000, tzinfo=UTC).timestamp()


def test_a_part_with_one_newer_record_stays_whole(tmp_path: Path) -> None:
    write = parquet.writer(parquet.Options(), tmp_path)
    write([record(1), record(5)])
    write([record(2)])
    assert parquet.prune(parquet.Options(), tmp_path, datetime(2026, 5, 1, 12, 0, 4, tzinfo=UTC)) == 1
    assert parquet.read(parquet.Options(), tmp_path)["input_id"].tolist() == ["photo-1.jpg", "photo-5.jpg"]


def test_what_a_killed_worker_left_half_written_is_not_read_and_is_pruned(tmp_path: Path) -> None:
    parquet.writer(parquet.Options(), tmp_path)([record(1)])
    (name,) = parts(tmp_path)
    half = tmp_path / "records" / "predictions" / f".{name}.1234abcd.tmp"
    half.write_bytes(b"PAR1")
    assert len(parquet.read(parquet.Options(), tmp_path)) == 1
    assert parquet.prune(parquet.Options(), tmp_path, datetime(2027, 1, 1, tzinfo=UTC)) == 1
    assert parts(tmp_path) == []


def test_a_broken_part_is_named(tmp_path: Path) -> None:
    parquet.writer(parquet.Options(), tmp_path)([record(1, photo=b"photo")])
    (name,) = parts(tmp_path)
    for kind in ("predictions", "photos"):
        (tmp_path / "records" / kind / name).write_bytes(b"no parquet")
    with pytest.raises(DataError, match=name):
        parquet.read(parquet.Options(), tmp_path)
    with pytest.raises(DataError, match=name):
        parquet.photo(parquet.Options(), tmp_path, "any")


def test_parts_that_another_machine_adds_are_seen(tmp_path: Path) -> None:
    options = parquet.Options(url="memory://shared/log")
    write = parquet.writer(options, tmp_path)
    for n in range(3):
        write([record(n)])
        assert len(parquet.read(options, tmp_path)) == n + 1
    fsspec.filesystem("memory").rm("/shared", recursive=True)
    assert parquet.read(options, tmp_path).empty


def test_a_part_that_another_process_took_up_meanwhile_is_not_forgotten(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options, looked = parquet.Options(), Store.parts
    write = parquet.writer(options, tmp_path)
    write([record(1)])
    before = looked(Store.open(options.url, tmp_path), "predictions")
    write([record(2)])
    assert len(parquet.read(options, tmp_path)) == 2
    looks = iter([before])
    monkeypatch.setattr(Store, "parts", lambda store, kind: next(looks, None) or looked(store, kind))
    with PartIndex.of(options.url, tmp_path, ["predictions"]) as index:
        assert len(index.units(0, 2**62, None)) == 2


def test_an_index_of_an_earlier_pizzeria_is_made_anew_by_one_of_those_that_find_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SQLite knows a file by its name: whoever deletes one that another has just begun takes its journal from it."""
    options = parquet.Options()
    parquet.writer(options, tmp_path)([record(1)])
    assert len(parquet.read(options, tmp_path)) == 1
    with closing(sqlite3.connect(tmp_path / ".parquet-index.sqlite")) as connection:
        connection.execute("pragma user_version = 1")
    made, gone = part_index._made, []

    def slowly(*arguments: Any) -> sqlite3.Connection:
        found = made(*arguments)
        time.sleep(0.2)  # all would have seen the old one by then
        return found

    monkeypatch.setattr(part_index, "_made", slowly)
    unlink = Path.unlink
    monkeypatch.setattr(Path, "unlink", lambda path, **how: (gone.append(path.name), unlink(path, **how)))
    with ThreadPoolExecutor(4) as pool:
        counts = list(pool.map(lambda _: len(parquet.read(options, tmp_path)), range(4)))
    assert counts == [1] * 4
    assert gone.count(".parquet-index.sqlite") == 1


def test_a_full_disk_leaves_no_part_and_takes_the_batch_later(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", megabytes=1) as disk:
        write = parquet.writer(parquet.Options(), disk)
        write([record(1)])
        (disk / "ballast").write_bytes(bytes(900_000))
        batch = [record(2, photo=bytes(range(256)) * 1_000)]
        with pytest.raises(OSError, match="No space left"):
            write(batch)
        assert len(parquet.read(parquet.Options(), disk)) == 1
        assert len(parts(disk)) == 1
        assert not list(disk.rglob("*.tmp"))
        (disk / "ballast").unlink()
        write(batch)
        assert parquet.photo(parquet.Options(), disk, batch[0]["prediction_id"]) == batch[0]["photo"]


@pytest.mark.parametrize("url", ["s3://user:hidden@bucket/log", "https://a:hidden@host/x"])
def test_an_address_with_a_password_is_refused(url: str) -> None:
    with pytest.raises(ValidationError, match="the address holds a password"):
        parquet.Options(url=url)


def test_an_address_that_nothing_knows_is_refused_at_the_start(tmp_path: Path) -> None:
    with pytest.raises(PluginError, match=r"serving\.log\.url: nowhere://x cannot be used: Protocol not known"):
        parquet.writer(parquet.Options(url="nowhere://x"), tmp_path)


@pytest.mark.parametrize("library", ["pyarrow", "pyarrow.parquet", "fsspec.core"])
def test_without_a_library_the_extra_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, library: str) -> None:
    monkeypatch.setitem(sys.modules, library, None)
    calls: tuple[Any, ...] = (parquet.writer, parquet.read)
    for use in calls:
        with pytest.raises(PluginError, match="the prediction log `parquet` lacks a library") as missing:
            use(parquet.Options(), tmp_path)
        assert missing.value.hint == "pip install 'pizzeria[parquet]'"
