"""Prediction log in a PostgreSQL database: for services on several machines.

The address, and with it the password, comes from the environment and is shown nowhere. The tables are made by whoever
comes first; where the database does not allow that, they may be made beforehand (`_SCHEMA` says how).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import Field

from pizzeria.clock import utcnow
from pizzeria.errors import DataError, DeploymentError, PluginError
from pizzeria.inference.truth import Key, Label, LabelCounts, moment, sift
from pizzeria.spec.section import Options as PluginOptions
from pizzeria_plugins.prediction_logs.rows import CHUNK, COLUMNS, Row, as_row, frames, from_json, join, utc
from pizzeria_plugins.prediction_logs.truth import (
    LABEL_COLUMNS,
    Names,
    as_label,
    as_values,
    needed,
    times_of_inputs,
    told,
)

if TYPE_CHECKING:
    import pandas as pd
    import psycopg
    from psycopg import sql

    Connection = psycopg.Connection[Any]

_SCHEMA = (
    "CREATE SCHEMA IF NOT EXISTS {schema}",
    """CREATE TABLE IF NOT EXISTS {table} (
        prediction_id text PRIMARY KEY,
        timestamp timestamptz NOT NULL,
        sha256 text NOT NULL,
        input_id text,
        listing_id text,
        latency_ms double precision,
        record jsonb NOT NULL
    )""",
    "CREATE INDEX IF NOT EXISTS {of_bundle} ON {table} (sha256, timestamp)",
    "CREATE INDEX IF NOT EXISTS {by_time} ON {table} (timestamp)",
    """CREATE TABLE IF NOT EXISTS {photos} (
        prediction_id text PRIMARY KEY REFERENCES {table} ON DELETE CASCADE,
        photo bytea NOT NULL
    )""",
)
_LABELS = (
    """CREATE TABLE IF NOT EXISTS {labels} (
        received timestamptz NOT NULL,
        subject text NOT NULL,
        name text NOT NULL,
        said_at text NOT NULL,
        source text NOT NULL,
        truth text NOT NULL
    )""",
    "CREATE INDEX IF NOT EXISTS {labels_by_name} ON {labels} (name)",
    "CREATE INDEX IF NOT EXISTS {labels_by_time} ON {labels} (received)",
)
"""Made with the first label."""
_INSERT_LABEL = f"INSERT INTO {{labels}} ({', '.join(LABEL_COLUMNS)}) VALUES (%s, %s, %s, %s, %s, %s)"  # noqa: S608 - our own words, and values are parameters
_LABELS_OF = f"SELECT {', '.join(LABEL_COLUMNS[1:])} FROM {{labels}}"  # noqa: S608 - our own words, and values are parameters
_INSERT = """
INSERT INTO {table} (timestamp, sha256, prediction_id, input_id, listing_id, latency_ms, record)
SELECT t::timestamptz, s, p, i, l, m, r::jsonb
FROM unnest(%s::text[], %s::text[], %s::text[], %s::text[], %s::text[], %s::float8[], %s::text[])
    AS new (t, s, p, i, l, m, r)
