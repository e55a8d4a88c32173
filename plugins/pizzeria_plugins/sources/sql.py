"""Source `sql`: a table, or what a query finds, of any database that SQLAlchemy reaches.

It only reads: one SELECT, in a read-only transaction where the database has them (PostgreSQL, MySQL), SQLite opened
read-only. Rows stream in chunks through a server-side cursor, so a result may be larger than memory.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlsplit

from pydantic import Field, field_validator, model_validator

from pizzeria.account import Account
from pizzeria.contracts import Progress, Recognised
from pizzeria.errors import DataError, PluginError, require_known
from pizzeria.spec.problem import Problem
from pizzeria.tables import Tables
from pizzeria_plugins.sources.chunk_files import ChunkFiles
from pizzeria_plugins.sources.read_only_query import only_reads
from pizzeria_plugins.sources.row_file import TASKS, RowOptions, database, name, write_rows

if TYPE_CHECKING:
    import sqlalchemy as sa

__all__ = ["TASKS", "Options", "collect", "inputs", "recognise"]
_CHUNK = 20_000
_MAGIC = b"SQLite format 3\0"
_DRIVERS = {"postgresql": "postgresql+psycopg", "postgres": "postgresql+psycopg"}
_SECRET = re.compile(r"[?&](password|passwd|pwd|token|secret)=", re.IGNORECASE)


class Options(RowOptions):
    """Options of the source `sql`."""

    url: str | None = Field(
        default=None,
        description="The database as SQLAlchemy has it, without a password: sqlite:///rows.db, "
        "postgresql://reader@host/name. The database's library finds a password where it always does (PGPASSWORD, "
        "~/.pgpass).",
    )
    url_from: str | None = Field(
        default=None,
        pattern=r"^[A-Za-z_][A-Za-z0-9_]*$",
        description="Environment variable that holds the database's URL; may have a password in it.",
    )
    table: str | None = Field(default=None, min_length=1, description="Table or view; or query.")
    table_schema: str | None = Field(default=None, min_length=1, description="Schema of the table.")
    query: str | None = Field(
        default=None, description="One SELECT; or table. With an ORDER BY, rows are numbered alike each time."
    )
    version_query: str | None = Field(
        default=None,
        description="A SELECT whose result changes whenever the data do, such as SELECT max(updated_at), count(*) "
        "FROM rows. Without it all rows are read to tell whether they changed.",
    )

    @field_validator("url")
    @classmethod
    def _without_password(cls, url: str | None) -> str | None:
        if url is None:
            return url
        try:
            password = urlsplit(url).password
        except ValueError:
            password = ""
        if password is not None or _SECRET.search(url):
            raise ValueError(
                "the URL holds a password; put all of it into an environment variable, and name it: url_from"
            )
        if "://" not in url:
            raise ValueError("this is no URL; a file is sqlite:///rows.db")
        return url

    @field_validator("query", "version_query")
    @classmethod
    def _only_reads(cls, query: str | None) -> str | None:
        return None if query is None else only_reads(query)

    @model_validator(mode="after")
    def _one_of_each(self) -> Options:
        if not (
            self.url or self.url_from or self.table or self.query or self.table_schema
        ):  # the bare defaults, which must be sound; see `_connected`
            return self
        if (self.url is None) == (self.url_from is None):
            raise ValueError("say where the database is: either url or url_from")
        if (self.table is None) == (self.query is None):
            raise ValueError("say what to read: either table or query")
        if self.table_schema is not None and self.table is None:
            raise ValueError("table_schema goes with table; a query names its own")
        return self


def inputs(options: Options) -> Sequence[Path | str]:
    """What changes whenever the data do: a hash of what `version_query` finds, else of all rows in any order."""
    total = count = 0
    with _connected(options) as (connection, where):
        import sqlalchemy as sa

        with _asked(where, options):
            if options.version_query is not None:
                rows = connection.execute(sa.text(_quoted(options.version_query))).fetchall()
                return (f"version:{hashlib.sha256(repr([tuple(row) for row in rows]).encode()).hexdigest()}",)
            result = connection.execute(_statement(connection, options, where))
            for chunk in _chunks(result, options.limit):
                count += len(chunk)
                # A sum, as a database may give the same rows in another order each time.
                total += sum(int.from_bytes(hashlib.sha256(repr(tuple(row)).encode()).digest(), "big") for row in chunk)
            head = repr(tuple(result.keys()))
    return (f"rows:{hashlib.sha256(f'{head} {count} {total % 2**256}'.encode()).hexdigest()}",)


def collect(options: Options, problem: Problem, folder: Path, progress: Progress) -> Tables:
    """Read the rows, a table's in the order of its primary key.

    Decimals come as doubles, times with a zone in UTC; a column with values of several types as text, counted.

    Raises:
        DataError: the database does not answer, or refuses; there is no such table or column, or no row.
        PluginError: a library is not installed.
    """
    account, staging = Account(), folder / ".staging"
    shutil.rmtree(staging, ignore_errors=True)
    staging.mkdir(parents=True)
    try:
        with _connected(options) as (connection, where):
            with _asked(where, options):
                result = connection.execute(_statement(connection, options, where, problem))
                parts = ChunkFiles(staging, list(result.keys()))
                for chunk in _chunks(result, options.limit):
                    parts.add(chunk)
                    progress.update(f"rows from {where}", parts.count, parts.count + 1)
                progress.update(f"rows from {where}", parts.count, parts.count)
            declared = _declared_times(connection, options)
        parts.close()
        if not parts.count:
            raise DataError(f"{where} has no rows", hint="check the table or the query")
        for column in sorted(parts.mixed):
            what = f"column {column} has values of several types, and comes as text"
            account.handle("rows", what, parts.mixed[column], count=parts.count)
        with database(folder) as ducks:
            ducks.execute("SET TimeZone = 'UTC'")
            relation = parts.relation()
            times = [one for one in parts.names if one in declared and parts.kinds[one] == "text"]
            relation = _with_times(ducks, relation, parts.names, times)
            rows = write_rows(ducks, relation, options, problem, folder, where, account)
    finally:
        shutil.rmtree(staging, ignore_errors=True)
    progress.say(f"{parts.count} rows, {len(parts.names)} columns from {where}")
    return Tables(rows=rows, account=account)


def recognise(path: Path) -> Recognised | None:
    """A SQLite file; its largest table."""
    try:
        if not path.is_file():
            return None
        with open(path, "rb") as stream:
            if stream.read(len(_MAGIC)) != _MAGIC:
                return None
        import sqlite3
        from contextlib import closing

        with closing(sqlite3.connect(f"file:{quote(str(path.absolute()))}?mode=ro", uri=True)) as connection:
            names = [
                row[0]
                for row in connection.execute(
                    "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%' ORDER BY name"
                )
            ]
            sizes = {one: connection.execute(f"SELECT count(*) FROM {name(one)}").fetchone()[0] for one in names}  # noqa: S608 - names are quoted, texts escaped
    except Exception:  # whatever is wrong with it, it is not for this source
        return None
    if not sizes:
        return None
    largest = max(sizes, key=lambda one: sizes[one])
    return Recognised("SQLite table", {"url": f"sqlite:///{path}", "table": largest}, None, 1.0)


@contextmanager
def _connected(options: Options) -> Iterator[tuple[sa.Connection, str]]:
    """A connection that only reads, and what the database is called in messages."""
    try:
        import sqlalchemy as sa
        from sqlalchemy.pool import NullPool
    except ImportError as error:
        raise PluginError(f"the source `sql` lacks a library: {error}", hint="pip install 'pizzeria[sql]'") from error
    if options.url is None and options.url_from is None:
        raise DataError("data does not say where the database is", hint="set data.url or data.url_from, and data.table")
    written = options.url if options.url is not None else os.environ.get(str(options.url_from))
    if not written:
        raise DataError(
            f"the environment variable {options.url_from}, which data.url_from names, is not set",
            hint=f"export {options.url_from}=postgresql://user:password@host/name",
        )
    try:
        url = sa.engine.make_url(written)
    except sa.exc.ArgumentError as error:
        raise DataError(
            f"what {options.url_from or 'data.url'} holds is no database URL", hint="such as sqlite:///rows.db"
        ) from error
    url = url.set(drivername=_DRIVERS.get(url.drivername, url.drivername))
    shown = url.set(username=None, password=None, query={}).render_as_string()
    where = f"{options.table} in {shown}" if options.table else f"the query in {shown}"
    arguments: dict[str, Any] = {"poolclass": NullPool, "hide_parameters": True}
    if url.get_backend_name() == "sqlite" and url.database not in (None, "", ":memory:"):
        import sqlite3

        file = Path(str(url.database))
        if not file.is_file():
            raise DataError(
                f"{file} is not a file", hint="check the path in the URL: sqlite:///relative or sqlite:////absolute"
            )
        address = f"file:{quote(str(file.absolute()))}?mode=ro"
        arguments["creator"] = lambda: sqlite3.connect(address, uri=True)
    try:
        engine = sa.create_engine(url, **arguments)
    except (ImportError, sa.exc.NoSuchModuleError) as error:
        raise PluginError(
            f"{shown}: SQLAlchemy lacks the library for it: {error}",
            hint="pip install 'pizzeria[sql]' brings that for PostgreSQL; for another database, install its own",
        ) from error
    settings: dict[str, Any] = {"stream_results": True, "yield_per": _CHUNK}
    if engine.dialect.name == "postgresql":
        settings["postgresql_readonly"] = True
    try:
        with _asked(where, options, url.password):
            connection = engine.connect()
        with connection.execution_options(**settings):
            if engine.dialect.name in ("mysql", "mariadb"):
                connection.exec_driver_sql("SET TRANSACTION READ ONLY")
            yield connection, where
    finally:
        engine.dispose()


@contextmanager
def _asked(where: str, options: Options, password: str | None = None) -> Iterator[None]:
    """Turn what SQLAlchemy raises into an error without secrets."""
    import sqlalchemy as sa

    try:
        yield
    except sa.exc.SQLAlchemyError as error:
        said = str(getattr(error, "orig", None) or error).strip() or type(error).__name__
        secrets = {password, _password(options)} - {None, ""}
        for secret in secrets:
            said = said.replace(str(secret), "***")
        raise DataError(
            f"{where} cannot be read: {said.splitlines()[0]}",
            hint="is the database running, and may this user read it?",
        ) from None  # the error below may hold what is hidden here


def _password(options: Options) -> str | None:
    import sqlalchemy as sa

    try:
        return sa.engine.make_url(os.environ[str(options.url_from)]).password if options.url_from else None
    except (KeyError, sa.exc.ArgumentError):
        return None


def _statement(connection: sa.Connection, options: Options, where: str, problem: Problem | None = None) -> Any:
    """The query, or the table's columns in the order of its primary key."""
    import sqlalchemy as sa

    if options.query is not None:
        return sa.text(_quoted(options.query))
    looked = sa.inspect(connection)
    there = sorted([*looked.get_table_names(options.table_schema), *looked.get_view_names(options.table_schema)])
    require_known([str(options.table)], there, what="table", where=where.partition(" in ")[2])
    names = [str(column["name"]) for column in looked.get_columns(str(options.table), options.table_schema)]
    wanted = set(names)
    if options.columns is not None:
        target = [problem.target] if problem is not None and problem.target else []
        require_known([*options.columns, *target], names, what="column", where=where)
        wanted = {*options.columns, *target, *([options.row_id] if options.row_id else [])}
    key = looked.get_pk_constraint(str(options.table), options.table_schema)["constrained_columns"]
    columns = [sa.column(one) for one in names if one in wanted]
    query = sa.select(*columns).select_from(sa.table(str(options.table), schema=options.table_schema))
    query = query.order_by(*(sa.column(one) for one in key))
    return query.limit(options.limit) if options.limit else query


