"""The ledger: what is found in it, in pages and by index, and that nothing can be changed."""

from __future__ import annotations

import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from pizzeria.errors import DamagedError
from pizzeria.runs.ledger import Ledger, _seen


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twenty runs of two names, each of which takes over; the last of b is stopped."""
    folder = tmp_path_factory.mktemp("ledger")
    found = Ledger(folder)
    for i in range(20):
        name = "ab"[i % 2]
        found.add("run_started", name, run=f"{name}-{i}")
        found.add("deploying", name, run=f"{name}-{i}", sha256=f"{i:064d}")
        found.add("promoted", name, run=f"{name}-{i}", sha256=f"{i:064d}", detail={"i": i})
    found.add("stopped", "b")
    return folder / "ledger.sqlite"


@pytest.fixture
def ledger(tmp_path: Path, written: Path) -> Ledger:
    """One of its own for each test."""
    shutil.copyfile(written, tmp_path / "ledger.sqlite")
    return Ledger(tmp_path)


def test_pages_are_the_whole(ledger: Ledger) -> None:
    for events in (None, "promoted", ("promoted", "deploying")):
        every = ledger.entries("a", events)  # type: ignore[arg-type]
        pages, before = [], None
        while page := ledger.entries("a", events, before=before, last=7):  # type: ignore[arg-type]
            pages, before = [*page, *pages], page[0].id
        assert pages == every == sorted(every, key=lambda entry: entry.id)


def test_what_is_asked_for(ledger: Ledger) -> None:
    assert [entry.event for entry in ledger.entries(run="a-4")] == ["run_started", "deploying", "promoted"]
    assert [entry.detail["i"] for entry in ledger.entries("b", "promoted", last=2)] == [17, 19]
    assert ledger.entries("a", ()) == []
    assert (ledger.count(), ledger.count("b"), ledger.count("a", "promoted")) == (61, 31, 10)
    assert ledger.names() == ["a", "b"]


def test_champion_and_interruption(ledger: Ledger) -> None:
    champion = ledger.champion("a")
    assert champion is not None
    assert champion.run == "a-18"
    assert ledger.champion("b") is None
    assert ledger.interrupted("a") is None
    begun = ledger.add("deploying", "a", run="a-99")
    assert ledger.interrupted("a") == begun
    assert ledger.champion("a") == champion
    ledger.add("failed", "a", detail={"intent": begun.id})
    assert ledger.interrupted("a") is None


def test_a_ledger_without_the_indexes_gets_them(ledger: Ledger, tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite"
    with closing(sqlite3.connect(path)) as connection:
        for name in ("by_time", "by_event", "by_run"):
            connection.execute(f"drop index {name}")
    entries = ledger.entries()
    assert Ledger(tmp_path).entries() == entries
    with closing(sqlite3.connect(path)) as connection:
        names = {name for (name,) in connection.execute("select name from sqlite_master where type = 'index'")}
    assert names == {"by_name", "by_time", "by_event", "by_run"}


def test_no_query_reads_it_whole(ledger: Ledger, tmp_path: Path) -> None:
    asked: list[str] = []
    with closing(sqlite3.connect(tmp_path / "ledger.sqlite")) as connection:
        for where in ("name = ?", "name = ? and event = ?", "run = ?", "event = ? and id < ?"):
            query = f"explain query plan select * from ledger where {where} order by id desc limit 5"
            asked += [str(row[-1]) for row in connection.execute(query, ["x"] * where.count("?"))]
    assert len(asked) == 4, asked
    assert all(step.startswith("SEARCH ledger USING") for step in asked), asked


def test_it_is_append_only(ledger: Ledger, tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "ledger.sqlite")) as connection:
        for change in ("update ledger set name = 'c'", "delete from ledger"):
            with pytest.raises(sqlite3.IntegrityError, match="append-only"):
                connection.execute(change)


_BEFORE = """
create table ledger(
    id integer primary key, at text not null, event text not null, name text not null,
    run text not null, sha256 text not null, detail text not null) strict;
