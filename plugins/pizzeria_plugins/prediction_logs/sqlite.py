"""Prediction log in one SQLite file: for services and monitors that share a machine.

Several worker processes append to the same file at once (WAL, with a busy timeout), while monitors read it. A power cut
may take the last moments of the log (`synchronous=NORMAL`), and never damages it.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import Field

from pizzeria.spec.section import Options as PluginOptions

if TYPE_CHECKING:
    import pandas as pd

_COLUMNS = ("timestamp", "sha256", "input_id", "listing_id", "latency_ms")
_SCHEMA = """
CREATE TABLE IF NOT EXISTS predictions (
    id INTEGER PRIMARY KEY,
    timestamp TEXT NOT NULL,
    sha256 TEXT NOT NULL,
    input_id TEXT,
    listing_id TEXT,
    latency_ms REAL,
    record_json TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS predictions_of_bundle ON predictions (sha256, timestamp);
"""


class Options(PluginOptions):
    """Options of the `sqlite` prediction log."""

    path: str | None = Field(
        default=None,
        description="The SQLite file; a relative path starts at the deployment's log folder. "
        "Without it: predictions.sqlite in that folder.",
    )
    busy_timeout_s: float = Field(default=30, gt=0, description="How long a writer waits for another one.")


def writer(options: Options, folder: Path) -> Callable[[Sequence[Mapping[str, Any]]], None]:
    """A function that appends records, all of a call or none of them.

    It opens the file anew for each batch, so that no process holds it between two.

    Raises (the function that is returned):
        sqlite3.Error: the file cannot be written; nothing of the batch was.
        KeyError: a record lacks `timestamp` or `sha256`.

    Example:
        >>> import tempfile
        >>> folder = Path(tempfile.mkdtemp())
        >>> write = writer(Options(), folder)
        >>> write([{"timestamp": "2026-05-01T12:00:00+00:00", "sha256": "ab12", "p:bed": 0.9}])
        >>> read(Options(), folder)["p:bed"].tolist()
        [0.9]
    """

    def write(records: Sequence[Mapping[str, Any]]) -> None:
        path = _file(options, folder)
        path.parent.mkdir(parents=True, exist_ok=True)
        with _connect(str(path), options) as connection:
            if not _exists(connection):
                connection.execute("PRAGMA journal_mode=WAL")
                connection.executescript(_SCHEMA)
            connection.execute("PRAGMA synchronous=NORMAL")
            with connection:
                connection.executemany(
                    "INSERT INTO predictions (timestamp, sha256, input_id, listing_id, latency_ms, record_json) "
                    "VALUES (?, ?, ?, ?, ?, ?)",
                    map(_row, records),
                )

    return write


def read(options: Options, folder: Path, *, sha256: str | None = None) -> pd.DataFrame:
    """All records (of one bundle, when `sha256` is given), oldest first; see `pizzeria.inference.records`.

    Returns:
        One column for each key of the records, with `timestamp` as UTC datetimes. No row, and the fixed columns alone,
        when nothing was logged yet.
    """
    import pandas as pd

    path = _file(options, folder)
    rows: list[dict[str, Any]] = []
    if path.exists():
        with _connect(f"{path.resolve().as_uri()}?mode=ro", options) as connection:
            where, arguments = ("WHERE sha256 = ?", (sha256,)) if sha256 else ("", ())
            query = f"SELECT {', '.join(_COLUMNS)}, record_json FROM predictions {where} ORDER BY timestamp, id"  # noqa: S608
            for *fixed, rest in connection.execute(query, arguments) if _exists(connection) else ():
                rows.append(dict(zip(_COLUMNS, fixed, strict=True)) | json.loads(rest))
    frame = pd.DataFrame(rows) if rows else pd.DataFrame(columns=list(_COLUMNS))
    frame["timestamp"] = pd.to_datetime(frame["timestamp"], utc=True, format="ISO8601")
    return frame


def _file(options: Options, folder: Path) -> Path:
    return folder / Path(options.path or "predictions.sqlite").expanduser()


def _row(record: Mapping[str, Any]) -> tuple[Any, ...]:
    rest = {key: value for key, value in record.items() if key not in _COLUMNS}
    known = (record["timestamp"], record["sha256"], *(record.get(key) for key in _COLUMNS[2:]))
    return (*known, json.dumps(rest, ensure_ascii=False, separators=(",", ":")))


def _exists(connection: sqlite3.Connection) -> bool:
    """Whether the table is there; its index is made last."""
    return bool(connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'predictions_of_bundle'").fetchone())


@contextmanager
def _connect(path: str, options: Options) -> Iterator[sqlite3.Connection]:
    connection = sqlite3.connect(path, timeout=options.busy_timeout_s, uri=path.startswith("file:"))
    try:
        yield connection
    finally:
        connection.close()
