"""What was seen of photos before, by their content, so that a second run looks at new photos only."""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from types import TracebackType

from PIL import __version__ as PILLOW

from pizzeria.cache_folder import cache_folder
from pizzeria.intake.inspection import VERSION, Inspection
from pizzeria.sqlite_files import is_damage, remove, use_wal

_AT_ONCE = 500
"""Inspections in one transaction."""
_WAIT_S = 30.0
"""For other processes that write."""


class Remembered:
    """Inspections in an SQLite file, which several processes may use at once, and which a kill leaves whole.

    A file that cannot be used is as good as none, and a damaged one is removed: what it holds can be made again. To be
    used as a context.
    """

    def __init__(self) -> None:
        self._path: Path = cache_folder("inspections") / f"seen-{VERSION}-{PILLOW}.sqlite"
        self._local = threading.local()
        self._open: list[sqlite3.Connection] = []
        self._lock = threading.Lock()
        self._new: list[Inspection] = []
        self._works = True

    def __enter__(self) -> Remembered:
        try:
            with self._connection() as connection:
                use_wal(connection, _WAIT_S)
                connection.execute("create table if not exists seen(key text primary key, found text) without rowid")
        except sqlite3.Error as error:
            self._works = False
            if is_damage(error):  # with a new one the next time
                with suppress(OSError):
                    remove(self._path)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._write()
        for connection in self._open:
            connection.close()

    def find(self, digest: str, max_megapixels: float) -> Inspection | None:
        """What was seen of a content; from any thread."""
        if not self._works:
            return None
        try:
            row = self._connection().execute("select found from seen where key = ?", (digest,)).fetchone()
            found = None if row is None else Inspection(**json.loads(row[0]))
        except (sqlite3.Error, ValueError, TypeError):
            return None
        if found is None or found.problem.startswith("has too many pixels"):
            return None
        too_many = found.width * found.height > max_megapixels * 1e6
        return None if too_many else found

    def add(self, inspection: Inspection) -> None:
        """Remember; from one thread."""
        self._new.append(inspection)
        if len(self._new) >= _AT_ONCE:
            self._write()

    def _write(self) -> None:
        new, self._new = self._new, []
        if not new or not self._works:
            return
        rows: Sequence[tuple[str, str]] = [(one.sha256, json.dumps(asdict(one))) for one in new]
        try:
            with self._connection() as connection:
                connection.executemany("insert or replace into seen values (?, ?)", rows)
        except sqlite3.Error:  # a full disk, say
            self._works = False

    def _connection(self) -> sqlite3.Connection:
        found: sqlite3.Connection | None = getattr(self._local, "connection", None)
        if found is None:
            found = sqlite3.connect(self._path, timeout=_WAIT_S, check_same_thread=False)
            found.execute("pragma synchronous = off")  # a kill spoils nothing; a power cut may, and is noticed
            self._local.connection = found
            with self._lock:
                self._open.append(found)
        return found
