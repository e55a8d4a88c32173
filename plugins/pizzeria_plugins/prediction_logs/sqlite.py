"""Prediction log in one SQLite file: for services and monitors that share a machine.

Several worker processes append to the same file at once (WAL, with a busy timeout), while monitors read it. A power cut
may take the last moments of the log (`synchronous=NORMAL`), and never damages it. Space that `prune` frees is used for
later records; the file itself does not shrink.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import Field

from pizzeria.atomic import make_folder
from pizzeria.clock import utcnow
from pizzeria.errors import DataError
from pizzeria.inference.truth import Key, Label, LabelCounts, moment, sift
from pizzeria.spec.section import Options as PluginOptions
from pizzeria.sqlite_files import transaction, use_wal
from pizzeria_plugins.prediction_logs.rows import COLUMNS, Row, as_row, crc_of, frames, from_json, join, utc
from pizzeria_plugins.prediction_logs.truth import (
    LABEL_COLUMNS,
    as_label,
    as_values,
    labels_among,
    needed,
    times_of_inputs,
    told,
)

if TYPE_CHECKING:
    import pandas as pd

_VERSION = 1
"""`PRAGMA user_version` of the schema below; 0 was the one without prediction ids and photos."""
_SCHEMA = (
    """CREATE TABLE IF NOT EXISTS predictions (
        id INTEGER PRIMARY KEY,
        timestamp TEXT NOT NULL,
        sha256 TEXT NOT NULL,
        prediction_id TEXT,
        input_id TEXT,
        listing_id TEXT,
        latency_ms REAL,
        record_json TEXT NOT NULL,
        rows INTEGER
    )""",
    "CREATE INDEX IF NOT EXISTS predictions_of_bundle ON predictions (sha256, timestamp)",
    "CREATE INDEX IF NOT EXISTS predictions_by_time ON predictions (timestamp)",
    "CREATE TABLE IF NOT EXISTS photos (prediction_id TEXT PRIMARY KEY, timestamp TEXT NOT NULL, photo BLOB NOT NULL)",
    "CREATE INDEX IF NOT EXISTS photos_by_time ON photos (timestamp)",
)
_ROWS = (
    "ALTER TABLE predictions ADD COLUMN rows INTEGER",
    "CREATE INDEX IF NOT EXISTS predictions_counted ON predictions (sha256, timestamp, rows)",
)
"""Predictions of a record; one of an earlier Pizzeria has none. That goes on with the file: it is no new version."""
_CRC = "ALTER TABLE predictions ADD COLUMN crc INTEGER"
"""Of a record, see `crc_of`; one of an earlier Pizzeria has none, and is not checked."""
_INSERT = (
    f"INSERT INTO predictions ({', '.join(COLUMNS)}, record_json, rows, crc) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) "  # noqa: S608 - our own words, and values are parameters
    "ON CONFLICT (prediction_id) DO NOTHING"
)
_INSERT_PHOTO = (
    "INSERT INTO photos (prediction_id, timestamp, photo) VALUES (?, ?, ?) ON CONFLICT (prediction_id) DO NOTHING"
)
_LABELS = (
    """CREATE TABLE IF NOT EXISTS labels (
        received TEXT NOT NULL,
        subject TEXT NOT NULL,
        name TEXT NOT NULL,
        said_at TEXT NOT NULL,
        source TEXT NOT NULL,
        truth TEXT NOT NULL,
        PRIMARY KEY (name, subject, said_at, truth, source)
    )""",
    "CREATE INDEX IF NOT EXISTS labels_by_time ON labels (received)",
    "CREATE INDEX IF NOT EXISTS labels_of_inputs ON labels (subject) WHERE subject = 'input_id'",
)
"""Made with the first label, so that a Pizzeria which knows none goes on with the file."""
_INSERT_LABEL = f"INSERT OR IGNORE INTO labels ({', '.join(LABEL_COLUMNS)}) VALUES (?, ?, ?, ?, ?, ?)"  # noqa: S608 - our own words, and values are parameters
_LABELS_OF = f"SELECT {', '.join(LABEL_COLUMNS[1:])} FROM labels"  # noqa: S608 - our own words, and values are parameters
_AT_ONCE = 1_000
"""Records, of up to thousands of rows each, that are read in one transaction."""
_QUICKLY_CHECKED = 1 << 26
"""Bytes up to which a process checks the whole of a file before it reads it for the first time; `check` always does."""
_checked: set[tuple[Path, int]] = set()
"""By path and inode: another file gets the inode of one that is gone."""
_SLICE = 5_000
"""Records that `prune` deletes in one transaction, so that no writer waits long."""


class Options(PluginOptions):
    """Options of the `sqlite` prediction log."""

    path: str | None = Field(
        default=None,
        description="The SQLite file; a relative path starts at the deployment's log folder. "
        "Without it: predictions.sqlite in that folder.",
    )
    busy_timeout_s: float = Field(default=30, gt=0, description="How long a writer waits for another one.")


def local_files(options: Options) -> bool:
    """Always: SQLite is a file, and files on a network do not lock as it needs."""
    return True


def writer(options: Options, folder: Path) -> Callable[[Sequence[Mapping[str, Any]]], None]:
    """A function that appends records, all of a call or none of them.

    It opens the file anew for each batch, so that no process holds it between two, and brings a file of an earlier
    Pizzeria up to date.

    Raises (the function that is returned):
        sqlite3.Error, OSError: the file cannot be written; nothing of the batch was.
        KeyError: a record lacks `timestamp`, `sha256` or `prediction_id`.

    Example:
        >>> import tempfile
        >>> folder = Path(tempfile.mkdtemp())
        >>> write = writer(Options(), folder)
        >>> record = {"timestamp": "2026-05-01T12:00:00+00:00", "sha256": "ab12", "prediction_id": "1", "p:bed": 0.9}
        >>> write([record])
        >>> write([record])
        >>> read(Options(), folder)["p:bed"].tolist()
        [0.9]
    """

    def write(records: Sequence[Mapping[str, Any]]) -> None:
        rows = list(map(as_row, records))
        path = _file(options, folder)
        make_folder(path.parent)
        with _connect(str(path), options) as connection:
            _bring_up_to_date(connection, options)
            connection.execute("PRAGMA synchronous=NORMAL")
            with transaction(connection):
                connection.executemany(_INSERT, ((*row.fixed, row.rest, row.predictions, row.crc) for row in rows))
                connection.executemany(_INSERT_PHOTO, map(_photo_row, filter(_has_photo, rows)))

    return write


def read(options: Options, folder: Path, *, sha256: str | None = None) -> pd.DataFrame:
    """All records (of one bundle, when `sha256` is given), oldest first; see `pizzeria.inference.records`.

    Returns:
        One column for each key of the records, with `timestamp` as UTC datetimes. No row, and the fixed columns alone,
        when nothing was logged yet. Records are brought into the frame in chunks, so memory is that of the frame.

    Raises:
        DataError: the file is there and cannot be read.
    """
    return join(list(batches(options, folder, sha256=sha256)))


def batches(
    options: Options,
    folder: Path,
    *,
    sha256: str | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
    columns: Sequence[str] | None = None,
) -> Iterator[pd.DataFrame]:
    """Records in pieces; see `pizzeria.contracts.Traffic`. No transaction stays open between two of them, so that the
    file is kept small for its writers meanwhile.

    Raises:
        ValueError: a moment has no time zone.
        DataError: the file is there and cannot be read.
    """
    wanted = needed(columns)
    with _reading(options, folder) as connection:
        if connection is None:
            return
        labels_of = partial(labels_among, connection) if _has_labels(connection) else None
        start, end = (None if at is None else _limit(at) for at in (since, until))
        records = _records(connection, sha256, start, end, wanted)
        yield from told(frames(records, wanted), columns, labels_of)


def counts(options: Options, folder: Path, edges: Sequence[datetime], *, sha256: str | None = None) -> Sequence[int]:
    """How many records lie between edges; see `pizzeria.contracts.Traffic`. An index alone tells it, but for records of
    an earlier Pizzeria.

    Raises:
        ValueError: an edge has no time zone.
        DataError: the file is there and cannot be read.
    """
    limits = list(map(_limit, edges))
    with _reading(options, folder) as connection:
        if connection is None or not (known := _columns(connection)):
            return [0] * max(len(limits) - 1, 0)
        where = f"{'sha256 = ? AND' if sha256 else ''} timestamp >= ? AND timestamp < ?"
        rows = "rows" if "rows" in known else "NULL"
        by_index = f"SELECT total({rows}), count(*) - count({rows}) FROM predictions WHERE {where}"  # noqa: S608 - our own words, and values are parameters
        unknown = f"SELECT total(coalesce(json_extract(record_json, '$.rows'), 1)) FROM predictions WHERE {where}"  # noqa: S608 - our own words, and values are parameters
        found = []
        for ends in pairwise(limits):
            at = (sha256, *ends) if sha256 else ends
            count, uncounted = connection.execute(by_index, at).fetchone()
            if uncounted:
                count += connection.execute(f"{unknown} AND {rows} IS NULL", at).fetchone()[0]
            found.append(int(count))
        return found


def check(options: Options, folder: Path) -> None:
    """Check how pages and indexes of the file fit each other; reads all of it. Records are checked as they are read.

    Raises:
        DataError: they do not.
    """
    with _reading(options, folder) as connection:
        if connection is not None:
            _check(connection)


def photo(options: Options, folder: Path, prediction_id: str) -> bytes | None:
    """The photo of a record, as it came; None where none is kept.

    Raises:
        DataError: the file is there and cannot be read.
    """
    with _reading(options, folder) as connection:
        if connection is None or _version(connection) == 0:
            return None
        found = connection.execute("SELECT photo FROM photos WHERE prediction_id = ?", (prediction_id,)).fetchone()
        return None if found is None else bytes(found[0])


def add_labels(options: Options, folder: Path, labels: Sequence[Label]) -> LabelCounts:
    """Add labels, all of them or none; see `pizzeria.contracts.LabelLog`. They outlast a power cut.

    Raises:
        sqlite3.Error, OSError: the file cannot be written; nothing was.

    Example:
        >>> import tempfile
        >>> folder = Path(tempfile.mkdtemp())
        >>> label = Label("prediction_id", "1", '{"class":"bed"}')
        >>> add_labels(Options(), folder, [label]), add_labels(Options(), folder, [label])
        (LabelCounts(new=1, changed=0, same=0), LabelCounts(new=0, changed=0, same=1))
    """
    path, now = _file(options, folder), utcnow()
    make_folder(path.parent)
    with _connect(str(path), options) as connection:
        _bring_up_to_date(connection, options)
        connection.execute("PRAGMA synchronous=FULL")
        with transaction(connection):
            for statement in _LABELS:
                connection.execute(statement)
            known = [label for name in {label.name for label in labels} for label in _labels(connection, name)]
            fresh, counts = sift(known, labels, now)
            connection.executemany(_INSERT_LABEL, (as_values(label, moment(now)) for label in fresh))
    return counts


def copy_labels(options: Options, folder: Path, labels: Sequence[tuple[str, Label]]) -> None:
    """Add labels that another log sifted and keeps, each behind the time at which it came there.

    Raises:
        sqlite3.Error, OSError: the file cannot be written; nothing was.
    """
    with _connect(str(_file(options, folder)), options) as connection:
        _bring_up_to_date(connection, options)
        with transaction(connection):
            for statement in _LABELS:
                connection.execute(statement)
            connection.executemany(_INSERT_LABEL, (as_values(label, received) for received, label in labels))


def labels(options: Options, folder: Path) -> Sequence[Label]:
    """All labels that were ever added.

    Raises:
        DataError: the file is there and cannot be read.
    """
    with _reading(options, folder) as connection:
        return [] if connection is None else list(_labels(connection))


def labels_since(options: Options, folder: Path, since: str) -> Iterator[tuple[str, Label]]:
    """Labels that came at that time or later; see `pizzeria.contracts.LabelLog`.

    Raises:
        DataError: the file is there and cannot be read.
    """
    query = f"SELECT {', '.join(LABEL_COLUMNS)} FROM labels WHERE received >= ? ORDER BY received"  # noqa: S608 - our own words, and values are parameters
    with _reading(options, folder) as connection:
        if connection is not None and _has_labels(connection):
            for received, *values in connection.execute(query, (since,)):
                yield received, as_label(*values)


def times(options: Options, folder: Path, keys: Collection[Key], *, sha256: str | None = None) -> list[datetime]:
    """When the records were made that labels of these keys are of; see `pizzeria.contracts.LabelLog`.

    Raises:
        DataError: the file is there and cannot be read.
    """
    own = {name for by, name in keys if by == "prediction_id"}
    inputs = {name for by, name in keys if by == "input_id"}
    found: set[str] = set()
    with _reading(options, folder) as connection:
        if connection is None or "prediction_id" not in _columns(connection):
            return []
        records = own | {name.rpartition("/")[0] for name in own}  # of a request with rows
        query = """SELECT timestamp FROM json_each(:names) JOIN predictions ON prediction_id = value
                   WHERE :sha256 IS NULL OR sha256 = :sha256"""
        if records:
            arguments = {"names": json.dumps(list(records - {""})), "sha256": sha256}
            found |= {time for (time,) in connection.execute(query, arguments)}
    at = [datetime.fromisoformat(time) for time in found]
    return at + times_of_inputs(batches(options, folder, sha256=sha256, columns=("timestamp", "input_id")), inputs)


def prune(options: Options, folder: Path, before: datetime) -> int:
    """Delete records, photos and labels that are older than `before` (with a time zone); returns how many records went.

    A label is as old as the time at which it came. They are overwritten, not only forgotten; a slice at a time, so that
    writers get their turn in between.

    Raises:
        sqlite3.Error: the file cannot be written; what was deleted until then is gone.
    """
    path, limit = _file(options, folder), _limit(before)
    if not path.exists():
        return 0
    with _connect(str(path), options) as connection:
        _bring_up_to_date(connection, options)
        connection.execute("PRAGMA secure_delete=ON")
        _delete(connection, "photos", limit)
        if _has_labels(connection):
            _delete(connection, "labels", limit, "received")
        return _delete(connection, "predictions", limit)


def _limit(moment: datetime) -> str:
    """What sorts before the text of that moment in whatever precision, and after the text of any earlier one."""
    text = utc(moment).replace(tzinfo=None).isoformat()
    return text.rstrip("0") if "." in text else text


def _delete(connection: sqlite3.Connection, table: str, limit: str, column: str = "timestamp") -> int:
    doomed = f"SELECT rowid FROM {table} WHERE {column} < ? LIMIT {_SLICE}"  # noqa: S608 - our own words, and values are parameters
    deleted = 0
    while True:
        with transaction(connection):
            count = connection.execute(f"DELETE FROM {table} WHERE rowid IN ({doomed})", (limit,)).rowcount  # noqa: S608 - our own words, and values are parameters
        deleted += count
        if count < _SLICE:
            return deleted


def _records(
    connection: sqlite3.Connection,
    sha256: str | None,
    since: str | None,
    until: str | None,
    wanted: Sequence[str] | None,
) -> Iterator[dict[str, Any]]:
    """Records, flat or of tables, oldest first; those of one moment as they came."""
    known = _columns(connection)
    if not known:
        return
    fixed = ", ".join(name if name in known else f"NULL AS {name}" for name in COLUMNS)
    sum_ = "crc" if "crc" in known else "NULL"
    rest = "record_json"
    if "rows" in known and wanted is not None and set(wanted) <= set(COLUMNS) - {"prediction_id"}:
        rest = "CASE WHEN rows = 1 THEN '{}' ELSE record_json END"
        sum_ = f"CASE WHEN rows = 1 THEN NULL ELSE {sum_} END"  # what is not read cannot be checked
    conditions = {"sha256 = :sha256": sha256, "timestamp < :until": until}
    where = " AND ".join(["(timestamp, id) > (:after, :id)", *(one for one, value in conditions.items() if value)])
    query = f"SELECT id, {fixed}, {rest}, {sum_} FROM predictions WHERE {where} ORDER BY timestamp, id LIMIT {_AT_ONCE}"  # noqa: S608 - our own words, and values are parameters
    at = {"sha256": sha256, "until": until, "after": since or "", "id": -1}
    while found := connection.execute(query, at).fetchall():
        at |= {"id": found[-1][0], "after": found[-1][1]}
        for row, *values, text, crc in found:
            if crc is not None and crc != crc_of(values, text):
                raise ValueError(f"record {row} is not what was written; the disk, or somebody, changed it")
            yield dict(zip(COLUMNS, values, strict=True)) | from_json(text)


def _columns(connection: sqlite3.Connection) -> set[str]:
    """Those of the table of records; none where it is not there."""
    return {name for _, name, *_ in connection.execute("PRAGMA table_info(predictions)")}


def _labels(connection: sqlite3.Connection, name: str | None = None) -> Iterator[Label]:
    """All of them, or those of one prediction or input."""
    if not _has_labels(connection):
        return
    where, arguments = ("", ()) if name is None else (" WHERE name = ?", (name,))
    for values in connection.execute(_LABELS_OF + where, arguments):
        yield as_label(*values)


def _has_labels(connection: sqlite3.Connection) -> bool:
    return connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'labels'").fetchone() is not None


def _file(options: Options, folder: Path) -> Path:
    return folder / Path(options.path or "predictions.sqlite").expanduser()


def _has_photo(row: Row) -> bool:
    return row.photo is not None


def _photo_row(row: Row) -> tuple[str, str, bytes | None]:
    return row.prediction_id, row.timestamp, row.photo


def _bring_up_to_date(connection: sqlite3.Connection, options: Options) -> None:
    """Make the tables, or add what an earlier Pizzeria's lack; of several processes at once, one does it."""
    if _is_up_to_date(connection):
        return
    use_wal(connection, options.busy_timeout_s)
    with transaction(connection):
        if _is_up_to_date(connection):
            return
        for statement in _SCHEMA:
            connection.execute(statement)
        if "prediction_id" not in _columns(connection):
            connection.execute("ALTER TABLE predictions ADD COLUMN prediction_id TEXT")
        if "rows" not in _columns(connection):
            connection.execute(_ROWS[0])
        if "crc" not in _columns(connection):
            connection.execute(_CRC)
        connection.execute(_ROWS[1])
        connection.execute("CREATE UNIQUE INDEX IF NOT EXISTS predictions_by_name ON predictions (prediction_id)")
        connection.execute(f"PRAGMA user_version = {_VERSION}")


