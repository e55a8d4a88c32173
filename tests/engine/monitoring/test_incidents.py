"""Incidents: the first alarm opens one, a decided chunk without it resolves it, however passes cut the time."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pizzeria.clock import at as at_time
from pizzeria.contracts import Alarm, Finding, Judged, Verdict
from pizzeria.errors import DamagedError
from pizzeria.monitoring.history import History, folder_of
from pizzeria.monitoring.incidents import Changes, incidents, note, open_incidents, open_kinds, update
from pizzeria.runs.ledger import Ledger
from pizzeria.runs.store import Store

NAME, SHA = "prices", "a" * 64
BEGIN = datetime(2026, 1, 1, tzinfo=UTC)


def moment(chunk: int) -> str:
    return (BEGIN + timedelta(days=chunk)).isoformat(timespec="milliseconds")


def verdict(
    states: Mapping[int, str], subjects: Sequence[str] = ("f1",), *, open_from: int = 10**6, firm: bool = True
) -> Verdict:
    """What a pass found: by the number of the chunk, `x` for an alarm, `.` for none, `?` where it is undecided."""
    alert = {"x": True, ".": False, "?": None}
    chunks = [Judged(str(i), moment(i), moment(i + 1), 500, 0, i >= open_from, firm) for i in sorted(states)]
    findings = [
        Finding("performance", subject, str(i), moment(i), moment(i + 1), 0.5, "below 0.7", alert[states[i]])
        for i in sorted(states)
        for subject in subjects
    ]
    alarms = [
        Alarm("performance", subject, str(i), moment(i), moment(i + 1), f"{subject} is low in chunk {i}")
        for i in sorted(states)
        if states[i] == "x"
        for subject in subjects
    ]
    return Verdict(tuple(findings), tuple(alarms), (), chunks=tuple(chunks))


def judge(store: Store, found: Verdict, *, sha256: str = SHA, at: str = "", champion: bool = True) -> Changes:
    """Record a pass."""
    changes = Changes()

    def follow(connection: sqlite3.Connection) -> None:
        nonlocal changes
        changes = update(connection, found, sha256=sha256, run="prices-1", at=at or "2026-02-01", champion=champion)

    History(folder_of(store, NAME)).record(found, sha256=sha256, run="prices-1", at=at or "2026-02-01", then=follow)
    return changes


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "runs")


def told(changes: Changes) -> tuple[int, int, int]:
    return len(changes.opened), len(changes.resolved) + len(changes.passed), len(changes.going_on)


def test_it_opens_goes_on_and_resolves(store: Store) -> None:
    assert open_kinds(store, NAME, SHA) == frozenset()
    assert not folder_of(store, NAME).exists(), "a look leaves nothing behind"
    assert told(judge(store, verdict({0: ".", 1: "x"}))) == (1, 0, 0)
    assert open_kinds(store, NAME, SHA) == {"performance"}
    assert open_kinds(store, NAME, "b" * 64) == frozenset()
    assert told(judge(store, verdict({2: "x"}))) == (0, 0, 1)
    (incident,) = open_incidents(store, NAME)
    assert (incident.first_chunk, incident.chunk, incident.chunks) == ("1", "2", 2)
    assert incident.alarm.text == "f1 is low in chunk 2"
    assert told(judge(store, verdict({3: "."}), at="2026-02-02")) == (0, 1, 0)
    (incident,) = incidents(store, NAME)
    assert (incident.open, incident.resolved_at, incident.resolved_by) == (False, "2026-02-02", "3")
    assert incident.why == "chunk 3 is without it"
    assert told(judge(store, verdict({4: "x"}))) == (1, 0, 0)
    assert len(incidents(store, NAME)) == 2
    assert [one.open for one in incidents(store, NAME, last=1)] == [True]


def test_undecided_changes_nothing(store: Store) -> None:
    judge(store, verdict({0: "x"}))
    assert told(judge(store, verdict({1: "?", 2: "?"}))) == (0, 0, 1)
    assert told(judge(store, verdict({}))) == (0, 0, 1)
    (incident,) = open_incidents(store, NAME)
    assert incident.chunk == "0"


def test_a_chunk_that_says_nothing_of_the_subject_resolves_nothing(store: Store) -> None:
    alarm = Alarm("drift", "columns", "0", moment(0), moment(1), "2 columns drifted", ("brightness", "contrast"))

    def drift(chunk: int, **alerts: bool | None) -> Verdict:
        judged = Judged(str(chunk), moment(chunk), moment(chunk + 1), 500, 0, False)
        found = [
            Finding("drift", subject, str(chunk), judged.start, judged.end, 0.1, "above", alert)
            for subject, alert in alerts.items()
        ]
        alarms = (alarm,) if chunk == 0 else ()
        return Verdict(tuple(found), alarms, (), chunks=(judged,))

    judge(store, drift(0, brightness=True, contrast=True, hue=False))
    assert told(judge(store, verdict({1: "."}))) == (0, 0, 1), "another kind"
    assert told(judge(store, drift(2, brightness=None, contrast=False, hue=False))) == (0, 0, 1), "a cause is undecided"
    assert told(judge(store, drift(3, brightness=True, contrast=False, hue=None))) == (0, 1, 0), "one alone is no alarm"


def test_labels_that_come_late_open_and_resolve(store: Store) -> None:
    judge(store, verdict({0: ".", 1: ".", 2: "x"}))
    changes = judge(store, verdict({2: "."}))
    assert [one.why for one in changes.resolved] == ["its chunks were judged again, and the alarm is gone"]
    assert told(judge(store, verdict({1: "x"}))) == (0, 1, 0), "it came and went: chunk 2 is without it"
    (opened,) = judge(store, verdict({2: "x"})).opened
    assert opened.first_chunk == "2"
    assert told(judge(store, verdict({1: "x"}))) == (0, 0, 1), "what is over and known is not told again"
    assert len(incidents(store, NAME)) == 3


def test_an_open_chunk_is_judged_as_it_grows(store: Store) -> None:
    judge(store, verdict({0: "x"}, open_from=0))
    assert told(judge(store, verdict({0: "x"}, open_from=0))) == (0, 0, 1)
    assert told(judge(store, verdict({0: "x"}))) == (0, 0, 1)
    assert [one.chunks for one in open_incidents(store, NAME)] == [1]


def test_a_chunk_far_from_full_opens_an_incident_and_ends_none(store: Store) -> None:
    def grow(chunk: int, state: str, *, firm: bool = False) -> Changes:
        return judge(store, verdict({chunk: state}, open_from=chunk, firm=firm))

    judge(store, verdict({0: "x"}))
    assert told(grow(1, ".")) == (0, 0, 1)
    assert told(grow(1, ".", firm=True)) == (0, 1, 0)
    assert told(grow(2, "x")) == (1, 0, 0)
    assert told(grow(2, ".")) == (0, 0, 1), "its own alarm is gone, and may be back with the next rows"
    assert told(grow(2, "x")) == (0, 0, 1)
    assert told(grow(2, ".")) == (0, 0, 1)
    changes = grow(2, ".", firm=True)
    assert [one.why for one in changes.resolved] == ["its chunks were judged again, and the alarm is gone"]
    assert len(incidents(store, NAME)) == 2


def test_a_history_of_an_earlier_version_is_read_on(store: Store) -> None:
    judge(store, verdict({0: "x"}))
    with closing(sqlite3.connect(folder_of(store, NAME) / "history.sqlite", isolation_level=None)) as connection:
        for (trigger,) in connection.execute("select name from sqlite_master where type = 'trigger'").fetchall():
            connection.execute(f"drop trigger {trigger}")
        for table in ("chunks", "findings", "alarms", "incidents"):
            connection.execute(f"alter table {table} drop column sum")
        connection.execute("alter table chunks drop column firm")
    assert told(judge(store, verdict({1: "."}))) == (0, 1, 0)


def test_a_damaged_history_is_told_by_its_name(store: Store) -> None:
    judge(store, verdict({0: "x"}))
    path = folder_of(store, NAME) / "history.sqlite"
    whole = path.read_bytes()
    for damaged in (b"no database" * 1000, whole[:4096] + b"x" * (len(whole) - 4096)):
        path.write_bytes(damaged)
        for look in (lambda: open_incidents(store, NAME), lambda: judge(store, verdict({1: "."}))):
            with pytest.raises(DamagedError, match=r"history\.sqlite is damaged") as caught:
                look()
            assert f"mv {path.parent} " in caught.value.hint
    path.parent.rename(path.parent.with_name("aside"))
    assert told(judge(store, verdict({1: "x"}))) == (1, 0, 0)


@pytest.mark.parametrize(
    ("table", "change"),
    [
        ("chunks", "rows = rows + 1"),
        ("findings", "value = 0.9"),
        ("alarms", "subject = 'f2'"),
        ("incidents", "resolved_at = '2026-02-02'"),
        ("incidents", "sum = null"),
    ],
)
def test_a_changed_row_is_told(store: Store, table: str, change: str) -> None:
    judge(store, verdict({0: "x"}))
    path = folder_of(store, NAME) / "history.sqlite"
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:  # as a flipped bit would
        connection.execute(f"drop trigger sum_of_changed_{table}")
        connection.execute(f"update {table} set {change}")
    history = History(path.parent)
    with pytest.raises(DamagedError, match=f"damaged: a row of {table} was changed"):
        history.alarms(history.chunks()), history.findings(history.chunks()), incidents(store, NAME)
    with pytest.raises(DamagedError, match=f"damaged: a row of {table} was changed"):
        judge(store, verdict({1: "."}))


def test_a_new_champion_ends_those_of_the_former(store: Store) -> None:
    judge(store, verdict({0: "x"}))
    assert told(judge(store, verdict({0: "."}), sha256="b" * 64, champion=False)) == (0, 0, 0)
    changes = judge(store, verdict({1: "x"}), sha256="b" * 64)
    assert told(changes) == (1, 1, 0)
    assert changes.resolved[0].why == "the bundle bbbbbbbbbbbb has taken over"
    assert open_kinds(store, NAME, SHA) == frozenset()


def test_the_ledger_has_each_once_also_after_a_kill(store: Store) -> None:
    judge(store, verdict({0: "x"}, ("f1", "f1 of bed")))
    note(store, NAME)
    judge(store, verdict({1: "."}, ("f1", "f1 of bed")))
    with History(folder_of(store, NAME)).connect() as connection:
        connection.execute("update incidents set noted = 0")  # as a kill leaves it, between ledger and mark
    for _ in range(2):
        note(store, NAME)
    events = [(entry.event, entry.detail["subject"]) for entry in Ledger(store.root).entries(NAME)]
    assert events == [
        ("alerted", "f1"),
        ("alerted", "f1 of bed"),
        ("recovered", "f1"),
        ("recovered", "f1 of bed"),
    ]


def test_what_came_and_went_long_ago_is_told_in_sum(store: Store) -> None:
    changes = judge(store, verdict(dict(enumerate("x." * 60 + "x"))))
    assert (len(changes.opened), len(changes.resolved), len(changes.passed)) == (1, 0, 60)
    for _ in range(2):
        note(store, NAME)
    entries = Ledger(store.root).entries(NAME)
    assert [one.event for one in entries].count("alerted") == 51
    assert [one.detail["count"] for one in entries if "count" in one.detail] == [10]


def test_nothing_of_a_pass_that_was_killed_stays(store: Store) -> None:
    def die(connection: sqlite3.Connection) -> None:
        update(connection, verdict({0: "x"}), sha256=SHA, run="", at="2026-02-01", champion=True)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        History(folder_of(store, NAME)).record(verdict({0: "x"}), sha256=SHA, run="", at="2026-02-01", then=die)
    assert incidents(store, NAME) == []
    assert History(folder_of(store, NAME)).chunks() == []


def test_time_is_the_one_that_a_simulation_is_at(store: Store) -> None:
    with at_time(datetime(1998, 5, 1, tzinfo=UTC)):
        judge(store, verdict({0: "x"}), at=moment(-3))
        note(store, NAME)
    assert Ledger(store.root).entries(NAME)[0].at.startswith("1998-05-01")


@settings(max_examples=15)
@given(st.text(alphabet="x.?", min_size=1, max_size=12), st.data())
def test_however_passes_cut_the_time_the_incidents_are_the_same(
    tmp_path_factory: pytest.TempPathFactory, states: str, data: st.DataObject
) -> None:
    """Chunk by chunk or many in a pass, some judged again: the same troubles, and none is open but the last."""
    together, apart = (Store(tmp_path_factory.mktemp("store")) for _ in range(2))
    judge(together, verdict(dict(enumerate(states))))
    first = 0
    while first < len(states):
        last = data.draw(st.integers(first + 1, len(states)))
        again = data.draw(st.integers(0, first))
        judge(apart, verdict({i: states[i] for i in range(again, last)}))
        first = last
    seen = [
        [(one.first_chunk, one.chunk, one.resolved_by, one.chunks) for one in incidents(store, NAME)]
        for store in (together, apart)
    ]
    assert seen[0] == seen[1]
    decided = states.replace("?", "")
    assert bool(open_kinds(apart, NAME, SHA)) == decided.endswith("x")
    assert len(seen[0]) == sum(1 for run in decided.split(".") if run)