ON CONFLICT (prediction_id) DO NOTHING
"""
_INSERT_PHOTO = "INSERT INTO {photos} (prediction_id, photo) VALUES (%s, %b) ON CONFLICT (prediction_id) DO NOTHING"
_DELETE = """
DELETE FROM {table} WHERE prediction_id IN (SELECT prediction_id FROM {table} WHERE timestamp < %s LIMIT %s)
"""
_AT_ONCE = 1_000
"""Records, of up to thousands of rows each, that are read in one statement."""
_SLICE = 5_000
"""Records that `prune` deletes in one statement."""
_NAME = r"^[ -$&-~]{1,40}$"
"""Printable ASCII, as PostgreSQL cuts names at 63 bytes; no %, which psycopg takes for a place of a value."""


class Options(PluginOptions):
    """Options of the `postgresql` prediction log."""

    dsn_from: str = Field(
        pattern=r"^[A-Za-z_][A-Za-z0-9_]*$",
        description="Environment variable with the database's address: postgresql://user:password@host:5432/name. "
        "Set it for the service, and for `pizzeria monitor`.",
    )
    schema_: str = Field(default="public", alias="schema", pattern=_NAME, description="Schema of the tables.")
    table: str = Field(
        default="predictions",
        pattern=_NAME,
        description="Table of the records; the photos' is <table>_photos, and that of labels <table>_labels.",
    )
    connect_timeout_s: int = Field(default=5, ge=2, le=600, description="How long a writer waits for the server.")
    statement_timeout_s: float = Field(
        default=20, gt=0, le=3600, description="How long the server may take for one batch, and its network to answer."
    )


def secrets(options: Options) -> tuple[str, ...]:
    """The environment variable with the database's address, which may hold a password."""
    return (options.dsn_from,)


def writer(options: Options, folder: Path) -> Callable[[Sequence[Mapping[str, Any]]], None]:
    """A function that appends records, all of a call or none of them; it keeps its connection between two calls.

    The server need not be there yet.

    Raises:
        PluginError: psycopg is not installed.
        DeploymentError: the environment lacks the address, or it is none.

    Raises (the function that is returned):
        psycopg.Error: the database did not take the records; nothing of the batch was written.
        KeyError: a record lacks `timestamp`, `sha256` or `prediction_id`.
    """
    return _Writer(_address(options), options)


