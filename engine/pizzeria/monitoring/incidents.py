"""Troubles over time: the first alarm of a kind and subject opens an incident, and a chunk without it resolves it.

They lie in the history of the deployment, and change in the transaction that records the chunks, so that a kill leaves
both or neither. What decides is always the history as it is now: a chunk that is judged again, because its labels came,
may open an incident or end it. A chunk that could not be decided does neither, and one that is open and far from full
ends none.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from itertools import groupby
from typing import Any

from pizzeria.contracts import Alarm, Kind, Verdict
from pizzeria.monitoring.history import CHECKED, History, folder_of
from pizzeria.row_sums import checked, keep_sums
from pizzeria.runs.ledger import Ledger
from pizzeria.runs.store import Store

_SCHEMA = """
create table if not exists incidents(
    id integer primary key, sha256 text not null, run text not null, kind text not null, subject text not null,
    text text not null, causes text not null, examples text not null, usual text not null,
    first_chunk text not null, first_start text not null, chunk text not null, start text not null, end text not null,
    chunks integer not null, opened_at text not null, updated_at text not null, told_at text not null,
    resolved_at text not null, resolved_by text not null, why text not null, noted integer not null) strict;
create index if not exists incidents_by_subject on incidents(sha256, kind, subject, first_start, id);
create index if not exists chunks_of_bundle on chunks(sha256, start, id);
create index if not exists incidents_open on incidents(id) where resolved_at = '';
create index if not exists incidents_unnoted on incidents(id) where noted < 2;
"""
_COLUMNS = (
    "id", "sha256", "run", "kind", "subject", "text", "causes", "examples", "usual", "first_chunk", "first_start",
    "chunk", "start", "end", "chunks", "opened_at", "updated_at", "told_at", "resolved_at", "resolved_by", "why",
    "noted",
)  # fmt: skip
_NOTED = 50
_END = "~"
"""After every time in ISO 8601."""
_AGAIN = "its chunks were judged again, and the alarm is gone"
_ALARMS = f"""
    select {CHECKED["chunks"]}, c.name, c.start, c.end, {CHECKED["alarms"]}, a.text, a.causes, a.examples, a.usual
    from alarms a join chunks c on c.id = a.chunk where c.sha256 = ? and a.kind = ? and a.subject = ?
