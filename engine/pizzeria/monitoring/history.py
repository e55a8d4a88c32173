"""What was found in each chunk of a deployment's traffic, over all passes: one SQLite file beside the runs.

A chunk that is judged again replaces what was found before. The rest only grows: a year of hours with forty findings
each is some 350,000 rows, and any look at it is by index.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pizzeria.atomic import make_folder
from pizzeria.contracts import Alarm, Finding, Judged, Verdict
from pizzeria.row_sums import checked, keep_sums, opened_with_sums
from pizzeria.runs.store import Store
from pizzeria.sqlite_files import check_structure, transaction, use_wal

_SCHEMA = """
create table if not exists chunks(
    id integer primary key, sha256 text not null, name text not null, start text not null, end text not null,
    rows integer not null, labelled integer not null, open integer not null, run text not null, judged_at text not null,
    firm integer not null default 1, unique(sha256, name)) strict;
create index if not exists chunks_by_time on chunks(start);
create table if not exists findings(
    chunk integer not null references chunks(id), kind text not null, subject text not null, method text not null,
    value real, threshold text not null, alert integer, realised real, low real, high real, error real,
    primary key (chunk, kind, subject, method)) strict, without rowid;
create index if not exists findings_by_subject on findings(kind, subject, chunk);
create table if not exists alarms(
    id integer primary key, chunk integer not null references chunks(id), kind text not null, subject text not null,
    text text not null, causes text not null, examples text not null, usual text not null) strict;
