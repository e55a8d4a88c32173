"""Rows of any size, from a DuckDB relation into `rows.parquet`, in memory that is limited: what `table`, `sql` and
`duckdb` share."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import Field

from pizzeria.account import Account
from pizzeria.errors import DataError, require_known
from pizzeria.spec.problem import Problem
from pizzeria.spec.section import Options as PluginOptions
from pizzeria.sql_text import literal
from pizzeria.sql_text import quoted as name

if TYPE_CHECKING:
    import duckdb

TASKS = frozenset({"tabular_classification", "tabular_regression"})
MEMORY = "800MB"
"""What DuckDB may use; beyond it, it writes to the stage's folder."""
_THREADS = 4
_AS_NUMBER = ("DECIMAL", "HUGEINT", "UHUGEINT", "BIGNUM")
_AS_TEXT = ("TIME", "INTERVAL", "BIT", "UUID", "ENUM")
_NESTED = ("STRUCT", "MAP", "UNION", "JSON", "VARIANT")


class RowOptions(PluginOptions):
    """What all sources of rows have."""

    columns: tuple[str, ...] | None = Field(
        default=None, description="Columns to keep, target included; without it all of them."
    )
    row_id: str | None = Field(
        default=None, description="Column that names each row; without it rows are numbered from 0 in their order."
    )
    limit: int | None = Field(default=None, ge=1, description="Only the first so many rows.")


@contextmanager
def database(
    folder: Path, file: Path | None = None, settings: Mapping[str, str | list[str]] | None = None
) -> Iterator[duckdb.DuckDBPyConnection]:
    """DuckDB with limited memory and no extension from elsewhere; what does not fit goes into `folder`.

    Args:
        file: A database to open, read-only; without it one in memory.
    """
    import duckdb

    spill = folder / ".duckdb"
    config: dict[str, str | bool | int | float | list[str]] = {
        # DuckDB would fetch extensions over the network where it lacks one.
        "autoinstall_known_extensions": "false",
        "autoload_known_extensions": "false",
        "allow_community_extensions": "false",
        "memory_limit": MEMORY,
        "temp_directory": str(spill),
        "threads": str(min(_THREADS, os.cpu_count() or 1)),
    }
    try:
        with duckdb.connect(
            str(file) if file is not None else ":memory:", read_only=file is not None, config=config | (settings or {})
        ) as connection:
            yield connection
    finally:
        shutil.rmtree(spill, ignore_errors=True)


def write_rows(
    connection: duckdb.DuckDBPyConnection,
    relation: str,
    options: RowOptions,
    problem: Problem,
    folder: Path,
    where: str,
    account: Account,
    *,
    number: str = "row_number() OVER () - 1",
    columns: Sequence[tuple[str, str]] | None = None,
) -> Path:
    """Write `rows.parquet`: `row_id` as text, then the columns; the target of a classification as text.

    Dates come as timestamps, decimals as doubles, NaN as missing, nested values as the text of their JSON.

    Args:
        relation: SQL that can stand after FROM.
        where: What the user calls it, for errors.
        account: Gets the number of rows.
        number: SQL of a row's number, where no column names the rows.
        columns: (name, type) in order; asked of the relation by default.

    Raises:
        DataError: a column is missing, named twice, or does not name the rows; there is no row.
    """
    found = list(columns or _described(connection, relation))
    require_single([column for column, _ in found], where)
    keep = _columns(options, problem, [column for column, _ in found], where)
    key = options.row_id or ("row_id" if "row_id" in keep else None)
    if key not in (None, "row_id") and "row_id" in keep:
        raise DataError(f"{where} has a column row_id besides {key!r}", hint="leave it out with data.columns")
    types = dict(found)
    as_label = {problem.target} if problem.task == "tabular_classification" else set()
    selected = [f"CAST({label(name(key), types[key]) if key else number} AS VARCHAR) AS row_id"]
    selected += [
        f"{(label if column in as_label else plain)(name(column), types[column])} AS {name(column)}"
        for column in keep
        if column != key
    ]
    limit = f" LIMIT {options.limit}" if options.limit else ""
    made, path = folder / ".rows.parquet.tmp", folder / "rows.parquet"
    query = f"SELECT {', '.join(selected)} FROM {relation}{limit}"  # noqa: S608 - names are quoted, texts escaped
    connection.execute(f"COPY ({query}) TO {literal(str(made))} (FORMAT parquet, COMPRESSION zstd)")
    rows = f"read_parquet({literal(escaped(made))})"
    count = _one(connection, f"SELECT count(*) FROM {rows}")  # noqa: S608 - names are quoted, texts escaped
    if not count:
        raise DataError(f"{where} has no rows", hint="a table needs a header and at least one row")
    if key is not None:
        _require_keys(connection, rows, key, where)
    made.rename(path)
    account.add("rows", count)
    return path