def read(options: Options, folder: Path, *, sha256: str | None = None) -> pd.DataFrame:
    """All records (of one bundle, when `sha256` is given), oldest first; see `pizzeria.inference.records`.

    Returns:
        One column for each key of the records, with `timestamp` as UTC datetimes. No row, and the fixed columns alone,
        when nothing was logged yet. Records come from the server in chunks, so memory is that of the frame.

    Raises:
        DataError: the database cannot be reached or read.
        PluginError, DeploymentError: as for `writer`.
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
    """Records in pieces; see `pizzeria.contracts.Traffic`. No transaction stays open between two of them, as the
    database could not clean up behind it. Those of one moment are in order of their ids.

    Raises:
        ValueError: a moment has no time zone.
        DataError, PluginError, DeploymentError: as for `read`.
    """
    wanted = needed(columns)
    with _reading(options) as connection:
        if not _there(connection, options):
            return
        labels_of = partial(_labels_among, connection, options) if _there(connection, options, "labels") else None
        start, end = (None if at is None else utc(at) for at in (since, until))
        records = _records(connection, options, sha256, start, end, wanted)
        yield from told(frames(records, wanted), columns, labels_of)


def counts(options: Options, folder: Path, edges: Sequence[datetime], *, sha256: str | None = None) -> Sequence[int]:
    """How many records lie between edges; see `pizzeria.contracts.Traffic`. The database counts, and reads each record
    for it, as it must look how many rows there are in one.

    Raises:
        ValueError: an edge has no time zone.
        DataError, PluginError, DeploymentError: as for `read`.
    """
    limits = list(map(utc, edges))
    out = [0] * max(len(limits) - 1, 0)
    query = """
        SELECT width_bucket(timestamp, %(edges)s::timestamptz[]) AS place,
            sum(coalesce((record ->> 'rows')::bigint, 1))::bigint
        FROM {table} WHERE timestamp >= %(first)s AND timestamp < %(last)s
            AND (%(sha256)s::text IS NULL OR sha256 = %(sha256)s)
        GROUP BY place
    """
    with _reading(options) as connection:
        if not out or not _there(connection, options):
            return out
        asked = {"edges": limits, "first": limits[0], "last": limits[-1], "sha256": sha256}
        for place, count in connection.execute(_filled(query, options), asked):
            out[place - 1] += count
    return out


def photo(options: Options, folder: Path, prediction_id: str) -> bytes | None:
    """The photo of a record, as it came; None where none is kept.

    Raises:
        DataError, PluginError, DeploymentError: as for `read`.
    """
    with _reading(options) as connection:
        if not _there(connection, options):
            return None
        query = _filled("SELECT photo FROM {photos} WHERE prediction_id = %s", options)
        found = connection.execute(query, (prediction_id,), binary=True).fetchone()
        return None if found is None else bytes(found[0])


def add_labels(options: Options, folder: Path, labels: Sequence[Label]) -> LabelCounts:
    """Add labels, all of them or none; see `pizzeria.contracts.LabelLog`. One process adds at a time.

    Raises:
        psycopg.Error: the database did not take them; nothing was written.
        PluginError, DeploymentError: as for `writer`.
    """
    now = utcnow()
    with closing(_connect(_address(options), options)) as connection:
        if not _there(connection, options, "labels"):
            with _alone(connection):
                for statement in (_SCHEMA[0], *_LABELS):
                    connection.execute(_filled(statement, options))
        with _alone(connection), connection.cursor() as cursor:
            fresh, counts = sift(_labels(connection, options, [label.name for label in labels]), labels, now)
            cursor.executemany(_filled(_INSERT_LABEL, options), [(now, *as_values(label, "")[1:]) for label in fresh])
    return counts


def labels(options: Options, folder: Path) -> Sequence[Label]:
    """All labels that were ever added.

    Raises:
        DataError, PluginError, DeploymentError: as for `read`.
    """
    return [label for _, label in labels_since(options, folder, "")]


def labels_since(options: Options, folder: Path, since: str) -> Iterator[tuple[str, Label]]:
    """Labels that came at that time or later; see `pizzeria.contracts.LabelLog`.

    Raises:
        DataError, PluginError, DeploymentError: as for `read`.
    """
    with _reading(options) as connection:
        if not _there(connection, options, "labels"):
            return
        where, arguments = ("WHERE received >= %s", (since,)) if since else ("", ())
        query = f"SELECT {', '.join(LABEL_COLUMNS)} FROM {{labels}} {where} ORDER BY received"  # noqa: S608 - our own words, and values are parameters
        with connection.transaction(), connection.cursor("labels") as cursor:
            cursor.itersize = CHUNK
            for received, *values in cursor.execute(_filled(query, options), arguments):
                yield moment(received), as_label(*values)


def times(options: Options, folder: Path, keys: Collection[Key], *, sha256: str | None = None) -> list[datetime]:
    """When the records were made that labels of these keys are of; see `pizzeria.contracts.LabelLog`.

    Raises:
        DataError, PluginError, DeploymentError: as for `read`.
    """
    own = {name for by, name in keys if by == "prediction_id"}
    inputs = {name for by, name in keys if by == "input_id"}
    records = own | {name.rpartition("/")[0] for name in own}  # of a request with rows
    query = """
        SELECT DISTINCT timestamp FROM {table}
        WHERE prediction_id = ANY(%(names)s) AND (%(sha256)s::text IS NULL OR sha256 = %(sha256)s)
    """
    with _reading(options) as connection:
        if not _there(connection, options):
            return []
        found = connection.execute(_filled(query, options), {"names": list(records), "sha256": sha256}).fetchall()
    at = [utc(time) for (time,) in found]
    return at + times_of_inputs(batches(options, folder, sha256=sha256, columns=("timestamp", "input_id")), inputs)


def prune(options: Options, folder: Path, before: datetime) -> int:
    """Delete records, photos and labels that are older than `before` (with a time zone); returns how many records went.

    A label is as old as the time at which it came.

    Raises:
        psycopg.Error: the database cannot be reached or written; what was deleted until then is gone.
        PluginError, DeploymentError: as for `writer`.
    """
    limit, deleted = utc(before), 0
    with closing(_connect(_address(options), options)) as connection:
        if _there(connection, options, "labels"):
            connection.execute(_filled("DELETE FROM {labels} WHERE received < %s", options), (limit,))
        if not _there(connection, options):
            return 0
        while True:
            count = connection.execute(_filled(_DELETE, options), (limit, _SLICE)).rowcount
            deleted += count
            if count < _SLICE:
                return deleted


class _Writer:
    """Appends records over one connection, which it opens when it needs one."""

    def __init__(self, address: Mapping[str, Any], options: Options) -> None:
        self._address, self._options = address, options
        self._kept: Connection | None = None

    def __call__(self, records: Sequence[Mapping[str, Any]]) -> None:
        import psycopg

        rows = list(map(as_row, records))
        if not rows:
            return
        if self._kept is not None:
            try:
                _insert(self._kept, self._options, rows)
                return
            except BaseException as error:
                lost = self._kept.broken and isinstance(error, psycopg.OperationalError)
                self._drop()
                if not lost:
                    raise
                # The server was restarted since the last batch, say. The same again, connected anew.
        self._kept = _connect(self._address, self._options)
        try:
            _make_tables(self._kept, self._options)
            _insert(self._kept, self._options, rows)
        except BaseException:
            self._drop()
            raise

    def __del__(self) -> None:
        self._drop()

    def _drop(self) -> None:
        if self._kept is not None:
            self._kept.close()
            self._kept = None


def _insert(connection: Connection, options: Options, rows: Sequence[Row]) -> None:
    columns = [list(column) for column in zip(*((*row.fixed, row.rest) for row in rows), strict=True)]
    photos = [(row.prediction_id, row.photo) for row in rows if row.photo is not None]
    with connection.transaction(), connection.cursor() as cursor:
        cursor.execute(_filled(_INSERT, options), columns)
        if photos:
            cursor.executemany(_filled(_INSERT_PHOTO, options), photos)


def _records(
    connection: Connection,
    options: Options,
    sha256: str | None,
    since: datetime | None,
    until: datetime | None,
    wanted: Sequence[str] | None,
) -> Iterator[dict[str, Any]]:
    """Records, flat or of tables, oldest first. What is not wanted and may be large stays in the database."""
    rest = "record"
    if wanted is not None and set(wanted) <= set(COLUMNS):
        rest = "CASE WHEN record ? 'columns' THEN record ELSE '{{}}'::jsonb END"
    elif wanted is not None and "embedding" not in wanted:
        rest = "record - 'embedding'"
    of_all = {"sha256 = %(sha256)s": sha256, "timestamp < %(until)s": until}
    at: dict[str, Any] = {"sha256": sha256, "since": since, "until": until}
    begin = "true" if since is None else "timestamp >= %(since)s"
    while True:
        where = " AND ".join((begin, *(one for one, value in of_all.items() if value is not None)))
        query = (
            f"SELECT {', '.join(COLUMNS)}, ({rest})::text FROM {{table}} WHERE {where} "  # noqa: S608 - our own words, and values are parameters
            f"ORDER BY timestamp, prediction_id LIMIT {_AT_ONCE}"
        )
        found = connection.execute(_filled(query, options), at).fetchall()
        for *fixed, text in found:
            yield dict(zip(COLUMNS, fixed, strict=True)) | from_json(text)
        if len(found) < _AT_ONCE:
            return
        at |= {"after": found[-1][0], "id": found[-1][2]}
        begin = "(timestamp, prediction_id) > (%(after)s, %(id)s)"


def _make_tables(connection: Connection, options: Options) -> None:
    """Of several that come first at once, one makes them; the others wait."""
    if _there(connection, options):
        return
    with _alone(connection):
        if not _there(connection, options):
            for statement in _SCHEMA:
                connection.execute(_filled(statement, options))


@contextmanager
def _alone(connection: Connection) -> Iterator[None]:
    """A transaction with which no other one of its kind overlaps."""
    with connection.transaction():
        connection.execute("SELECT pg_advisory_xact_lock(hashtext('pizzeria.prediction_logs'))")
        yield


def _labels(connection: Connection, options: Options, names: Collection[str]) -> list[Label]:
    """Those of some predictions and inputs."""
    if not _there(connection, options, "labels"):
        return []
    where = " WHERE name = ANY(%s)"
    return [as_label(*values) for values in connection.execute(_filled(_LABELS_OF + where, options), (list(names),))]


def _labels_among(connection: Connection, options: Options, names: Names) -> list[Label]:
    """Those of some records."""
    return _labels(connection, options, {name for one in names for name in one.dropna()} - {""})


def _there(connection: Connection, options: Options, table: str = "photos") -> bool:
    """Whether a table is; of those of records and photos, the photos' is made last."""
    name = _filled(f"{{{table}}}", options).as_string(connection)
    found = connection.execute("SELECT to_regclass(%s)", (name,)).fetchone()
    return found is not None and found[0] is not None