create index if not exists alarms_by_chunk on alarms(chunk);
"""
_COLUMNS = {
    "chunks": ("id", "sha256", "name", "start", "end", "rows", "labelled", "open", "run", "judged_at", "firm"),
    "findings": (
        "chunk", "kind", "subject", "method", "value", "threshold", "alert", "realised", "low", "high", "error",
    ),
    "alarms": ("id", "chunk", "kind", "subject", "text", "causes", "examples", "usual"),
}  # fmt: skip
_KEYS = {"findings": ("chunk", "kind", "subject", "method")}
CHECKED = {table: checked(table, columns, table[0]) for table, columns in _COLUMNS.items()}
"""`c.id`, `f.chunk` and `a.id` of rows as they were written; means over many chunks, for curves, do without."""
_CHUNK = f"{CHECKED['chunks']}, c.sha256, c.name, c.start, c.end, c.rows, c.labelled, c.open, c.run, c.judged_at"
_FINDING = "f.kind, f.subject, f.method, f.value, f.threshold, f.alert, f.realised, f.low, f.high, f.error"
_BINS = "with b as materialized (select value ->> 0 as chunk, value ->> 1 as bin from json_each(:places))"
_ALARM = "a.kind, a.subject, a.text, a.causes, a.examples, a.usual"


@dataclass(frozen=True)
class Chunk:
    """A chunk as it was judged last."""

    id: int
    sha256: str
    name: str
    start: str
    end: str
    rows: int
    labelled: int
    open: bool
    run: str
    judged_at: str


@dataclass(frozen=True)
class Binned:
    """What was found of one subject in one or several chunks that follow each other.

    Attributes:
        bin: Which of the bins.
        undecided: Findings without a decision.
        value, realised, error: Means; None where nothing was measured.
        low, high: The tightest rule.
    """

    bin: int
    kind: str
    subject: str
    findings: int
    undecided: int
    alert: bool
    value: float | None
    realised: float | None
    error: float | None
    low: float | None
    high: float | None
    method: str


@dataclass(frozen=True)
class Reach:
    """How near its rule one subject came in one or several chunks.

    Attributes:
        bin: Which of the bins.
        reach: The largest value as a share of its upper rule; None where there is none.
        measured: Whether there is any value.
    """

    bin: int
    kind: str
    subject: str
    alert: bool
    reach: float | None
    measured: bool


def folder_of(store: Store, name: str) -> Path:
    """Where everything lies that monitoring keeps of a deployment."""
    return store.root / ".monitoring" / name


class History:
    """The history of one deployment.

    Args:
        folder: From `folder_of`; made when it is not there.
    """

    def __init__(self, folder: Path) -> None:
        self.path = make_folder(folder) / "history.sqlite"
        with self.connect() as connection:
            use_wal(connection)
            connection.executescript(_SCHEMA)
            _bring_up(connection)
            for table, columns in _COLUMNS.items():
                keep_sums(connection, table, columns, _KEYS.get(table, ("id",)))

    def record(
        self,
        verdict: Verdict,
        *,
        sha256: str,
        run: str,
        at: str,
        then: Callable[[sqlite3.Connection], None] | None = None,
    ) -> None:
        """Keep what a pass found, all of it or nothing; it is on disk when this returns.

        Args:
            then: More to write in the same transaction: what follows from what was found.
        """
        with self.transaction() as connection:
            ids = {chunk.name: _chunk(connection, chunk, sha256, run, at) for chunk in verdict.chunks}
            connection.executemany(
                f"insert or replace into findings({', '.join(_COLUMNS['findings'])})"  # noqa: S608 - our own words, and values are parameters
                " values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                [
                    (ids[f.chunk], f.kind, f.subject, f.method, f.value, f.threshold, f.alert, f.realised, f.low,
                     f.high, f.error)
                    for f in verdict.findings if f.chunk in ids
                ],
            )  # fmt: skip
            connection.executemany(
                "insert into alarms(chunk, kind, subject, text, causes, examples, usual) values (?, ?, ?, ?, ?, ?, ?)",
                [
                    (ids[a.chunk], a.kind, a.subject, a.text, *map(json.dumps, (a.causes, a.examples, a.usual)))
                    for a in verdict.alerts if a.chunk in ids
                ],
            )  # fmt: skip
            if then is not None:
                then(connection)

    def chunks(
        self, *, sha256: str | None = None, since: str = "", until: str | None = None, last: int | None = None
    ) -> list[Chunk]:
        """Judged chunks, of all bundles or one, oldest first; only the `last` so many, if given.

        Args:
            since, until: Only those that begin in [since, until): ISO 8601, as chunks have it.
        """
        query = f"""
            select {_CHUNK} from chunks c
            where (:sha256 is null or c.sha256 = :sha256) and c.start >= :since and (:until is null or c.start < :until)
            order by c.start desc, c.id desc limit :last
        """  # noqa: S608 - our own words, and values are parameters
        asked = {"sha256": sha256, "since": since, "until": until, "last": -1 if last is None else last}
        with self.connect() as connection:
            rows = connection.execute(query, asked).fetchall()
        return [_as_chunk(row) for row in reversed(rows)]

    def chunk(self, id: int) -> Chunk | None:
        """The chunk of this `id`."""
        with self.connect() as connection:
            row = connection.execute(f"select {_CHUNK} from chunks c where c.id = ?", (id,)).fetchone()  # noqa: S608 - our own words, and values are parameters
        return None if row is None else _as_chunk(row)

    def chunk_named(self, sha256: str, name: str) -> Chunk | None:
        """The chunk of this name of a bundle's traffic."""
        query = f"select {_CHUNK} from chunks c where c.sha256 = ? and c.name = ?"  # noqa: S608 - our own words, and values are parameters
        with self.connect() as connection:
            row = connection.execute(query, (sha256, name)).fetchone()
        return None if row is None else _as_chunk(row)

    def rows(self, sha256: str) -> int:
        """Records of a bundle in all its chunks."""
        with self.connect() as connection:
            (found,) = connection.execute("select sum(rows) from chunks where sha256 = ?", (sha256,)).fetchone()
        return int(found or 0)

    def beside(self, chunk: Chunk) -> tuple[Chunk | None, Chunk | None]:
        """The chunks of the same bundle that come before and after one."""
        sides = []
        for way, order in (("<", "desc"), (">", "asc")):
            query = f"""
                select {_CHUNK} from chunks c where c.sha256 = ? and (c.start, c.id) {way} (?, ?)
                order by c.start {order}, c.id {order} limit 1
            """  # noqa: S608 - our own words, and values are parameters
            with self.connect() as connection:
                row = connection.execute(query, (chunk.sha256, chunk.start, chunk.id)).fetchone()
            sides.append(None if row is None else _as_chunk(row))
        return sides[0], sides[1]

    def binned(self, bins: Sequence[Sequence[Chunk]], kinds: Sequence[str], subject: str | None = None) -> list[Binned]:
        """What was found of each subject (or of one) in each bin of chunks, as one row."""
        query = f"""
            {_BINS} select b.bin, f.kind, f.subject, count(*), sum(f.alert is null), max(f.alert), avg(f.value),
                avg(f.realised), avg(f.error), max(f.low), min(f.high), max(f.method)
            from b join findings f on f.chunk = b.chunk
            where f.kind in (select value from json_each(:kinds)) and (:subject is null or f.subject = :subject)
            group by b.bin, f.kind, f.subject order by b.bin, f.kind, f.subject
        """  # noqa: S608 - our own words, and values are parameters
        asked = {"places": _places(bins), "kinds": json.dumps(list(kinds)), "subject": subject}
        with self.connect() as connection:
            rows = connection.execute(query, asked).fetchall()
        return [Binned(*_with_bool(row, 5)) for row in rows]

    def reaches(self, bins: Sequence[Sequence[Chunk]], kinds: Sequence[str]) -> list[Reach]:
        """How near its rule each subject came in each bin: less than `binned` tells, in half of the time."""
        query = f"""
            {_BINS} select b.bin, f.kind, f.subject, max(f.alert), max(f.value / nullif(f.high, 0)), max(f.value)
            from b join findings f on f.chunk = b.chunk where f.kind in (select value from json_each(:kinds))
            group by b.bin, f.kind, f.subject
        """  # noqa: S608 - our own words, and values are parameters
        with self.connect() as connection:
            rows = connection.execute(query, {"places": _places(bins), "kinds": json.dumps(list(kinds))}).fetchall()
        return [
            Reach(bin, kind, subject, bool(alert), reach, value is not None)
            for bin, kind, subject, alert, reach, value in rows
        ]

    def findings(
        self, chunks: Sequence[Chunk], *, kind: str | None = None, subject: str | None = None
    ) -> dict[int, list[Finding]]:
        """What was found in these chunks, by the chunk's `id`."""
        found: dict[int, list[Finding]] = {chunk.id: [] for chunk in chunks}
        by_id = {chunk.id: chunk for chunk in chunks}
        query = f"""
            select {CHECKED["findings"]}, {_FINDING} from findings f
            where f.chunk in (select value from json_each(:ids))
                and (:kind is null or f.kind = :kind) and (:subject is null or f.subject = :subject)
        """  # noqa: S608 - our own words, and values are parameters
        with self.connect() as connection:
            asked = {"ids": json.dumps(list(by_id)), "kind": kind, "subject": subject}
            for id, kind_, subject_, method, value, threshold, alert, realised, low, high, error in connection.execute(
                query, asked
            ):
                chunk = by_id[id]
                found[id].append(
                    Finding(
                        kind_, subject_, chunk.name, chunk.start, chunk.end, value, threshold,
                        None if alert is None else bool(alert), realised, method, low, high, error,
                    )
                )  # fmt: skip
        return found

    def alarms(self, chunks: Sequence[Chunk]) -> dict[int, list[Alarm]]:
        """What alerted in these chunks, by the chunk's `id`."""
        found: dict[int, list[Alarm]] = {chunk.id: [] for chunk in chunks}
        by_id = {chunk.id: chunk for chunk in chunks}
        query = f"""
            select {CHECKED["alarms"]}, a.chunk, {_ALARM} from alarms a
            where a.chunk in (select value from json_each(?)) order by a.id
        """  # noqa: S608 - our own words, and values are parameters
        with self.connect() as connection:
            for _, id, kind, subject, text, causes, examples, usual in connection.execute(
                query, (json.dumps(list(by_id)),)
            ):
                chunk = by_id[id]
                lists = (tuple(json.loads(one)) for one in (causes, examples, usual))
                found[id].append(Alarm(kind, subject, chunk.name, chunk.start, chunk.end, text, *lists))
        return found

    def connect(self) -> AbstractContextManager[sqlite3.Connection]:
        """A connection that commits each statement by itself, outside of `transaction`.

        Raises:
            DamagedError: in its block: the file is damaged.
        """
        return opened_with_sums(self.path, self._hint)

    @property
    def _hint(self) -> str:
        aside = f"mv {self.path.parent} {self.path.parent}.damaged"
        return f"set it aside ({aside}): the next `pizzeria monitor` judges all traffic anew"

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """All that is written within, or nothing; one at a time."""
        with self.connect() as connection, transaction(connection):
            check_structure(connection, self.path, self._hint)
            yield connection


