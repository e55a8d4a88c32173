"""Figures of every run in one SQLite file, so that ten thousand of them are sorted, filtered and shown in pages.

A run's folder is read once, and again when its spec or its links to stages have changed. The file may be deleted at any
time. It is brought up to date beside the page that asks: at first that takes some seconds for thousands of runs, and
the pages show those that were read so far.
"""

from __future__ import annotations

import json
import os
import re
import sqlite3
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import fields
from pathlib import Path
from typing import Any

from pizzeria.runs.store import Store
from pizzeria.sqlite_files import is_damage, remove, transaction, use_wal
from pizzeria.ui.run_facts import Facts, read_facts

_VERSION = 1
_STALE_S = 2.0
_WAIT_S = 10.0
_BATCH = 100
_SCHEMA = """
create table if not exists runs(
    id text primary key, name text not null, changed text not null, touched real not null, started text not null,
    seconds real, outcome text not null, stages text not null, refused text not null, message text not null,
    task text not null, need text not null, owner text not null, metric text not null, value real,
    metrics text not null, sha256 text not null, backbone text not null, data text not null) strict;
create index if not exists runs_by_name on runs(name, touched);
create index if not exists runs_by_time on runs(touched);
create index if not exists runs_by_data on runs(name, data, touched);
"""

SORTS: Mapping[str, str] = {
    "time": "touched",
    "run": "id",
    "outcome": "outcome",
    "took": "seconds",
    "metric": "value",
    "name": "name",
}


_FIELDS = [field.name for field in fields(Facts)]
_INSERT = f"insert or replace into runs values ({', '.join('?' * len(_FIELDS))})"  # noqa: S608 - our own words, and values are parameters


