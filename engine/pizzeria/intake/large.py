"""Rows that may be more than memory holds: DuckDB reads and writes their Parquet files in pieces."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pizzeria.account import EXAMPLES, Account
from pizzeria.inference.rows import text
from pizzeria.sql_text import literal, quoted
from pizzeria.tables import Tables

MEMORY = "1GB"
"""What DuckDB may take; it goes on in a temporary folder beside the file."""
_KINDS = (
    (r"^(U?(TINY|SMALL|BIG|HUGE)?INT(EGER)?)$", "integer"),
    (r"^(FLOAT|DOUBLE|DECIMAL.*|REAL)$", "number"),
    (r"^(TIMESTAMP.*|DATE)$", "time"),
    (r"^VARCHAR$|^ENUM", "text"),
    (r"^BOOLEAN$", "boolean"),
    (r"^\"?NULL\"?$", ""),
)


@contextmanager
def connected(folder: Path) -> Iterator[Any]:
    """A DuckDB connection with bounded memory, that fetches nothing from anywhere."""
    import duckdb

    with tempfile.TemporaryDirectory(dir=folder, prefix=".duckdb-") as spill:
        settings: dict[str, Any] = {
            "memory_limit": MEMORY,
            "temp_directory": spill,
            "autoinstall_known_extensions": "false",
            "autoload_known_extensions": "false",
        }
        with duckdb.connect(config=settings) as connection:
            yield connection


def rows_in_file(tables: Tables, folder: Path) -> Path:
    """The Parquet file that holds a source's rows; rows in memory are written to one."""
    if tables.rows_file is None:
        assert tables.rows is not None
        folder.mkdir(parents=True, exist_ok=True)
        tables.rows.to_parquet(folder / "rows.parquet", index=False)
        tables.rows_file = folder / "rows.parquet"
    return tables.rows_file


def column_types(file: Path) -> dict[str, str]:
    """Column to kind: integer, number, time, text, boolean, or whatever DuckDB calls it; empty where all are null."""
    with connected(file.parent) as connection:
        found = connection.execute("DESCRIBE SELECT * FROM read_parquet(?)", [_pattern(file)]).fetchall()
    return {str(row[0]): _kind_of(str(row[1])) for row in found}


def joined_rows(files: Mapping[str, Path], columns: Sequence[str], out: Path) -> None:
    """Write the rows of all files, one behind the other, with `<source>:<row_id>` and the column `source`."""
    names = ", ".join(quoted(name) for name in columns if name not in ("row_id", "source"))
    selects = [
        f"SELECT {literal(name)} || ':' || row_id AS row_id{', ' if names else ''}{names}, {literal(name)} AS source "  # noqa: S608 - names are quoted, texts escaped
        f"FROM read_parquet({literal(_pattern(file))})"
        for name, file in files.items()
    ]
    with connected(out.parent) as connection:
        query = " UNION ALL BY NAME ".join(selects)
        connection.execute(f"COPY ({query}) TO {literal(str(out))} (FORMAT parquet, COMPRESSION zstd)")


def map_target(file: Path, target: str, class_map: Mapping[str, str | None], account: Account) -> None:
    """Rename the target's values in a file of rows, in place; rows whose value becomes null are set aside."""
    column = quoted(target)
    with connected(file.parent) as connection:
        source = f"read_parquet({literal(_pattern(file))})"
        for name in (name for name, new in class_map.items() if new is None):
            where = f"FROM {source} WHERE CAST({column} AS VARCHAR) = {literal(name)}"
            (count,) = connection.execute(f"SELECT count(*) {where}").fetchone()
            if count:
                found = connection.execute(f"SELECT row_id {where} LIMIT {EXAMPLES}").fetchall()
                reason = f"of class {name}, which class_map leaves out"
                account.set_aside("rows", reason, str(found[0][0]), count - len(found) + 1)
                for row in found[1:]:
                    account.set_aside("rows", reason, str(row[0]))
        cases = " ".join(
            f"WHEN {literal(old)} THEN {literal(new)}" for old, new in class_map.items() if new is not None
        )
        becomes = f"CASE CAST({column} AS VARCHAR) {cases} ELSE CAST({column} AS VARCHAR) END" if cases else column
        gone = ", ".join(literal(name) for name, new in class_map.items() if new is None)
        kept = f"WHERE {column} IS NULL OR CAST({column} AS VARCHAR) NOT IN ({gone})" if gone else ""
        written = file.with_name(f".{file.name}.mapped")
        query = f"SELECT * REPLACE ({becomes} AS {column}) FROM {source} {kept}"  # noqa: S608 - names are quoted, texts escaped
        connection.execute(f"COPY ({query}) TO {literal(str(written))} (FORMAT parquet, COMPRESSION zstd)")
    written.replace(file)


def target_values(file: Path, target: str, at_most: int = 10_000) -> list[str] | None:
    """The different values of a column, as text; None where there is no such column, or it has more of them."""
    if target not in column_types(file):
        return None
    column = quoted(target)
    with connected(file.parent) as connection:
        query = f"SELECT DISTINCT {column} FROM read_parquet(?) WHERE {column} IS NOT NULL LIMIT {at_most + 1}"  # noqa: S608 - names are quoted, texts escaped
        found = [str(text(row[0])) for row in connection.execute(query, [_pattern(file)]).fetchall()]
    return sorted(found) if len(found) <= at_most else None


def _kind_of(name: str) -> str:
    return next((kind for pattern, kind in _KINDS if re.match(pattern, name)), name)


def _pattern(file: Path) -> str:
    """DuckDB reads a path as a glob pattern."""
    return re.sub(r"[\[*?]", r"[\g<0>]", str(file))