def _as_chunk(row: Sequence[Any]) -> Chunk:
    return Chunk(*_with_bool(row, 7))


def _with_bool(row: Sequence[Any], place: int) -> list[Any]:
    """SQLite has no truth values."""
    values = list(row)
    values[place] = bool(values[place])
    return values


def _places(bins: Sequence[Sequence[Chunk]]) -> str:
    """The chunks of bins, as JSON."""
    return json.dumps([(chunk.id, place) for place, chunks in enumerate(bins) for chunk in chunks])


def _bring_up(connection: sqlite3.Connection) -> None:
    """Give the tables of an earlier version what they lack."""
    has = "select 1 from pragma_table_info('chunks') where name = 'firm'"
    if connection.execute(has).fetchone() is not None:
        return
    with transaction(connection):
        if connection.execute(has).fetchone() is None:  # else another process was first
            connection.execute("alter table chunks add column firm integer not null default 1")


def _chunk(connection: sqlite3.Connection, chunk: Judged, sha256: str, run: str, at: str) -> int:
    """Its id, with nothing found in it yet."""
    values: dict[str, Any] = asdict(chunk) | {"sha256": sha256, "run": run, "at": at}
    row = connection.execute(
        """insert into chunks(sha256, name, start, end, rows, labelled, open, run, judged_at, firm)
           values (:sha256, :name, :start, :end, :rows, :labelled, :open, :run, :at, :firm)
           on conflict (sha256, name) do update set start = :start, end = :end, rows = :rows, labelled = :labelled,
               open = :open, run = :run, judged_at = :at, firm = :firm
           returning id""",
        values,
    ).fetchone()
    for table in ("findings", "alarms"):
        connection.execute(f"delete from {table} where chunk = ?", row)  # noqa: S608 - our own words, and values are parameters
    return int(row[0])
