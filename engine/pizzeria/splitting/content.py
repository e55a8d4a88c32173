"""What a row holds, as a hash: so that a row that is numbered cannot become another one unseen."""

# ruff: noqa: S608 -- every name in the queries is quoted, and every text escaped
from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pizzeria.errors import DataError
from pizzeria.splitting.row_store import opened, pattern, register, types
from pizzeria.sql_text import literal as text
from pizzeria.sql_text import quoted

if TYPE_CHECKING:
    import duckdb

MOST_CHANGED = 0.01
"""Of the test rows, so many may have been corrected since."""
_NOT_HELD = ("row_id", "source")
_SHOWN = 5


def contents(file: Path, keys: Sequence[str]) -> dict[str, str]:
    """The content of some photos or rows, by key.

    Args:
        file: `images.parquet` or `rows.parquet` of a `collect` stage.
    """
    with opened(file) as connection:
        register(connection, "wanted", _key=keys)
        kinds = types(connection)
        key = quoted("image_id" if "image_id" in kinds else "row_id")
        query = f"SELECT CAST({key} AS VARCHAR) AS k, {content(kinds)} FROM source WHERE k IN (SELECT _key FROM wanted)"
        return {str(name): str(value) for name, value in connection.execute(query).fetchall()}


def content(kinds: Mapping[str, str]) -> str:
    """SQL of a row's content: the hash of a photo's file, or one over all columns; the same in joined data.

    Args:
        kinds: DuckDB's type of each column.
    """
    if "image_id" in kinds:
        return quoted("sha256")
    parts = []
    for name, kind in sorted(kinds.items()):
        if name in _NOT_HELD:
            continue
        column = quoted(name)
        if "INT" in kind or kind.startswith(("FLOAT", "DOUBLE", "DECIMAL")):
            column = f"CAST({column} AS DOUBLE)"  # joined with numbers that have decimals, whole ones get some too
        elif kind.startswith("TIMESTAMP"):
            column = f"epoch_us({column})"
        parts.append(f"coalesce(CAST({column} AS VARCHAR), '')")
    return f"md5(concat_ws(chr(31), {', '.join(parts)}))" if parts else "''"


def check_content(connection: duckdb.DuckDBPyConnection, file: Path, key: str) -> None:
    """See that the test rows that `data.split.fixed` names are still those that they were.

    Args:
        connection: With `source`.
        file: With the columns `key` and `content`; content is null where it is not known.
        key: SQL of a row's key in `source`.

    Raises:
        DataError: more than a few are others; names some.
    """
    settled = (
        f"(SELECT CAST(key AS VARCHAR) AS _key, content FROM read_parquet({text(pattern(file))}) WHERE split = 'test')"
    )
    query = (
        f"SELECT _key, content <> {content(types(connection))} AS changed FROM source JOIN {settled} ON _key = {key} "
        "WHERE content IS NOT NULL ORDER BY _key"
    )
    found = connection.execute(query).fetchall()
    changed = [str(name) for name, differs in found if differs]
    if len(changed) > MOST_CHANGED * len(found):
        raise DataError(
            f"data.split.fixed: {len(changed)} of {len(found)} test rows hold other values than when they were settled"
            f": {', '.join(changed[:_SHOWN])}{' ...' if len(changed) > _SHOWN else ''}",
            hint="were rows inserted, or sorted anew? Append them, or name each row by a column with data.row_id",
        )
