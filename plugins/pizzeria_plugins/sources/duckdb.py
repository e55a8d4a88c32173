"""Source `duckdb`: a table or a query of a DuckDB file, opened read-only, or a query over files that have names here.

The query reads what the spec names and nothing else: other files, the network and extensions are shut off before it
runs.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

from pydantic import Field, field_validator, model_validator

from pizzeria.account import Account
from pizzeria.contracts import Progress, Recognised
from pizzeria.errors import DataError, require_known
from pizzeria.fetching import Address, local, state
from pizzeria.spec.problem import Problem
from pizzeria.tables import Tables
from pizzeria_plugins.sources import table as tables
from pizzeria_plugins.sources.read_only_query import only_reads
from pizzeria_plugins.sources.row_file import TASKS, RowOptions, database, literal, name, write_rows
from pizzeria_plugins.sources.table_files import parts_of

__all__ = ["TASKS", "Options", "collect", "inputs", "recognise"]
_MAGIC, _AT = b"DUCK", 8


class Options(RowOptions):
    """Options of the source `duckdb`."""

    path: Address | None = Field(default=None, description="A DuckDB file, or the address of one; or files.")
    files: dict[str, Address] = Field(
        default_factory=dict,
        description="Names for tables that the query reads: {flights: flights.parquet, weather: s3://bucket/weather/}; "
        "whatever the source `table` reads. Or path.",
    )
    table: str | None = Field(default=None, min_length=1, description="Table or view of the DuckDB file; or query.")
    query: str | None = Field(
        default=None, description="One SELECT; or table. With an ORDER BY, rows are numbered alike each time."
    )

    @field_validator("query")
    @classmethod
    def _only_reads(cls, query: str | None) -> str | None:
        return None if query is None else only_reads(query, begins=("select", "with", "from"))

    @model_validator(mode="after")
    def _one_of_each(self) -> Options:
        if not (
            self.path or self.files or self.table or self.query
        ):  # the bare defaults, which must be sound: see `_require_place`
            return self
        if (self.path is None) == (not self.files):
            raise ValueError("say what to read from: either path, a DuckDB file, or files with names")
        if (self.table is None) == (self.query is None):
            raise ValueError("say what to read: either table or query")
        return self


def inputs(options: Options) -> Sequence[Path | str]:
    """The DuckDB file with its log, or the files."""
    if options.path is None:
        return tuple(one for address in options.files.values() for one in tables.inputs(tables.Options(path=address)))
    found = state(options.path)
    if isinstance(found, Path):
        log = found.with_name(found.name + ".wal")
        return (found, log) if log.exists() else (found,)
    return (found,)


def collect(options: Options, problem: Problem, folder: Path, progress: Progress) -> Tables:
    """Read the rows.

    Raises:
        DataError: a file cannot be read, the query fails or reads what the spec does not name; there is no row.
    """
    import duckdb

    _require_place(options)
    where = f"{options.table or 'the query'} in {options.path or ', '.join(options.files)}"
    account, staging = Account(), folder / ".staging"
    shutil.rmtree(staging, ignore_errors=True)
    staging.mkdir(parents=True)
    try:
        named = {one: local(address, progress) for one, address in options.files.items()}
        file = _file(options, progress)
        readable = [str(part.absolute()) for path in named.values() for part in parts_of(path, None).files]
        with database(folder) as connection:
            connection.execute("SET TimeZone = 'UTC'")
            try:
                if file is not None:
                    connection.execute(f"ATTACH {literal(str(file))} AS data (READ_ONLY)")
                    connection.execute("USE data")
                for at, (one, path) in enumerate(named.items()):
                    parts, own = parts_of(path, None), staging / str(at)
                    own.mkdir()
                    chosen = tables.Options(path=path)
                    relation, _ = tables.relation_of(
                        connection, parts, chosen, own.absolute(), str(path), Account(), progress
                    )
                    connection.execute(f"CREATE VIEW {name(one)} AS FROM {relation}")
                # From here on only the files of the spec, and the stage's own folder, can be read or written.
                connection.execute(f"SET allowed_paths = [{', '.join(map(literal, readable))}]")
                connection.execute(f"SET allowed_directories = [{literal(str(folder.absolute()))}]")
                connection.execute("SET enable_external_access = false")
                connection.execute("SET lock_configuration = true")
                relation = f"({options.query})" if options.query else _table(connection, options, where)
                rows = write_rows(connection, relation, options, problem, folder.absolute(), where, account)
            except duckdb.PermissionException as error:
                raise DataError(
                    f"{where} reads what the spec does not name: {str(error).splitlines()[0]}",
                    hint="give every file that the query reads a name under data.files",
                ) from error
            except duckdb.Error as error:
                raise DataError(f"{where} cannot be read: {str(error).splitlines()[0]}") from error
    finally:
        shutil.rmtree(staging, ignore_errors=True)
    progress.say(f"{account.used('rows')} rows from {where}")
    return Tables(rows=folder / rows.name, account=account)


def recognise(path: Path) -> Recognised | None:
    """A DuckDB file; its largest table."""
    try:
        if not path.is_file():
            return None
        with open(path, "rb") as stream:
            if stream.read(_AT + len(_MAGIC))[_AT:] != _MAGIC:
                return None
        import duckdb

        with duckdb.connect(str(path), read_only=True) as connection:
            found = connection.execute(
                "SELECT table_name FROM duckdb_tables() ORDER BY estimated_size DESC, table_name LIMIT 1"
            ).fetchone()
    except Exception:  # whatever is wrong with it, it is not for this source
        return None
    if found is None:
        return None
    return Recognised("DuckDB table", {"path": str(path), "table": str(found[0])}, None, 1.0)


def _require_place(options: Options) -> None:
    if options.path is None and not options.files:
        raise DataError(
            "data does not say what to read", hint="set data.path or data.files, and data.table or data.query"
        )


def _file(options: Options, progress: Progress) -> Path | None:
    if options.path is None:
        return None
    file = local(options.path, progress)
    if not file.is_file():
        raise DataError(f"{file} is not a file", hint="set data.path to a DuckDB file")
    with open(file, "rb") as stream:
        if stream.read(_AT + len(_MAGIC))[_AT:] != _MAGIC:
            raise DataError(f"{file} is no DuckDB file", hint="other files are read by the sources table and sql")
    return file


def _table(connection: object, options: Options, where: str) -> str:
    rows = connection.execute(  # type: ignore[attr-defined]
        "SELECT table_name FROM information_schema.tables WHERE table_catalog = current_database() ORDER BY 1"
    ).fetchall()
    require_known([str(options.table)], [str(row[0]) for row in rows], what="table", where=where.partition(" in ")[2])
    return name(str(options.table))