def _filled(statement: str, options: Options) -> sql.Composed:
    """The statement with the names of the options, quoted."""
    from psycopg import sql

    schema, table = options.schema_, options.table
    return sql.SQL(statement).format(
        schema=sql.Identifier(schema),
        table=sql.Identifier(schema, table),
        photos=sql.Identifier(schema, f"{table}_photos"),
        labels=sql.Identifier(schema, f"{table}_labels"),
        labels_by_name=sql.Identifier(f"{table}_labels_by_name"),
        labels_by_time=sql.Identifier(f"{table}_labels_by_time"),
        of_bundle=sql.Identifier(f"{table}_of_bundle"),
        by_time=sql.Identifier(f"{table}_by_time"),
    )


def _address(options: Options) -> dict[str, Any]:
    """The parts of the address."""
    try:
        import psycopg
        from psycopg.conninfo import conninfo_to_dict
    except ImportError as error:
        raise PluginError(
            f"the prediction log `postgresql` lacks a library: {error}", hint="pip install 'pizzeria[postgresql]'"
        ) from error
    hint = f"export {options.dsn_from}=postgresql://user:password@host:5432/name"
    address = os.environ.get(options.dsn_from, "")
    if not address:
        raise DeploymentError(f"serving.log.dsn_from: the environment has no {options.dsn_from}", hint=hint)
    try:
        return conninfo_to_dict(address)
    except psycopg.Error:  # its message has parts of the address in it
        raise DeploymentError(
            f"serving.log.dsn_from: {options.dsn_from} holds no address of a PostgreSQL database", hint=hint
        ) from None