def _is_up_to_date(connection: sqlite3.Connection) -> bool:
    return _version(connection) == _VERSION and {"rows", "crc"} <= _columns(connection)


def _version(connection: sqlite3.Connection) -> int:
    version = int(connection.execute("PRAGMA user_version").fetchone()[0])
    if version > _VERSION:
        raise sqlite3.DatabaseError(f"the prediction log is of version {version}, written by a newer Pizzeria")
    return version


@contextmanager
def _reading(options: Options, folder: Path) -> Iterator[sqlite3.Connection | None]:
    path = _file(options, folder)
    if not path.exists():
        yield None
        return
    try:
        with _connect(f"{path.resolve().as_uri()}?mode=ro", options) as connection:
            stat = path.stat()
            known = path.absolute(), stat.st_ino
            if known not in _checked and stat.st_size <= _QUICKLY_CHECKED:
                _check(connection)
                _checked.add(known)
            yield connection
    except (sqlite3.Error, ValueError) as error:
        raise DataError(
            f"the prediction log {path} cannot be read: {error}",
            hint="serving.log.path names the file; one that is damaged is set aside (mv), and a new one begins",
        ) from error


def _check(connection: sqlite3.Connection) -> None:
    told = [str(row[0]) for row in connection.execute("PRAGMA integrity_check(3)")]
    if told != ["ok"]:
        raise ValueError("; ".join(told))


@contextmanager
def _connect(path: str, options: Options) -> Iterator[sqlite3.Connection]:
    connection = sqlite3.connect(
        path, timeout=options.busy_timeout_s, uri=path.startswith("file:"), isolation_level=None
    )
    try:
        yield connection
    finally:
        connection.close()
