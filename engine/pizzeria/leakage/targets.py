"""Columns that give the target away: they tell it too well alone, or are known only after the moment of prediction."""

# ruff: noqa: S608 -- every name in the queries is quoted, and every text escaped
from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING, Any

import numpy as np

from pizzeria.errors import DataError, nearest
from pizzeria.leakage.finding import Finding
from pizzeria.leakage.telling import auc_of, r2_of
from pizzeria.spec.leakage import Leakage
from pizzeria.spec.problem import Problem
from pizzeria.splitting.row_store import one, types
from pizzeria.sql_text import quoted

if TYPE_CHECKING:
    import duckdb

_TIMES = ("TIMESTAMP", "DATE", "TIME", "INTERVAL")
_PLAIN = ("INT", "FLOAT", "DOUBLE", "DECIMAL", "BOOLEAN", "VARCHAR", "ENUM", "UUID", *_TIMES)


def seen_by_the_model(kinds: dict[str, str], key: str, target: str, features: Any) -> list[str]:
    """Columns of a table that its features let through.

    Args:
        kinds: DuckDB's type of each column.
        features: The features plugin's options: what `drop` names is out, and times that it does not name are.
    """
    dropped = set(getattr(features, "drop", ()) or ())
    named = {
        name for option in ("numeric", "categorical", "dates", "text") for name in getattr(features, option, ()) or ()
    }
    return [
        name
        for name, kind in kinds.items()
        if name not in (key, target) and name not in dropped and (name in named or not kind.startswith(_TIMES))
    ]


def target_leaks(
    connection: duckdb.DuckDBPyConnection, key: str, problem: Problem, features: Any, wanted: Leakage
) -> tuple[list[Finding], list[dict[str, Any]]]:
    """Columns that give the target away, and what each column tells.

    Args:
        connection: With `source`, and `sides`: key, split.

    Raises:
        DataError: `data.leakage.known_after` names no column of the data.
    """
    kinds = types(connection)
    target = str(problem.target)
    seen = seen_by_the_model(kinds, key, target, features)
    for name in wanted.known_after:
        if name not in kinds:
            raise DataError(f"data.leakage.known_after: the data have no column {name!r}", hint=nearest(name, kinds))
    late = [name for name in wanted.known_after if name in seen]
    found = [
        Finding(
            "target",
            name,
            1,
            f"{name} is known only after the moment of prediction, and the model sees it",
            f"features.drop: [{', '.join(late)}]",
        )
        for name in late
    ]
    if target not in kinds:
        return found, []
    regression = problem.task == "tabular_regression"
    limit, measure = (wanted.r2, "R2") if regression else (wanted.auc, "AUC")
    told = _told(connection, key, target, [n for n in seen if n not in late], kinds, regression, wanted.sample)
    for entry in told:
        entry |= {"measure": measure, "limit": limit}
        if entry["score"] is not None and entry["score"] >= limit:
            found.append(
                Finding(
                    "target",
                    entry["column"],
                    1,
                    f"{entry['column']} alone tells {target} on validation with {measure} {entry['score']:.3f} "
                    f"(data.leakage.{measure.lower()} is {limit:g}): is it known at the moment of prediction?",
                    f"if it is not, features.drop: [{entry['column']}]; if it is, allow it with a reason under "
                    "data.leakage.allow",
                )
            )
    return found, sorted(told, key=lambda entry: -(entry["score"] or 0))


def _told(
    connection: duckdb.DuckDBPyConnection,
    key: str,
    target: str,
    columns: Collection[str],
    kinds: dict[str, str],
    regression: bool,
    most: int,
) -> list[dict[str, Any]]:
    """What each column tells; each is read alone, so that memory holds one of them at a time."""
    rows = one(connection, "SELECT count(*) FROM sides WHERE split IN ('train', 'validation')")
    if not rows or not one(connection, f"SELECT count({quoted(target)}) FROM source"):
        return []
    # A part of the hashes of the keys: the same rows in any order of the table.
    part = min(1.0, most / rows)
    taken = f"hash(sides.key) % 1000000 < {part * 1_000_000:.0f}"
    connection.execute(
        f"CREATE TEMP TABLE judged AS SELECT source.* EXCLUDE ({quoted(key)}), split = 'train' AS _train FROM source "
        f"JOIN sides ON sides.key = CAST({quoted(key)} AS VARCHAR) "
        f"WHERE split IN ('train', 'validation') AND {taken} AND {quoted(target)} IS NOT NULL ORDER BY _row"
    )
    base = connection.execute(f"SELECT {quoted(target)} AS y, _train FROM judged").df()
    train = base["_train"].to_numpy(np.bool_)
    out = []
    if regression:
        try:
            numbers = np.asarray(base["y"].astype("float64"), np.float64)
        except (TypeError, ValueError):
            numbers = np.empty(0, np.float64)
    else:
        names, codes = np.unique(base["y"].astype(str).to_numpy(str), return_inverse=True)
        if len(names) < 2:
            codes = np.empty(0, np.int64)
    for column in columns:
        score = None
        plain = kinds[column].startswith(_PLAIN) or "INT" in kinds[column]
        if plain and train.any() and len(numbers if regression else codes) == len(train):
            values = connection.execute(f"SELECT {quoted(column)} AS x FROM judged").df()["x"]
            score = r2_of(values, numbers, train) if regression else auc_of(values, codes, train)
        out.append({"column": column, "score": score})
    connection.execute("DROP TABLE judged")
    return out