def _quoted(query: str) -> str:
    """The query for `text`, in which a colon before a name would be a place for a value."""
    return re.sub(r"(?<!:):(?=\w)", r"\\:", query)


def _chunks(result: sa.CursorResult[Any], limit: int | None) -> Iterator[Sequence[Any]]:
    left = limit
    for chunk in result.partitions(_CHUNK):
        if left is not None:
            chunk, left = chunk[:left], left - len(chunk)
        yield chunk
        if left is not None and left <= 0:
            result.close()
            return


def _declared_times(connection: sa.Connection, options: Options) -> set[str]:
    """Columns that SQLite, which has no type for times, calls times."""
    if options.table is None or connection.dialect.name != "sqlite":
        return set()
    import sqlalchemy as sa

    columns = sa.inspect(connection).get_columns(options.table)
    return {str(column["name"]) for column in columns if isinstance(column["type"], sa.Date | sa.DateTime)}


def _with_times(ducks: Any, relation: str, names: Sequence[str], times: Sequence[str]) -> str:
    """The relation with those text columns as times whose every value is one."""
    if not times:
        return relation
    asked = ", ".join(f"count(TRY_CAST({name(one)} AS TIMESTAMP)) = count({name(one)})" for one in times)
    holds = dict(zip(times, ducks.execute(f"SELECT {asked} FROM {relation}").fetchone(), strict=True))  # noqa: S608 - names are quoted, texts escaped
    shown = (f"CAST({name(one)} AS TIMESTAMP) AS {name(one)}" if holds.get(one) else name(one) for one in names)
    return f"(SELECT {', '.join(shown)} FROM {relation})"  # noqa: S608 - names are quoted, texts escaped
