"""The ledger: an append-only SQLite table of what happened to runs, bundles and deployments.

The champion of a name is what its newest `promoted` or `rolled_back` entry says, so that one insert makes a champion.
A change of what is live is two entries: `deploying` before a target acts, and one of `CLOSING` when it has, so that a
command that was killed in between leaves an intent that the next one finds.

Each entry has a digest of its columns and of the digest before it. Of each entry that is read it is checked, and of all
of them when a process opens a ledger for the first time, so that an entry that was changed, taken out or put in between
is told.
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pizzeria import atomic
from pizzeria.clock import now
from pizzeria.errors import DamagedError
from pizzeria.sqlite_files import check_structure, damage_told, use_wal

Event = Literal[
    "run_started",
    "run_finished",
    "run_stopped",
    "bundled",
    "deploying",
    "canary",
    "promoted",
    "rolled_back",
    "unchanged",
    "failed",
    "stopped",
    "monitored",
    "alerted",
    "recovered",
    "sent",
    "unsent",
    "decided",
    "approved",
    "declined",
]

CLOSING: tuple[Event, ...] = ("promoted", "rolled_back", "unchanged", "failed", "stopped")
"""How a change of what is live ends. `unchanged`: the same bundle was live there already."""

_MADE: tuple[Event, ...] = ("deploying", "promoted")
_REIGNS: tuple[Event, ...] = ("promoted", "rolled_back", "stopped")
_COLUMNS = ("id", "at", "event", "name", "run", "sha256", "detail")
_READ = f"{', '.join(_COLUMNS)}, digest, coalesce((select p.digest from ledger p where p.id = ledger.id - 1), '')"  # noqa: S608 - our own words, and values are parameters
_VERSION = 1
"""Of the table; 0 had no digests."""
_NO_UPDATE = """
create trigger if not exists no_update before update on ledger
    begin select raise(abort, 'the ledger is append-only'); end;
"""
_SCHEMA = f"""
create table if not exists ledger(
    id integer primary key, at text not null, event text not null, name text not null,
    run text not null, sha256 text not null, detail text not null, digest text not null default '') strict;
{_NO_UPDATE}
create trigger if not exists no_delete before delete on ledger
    begin select raise(abort, 'the ledger is append-only'); end;