create trigger no_update before update on ledger begin select raise(abort, 'the ledger is append-only'); end;
insert into ledger values (1, 'then', 'deploying', 'a', 'a-1', 'f', '{}');
insert into ledger values (2, 'then', 'promoted', 'a', 'a-1', 'f', '{}');
"""


def test_a_ledger_of_before_is_chained(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "ledger.sqlite")) as connection:
        connection.executescript(_BEFORE)
    ledger = Ledger(tmp_path)
    ledger.add("stopped", "a")
    assert [entry.event for entry in ledger.entries()] == ["deploying", "promoted", "stopped"]
    test_it_is_append_only(ledger, tmp_path)
    _change(tmp_path, "update ledger set sha256 = 'e' where id = 2")
    with pytest.raises(DamagedError, match=r"ledger\.sqlite is damaged: entry 2 is not what was entered"):
        Ledger(tmp_path)


def _change(folder: Path, statement: str) -> None:
    """Change the table as somebody would who goes about it with a tool of his own, and forget what was checked."""
    with closing(sqlite3.connect(folder / "ledger.sqlite", isolation_level=None)) as connection:
        connection.executescript(f"drop trigger if exists no_update; drop trigger if exists no_delete; {statement}")
    _seen.clear()


@pytest.mark.parametrize(
    ("statement", "told"),
    [
        ("update ledger set at = '2026' where id = 7", "entry 7 is not what was entered"),
        ("update ledger set digest = 'x' where id = 7", "entry 7 is not what was entered"),
        ("delete from ledger where id = 7", "entry 7 is missing"),
        ("insert into ledger values (62, '', 'promoted', 'a', 'a-0', '', '{}', '')", "entry 62 is not"),
        ("drop table ledger; create table ledger(id)", "of a newer Pizzeria"),
        ("update ledger set id = id + 100 where id = 61", "entry 61 is missing"),
    ],
)
def test_what_was_changed_is_told_by_its_entry(ledger: Ledger, tmp_path: Path, statement: str, told: str) -> None:
    _change(tmp_path, statement)
    with pytest.raises(DamagedError, match=told) as raised:
        Ledger(tmp_path)
    assert "mv ledger.sqlite" in raised.value.hint


def test_a_reader_who_has_it_open_is_told_too(ledger: Ledger, tmp_path: Path) -> None:
    _change(tmp_path, "update ledger set run = 'a-0' where id = 57")
    with pytest.raises(DamagedError, match="entry 57 is not"):
        ledger.champion("a")


@pytest.mark.parametrize("size", [0, 1, 4096, 20_000])
def test_a_cut_off_file_is_told(ledger: Ledger, tmp_path: Path, size: int) -> None:
    with open(tmp_path / "ledger.sqlite", "r+b") as stream:
        stream.truncate(size)
    _seen.clear()
    with pytest.raises(DamagedError, match=r"ledger\.sqlite is"):
        Ledger(tmp_path)


def test_another_ledger_in_the_same_place_is_read_anew(ledger: Ledger, tmp_path: Path) -> None:
    (tmp_path / "ledger.sqlite").unlink()
    again = Ledger(tmp_path)
    for i in range(70):
        again.add("run_started", "c", run=f"c-{i}")
    assert Ledger(tmp_path).count("c") == 70


def test_whoever_reads_waits_for_nobody_who_writes(ledger: Ledger, tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "ledger.sqlite", isolation_level=None)) as writer:
        writer.execute("begin immediate")
        assert Ledger(tmp_path).entries() == ledger.entries()  # or it would say after 30 s that the file is locked


def test_many_write_at_once(tmp_path: Path) -> None:
    text = "import sys; from pathlib import Path; from pizzeria.runs.ledger import Ledger\n"
    text += "for i in range(15): Ledger(Path(sys.argv[1])).add('promoted', 'a', run=f'{sys.argv[2]}-{i}')"
    writers = [subprocess.Popen([sys.executable, "-c", text, str(tmp_path), name]) for name in "wxyz"]
    assert [writer.wait() for writer in writers] == [0, 0, 0, 0]
    assert len({entry.run for entry in Ledger(tmp_path).entries("a")}) == 60