class RunIndex:
    """The index of a store's runs.

    Args:
        store: Its file is `.ui/runs.sqlite` there; where that cannot be written, it is kept in memory.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._lock = threading.Lock()
        self._busy = threading.Lock()
        self._fresh_at_s = -_STALE_S
        self._connection = self._open()
        self.unread = 0
        """Runs that wait to be read."""
        self.ready = False
        """Whether all were read once since the application began."""

    def _open(self) -> sqlite3.Connection:
        path = self._store.root / ".ui" / f"runs.{_VERSION}.sqlite"
        for _ in range(2):
            try:
                path.parent.mkdir(exist_ok=True)
                connection = sqlite3.connect(path, timeout=_WAIT_S, isolation_level=None, check_same_thread=False)
                use_wal(connection, _WAIT_S)
                connection.execute("pragma synchronous = off")  # it can be made anew
                connection.executescript(_SCHEMA)
                return connection
            except sqlite3.DatabaseError as error:
                if not is_damage(error):  # others hold it, or it cannot be written
                    break
                with suppress(OSError):
                    remove(path)  # made anew
            except OSError:
                break
        connection = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
        connection.executescript(_SCHEMA)
        return connection

    def freshen(self, wait_s: float = 0.3) -> None:
        """See which runs are new, gone or changed, in a thread; waits a moment for it."""
        if time.monotonic() - self._fresh_at_s < _STALE_S or self._busy.locked():
            return
        thread = threading.Thread(target=self.read_all, daemon=True, name="reads runs")
        thread.start()
        thread.join(wait_s)

    def read_all(self) -> None:
        """Bring the index up to date."""
        if not self._busy.acquire(blocking=False):
            return
        try:
            there = dict(self._seen())
            known = dict(self._rows("select id, changed from runs"))
            gone = [id for id in known if id not in there]
            new = [id for id, (changed, _) in there.items() if known.get(id) != changed]
            new.sort(key=lambda id: -there[id][1])  # the newest first
            self.unread = len(new)
            self._write("delete from runs where id = ?", [(id,) for id in gone])
            for i in range(0, len(new), _BATCH):
                rows = [self._row(id, *there[id]) for id in new[i : i + _BATCH]]
                self._write(_INSERT, rows)
                self.unread = len(new) - i - len(rows)
            self._fresh_at_s, self.ready = time.monotonic(), True
        finally:
            self.unread = 0
            self._busy.release()

    def page(
        self,
        name: str | None = None,
        *,
        outcome: str = "",
        text: str = "",
        sort: str = "time",
        down: bool = True,
        offset: int = 0,
        limit: int = 50,
    ) -> tuple[list[Facts], int]:
        """Some runs, and how many there are in all.

        Args:
            outcome: Only those with it.
            text: Only those whose id, message or owner has it.
            sort: A key of `SORTS`; runs without that figure come last.
        """
        like = "%" + re.sub(r"([%_\\])", r"\\\1", text) + "%"
        where = "(? is null or name = ?) and (? = '' or outcome = ?)"
        values: list[Any] = [name, name, outcome, outcome]
        if text:
            where += " and (id like ? escape '\\' or message like ? escape '\\' or backbone like ? escape '\\')"
            values += [like] * 3
        column, way = SORTS.get(sort, "touched"), "desc" if down else "asc"
        order = f"{column} is null, {column} {way}, touched desc, id"
        if sort == "time":
            order = f"touched {way}, id"
        query = f"select * from runs where {where} order by {order} limit ? offset ?"  # noqa: S608 - our own words, and values are parameters
        rows = self._rows(query, [*values, limit, offset])
        [(total,)] = self._rows(f"select count(*) from runs where {where}", values)  # noqa: S608 - our own words, and values are parameters
        return [_facts(row) for row in rows], int(total)

    def of(self, id: str) -> Facts | None:
        """One run, as it is now."""
        seen = self._look(self._store.root / id)
        if seen is None:
            return None
        found = self._rows("select * from runs where id = ? and changed = ?", [id, seen[0]])
        return _facts(found[0]) if found else _facts(self._row(id, *seen))

    def versions(self, name: str, *, offset: int = 0, limit: int = 20) -> tuple[list[tuple[Facts, int, float]], int]:
        """Data that runs of a name were made of, the newest first: the newest run of each, how many there are, and when
        the first of them was run; and how many such versions there are in all."""
        query = """
            select runs.*, made.count, made.first from (
                select data, count(*) as count, min(touched) as first from runs where name = ? and data <> ''
                group by data order by first desc limit ? offset ?
            ) as made join runs on id = (
                select id from runs where name = ? and data = made.data order by touched desc limit 1
            ) order by made.first desc
        """  # one question: a run may be taken up again between two
        rows = self._rows(query, [name, limit, offset, name])
        out = [(_facts(row[:-2]), int(row[-2]), float(row[-1])) for row in rows]
        [(total,)] = self._rows("select count(distinct data) from runs where name = ? and data <> ''", [name])
        return out, int(total)

    def newest(self, name: str) -> Facts | None:
        rows = self._rows("select * from runs where name = ? order by touched desc limit 1", [name])
        return _facts(rows[0]) if rows else None

    def names(self) -> dict[str, int]:
        """Names of specs, with how many runs each has; the one that was run last first."""
        return dict(self._rows("select name, count(*) from runs group by name order by max(touched) desc, name"))

    def _rows(self, query: str, values: Sequence[Any] = ()) -> list[Any]:
        with self._lock:
            return self._connection.execute(query, values).fetchall()

    def _write(self, query: str, rows: Sequence[Sequence[Any]]) -> None:
        if not rows:
            return
        with self._lock, transaction(self._connection):
            self._connection.executemany(query, rows)

    def _seen(self) -> Iterator[tuple[str, tuple[str, float]]]:
        with os.scandir(self._store.root) as entries:
            for entry in entries:
                if entry.name[:1] != ".":
                    seen = self._look(Path(entry.path))
                    if seen is not None:
                        yield entry.name, seen

    @staticmethod
    def _look(folder: Path) -> tuple[str, float] | None:
        """What changes with the run, and when it was run last; None where there is none."""
        try:
            spec = os.stat(f"{folder}/spec.yaml")  # noqa: PTH116 - ten thousand of them
        except OSError:
            return None
        try:
            stages = os.stat(f"{folder}/stages").st_mtime_ns  # noqa: PTH116
        except OSError:
            stages = 0
        return f"{spec.st_mtime_ns}-{stages}", spec.st_mtime

    def _row(self, id: str, changed: str, touched: float) -> tuple[Any, ...]:
        plain = vars(read_facts(self._store.root / id, changed, touched))
        return tuple(json.dumps(value) if isinstance(value, dict) else value for value in plain.values())


def _facts(row: Sequence[Any]) -> Facts:
    plain = dict(zip(_FIELDS, row, strict=True))
    return Facts(**plain | {"stages": json.loads(plain["stages"]), "metrics": json.loads(plain["metrics"])})
