"""Takes a share of the groups such that every class has its share, where groups hold several classes.

Iterative stratification (Sechidis, Tsoumakas and Vlahavas 2011), with groups in place of examples: the class that is
rarest among what is left is seen to first, and each group that holds it goes to the side that lacks it most.
"""

# ruff: noqa: S608 -- every name in the queries is quoted, and every text escaped
from __future__ import annotations

from collections.abc import Sequence
from itertools import count
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from pizzeria.errors import DataError
from pizzeria.splitting.cutting import take_by_hash
from pizzeria.splitting.row_store import register

if TYPE_CHECKING:
    import duckdb

MOST_GROUPS = 2_000_000
_ROUNDS = 4
_WORTH_IT = 1e-12
_names = count()


def take_evenly(connection: duckdb.DuckDBPyConnection, pool: str, wanted: int, leave: int) -> str:
    """As `take_by_hash`, but by whole units such that each class of the table `held` (unit, c, n) has its share.

    Never further from the shares than what the hashes alone give.

    Raises:
        DataError: there are more groups than memory is meant for.
    """
    units = connection.execute(
        f"SELECT unit, any_value(h) AS h, count(*) AS n FROM u WHERE {pool} GROUP BY unit ORDER BY h, unit"
    ).fetchnumpy()
    names = [str(name) for name in units["unit"]]
    if len(names) > MOST_GROUPS:
        raise DataError(
            f"{len(names)} groups are too many to be stratified one by one",
            hint="leave out group_by or stratify_by, or group by a coarser column",
        )
    rows = np.asarray(units["n"], np.int64)
    place = {name: i for i, name in enumerate(names)}
    held = connection.execute("SELECT unit, c, n FROM held ORDER BY ALL").fetchall()
    classes = {c: i for i, c in enumerate(sorted({c for _, c, _ in held}))}
    table = [(place[unit], classes[c], int(n)) for unit, c, n in held if unit in place]
    share = wanted / int(rows.sum())
    by_hash, _ = take_by_hash(connection, pool, {"": wanted}, leave)
    query = f"SELECT DISTINCT unit FROM u WHERE {pool} AND {by_hash}"
    chance = {str(name) for (name,) in connection.execute(query).fetchall()}
    plain = np.array([name in chance for name in names], np.bool_)
    chosen = stratified(rows, table, len(classes), share)
    fits = chosen.any() and (~chosen).sum() >= leave
    if not fits or deviation(chosen, rows, table, len(classes), share) > deviation(
        plain, rows, table, len(classes), share
    ):
        return by_hash
    taken = register(connection, f"taken_{next(_names)}", unit=[n for n, yes in zip(names, chosen, strict=True) if yes])
    return f"u.unit IN (SELECT unit FROM {taken})"


def stratified(
    rows: NDArray[np.int64], held: Sequence[tuple[int, int, int]], classes: int, share: float
) -> NDArray[np.bool_]:
    """Which units are taken.

    Args:
        rows: [U] rows of each unit, in the order of their hashes, which settles ties.
        held: (unit, class, how many), for each class that a unit holds.
        classes: How many classes there are.
        share: Of the rows and of each class, what is to be taken.

    Returns:
        bool [U].

    Example:
        >>> one_each = [(i, i % 2, 1) for i in range(8)]
        >>> chosen = stratified(np.ones(8, np.int64), one_each, 2, 0.25)
        >>> sorted(i % 2 for i in chosen.nonzero()[0].tolist())
        [0, 1]
    """
    totals = np.zeros(classes)
    of_unit: list[list[tuple[int, int]]] = [[] for _ in rows]
    of_class: list[list[int]] = [[] for _ in range(classes)]
    for unit, c, n in held:
        totals[c] += n
        of_unit[unit].append((c, n))
        of_class[c].append(unit)
    # What each side still lacks: [taken, left] by class, and in rows.
    lacking = [(totals * share).tolist(), (totals * (1 - share)).tolist()]
    lacking_rows = [float(rows.sum()) * share, float(rows.sum()) * (1 - share)]
    left = totals.tolist()
    side = np.full(len(rows), -1, np.int8)

    def give(unit: int, to: int) -> None:
        side[unit] = to
        lacking_rows[to] -= rows[unit]
        for c, n in of_unit[unit]:
            lacking[to][c] -= n
            left[c] -= n

    while True:
        waiting = [c for c in range(classes) if left[c] > 0]
        if not waiting:
            break
        rarest = min(waiting, key=lambda c: (left[c], c))
        for unit in sorted(set(of_class[rarest])):
            if side[unit] < 0:
                take, leave = ((lacking[s][rarest], lacking_rows[s]) for s in (0, 1))
                give(unit, 0 if take > leave else 1)
    for unit in np.flatnonzero(side < 0).tolist():
        give(unit, 0 if lacking_rows[0] > lacking_rows[1] else 1)
    chosen = np.asarray(side == 0, np.bool_)
    _mend(chosen, rows, of_unit, totals, share)
    return chosen


def _mend(
    chosen: NDArray[np.bool_],
    rows: NDArray[np.int64],
    of_unit: Sequence[Sequence[tuple[int, int]]],
    totals: NDArray[np.float64],
    share: float,
) -> None:
    """Move single units to the other side where that brings rows and classes nearer to their shares, in place."""
    all_rows, classes = float(rows.sum()), max(1, int((totals > 0).sum()))
    taken = np.zeros(len(totals))
    for unit in np.flatnonzero(chosen).tolist():
        for c, n in of_unit[unit]:
            taken[c] += n
    lack = (totals * share - taken).tolist()
    # What a class or a row too many weighs in `deviation`.
    weight = [1 / (classes * total) if total else 0.0 for total in totals.tolist()]
    lack_rows = all_rows * share - float(rows[chosen].sum())
    for _ in range(_ROUNDS):
        moved = False
        for unit, size in enumerate(rows.tolist()):
            sign = -1 if chosen[unit] else 1
            better = (abs(lack_rows) - abs(lack_rows - sign * size)) / all_rows
            for c, n in of_unit[unit]:
                better += (abs(lack[c]) - abs(lack[c] - sign * n)) * weight[c]
            if better > _WORTH_IT:
                chosen[unit] = not chosen[unit]
                lack_rows -= sign * size
                for c, n in of_unit[unit]:
                    lack[c] -= sign * n
                moved = True
        if not moved:
            break


def deviation(
    chosen: NDArray[np.bool_],
    rows: NDArray[np.int64],
    held: Sequence[tuple[int, int, int]],
    classes: int,
    share: float,
) -> float:
    """How far what is taken is from its share: of the rows, and of the classes in the mean; 0 is best."""
    totals, taken = np.zeros(classes), np.zeros(classes)
    for unit, c, n in held:
        totals[c] += n
        taken[c] += n * chosen[unit]
    there = totals > 0
    off = np.abs(taken[there] / totals[there] - share)
    return abs(float(rows[chosen].sum()) / float(rows.sum()) - share) + (float(off.mean()) if len(off) else 0.0)
