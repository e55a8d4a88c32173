"""The ledger: an append-only SQLite table of what happened to runs, bundles and deployments.

The champion of a name is what its newest `promoted` or `rolled_back` entry says, so that one insert makes a champion.
A change of what is live is two entries: `deploying` before a target acts, and one of `CLOSING` when it has, so that a
command that was killed in between leaves an intent that the next one finds.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping
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

CLOSING = ("promoted", "rolled_back", "unchanged", "failed", "stopped")
"""How a change of what is live ends. `unchanged`: the same bundle was live there already."""

_MADE: tuple[Event, ...] = ("deploying", "promoted")
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

    def entries(self, name: str | None = None, event: Event | None = None) -> list[Entry]:
        """Entries of a name, of an event, or all; oldest first."""
        query = """
            select id, at, event, name, run, sha256, detail from ledger
            where (:name is null or name = :name) and (:event is null or event = :event) order by id
        """
        with closing(self._connect()) as connection:
            rows = connection.execute(query, {"name": name, "event": event}).fetchall()
        return [Entry(**dict(zip(_COLUMNS, row, strict=True)) | {"detail": json.loads(row[-1])}) for row in rows]

    def champion(self, name: str) -> Entry | None:
        """The entry that made the present champion of a name; None when there is none or it was stopped."""
        events = [entry for entry in self.entries(name) if entry.event in ("promoted", "rolled_back", "stopped")]
        return events[-1] if events and events[-1].event != "stopped" else None

    def interrupted(self, name: str) -> Entry | None:
        """The `deploying` entry that no other has closed: a command is at work on it, or was killed."""
        changes = [entry for entry in self.entries(name) if entry.event in ("deploying", *CLOSING)]
        return changes[-1] if changes and changes[-1].event == "deploying" else None

    def names(self) -> list[str]:
        """Names that were ever deployed, or were to be."""
        return sorted({entry.name for event in _MADE for entry in self.entries(event=event)})
