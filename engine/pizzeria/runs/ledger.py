"""The ledger: an append-only SQLite table of what happened to runs, bundles and deployments.

The champion of a name is what its newest `promoted` or `rolled_back` entry says, so that one insert makes a champion.
A change of what is live is two entries: `deploying` before a target acts, and one of `CLOSING` when it has, so that a
command that was killed in between leaves an intent that the next one finds.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pizzeria.clock import now

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
_SCHEMA = """
create table if not exists ledger(
    id integer primary key, at text not null, event text not null, name text not null,
    run text not null, sha256 text not null, detail text not null) strict;
create trigger if not exists no_update before update on ledger
    begin select raise(abort, 'the ledger is append-only'); end;
create trigger if not exists no_delete before delete on ledger
    begin select raise(abort, 'the ledger is append-only'); end;
create index if not exists by_name on ledger(name, event, id);
create index if not exists by_time on ledger(name);
create index if not exists by_event on ledger(event);
create index if not exists by_run on ledger(run);
"""


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
    """

    def __init__(self, root: Path) -> None:
        self._path = root / "ledger.sqlite"
        with closing(self._connect()) as connection:
            connection.execute("pragma journal_mode = wal")
            connection.executescript(_SCHEMA)

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self._path, timeout=30, isolation_level=None)
        connection.execute("pragma synchronous = full")
        return connection

    def add(
        self, event: Event, name: str, *, run: str = "", sha256: str = "", detail: Mapping[str, Any] | None = None
    ) -> Entry:
        """Append one entry; it is on disk when this returns."""
        values = (now(), event, name, run, sha256, json.dumps(dict(detail or {})))
        with closing(self._connect()) as connection:
            row = connection.execute(
                "insert into ledger(at, event, name, run, sha256, detail) values (?, ?, ?, ?, ?, ?)", values
            )
            return Entry(int(row.lastrowid or 0), *values[:-1], dict(detail or {}))

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
        query = f"select {', '.join(_COLUMNS)} from ledger where {where}"  # noqa: S608
        with closing(self._connect()) as connection:
            if events is None:
                rows = connection.execute(f"{query} order by id desc limit ?", (*values, limit)).fetchall()
            else:  # one event after the other: each is read from an index, and no more of it than is asked for
                text = f"{query} and event = ? order by id desc limit ?"
                found = (connection.execute(text, (*values, one, limit)).fetchall() for one in events)
                rows = sorted((row for some in found for row in some), reverse=True)[: None if last is None else last]
        return [Entry(**dict(zip(_COLUMNS, row, strict=True)) | {"detail": json.loads(row[-1])}) for row in rows[::-1]]

    def count(self, name: str | None = None, event: Event | None = None) -> int:
        """How many entries there are of a name, of an event, or at all; none is read."""
        wanted = {"name": name, "event": event}
        where = " and ".join(f"{key} = :{key}" for key, value in wanted.items() if value is not None) or "1"
        with closing(self._connect()) as connection:
            return int(connection.execute(f"select count(*) from ledger where {where}", wanted).fetchone()[0])  # noqa: S608

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
        with closing(self._connect()) as connection:
            return [name for (name,) in connection.execute(query, (json.dumps(_MADE),))]
