"""Rows that DuckDB sees in the same way, whether they lie in memory or in a Parquet file larger than memory."""

# ruff: noqa: S608 -- every name in the queries is quoted, and every text escaped
from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pizzeria.errors import DataError, nearest
from pizzeria.sql_text import literal as text
from pizzeria.sql_text import quoted

if TYPE_CHECKING:
    import duckdb
    import pandas as pd

MEMORY = "1GB"
"""What DuckDB may hold; the rest goes to files in a temporary folder."""
FEW = 1_000_000
"""So many rows are worked on in memory."""
ROW = "_row"
"""Number of the row in the table, from 0."""


@contextmanager
def opened(source: pd.DataFrame | Path, folder: Path | None = None) -> Iterator[duckdb.DuckDBPyConnection]:
    """A connection with the view `source`: the columns of the table, and `_row`.

    Args:
        folder: Where temporary files may lie; they are gone afterwards.
    """
    import duckdb

    with (
        tempfile.TemporaryDirectory(prefix="spill-", dir=folder) as spill,
        # Nothing is ever fetched over the network for a table that lies here.
        duckdb.connect(
            config={
                "memory_limit": MEMORY,
                "temp_directory": spill,
                "autoinstall_known_extensions": "false",
                "autoload_known_extensions": "false",
            }
        ) as connection,
    ):
        if isinstance(source, Path):
            connection.execute(
                f"CREATE VIEW source AS SELECT * EXCLUDE (file_row_number), file_row_number AS {ROW} "
                f"FROM read_parquet({text(pattern(source))}, file_row_number = true)"
            )
        else:
            import numpy as np
            import pyarrow as pa

            table = pa.Table.from_pandas(source, preserve_index=False)
            connection.register("source", table.append_column(ROW, pa.array(np.arange(len(source)))))
        yield connection


def kept(connection: duckdb.DuckDBPyConnection, name: str, query: str, *, sort: bool = False) -> None:
    """The result of a query as a table that is read again and again, in the order of the rows; a large one on disk.

    Args:
        sort: Joins may have changed the order.
    """
    order = f" ORDER BY {ROW}" if sort else ""
    if one(connection, "SELECT count(*) FROM source") <= FEW:
        connection.execute(f"CREATE TEMP TABLE {quoted(name)} AS {query}{order}")
        return
    folder = connection.execute("SELECT current_setting('temp_directory')").fetchone()
    assert folder is not None
    path = text(str(Path(folder[0], f"{name}.parquet")))
    connection.execute(f"COPY ({query}{order}) TO {path} (FORMAT parquet)")
    connection.execute(f"CREATE VIEW {quoted(name)} AS SELECT * FROM read_parquet({path})")


def types(connection: duckdb.DuckDBPyConnection) -> dict[str, str]:
    """DuckDB's type of each column of `source`."""
    found = connection.execute("DESCRIBE SELECT * FROM source").fetchall()
    return {str(name): str(kind) for name, kind, *_ in found if name != ROW}


def require(connection: duckdb.DuckDBPyConnection, column: str, purpose: str = "to split by") -> str:
    """The type of a column in which no value may be missing.

    Raises:
        DataError: there is no such column, or it is incomplete.
    """
    there = types(connection)
    if column not in there:
        raise DataError(f"the data have no column {column!r} {purpose}", hint=nearest(column, there))
    name = quoted(column)
    gone = f"{name} IS NULL" + (f" OR isnan({name})" if there[column] in ("FLOAT", "DOUBLE") else "")
    missing = one(connection, f"SELECT count(*) FROM source WHERE {gone}")
    if missing:
        raise DataError(f"{missing} rows have no {column}, which the split goes by", hint="fill it, or drop those rows")
    return there[column]


def one(connection: duckdb.DuckDBPyConnection, query: str) -> int:
    """The one number that a query gives."""
    row = connection.execute(query).fetchone()
    assert row is not None
    return int(row[0])


def pattern(path: Path) -> str:
    """A path that DuckDB shall not read as a pattern."""
    import re

    return re.sub(r"[\[*?]", r"[\g<0>]", str(path))


def register(connection: duckdb.DuckDBPyConnection, name: str, **columns: Sequence[Any]) -> str:
    """A small table from Python, by a name of its own; its name is returned."""
    import pyarrow as pa

    kinds = {"h": pa.int64()}
    connection.register(name, pa.table({k: pa.array(list(v), kinds.get(k, pa.string())) for k, v in columns.items()}))
    return name
