"""A table as Great Expectations evaluates it: a frame on its pandas engine, or a Parquet file on its SQL engine, which
is DuckDB and reads the file in pieces.

Both answer the same questions, so that the same expectations have the same outcomes. A table may have derived columns;
expectations on its columns as a whole see the data's own alone.
"""

from __future__ import annotations

import uuid
import warnings
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from pizzeria.spec.problem import Problem
from pizzeria.sql_text import literal, quoted
from pizzeria_plugins.validators.builtin import Facts
from pizzeria_plugins.validators.types import as_in, kind_of

if TYPE_CHECKING:
    import duckdb
    import pandas as pd

LARGE = 200_000
"""Rows of a file beyond which it is not read into memory."""
MEMORY = "1GB"
SHOWN = 10
_OF_WHOLE_TABLE = ("expect_table_columns_", "expect_table_column_")


class Batch(Protocol):
    """A table under validation."""

    name: str
    columns: Sequence[str]
    is_large: bool

    def facts(self, problem: Problem) -> Facts:
        """What the built-in checks need to know of it."""

    def arguments(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """An expectation's arguments as this engine has them: its own names of types."""

    def run(self, context: Any, suite: Any) -> list[Any]:
        """Great Expectations' results, in the order of the suite's expectations."""

    def complete(self, columns: Sequence[str]) -> int:
        """Rows that have a value in each of the columns."""

    def rows(self, result: Mapping[str, Any], columns: Sequence[str]) -> list[dict[str, Any]]:
        """The first rows that a result calls unexpected: values in these columns and, where known, `row number`."""

    def close(self) -> None:
        """Let go of it."""


class FrameBatch:
    """A frame, rows numbered from 0.

    Args:
        own: The data's own columns.
    """

    is_large = False

    def __init__(self, name: str, frame: pd.DataFrame, own: Sequence[str]) -> None:
        self.name = name
        self.frame = _of_numpy(frame)
        self.columns = list(frame.columns)
        self._own = [column for column in own if column in frame]

    def facts(self, problem: Problem) -> Facts:
        target = problem.target if self.name == "rows" and problem.classes else None
        found = self.frame[target].dropna().unique().tolist() if target in self.frame else []
        return Facts(self.columns, {name: kind_of(str(self.frame[name].dtype)) for name in self._own}, found)

    def arguments(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        column = arguments.get("column")
        kind = str(self.frame[column].dtype) if column in self.frame else ""
        return as_in(arguments, kind, sql=False)

    def run(self, context: Any, suite: Any) -> list[Any]:
        asset = context.data_sources.add_pandas(self.name).add_dataframe_asset(self.name)
        definition = asset.add_batch_definition_whole_dataframe(self.name)
        batches = [definition.get_batch({"dataframe": frame}) for frame in (self.frame, self.frame[self._own])]
        return _results(batches, suite, {"result_format": "COMPLETE", "partial_unexpected_count": SHOWN})

    def complete(self, columns: Sequence[str]) -> int:
        return len(self.frame[list(columns)].dropna()) if columns else len(self.frame)

    def rows(self, result: Mapping[str, Any], columns: Sequence[str]) -> list[dict[str, Any]]:
        numbers = [int(number) for number in (result.get("unexpected_index_list") or [])[:SHOWN]]
        there = [column for column in columns if column in self.frame]
        return [{"row number": number, **self.frame.loc[number, there].to_dict()} for number in numbers]

    def close(self) -> None:
        pass


class FileBatch:
    """A Parquet file, in DuckDB with at most `MEMORY`; what does not fit goes to `folder` for a while.

    Args:
        derive: Given the connection and the view of the file, makes a view with derived columns and returns its name.
    """

    is_large = True

    def __init__(self, name: str, path: Path, folder: Path, key: str, derive: Any) -> None:
        self.name, self._key = name, key
        self._database = f":memory:pizzeria-{uuid.uuid4().hex}"
        self.connection = connect(folder, self._database)
        self.connection.execute(f"create view {quoted(name)} as from read_parquet({literal(str(path))})")
        self._kinds = _kinds(self.connection, name)
        self._wide = derive(self.connection, name)
        self.columns = list(_kinds(self.connection, self._wide))
        self._count = int(_one(self.connection, f"select count(*) from {quoted(name)}"))  # noqa: S608 - names are quoted

    def facts(self, problem: Problem) -> Facts:
        target = problem.target if problem.classes else None
        found: list[Any] = []
        if target in self._kinds:
            query = f"select distinct {quoted(str(target))} from {quoted(self.name)} limit 1000"  # noqa: S608 - names are quoted
            found = [value for (value,) in self.connection.execute(query).fetchall() if value is not None]
        return Facts(self.columns, {name: kind_of(kind) for name, kind in self._kinds.items()}, found)

    def arguments(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        return as_in(arguments, self._kinds.get(str(arguments.get("column")), ""), sql=True)

    def run(self, context: Any, suite: Any) -> list[Any]:
        from pizzeria_plugins.validators.duckdb_dialect import URL

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it would rather have PostgreSQL's own data source
            source = context.data_sources.add_sql(self.name, connection_string=URL + self._database)
        wide, plain = (
            source.add_table_asset(part, table_name=table).add_batch_definition_whole_table(part).get_batch()
            for part, table in (("wide", self._wide), ("plain", self.name))
        )
        # An expectation that names no derived column reads the file itself, and not what is joined to it.
        own = set(self._kinds)
        keys = [self._key] if self._key in own else []
        form = {"result_format": "SUMMARY", "partial_unexpected_count": SHOWN, "unexpected_index_column_names": keys}
        try:
            return _results([wide, plain], suite, form, own)
        finally:
            with suppress(Exception):
                source.get_execution_engine().close()

    def complete(self, columns: Sequence[str]) -> int:
        if not columns:
            return self._count
        table = self.name if set(columns) <= set(self._kinds) else self._wide
        where = " and ".join(f"{quoted(column)} is not null" for column in columns)
        return int(_one(self.connection, f"select count(*) from {quoted(table)} where {where}"))  # noqa: S608 - names are quoted

    def rows(self, result: Mapping[str, Any], columns: Sequence[str]) -> list[dict[str, Any]]:
        found = result.get("partial_unexpected_index_list") or []
        keys = list(dict.fromkeys(entry[self._key] for entry in found if entry.get(self._key) is not None))[:SHOWN]
        wanted = [column for column in dict.fromkeys((self._key, *columns)) if column in self.columns]
        if not keys:  # of several columns Great Expectations gives the values alone
            return [entry for entry in (result.get("partial_unexpected_list") or []) if isinstance(entry, dict)][:SHOWN]
        table = self.name if set(wanted) <= set(self._kinds) else self._wide
        chosen = ", ".join(quoted(column) for column in wanted)
        query = f"select {chosen} from {quoted(table)} where {quoted(self._key)} in (select unnest($1)) limit {SHOWN}"  # noqa: S608 - names are quoted
        rows = self.connection.execute(query, [keys]).fetchall()
        return [dict(zip(wanted, row, strict=True)) for row in rows]

    def close(self) -> None:
        self.connection.close()
        del self.connection


def _of_numpy(frame: pd.DataFrame) -> pd.DataFrame:
    """With numbers that have gaps as numpy has them: some of GX's metrics cannot do with pandas' own `<NA>`."""
    import pandas as pd

    gaps = [
        column
        for column, kind in frame.dtypes.items()
        if isinstance(kind, pd.api.extensions.ExtensionDtype)
        and pd.api.types.is_numeric_dtype(kind)
        and not pd.api.types.is_bool_dtype(kind)
        and frame[column].isna().any()
    ]
    return frame.astype(dict.fromkeys(gaps, "float64")) if gaps else frame


def is_large(path: Path | None) -> bool:
    """Whether a Parquet file has more rows than are read into memory."""
    import pyarrow.parquet as pq

    return path is not None and int(pq.read_metadata(path).num_rows) > LARGE


def connect(folder: Path, database: str = ":memory:") -> duckdb.DuckDBPyConnection:
    """DuckDB within `MEMORY`, with `folder` for what does not fit."""
    import duckdb

    connection = duckdb.connect(database)
    connection.execute(f"set memory_limit = '{MEMORY}'")
    connection.execute(f"set temp_directory = {literal(str(folder / '.duckdb'))}")
    return connection


def _results(batches: Sequence[Any], suite: Any, form: Mapping[str, Any], own: set[str] | None = None) -> list[Any]:
    """Run those on the columns as a whole on the second batch, and, where `own` is given, those on own columns too."""
    gx = _imported()
    found: dict[int, Any] = {}
    parts: tuple[list[Any], list[Any]] = ([], [])
    for expectation in suite.expectations:
        plain = expectation.expectation_type.startswith(_OF_WHOLE_TABLE)
        plain |= own is not None and set(named(expectation.configuration.kwargs)) <= own
        parts[plain].append(expectation)
    for batch, part in zip(batches, parts, strict=True):
        if not part:
            continue
        some = gx.ExpectationSuite(name=suite.name, expectations=part)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # pandas' and scipy's remarks on odd columns; the outcome itself says it
            for result in batch.validate(some, result_format=dict(form)).results:
                found[result.expectation_config.meta["position"]] = result
    return [found[position] for position in sorted(found)]


def named(arguments: Mapping[str, Any]) -> tuple[str, ...]:
    """Columns that an expectation is on, those of its condition included."""
    single = [arguments[key] for key in ("column", "column_A", "column_B") if arguments.get(key)]
    return (*single, *(arguments.get("column_list") or ()), *_conditioned(arguments.get("row_condition")))


def _conditioned(condition: Any) -> tuple[str, ...]:
    if not condition:
        return ()
    plain = condition if isinstance(condition, Mapping) else condition.dict()
    if "conditions" in plain:
        return tuple(name for part in plain["conditions"] for name in _conditioned(part))
    column = plain.get("column")
    return (column["name"],) if column else ()


def _imported() -> Any:
    import great_expectations

    return great_expectations


def _kinds(connection: duckdb.DuckDBPyConnection, table: str) -> dict[str, str]:
    rows = connection.execute(
        "select column_name, data_type from duckdb_columns() where table_name = $1 order by column_index", [table]
    ).fetchall()
    return dict(rows)


def _one(connection: duckdb.DuckDBPyConnection, query: str) -> Any:
    row = connection.execute(query).fetchone()
    assert row is not None
    return row[0]