create index if not exists by_name on ledger(name, event, id);
create index if not exists by_time on ledger(name);
create index if not exists by_event on ledger(event);
create index if not exists by_run on ledger(run);
"""
_HINT = (
    "what serves goes on; put back a copy of the file, or set it aside (mv ledger.sqlite ledger.damaged)"
    " and deploy again"
)
_seen: dict[tuple[int, int], tuple[int, str]] = {}
"""By device and inode of a ledger: id and digest up to which this process has checked it."""


@dataclass(frozen=True)
class Entry:
    """One thing that happened."""

    id: int
    at: str
    event: str
    name: str
    run: str
    sha256: str
    detail: dict[str, Any]


class Ledger:
    """The ledger of a store.

    Args:
        root: The store's folder.

    Raises:
        DamagedError: an entry was changed, taken out or put in between, or the file makes no sense to SQLite.
    """

    def __init__(self, root: Path) -> None:
        self._path = root / "ledger.sqlite"
        if not self._path.exists():
            _begin(self._path)
        if not self._path.stat().st_size:
            raise DamagedError(f"{self._path} is empty", hint=_HINT)
        with self._open() as connection:
            self._check(connection)
            use_wal(connection)
            connection.executescript(_SCHEMA)

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        with damage_told(self._path, _HINT), _connected(self._path) as connection:
            yield connection

    def _check(self, connection: sqlite3.Connection) -> None:
        """Check the chain as far as this process has not yet, and once how the pages fit each other."""
        stat = self._path.stat()
        at, digest = _seen.get((stat.st_dev, stat.st_ino), (0, ""))
        if not at or connection.execute("select digest from ledger where id = ?", (at,)).fetchone() != (digest,):
            at, digest = 0, ""  # not seen yet, or another ledger in its place
            check_structure(connection, self._path, _HINT)
            self._bring_up(connection)
        query = f"select {', '.join(_COLUMNS)}, digest from ledger where id > ? order by id"  # noqa: S608 - our own words, and values are parameters
        for *values, told in connection.execute(query, (at,)):
            if values[0] != at + 1:
                raise DamagedError(f"{self._path} is damaged: entry {at + 1} is missing", hint=_HINT)
            if told != chained(digest, values):
                raise self._changed(values[0])
            at, digest = values[0], told
        _seen[stat.st_dev, stat.st_ino] = at, digest

    def _bring_up(self, connection: sqlite3.Connection) -> None:
        """Chain the entries of a ledger of before, all of them or none."""
        if self._is_chained(connection):
            return
        connection.execute("begin immediate")
        if not self._is_chained(connection):
            connection.execute("alter table ledger add column digest text not null default ''")
            connection.execute("drop trigger if exists no_update")
            digest = ""
            query = f"select {', '.join(_COLUMNS)} from ledger order by id"  # noqa: S608 - our own words, and values are parameters
            for values in connection.execute(query).fetchall():
                digest = chained(digest, values)
                connection.execute("update ledger set digest = ? where id = ?", (digest, values[0]))
            connection.execute(_NO_UPDATE)
            connection.execute(f"pragma user_version = {_VERSION}")
        connection.execute("commit")

    def _is_chained(self, connection: sqlite3.Connection) -> bool:
        version = int(connection.execute("pragma user_version").fetchone()[0])
        names = {name for _, name, *_ in connection.execute("pragma table_info(ledger)")}
        if (version, names) in ((0, {*_COLUMNS}), (_VERSION, {*_COLUMNS, "digest"})):
            return version == _VERSION
        raise DamagedError(f"{self._path} is damaged, or of a newer Pizzeria: it has version {version}", hint=_HINT)

    def _changed(self, id: object) -> DamagedError:
        return DamagedError(f"{self._path} is damaged: entry {id} is not what was entered", hint=_HINT)

    def _entry(self, row: Sequence[Any]) -> Entry:
        *values, digest, before = row
        if digest != chained(before, values):
            raise self._changed(values[0])
        return Entry(**dict(zip(_COLUMNS, values, strict=True)) | {"detail": json.loads(values[-1])})

    def add(
        self, event: Event, name: str, *, run: str = "", sha256: str = "", detail: Mapping[str, Any] | None = None
    ) -> Entry:
        """Append one entry; it is on disk when this returns."""
        told = (now(), event, name, run, sha256, json.dumps(dict(detail or {})))
        with self._open() as connection:
            connection.execute("begin immediate")
            last = connection.execute("select id, digest from ledger order by id desc limit 1").fetchone()
            at, digest = last or (0, "")
            values = (at + 1, *told)
            connection.execute("insert into ledger values (?, ?, ?, ?, ?, ?, ?, ?)", (*values, chained(digest, values)))
            connection.execute("commit")
        return Entry(*values[:-1], dict(detail or {}))

    def entries(
        self,
        name: str | None = None,
        event: Event | Sequence[Event] | None = None,
        *,
        run: str | None = None,
        before: int | None = None,
        last: int | None = None,
    ) -> list[Entry]:
        """Entries of a name, of an event (or several) and of a run, or all; oldest first.

        Args:
            before: Only those whose id is smaller: the page that comes before one.
            last: Only so many, the newest.

        Raises:
            DamagedError: one of them was changed.
        """
        events = (event,) if isinstance(event, str) else event
        wanted: list[tuple[str, Iterable[object]]] = [("1", ())]
        if name is not None:
            wanted.append(("name = ?", (name,)))
        if run is not None:
            wanted.append(("run = ?", (run,)))
        if before is not None:
            wanted.append(("id < ?", (before,)))
        values = [value for _, given in wanted for value in given]
        where = " and ".join(text for text, _ in wanted)
        limit = -1 if last is None else last
        query = f"select {_READ} from ledger where {where}"  # noqa: S608 - our own words, and values are parameters
        with self._open() as connection:
            if events is None:
                rows = connection.execute(f"{query} order by id desc limit ?", (*values, limit)).fetchall()
            else:  # one event after the other: each is read from an index, and no more of it than is asked for
                text = f"{query} and event = ? order by id desc limit ?"
                found = (connection.execute(text, (*values, one, limit)).fetchall() for one in events)
                rows = sorted((row for some in found for row in some), reverse=True)[: None if last is None else last]
        return [self._entry(row) for row in rows[::-1]]

    def count(self, name: str | None = None, event: Event | None = None) -> int:
        """How many entries there are of a name, of an event, or at all; none is read."""
        wanted = {"name": name, "event": event}
        where = " and ".join(f"{key} = :{key}" for key, value in wanted.items() if value is not None) or "1"
        with self._open() as connection:
            return int(connection.execute(f"select count(*) from ledger where {where}", wanted).fetchone()[0])  # noqa: S608 - our own words, and values are parameters

    def champion(self, name: str) -> Entry | None:
        """The entry that made the present champion of a name; None when there is none or it was stopped."""
        events = self.entries(name, _REIGNS, last=1)
        return events[0] if events and events[0].event != "stopped" else None

    def interrupted(self, name: str) -> Entry | None:
        """The `deploying` entry that no other has closed: a command is at work on it, or was killed."""
        changes = self.entries(name, ("deploying", *CLOSING), last=1)
        return changes[0] if changes and changes[0].event == "deploying" else None

    def names(self) -> list[str]:
        """Names that were ever deployed, or were to be."""
        query = "select distinct name from ledger where event in (select value from json_each(?)) order by name"
        with self._open() as connection:
            return [name for (name,) in connection.execute(query, (json.dumps(_MADE),))]


def chained(before: str, values: Sequence[Any]) -> str:
    """The digest of an entry.

    Args:
        before: That of the entry before it; empty for the first.
        values: In the order of the columns.

    Example:
        >>> chained("", [1, "2026-05-01", "stopped", "a", "", "", "{}"])[:12]
        '41ec08a22c1f'
    """
    text = json.dumps([before, *values], separators=(",", ":"), default=repr)
    return hashlib.sha256(text.encode()).hexdigest()


@contextmanager
def _connected(path: Path) -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(path, timeout=30, isolation_level=None)) as connection:
        connection.execute("pragma synchronous = full")
        yield connection


def _begin(path: Path) -> None:
    """Make an empty ledger, in one step: an empty file is damage. Of several processes one does it."""
    work = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
    try:
        with _connected(work) as connection:
            connection.execute("pragma journal_mode = memory")  # no second file
            connection.executescript(f"{_SCHEMA} pragma user_version = {_VERSION};")
        with suppress(FileExistsError):
            os.link(work, path)
        atomic.sync(path.parent)
    finally:
        work.unlink(missing_ok=True)
