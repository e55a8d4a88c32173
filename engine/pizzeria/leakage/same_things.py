"""Groups that are on two sides, and rows that are there twice."""

# ruff: noqa: S608 -- every name in the queries is quoted, and every text escaped
from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from pizzeria.errors import DataError, nearest
from pizzeria.leakage.finding import SHOWN, Finding, Pair
from pizzeria.splitting.row_store import ROW, types
from pizzeria.sql_text import quoted

if TYPE_CHECKING:
    import duckdb


def group_leaks(connection: duckdb.DuckDBPyConnection, key: str, columns: Sequence[str]) -> list[Finding]:
    """Values of a column that are on several sides, such as a listing with photos in train and in test.

    Args:
        connection: With `source`, and `sides`: key, split.
        key: Name of the key in `source`.

    Raises:
        DataError: there is no such column.
    """
    there = types(connection)
    out = []
    for column in columns:
        if column not in there:
            raise DataError(f"data.leakage.groups: the data have no column {column!r}", hint=nearest(column, there))
        name = quoted(column)
        values = (
            f"SELECT CAST({name} AS VARCHAR) AS g, split, min(sides.key) AS k FROM source "
            f"JOIN sides ON sides.key = CAST({quoted(key)} AS VARCHAR) WHERE {name} IS NOT NULL GROUP BY ALL"
        )
        several = (
            "SELECT g, arg_min(k, split) AS one, arg_max(k, split) AS other, min(split), max(split) "
            f"FROM ({values}) GROUP BY g HAVING count(*) > 1"
        )
        found = connection.execute(f"SELECT *, count(*) OVER () FROM ({several}) ORDER BY g LIMIT {SHOWN}").fetchall()
        if found:
            pairs = tuple(Pair((a, b), (s, t), (g, g), f"the same {column}") for g, a, b, s, t, _ in found)
            count = int(found[0][-1])
            out.append(
                Finding(
                    "group",
                    column,
                    count,
                    f"{count} values of {column} are on two sides of the split",
                    f"data.split.group_by: {column} keeps each on one side, or allow it with a reason under "
                    "data.leakage.allow",
                    pairs,
                )
            )
    return out


def row_leaks(connection: duckdb.DuckDBPyConnection, key: str, limit: float) -> list[Finding]:
    """Rows of validation or test that are in train as well, equal in every column but the key.

    Only hashes are held; two different rows that share one of 64 bits are too rare to matter.
    """
    columns = ", ".join(quoted(name) for name in types(connection) if name not in (key, ROW))
    if not columns:
        return []
    connection.execute(
        f"CREATE TEMP TABLE hashes AS SELECT sides.key, split, hash({columns}) AS h FROM source "
        f"JOIN sides ON sides.key = CAST({quoted(key)} AS VARCHAR)"
    )
    out = []
    for side in ("validation", "test"):
        twice = f"FROM hashes WHERE split = '{side}' AND h IN (SELECT h FROM hashes WHERE split = 'train')"
        row = connection.execute(
            f"SELECT (SELECT count(*) {twice}), (SELECT count(*) FROM hashes WHERE split = '{side}')"
        ).fetchone()
        assert row is not None
        count, rows = row
        if count <= limit * rows:
            continue
        pairs = connection.execute(
            f"SELECT t.key, min(h.key) FROM (SELECT key, h {twice} LIMIT {SHOWN}) t "
            "JOIN hashes h ON h.h = t.h AND h.split = 'train' GROUP BY t.key ORDER BY t.key"
        ).fetchall()
        out.append(
            Finding(
                "rows",
                None,
                int(count),
                f"{count} of {rows} rows ({count / rows:.1%}) of {side} are in train as well, equal in every column; "
                f"data.leakage.rows lets {limit:.1%} be",
                "leave doubles out of the data, split by a column that they share (data.split.group_by), or allow it "
                "with a reason under data.leakage.allow",
                tuple(Pair((a, b), (side, "train"), note="equal in every column") for a, b in pairs),
            )
        )
    connection.execute("DROP TABLE hashes")
    return out
