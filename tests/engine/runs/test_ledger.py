"""The ledger: what is found in it, in pages and by index, and that nothing can be changed."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from pizzeria.runs.ledger import Ledger


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    """Twenty runs of two names, each of which takes over; the last of b is stopped."""
    found = Ledger(tmp_path)
    for i in range(20):
        name = "ab"[i % 2]
        found.add("run_started", name, run=f"{name}-{i}")
        found.add("deploying", name, run=f"{name}-{i}", sha256=f"{i:064d}")
        found.add("promoted", name, run=f"{name}-{i}", sha256=f"{i:064d}", detail={"i": i})
    found.add("stopped", "b")
    return found


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