def _connect(address: Mapping[str, Any], options: Options) -> Connection:
    import psycopg
    from psycopg.conninfo import make_conninfo

    milliseconds = str(round(1000 * options.statement_timeout_s))
    ours: dict[str, Any] = {
        "connect_timeout": options.connect_timeout_s,
        "tcp_user_timeout": milliseconds,  # a server that is gone from the network says nothing
        "application_name": "pizzeria",
    }
    # Statements that the server prepares belong to a session, and poolers share sessions.
    connection = psycopg.connect(make_conninfo(**(ours | dict(address))), autocommit=True, prepare_threshold=None)
    try:
        connection.execute("SELECT set_config('statement_timeout', %s, false)", (milliseconds,))
    except BaseException:
        connection.close()
        raise
    return connection


@contextmanager
def _reading(options: Options) -> Iterator[Connection]:
    """A connection that only reads, and may take its time."""
    address = _address(options)
    import psycopg

    try:
        with closing(_connect(address, options)) as connection:
            connection.execute("SET statement_timeout = 0")
            connection.read_only = True
            yield connection
    except psycopg.Error as error:
        raise DataError(
            f"the prediction log in {options.dsn_from} cannot be read: {str(error).strip()}",
            hint="is the database running, and may this user read it?",
        ) from error
