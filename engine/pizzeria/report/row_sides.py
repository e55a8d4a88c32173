"""What the report says of rows: asked of their Parquet files, for there may be more rows than memory holds."""

# ruff: noqa: S608 -- every name in the queries is quoted, and every text escaped
from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pizzeria.report.run_folder import RunFolder
from pizzeria.splitting.row_store import opened, pattern
from pizzeria.sql_text import literal as text
from pizzeria.sql_text import quoted

SHOWN = 200_000
"""So many rows of a split, drawn at random, make its histogram."""
_JOINED = "source JOIN sides ON CAST(source.row_id AS VARCHAR) = sides.key"


def files(run: RunFolder) -> tuple[Path, Path] | None:
    """The rows and their sides, where both are there."""
    rows, sides = run.tables.rows_file, run.file("split", "splits.parquet")
    return None if rows is None or sides is None else (rows, sides)


def columns(run: RunFolder) -> list[str]:
    """The rows' columns."""
    import pyarrow.parquet as pq

    return [] if run.tables.rows_file is None else [str(name) for name in pq.read_schema(run.tables.rows_file).names]


def side_counts(run: RunFolder, group: str | None) -> dict[str, tuple[int, int | None]]:
    """Rows of each side of the split and, where rows belong to groups, how many groups these are."""
    found = files(run)
    if found is None:
        return {}
    with _joined(*found) as connection:
        counts = dict(connection.execute("SELECT split, count(*) FROM sides GROUP BY split").fetchall())
        groups: dict[str, int] = {}
        if group is not None and group in columns(run):
            query = f"SELECT split, count(DISTINCT source.{quoted(group)}) FROM {_JOINED} GROUP BY split"
            groups = dict(connection.execute(query).fetchall())
    return {str(side): (int(count), groups.get(side)) for side, count in counts.items()}


def class_counts(run: RunFolder, target: str) -> dict[tuple[str, str], int]:
    """Rows by (class, side of the split)."""
    found = files(run)
    if found is None or target not in columns(run):
        return {}
    with _joined(*found) as connection:
        query = f"SELECT CAST(source.{quoted(target)} AS VARCHAR), split, count(*) FROM {_JOINED} GROUP BY ALL"
        return {(str(name), str(side)): int(count) for name, side, count in connection.execute(query).fetchall()}


def target_values(run: RunFolder, target: str) -> dict[str, NDArray[np.float64]]:
    """The target's values on each side of the split; `SHOWN` of them at most."""
    found = files(run)
    if found is None or target not in columns(run):
        return {}
    with _joined(*found) as connection:
        out = {}
        for (side,) in connection.execute("SELECT DISTINCT split FROM sides").fetchall():
            values = f"SELECT TRY_CAST(source.{quoted(target)} AS DOUBLE) AS value, split FROM {_JOINED}"
            here = f"SELECT value FROM ({values}) WHERE split = {text(side)} AND isfinite(value)"
            query = f"SELECT value FROM ({here}) USING SAMPLE reservoir({SHOWN} ROWS) REPEATABLE (0)"
            out[str(side)] = np.asarray(connection.execute(query).fetchnumpy()["value"], np.float64)
        return out


def looked_up(run: RunFolder, keys: Sequence[str], names: Sequence[str]) -> dict[str, list[Any]]:
    """Some rows' values, by row_id."""
    if run.tables.rows_file is None or not keys or not names:
        return {}
    with opened(run.tables.rows_file) as connection:
        wanted = ", ".join(text(key) for key in keys)
        query = f"SELECT row_id, {', '.join(map(quoted, names))} FROM source WHERE row_id IN ({wanted})"
        frame = connection.execute(query).df()
    return dict(zip(frame.pop("row_id").astype(str), frame.astype(object).to_numpy().tolist(), strict=True))


@contextmanager
def _joined(rows: Path, sides: Path) -> Iterator[Any]:
    with opened(rows) as connection:
        connection.execute(f"CREATE VIEW sides AS SELECT key, split FROM read_parquet({text(pattern(sides))})")
        yield connection