def escaped(path: Path) -> str:
    """A path as DuckDB's glob patterns have it."""
    return "".join(f"[{character}]" if character in "[*?" else character for character in str(path))


def plain(column: str, kind: str) -> str:
    """SQL of a column's values in one of the types that later stages know.

    Example:
        >>> plain('"price"', "DECIMAL(10,2)")
        'CAST("price" AS DOUBLE)'
    """
    base = kind.partition("(")[0]
    if kind.endswith("]") or base in _NESTED:
        return f"json_extract_string(to_json({column}), '$')"
    if base in _AS_NUMBER:
        return f"CAST({column} AS DOUBLE)"
    if base in ("DOUBLE", "FLOAT"):
        return f"nullif({column}, CAST('nan' AS {base}))"
    if base == "DATE":
        return f"CAST({column} AS TIMESTAMP)"
    if base in _AS_TEXT or base.startswith("TIME "):
        return f"CAST({column} AS VARCHAR)"
    return column


def label(column: str, kind: str) -> str:
    """SQL of a label as text: `1` for 1 and 1.0, `true` for True, null for a missing one."""
    base = kind.partition("(")[0]
    if base in ("DOUBLE", "FLOAT", "DECIMAL"):
        number = plain(column, kind)
        return (
            f"CASE WHEN {number} = trunc({number}) AND abs({number}) < 1e15 "
            f"THEN CAST(CAST({number} AS BIGINT) AS VARCHAR) ELSE CAST({number} AS VARCHAR) END"
        )
    if base == "VARCHAR":
        return f"CASE WHEN {column} IN ('True', 'False') THEN lower({column}) ELSE {column} END"
    if kind.endswith("]") or base in _NESTED:
        return plain(column, kind)
    return f"CAST({column} AS VARCHAR)"


def _described(connection: duckdb.DuckDBPyConnection, relation: str) -> list[tuple[str, str]]:
    return [
        (str(row[0]), str(row[1]))
        for row in connection.execute(f"DESCRIBE SELECT * FROM {relation}").fetchall()  # noqa: S608 - names are quoted, texts escaped
    ]


def require_single(names: Sequence[str], where: str) -> None:
    """See that no two columns have the same name to SQL.

    Raises:
        DataError: names both.
    """
    seen: dict[str, str] = {}
    for one in names:
        other = seen.setdefault(one.lower(), one)
        if other is not one:
            how = "twice" if one == other else f"and {other!r}, which SQL cannot tell apart"
            raise DataError(f"{where} has a column {one!r} {how}", hint="rename one of them")


def _columns(options: RowOptions, problem: Problem, found: list[str], where: str) -> list[str]:
    target = [problem.target] if problem.target is not None else []  # `pizzeria init` looks before there is one
    named = [*(options.columns or ()), *target, *([options.row_id] if options.row_id else [])]
    require_known(named, found, what="column", where=where)
    if options.columns is None:
        return found
    if target and problem.target not in options.columns:
        raise DataError(f"data.columns leaves out the target {problem.target!r}", hint="add it to the list")
    return [one for one in found if one in named]


def _require_keys(connection: duckdb.DuckDBPyConnection, rows: str, key: str, where: str) -> None:
    missing = _one(connection, f"SELECT min(file_row_number) FROM {rows} WHERE row_id IS NULL")  # noqa: S608 - names are quoted, texts escaped
    if missing is not None:
        raise DataError(
            f"{where}: column {key!r} is empty in row {missing}", hint="data.row_id names a column that is never empty"
        )
    twice = connection.execute(
        f"SELECT row_id FROM {rows} GROUP BY row_id HAVING count(*) > 1 ORDER BY row_id LIMIT 5"  # noqa: S608 - names are quoted, texts escaped
    ).fetchall()
    if twice:
        raise DataError(
            f"{where}: column {key!r} names several rows alike: {', '.join(row[0] for row in twice)}",
            hint="data.row_id names a column that has another value in each row",
        )


def _one(connection: duckdb.DuckDBPyConnection, query: str) -> int | None:
    found = connection.execute(query).fetchone()
    return None if found is None or found[0] is None else int(found[0])