"""  # noqa: S608 - our own words, and values are parameters


@dataclass(frozen=True)
class Incident:
    """One trouble of one bundle."""

    id: int
    sha256: str
    run: str
    kind: Kind
    subject: str
    text: str
    """Of its newest alarm, as are `causes`, `examples`, `usual`, `chunk`, `start` and `end`."""
    causes: tuple[str, ...]
    examples: tuple[str, ...]
    usual: tuple[str, ...]
    first_chunk: str
    first_start: str
    chunk: str
    start: str
    end: str
    chunks: int
    """In how many chunks it was an alarm so far."""
    opened_at: str
    """ISO 8601, UTC, as are `updated_at` and `resolved_at`."""
    updated_at: str
    resolved_at: str
    """Empty while it is open."""
    resolved_by: str
    """The chunk that it is not in any more; empty where it ended otherwise."""
    why: str
    """Why it is over, in words."""

    @property
    def open(self) -> bool:
        return not self.resolved_at

    @property
    def alarm(self) -> Alarm:
        """Its newest alarm."""
        return Alarm(
            self.kind, self.subject, self.chunk, self.start, self.end, self.text, self.causes, self.examples, self.usual
        )


_FIELDS = [field.name for field in fields(Incident)]
_INCIDENT_ID = checked("incidents", _COLUMNS)
_INCIDENT = ", ".join((_INCIDENT_ID, *_FIELDS[1:]))


@dataclass(frozen=True)
class Changes:
    """What a pass made of the incidents."""

    opened: tuple[Incident, ...] = ()
    """Open now, and not before."""
    resolved: tuple[Incident, ...] = ()
    """Open before, and over."""
    passed: tuple[Incident, ...] = ()
    """Came and went within the pass."""
    going_on: tuple[Incident, ...] = ()
    """Open before, and still."""

    @property
    def open(self) -> tuple[Incident, ...]:
        """All that are open now."""
        return (*self.going_on, *self.opened)


def open_kinds(store: Store, name: str, sha256: str) -> frozenset[Kind]:
    """Kinds of the incidents of a bundle that are open: what maintenance acts on."""
    return frozenset(incident.kind for incident in open_incidents(store, name, sha256=sha256))


def open_incidents(store: Store, name: str, *, sha256: str | None = None) -> list[Incident]:
    """Incidents of a deployment that are open, of all its bundles or one; oldest first."""
    return _listed(store, name, "resolved_at = ''", sha256, None)


def incidents(store: Store, name: str, *, sha256: str | None = None, last: int | None = None) -> list[Incident]:
    """Incidents of a deployment, open and resolved, of all its bundles or one; oldest first.

    Args:
        last: Only the so many that were opened last.
    """
    return _listed(store, name, "true", sha256, last)


def prepare(connection: sqlite3.Connection) -> None:
    """Make the tables, where they are not there; within the transaction of the caller."""
    for statement in _SCHEMA.split(";"):
        connection.execute(statement)
    keep_sums(connection, "incidents", _COLUMNS)


def update(
    connection: sqlite3.Connection, verdict: Verdict, *, sha256: str, run: str, at: str, champion: bool
) -> Changes:
    """Open, go on with and resolve incidents, after the verdict was recorded in the same transaction.

    Args:
        champion: Whether the bundle is the live one; then incidents of all others are over.
    """
    prepare(connection)
    going_on = _open(connection, sha256)
    before = {incident.id for incident in going_on}
    starts = [one.first_start for one in going_on] + [one.start for one in verdict.chunks]
    _check(connection, sha256, min(starts, default=_END))
    before_all = {id for (id,) in connection.execute("select id from incidents where resolved_at = ''")}
    touched: set[int] = set(before)
    rows = connection.execute("select name, start, id from chunks where sha256 = ? order by start, id", (sha256,))
    places = {name: (i, (start, id)) for i, (name, start, id) in enumerate(rows)}
    walk: dict[tuple[str, str], tuple[int, int]] = {}  # by trouble: the incident, and where its alarm was last
    there = (alarm for alarm in verdict.alerts if alarm.chunk in places)
    for alarm in sorted(there, key=lambda alarm: places[alarm.chunk]):
        position, place = places[alarm.chunk]
        id, last = walk.get((alarm.kind, alarm.subject), (0, -2))
        if not (id and last == position - 1):  # else it goes on from one chunk to the next
            id = _take(connection, alarm, place, sha256, run, at)
        walk[alarm.kind, alarm.subject] = id, position
        touched.add(id)
    touched.discard(0)
    for id in sorted(touched):
        _refresh(connection, id, at)
    if champion:
        others = _select(connection, "resolved_at = '' and sha256 <> ?", (sha256,))
        for incident in others:
            _resolve(connection, incident.id, at, "", f"the bundle {sha256[:12]} has taken over")
        touched |= {incident.id for incident in others}
    after = _select(connection, "id in (select value from json_each(?))", (json.dumps(sorted(touched)),))
    return Changes(
        opened=tuple(one for one in after if one.open and one.id not in before),
        resolved=tuple(one for one in after if not one.open and one.id in before_all),
        passed=tuple(one for one in after if not one.open and one.id not in before_all),
        going_on=tuple(one for one in after if one.open and one.id in before),
    )


def note(store: Store, name: str) -> None:
    """Enter in the ledger what opened and what resolved, each once, also what a kill had left out.

    Of those that came and went before anybody was told, the newest `_NOTED` have rows of their own; the others are one.
    """
    history = _history(store, name)
    if history is None:
        return
    ledger = Ledger(store.root)
    with history.connect() as connection:
        prepare(connection)
        unnoted = _select(connection, "noted < 2 and (noted = 0 or resolved_at <> '') order by id", ())
        there = _noted_before(ledger, name) if unnoted else {}
        passed = [one.id for one in unnoted if not one.open and one.id not in there["alerted"]]
        summed = passed[:-_NOTED]
        skipped = set(summed)
        if summed:
            text = f"{len(summed)} more alerts came and went; pizzeria ui and the report have them"
            ledger.add("recovered", name, detail={"incident": summed[-1], "count": len(summed), "text": text})
            connection.execute(
                "update incidents set noted = 2 where id in (select value from json_each(?))", (json.dumps(summed),)
            )
        for incident in unnoted:
            if incident.id in skipped:
                continue
            _note(ledger, name, incident, there)
            noted = 1 if incident.open else 2
            connection.execute("update incidents set noted = ? where id = ?", (noted, incident.id))


def _note(ledger: Ledger, name: str, incident: Incident, there: Mapping[str, set[int]]) -> None:
    plain = {"incident": incident.id, "kind": incident.kind, "subject": incident.subject, "text": incident.text}
    who = {"run": incident.run, "sha256": incident.sha256}
    if incident.id not in there["alerted"]:
        ledger.add("alerted", name, **who, detail=plain | {"chunk": incident.first_chunk})
    if not incident.open and incident.id not in there["recovered"]:
        ended = {"chunk": incident.resolved_by, "why": incident.why, "since": incident.opened_at}
        ledger.add("recovered", name, **who, detail=plain | ended)


def _noted_before(ledger: Ledger, name: str) -> Mapping[str, set[int]]:
    """Incidents that the ledger has: one may be there unmarked, after a kill."""
    return {
        event: {int(entry.detail["incident"]) for entry in ledger.entries(name, event)}
        for event in ("alerted", "recovered")
    }


def _take(connection: sqlite3.Connection, alarm: Alarm, here: tuple[str, int], sha256: str, run: str, at: str) -> int:
    """The incident that an alarm belongs to, opened if there is none; 0 where it is one that is over and known.

    Args:
        here: Start and id of its chunk.
    """
    key = (sha256, alarm.kind, alarm.subject)
    for incident in _select(connection, "sha256 = ? and kind = ? and subject = ? and resolved_at = ''", key):
        if not _ended_before(connection, incident, here):
            return incident.id
        _refresh(connection, incident.id, at, before=here)
    newest = "sha256 = ? and kind = ? and subject = ? and first_start <= ? order by first_start desc, id desc limit 1"
    for incident in _select(connection, newest, (*key, here[0])):
        until = connection.execute(
            "select start from chunks where sha256 = ? and name = ?", (sha256, incident.resolved_by)
        ).fetchone()
        if until is not None and here[0] < until[0]:
            return 0
    lists = [json.dumps(one) for one in (alarm.causes, alarm.examples, alarm.usual)]
    values: Sequence[Any] = (
        sha256, run, alarm.kind, alarm.subject, alarm.text, *lists, alarm.chunk, alarm.start, alarm.chunk, alarm.start,
        alarm.end, 1, at, at, at, "", "", "", 0,
    )  # fmt: skip
    places = ", ".join("?" * len(values))
    into = f"incidents({', '.join(_COLUMNS[1:])})"
    row = connection.execute(f"insert into {into} values ({places}) returning id", values).fetchone()  # noqa: S608 - our own words, and values are parameters
    return int(row[0])


def _ended_before(connection: sqlite3.Connection, incident: Incident, here: tuple[str, int]) -> bool:
    """Whether a decided chunk without the alarm lies between this one and the alarm before it."""
    query = (
        f"{_ALARMS} and c.start between ? and ? and (c.start, c.id) < (?, ?) order by c.start desc, c.id desc limit 1"
    )
    key = (incident.sha256, incident.kind, incident.subject, incident.first_start, here[0], *here)
    last = connection.execute(query, key).fetchone()
    return last is not None and _clear(connection, incident, after=(last[2], last[0]), before=here) is not None


def _refresh(connection: sqlite3.Connection, id: int, at: str, before: tuple[str, int] | None = None) -> None:
    """Bring an open incident to what the history says of it, which may be that it is over.

    Args:
        before: Start and id of a chunk: only what was before it counts.
    """
    (incident,) = _select(connection, "id = ?", (id,))
    if not incident.open:
        return
    query = f"{_ALARMS} and c.start between ? and ? order by c.start, c.id"
    until = _END if before is None else before[0]
    found = connection.execute(query, (incident.sha256, incident.kind, incident.subject, incident.first_start, until))
    alarms = [row for row in found if before is None or (row[2], row[0]) < before]
    if not alarms:
        if before is None and _firm(connection, incident):
            _resolve(connection, id, at, "", _AGAIN)
        return
    chunk_id, chunk, start, end, _, *rest = alarms[-1]
    if (chunk, end, rest[0], len(alarms)) != (incident.chunk, incident.end, incident.text, incident.chunks):
        connection.execute(
            "update incidents set chunk = ?, start = ?, end = ?, text = ?, causes = ?, examples = ?, usual = ?, "
            "chunks = ?, updated_at = ? where id = ?",
            (chunk, start, end, *rest, len(alarms), at, id),
        )
        (incident,) = _select(connection, "id = ?", (id,))
    ended = _clear(connection, incident, after=(start, chunk_id), before=before)
    if ended is not None:
        _resolve(connection, id, at, ended, f"chunk {ended} is without it")


def _clear(
    connection: sqlite3.Connection, incident: Incident, *, after: tuple[str, int], before: tuple[str, int] | None
) -> str | None:
    """The first firm chunk between two that was decided, and is without the alarm."""
    query = f"""
        select {CHECKED["chunks"]}, c.name, c.start, {CHECKED["findings"]}, f.subject, f.alert
        from chunks c join findings f on f.chunk = c.id
        where c.sha256 = ? and c.firm and f.kind = ? and c.start between ? and ? and (c.start, c.id) > (?, ?)
            and not exists (select 1 from alarms a where a.chunk = c.id and a.kind = f.kind and a.subject = ?)
        order by c.start, c.id
    """  # noqa: S608 - our own words, and values are parameters
    until = _END if before is None else before[0]
    asked = (incident.sha256, incident.kind, after[0], until, *after, incident.subject)
    rows = (row for row in connection.execute(query, asked) if before is None or (row[2], row[0]) < before)
    for (_, name), found in groupby(rows, key=lambda row: (row[0], row[1])):
        if _decided(incident, [(subject, alert) for *_, subject, alert in found]):
            return str(name)
    return None


def _firm(connection: sqlite3.Connection, incident: Incident) -> bool:
    """Whether the chunk that had the alarm may end the incident now that it is without; one that is gone may."""
    query = f"select {CHECKED['chunks']}, firm from chunks c where sha256 = ? and name = ?"  # noqa: S608 - our own words, and values are parameters
    row = connection.execute(query, (incident.sha256, incident.chunk)).fetchone()
    return row is None or bool(row[1])


def _decided(incident: Incident, findings: Sequence[tuple[str, int | None]]) -> bool:
    """Whether a chunk says something of an incident: about its own subject, or else about its causes, or its kind."""
    own = [alert for subject, alert in findings if subject == incident.subject]
    if not own:
        own = [alert for subject, alert in findings if subject in incident.causes]
    if own:
        return None not in own
    return any(alert is not None for _, alert in findings)


def _resolve(connection: sqlite3.Connection, id: int, at: str, chunk: str, why: str) -> None:
    connection.execute(
        "update incidents set resolved_at = ?, updated_at = ?, resolved_by = ?, why = ? where id = ?",
        (at, at, chunk, why, id),
    )


def _check(connection: sqlite3.Connection, sha256: str, since: str) -> None:
    """Look at all rows that can decide: one that was changed might not be found by what it says."""
    for count, table in ((_INCIDENT_ID, "incidents"), (CHECKED["chunks"], "chunks c")):
        connection.execute(f"select count({count}) from {table}").fetchone()  # noqa: S608 - our own words
    for table in ("findings", "alarms"):
        query = f"""
            select count({CHECKED[table]}) from {table} {table[0]}
            where chunk in (select id from chunks where sha256 = ? and start >= ?)
        """  # noqa: S608 - our own words, and values are parameters
        connection.execute(query, (sha256, since)).fetchone()


def _open(connection: sqlite3.Connection, sha256: str) -> list[Incident]:
    return _select(connection, "resolved_at = '' and sha256 = ?", (sha256,))


def _select(connection: sqlite3.Connection, where: str, values: Sequence[Any]) -> list[Incident]:
    query = f"select {_INCIDENT} from incidents where {where}"  # noqa: S608 - our own words, and values are parameters
    return [_incident(row) for row in connection.execute(query, tuple(values))]


def _incident(row: Sequence[Any]) -> Incident:
    plain = dict(zip(_FIELDS, row, strict=True))
    lists = {key: tuple(json.loads(plain[key])) for key in ("causes", "examples", "usual")}
    return Incident(**plain | lists)


def _history(store: Store, name: str) -> History | None:
    """The history, where there is one: a look at nothing leaves nothing behind."""
    folder = folder_of(store, name)
    return History(folder) if (folder / "history.sqlite").exists() else None


def _listed(store: Store, name: str, where: str, sha256: str | None, last: int | None) -> list[Incident]:
    history = _history(store, name)
    if history is None:
        return []
    with history.connect() as connection:
        prepare(connection)
        found = _select(
            connection,
            f"{where} and (? is null or sha256 = ?) order by id desc limit ?",
            (sha256, sha256, -1 if last is None else last),
        )
    return found[::-1]
