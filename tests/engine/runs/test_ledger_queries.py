"""What the ledger says of names, events, runs and pages is what a look at every entry would say."""

from __future__ import annotations

import hashlib
import json
import random
import re
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pizzeria.errors import DamagedError
from pizzeria.runs import ledger as of_ledger
from pizzeria.runs.ledger import CLOSING, Entry, Event, Ledger, chained

EVENTS: tuple[Event, ...] = ("run_started", "deploying", "canary", "promoted", "rolled_back", "failed", "stopped")


@pytest.fixture(scope="module")
def mixed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Ledger, list[Entry]]:
    """Eighty entries of three names and seven events, without any order; and each as `add` gave it back."""
    ledger = Ledger(tmp_path_factory.mktemp("mixed"))
    told = [
        ledger.add(EVENTS[(7 * i + i // 5) % 7], "abc"[(i * i) % 3], run=f"r-{i % 9}", detail={"i": i})
        for i in range(80)
    ]
    return ledger, told


some = st.none() | st.integers(0, 90)


@settings(max_examples=80)
@given(
    name=st.none() | st.sampled_from("abcd"),
    events=st.none() | st.sampled_from(EVENTS) | st.sets(st.sampled_from(EVENTS)).map(tuple),
    run=st.none() | st.sampled_from(["r-0", "r-3", "r-9"]),
    before=some,
    last=some,
)
def test_entries_are_those_that_fit(
    mixed: tuple[Ledger, list[Entry]],
    name: str | None,
    events: Event | Sequence[Event] | None,
    run: str | None,
    before: int | None,
    last: int | None,
) -> None:
    ledger, told = mixed
    kinds = (events,) if isinstance(events, str) else events
    fitting = [
        entry
        for entry in told
        if name in (None, entry.name)
        and (kinds is None or entry.event in kinds)
        and run in (None, entry.run)
        and (before is None or entry.id < before)
    ]
    wanted = fitting if last is None else fitting[max(0, len(fitting) - last) :]
    assert ledger.entries(name, events, run=run, before=before, last=last) == wanted
    if run is None and before is None and not isinstance(events, tuple):
        assert ledger.count(name, events) == len(fitting)


CHANGES = ("deploying", *CLOSING)


def test_there_is_one_champion_and_it_is_the_newest_that_took_over(tmp_path: Path) -> None:
    chance = random.Random(0)
    events = [(chance.choice((*EVENTS, "unchanged", "monitored")), chance.choice("ab")) for _ in range(50)]
    ledger = Ledger(tmp_path)
    reigns: dict[str, Entry | None] = {"a": None, "b": None}
    begun: dict[str, Entry | None] = {"a": None, "b": None}
    for event, name in events:
        entry = ledger.add(event, name)
        if event in ("promoted", "rolled_back", "stopped"):
            reigns[name] = None if event == "stopped" else entry
        if event in CHANGES:
            begun[name] = entry if event == "deploying" else None
        assert {one: ledger.champion(one) for one in "ab"} == reigns
        assert {one: ledger.interrupted(one) for one in "ab"} == begun
    ledger.add("deploying", "c")
    ledger.add("stopped", "z")
    assert ledger.names() == ["a", "b", "c"], "what was never to be live is no name of a deployment"


def test_an_entry_is_as_it_was_told(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    bare = ledger.add("stopped", "Käse'; drop table ledger")
    full = ledger.add("promoted", "a", run="a-1", sha256="f" * 64, detail={"x": [1, None, "ü"]})
    assert (bare.id, bare.run, bare.sha256, bare.detail) == (1, "", "", {})
    assert (full.id, full.name, full.run, full.sha256, full.detail) == (2, "a", "a-1", "f" * 64, {"x": [1, None, "ü"]})
    assert bare.at[:2] == "20"
    assert Ledger(tmp_path).entries() == [bare, full]


def test_a_first_ledger_is_whole_and_leaves_nothing_beside_it(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    assert (ledger.entries(), ledger.count(), ledger.names(), ledger.champion("a")) == ([], 0, [], None)
    assert [path.name for path in tmp_path.iterdir() if not path.name.startswith("ledger.sqlite")] == []
    with closing(sqlite3.connect(tmp_path / "ledger.sqlite")) as connection:
        assert connection.execute("pragma journal_mode").fetchone() == ("wal",)


def rows_of(folder: Path) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(folder / "ledger.sqlite")) as connection:
        return connection.execute("select * from ledger order by id").fetchall()


def test_each_digest_is_of_its_entry_and_of_the_one_before(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    for i in range(4):
        ledger.add("promoted", "a", detail={"i": i})
    before = ""
    for *values, digest in rows_of(tmp_path):
        assert digest == chained(before, values)
        assert len(digest) == 64
        before = digest
    assert len({chained(b, v) for b in ("", "x") for v in (["1"], [1], [1.0], ["1", ""], [["1"]])}) == 10


@pytest.mark.parametrize("column", ["at", "event", "name", "run", "sha256", "detail", "digest"])
@pytest.mark.parametrize("seen", [True, False], ids=["by one that has it open", "by a new one"])
def test_whatever_column_is_changed_the_entry_is_told(tmp_path: Path, column: str, seen: bool) -> None:
    ledger = Ledger(tmp_path)
    for i in range(5):
        ledger.add("promoted", "a", run=f"a-{i}", detail={"i": i})
    with closing(sqlite3.connect(tmp_path / "ledger.sqlite", isolation_level=None)) as connection:
        value = json.dumps({"i": 9}) if column == "detail" else "other"
        connection.execute("drop trigger no_update")
        connection.execute(f"update ledger set {column} = ? where id = 3", (value,))
    if not seen:
        of_ledger._seen.clear()
    with pytest.raises(DamagedError, match=r"ledger\.sqlite is damaged: entry [34] is not what was entered") as caught:
        (ledger if seen else Ledger(tmp_path)).entries()
    assert caught.value.hint.startswith("what serves goes on; put back a copy of the file")


def test_what_was_checked_once_is_not_checked_again_until_it_changes(tmp_path: Path) -> None:
    """A ledger of many entries is opened by each command; only what came since is read."""
    ledger = Ledger(tmp_path)
    for _ in range(3):
        ledger.add("promoted", "a")
    Ledger(tmp_path)
    stat = (tmp_path / "ledger.sqlite").stat()
    assert of_ledger._seen[stat.st_dev, stat.st_ino] == (3, rows_of(tmp_path)[2][-1])
    ledger.add("promoted", "a")
    Ledger(tmp_path)
    assert of_ledger._seen[stat.st_dev, stat.st_ino] == (4, rows_of(tmp_path)[3][-1])
    with closing(sqlite3.connect(tmp_path / "ledger.sqlite", isolation_level=None)) as connection:
        connection.execute("drop trigger no_update")
        connection.execute("update ledger set run = 'other' where id = 2")
    again = Ledger(tmp_path)
    assert again.entries(last=1)[0].id == 4
    with pytest.raises(DamagedError, match="entry 2 is not"):
        again.entries()


def test_digests_are_what_they_were_and_hold_for_whatever_a_damaged_file_may_hold() -> None:
    """Ledgers that stand were chained by these, so they must not change from version to version."""
    assert chained("", [1, "2026-05-01", "stopped", "a", "", "", "{}"]).startswith("41ec08a22c1f")
    assert chained("x", [1, "ü"]) == hashlib.sha256(b'["x",1,"\\u00fc"]').hexdigest()
    assert chained("", [b"x"]) != chained("", [b"y"])


def test_a_ledger_that_another_process_began_meanwhile_is_left_alone(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    told = ledger.add("promoted", "a")
    of_ledger._begin(tmp_path / "ledger.sqlite")
    assert Ledger(tmp_path).entries() == [told]
    assert not list(tmp_path.glob(".ledger*"))


@pytest.mark.parametrize("damage", ["empty", "cut", "garbled", "no page"])
def test_damage_is_told_with_the_file_and_with_what_to_do(tmp_path: Path, damage: str) -> None:
    ledger = Ledger(tmp_path)
    for _ in range(30):
        ledger.add("promoted", "a", detail={"i": "x" * 400})
    path = tmp_path / "ledger.sqlite"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("pragma wal_checkpoint(truncate)")
    data = path.read_bytes()
    page = data[4096:8192]
    path.write_bytes(
        {
            "empty": b"",
            "cut": data[: len(data) // 2],
            "garbled": data[:4096] + bytes(4096) + data[8192:],
            "no page": data.replace(page, page[::-1]),
        }[damage]
    )
    of_ledger._seen.clear()
    with pytest.raises(DamagedError, match=f"^{re.escape(str(path))} is ") as caught:
        Ledger(tmp_path).entries()
    assert caught.value.hint.startswith("what serves goes on; put back a copy")
