"""Takes a share of the rows by the hash of their group, or by their time, without holding the rows.

Both work on the table `u`: `unit` (the group, or the key), `h` (60 bits of its seeded hash), `c` (its class, or one
empty text for all) and, with an order, `v` (its place in it).
"""

# ruff: noqa: S608 -- every name in the queries is quoted, and every text escaped
from __future__ import annotations

from collections.abc import Mapping
from itertools import count
from typing import TYPE_CHECKING, Any

import numpy as np

from pizzeria.splitting.row_store import FEW, one, register
from pizzeria.sql_text import literal as text

if TYPE_CHECKING:
    import duckdb

HASH_BITS = 60
_BUCKET_BITS = 12
_names = count()


def hashed(unit: str, seed: int) -> str:
    """SQL: the first 60 bits of sha256 over seed and name; the same on any machine, in any order of rows."""
    return f"('0x' || substr(sha256('{seed}:' || {unit}), 1, 15))::BIGINT"


def take_by_hash(
    connection: duckdb.DuckDBPyConnection, pool: str, wanted: Mapping[str, int], leave: int
) -> tuple[str, int]:
    """The units with the highest hashes, of each class as many as have nearest to the wanted number of rows.

    Args:
        pool: Condition on `u`: from which rows.
        wanted: Rows to take, by class.
        leave: Units that must remain, where there is but one class.

    Returns:
        A condition on `u` that is true for what is taken, and the number of rows that are taken.
    """
    rows = one(connection, f"SELECT count(*) FROM u WHERE {pool}")
    shift = HASH_BITS if rows <= FEW else HASH_BITS - _BUCKET_BITS
    buckets: dict[str, list[tuple[int, int]]] = {}
    for c, b, n in connection.execute(
        f"SELECT c, h >> {shift} AS b, count(*) FROM u WHERE {pool} GROUP BY ALL ORDER BY c, b DESC"
    ).fetchall():
        buckets.setdefault(c, []).append((b, n))
    # Only the bucket in which the cut falls is looked into.
    above: dict[str, int] = {}
    at: dict[str, int] = {}
    for c, parts in buckets.items():
        done = 0
        for b, n in parts:
            at[c], above[c] = b, done
            if done + n >= wanted.get(c, 0):
                break
            done += n
    picked = register(connection, f"picked_{next(_names)}", c=list(at), h=list(at.values()))
    units = connection.execute(
        f"SELECT c, h, unit, count(*) AS n FROM u WHERE {pool} "
        f"AND (c, h >> {shift}) IN (SELECT (c, h) FROM {picked}) GROUP BY ALL ORDER BY c, h DESC, unit DESC"
    ).fetchnumpy()
    connection.unregister(picked)
    cuts: dict[str, tuple[int, str]] = {}
    total = 0
    names, first = np.unique(np.asarray(units["c"], dtype=object).astype(str), return_index=True)
    ends = [*first[1:].tolist(), len(units["c"])]
    for c, start, end in zip(names.tolist(), first.tolist(), ends, strict=True):
        sums = above[c] + np.concatenate([[0], np.cumsum(units["n"][start:end])]).astype(np.int64)
        only = len(names) == 1
        few, many = int(only and above[c] == 0), end - start - (leave if only and shift == HASH_BITS else 0)
        taken = few + int(np.abs(sums[few : max(few, many) + 1] - wanted.get(c, 0)).argmin())
        total += int(sums[taken])
        if taken:
            cuts[c] = int(units["h"][start + taken - 1]), str(units["unit"][start + taken - 1])
        elif above[c]:
            cuts[c] = (at[c] + 1) << shift, ""
    if not cuts:
        return "false", 0
    if len(buckets) == 1:
        return _beyond(*next(iter(cuts.values()))), total
    # The commonest class first: it is looked for in this order.
    often = sorted(cuts, key=lambda c: -sum(n for _, n in buckets[c]))
    return f"(CASE c {' '.join(f'WHEN {text(c)} THEN {_beyond(*cuts[c])}' for c in often)} ELSE false END)", total


def _beyond(h: int, unit: str) -> str:
    return f"(h > {h} OR (h = {h} AND unit >= {text(unit)}))"


def take_last(connection: duckdb.DuckDBPyConnection, pool: str, wanted: int, *, whole: bool = False) -> Any:
    """The value of `v` from which on there are nearest to the wanted number of rows; equal values stay together.

    Args:
        whole: At least the wanted number, not the nearest to it.

    Returns:
        The value; None when there are no rows.
    """
    query = f"SELECT v, count(*) AS n FROM u WHERE {pool} GROUP BY v ORDER BY v DESC"
    reader = connection.execute(query)
    taken, before = 0, None
    while batch := reader.fetchmany(10_000):
        sums = taken + np.cumsum([n for _, n in batch])
        if sums[-1] < wanted:
            taken, before = int(sums[-1]), batch[-1][0]
            continue
        at = int(np.searchsorted(sums, wanted))
        short = int(sums[at - 1]) if at else taken
        over = int(sums[at]) - wanted
        if not whole and short and wanted - short < over:
            return batch[at - 1][0] if at else before
        return batch[at][0]
    return before


def literal(value: Any) -> str:
    """A value of `v` in SQL: a number, whole or not."""
    return repr(value) if isinstance(value, int) else f"{value!s}::DOUBLE" if isinstance(value, float) else str(value)
