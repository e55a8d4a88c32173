"""The records and labels of lines in a SQLite log beside them: lines are in the order in which they came, and a monitor
wants them by time, piece by piece, and again and again.

It follows the files: what was added to one, and new ones, are taken up; when one is gone or is another one now, all is
read anew. It may be deleted at any time when nobody looks at it. Where it cannot be written (see `index_place`), or all
must be read anew while others look at it, it is made in a temporary folder for the one look.
"""

from __future__ import annotations

import fcntl
import json
import logging
import sqlite3
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from pizzeria_plugins.prediction_logs import sqlite
from pizzeria_plugins.prediction_logs.index_place import index_folder
from pizzeria_plugins.prediction_logs.line_files import Seen
from pizzeria_plugins.prediction_logs.line_format import Entry

Entries = Callable[[Mapping[str, int]], Iterator[Entry | None]]
"""What files hold, each from a byte on, by name; None for what was cut off."""
_logger = logging.getLogger(__name__)
FILE = ".lines-index.sqlite"
_AT_ONCE = 1_000
_PATIENCE_S = 2.0
OPTIONS = sqlite.Options(path=FILE)
"""Of the SQLite log that the index is."""


@contextmanager
def following(folder: Path, files: Sequence[Seen], entries: Entries) -> Iterator[Path]:
    """The folder in which the index lies, with all that the files hold.

    Args:
        folder: The deployment's log folder.
        files: As they are now, in the order in which they are read.
        entries: Up to the size that is told, or further: what is read twice is there once.
    """
    if not files:
        with tempfile.TemporaryDirectory(prefix="pizzeria-") as empty:
            yield Path(empty)
        return
    place = index_folder(folder)
    with ExitStack() as look:
        try:
            if place is None:
                raise OSError("nowhere to write")
            with _alone(place):
                _follow(place, files, entries)
                look.enter_context(_locked(place, "looks", fcntl.LOCK_SH))
        except (OSError, sqlite3.Error):
            place = Path(look.enter_context(tempfile.TemporaryDirectory(prefix="pizzeria-")))
            _follow(place, files, entries)
        yield place


def forget(folder: Path) -> None:
    """Delete the index; where somebody looks at it for longer than `_PATIENCE_S`, the next look does."""
    until = time.monotonic() + _PATIENCE_S
    while (folder / FILE).exists():
        try:
            with _alone(folder):
                _delete(folder)
        except BlockingIOError:
            if time.monotonic() > until:
                return
            time.sleep(0.05)


def _follow(folder: Path, files: Sequence[Seen], entries: Entries) -> None:
    known = _known(folder / FILE)
    if known == list(files):
        return
    if known is None or not _goes_on(known, files):
        _delete(folder)
        known = []
    before = {one.name: one.size for one in known}
    cut_off = _write(folder, entries({one.name: before.get(one.name, 0) for one in files if one not in known}))
    if cut_off:
        _logger.warning("%d prediction records are cut off in the lines that were read, and are passed over", cut_off)
    # What was cut off may go on in what comes next.
    seen = [replace(one, whole=one.whole and not cut_off) for one in files]
    with closing(sqlite3.connect(folder / FILE)) as connection, connection:
        connection.execute("create table if not exists files(seen text not null) strict")
        connection.execute("delete from files")
        connection.executemany("insert into files values (?)", [(json.dumps(asdict(one)),) for one in seen])


def _goes_on(known: Sequence[Seen], files: Sequence[Seen]) -> bool:
    """Whether files are what they were, but for what was added at the end of them or as new files."""
    now = {one.name: one for one in files}
    return all(
        one.whole and (found := now.get(one.name)) is not None and found.mark == one.mark and found.size >= one.size
        for one in known
    )


def _known(file: Path) -> list[Seen] | None:
    """The files that were read; None where the index cannot tell."""
    if not file.exists():
        return None
    try:
        with closing(sqlite3.connect(file)) as connection:
            return [Seen(**json.loads(text)) for (text,) in connection.execute("select seen from files order by rowid")]
    except (sqlite3.Error, ValueError, TypeError):
        return None


def _write(folder: Path, entries: Iterator[Entry | None]) -> int:
    """Returns how many were cut off."""
    cut_off = 0
    write = sqlite.writer(OPTIONS, folder)
    records: list[dict[str, Any]] = []
    labels: list[tuple[str, Any]] = []
    write([])
    for entry in entries:
        if entry is None:
            cut_off += 1
        elif entry.record is not None:
            records.append(entry.record)
        elif entry.label is not None:
            labels.append((entry.timestamp, entry.label))
        if len(records) >= _AT_ONCE:
            write(records)
            records = []
        if len(labels) >= _AT_ONCE:
            sqlite.copy_labels(OPTIONS, folder, labels)
            labels = []
    write(records)
    if labels:
        sqlite.copy_labels(OPTIONS, folder, labels)
    return cut_off


def _delete(folder: Path) -> None:
    """Raises BlockingIOError where somebody looks at it: who opens it by its name again would find another one."""
    with _locked(folder, "looks", fcntl.LOCK_EX | fcntl.LOCK_NB):
        for end in ("", "-wal", "-shm"):
            (folder / f"{FILE}{end}").unlink(missing_ok=True)


def _alone(folder: Path) -> AbstractContextManager[None]:
    """Nobody else brings it up to date, or deletes it."""
    return _locked(folder, "lock", fcntl.LOCK_EX)


@contextmanager
def _locked(folder: Path, name: str, how: int) -> Iterator[None]:
    with open(folder / f"{FILE}.{name}", "a") as lock:
        fcntl.flock(lock, how)
        yield
