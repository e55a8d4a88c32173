"""How near estimates came to what labels said later: the standing backtest of everything that is estimated."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pizzeria.contracts import Backtest

LATEST = 20
"""Chunks that count, the newest with labels."""
LEAST = 5
"""With fewer nothing is said."""
RECENT = 5
"""Chunks that say whether estimates can be believed now, the newest with labels before the one in question ..."""
LEAST_RECENT = 3
"""... and so many must be there."""
FLOOR = 0.02
"""Estimates may always miss by so much; where lower is better, by that share of the reference's value."""
DEVIATIONS = 3.0
"""And by so many sampling errors of what is realised."""


@dataclass(frozen=True)
class Missed:
    """By how much estimates missed what labels said, over so many chunks."""

    chunks: int
    mean: float
    largest: float


def backtest(metric: str, rows: Sequence[Mapping[str, Any]], least_rows: int) -> Backtest | None:
    """Over the latest chunks with labels enough; None when there are too few.

    Args:
        rows: Of each chunk, oldest first: `value` estimated, `realised`, and how many rows are `labelled`.
        least_rows: So many labelled rows make a chunk count.

    Example:
        >>> rows = [{"value": 0.8, "realised": 0.8 + i / 100, "labelled": 50} for i in range(6)]
        >>> found = backtest("f1", rows, 30)
        >>> found.chunks, round(found.mean_error, 3), round(found.largest_error, 3)
        (6, 0.025, 0.05)
        >>> backtest("f1", rows[:4], 30) is None
        True
    """
    errors = differences(rows, least_rows)
    if len(errors) < LEAST:
        return None
    return Backtest(metric, len(errors), sum(errors) / len(errors), max(errors))


def told(metric: str, rows: Sequence[Mapping[str, Any]], least_rows: int) -> str:
    """The same for the text of an alarm.

    Example:
        >>> told("f1", [{"value": 0.8, "realised": 0.83, "labelled": 50}] * 25, 30)
        'estimates were within 0.03 on the last 20 chunks with labels'
        >>> told("f1", [{"value": 0.8, "realised": 0.83, "labelled": 50}] * 2, 30)
        'only 2 chunks have labels, too few to say how near estimates come'
        >>> told("f1", [], 30)
        'no chunk has labels yet, so nobody knows how near estimates come'
    """
    found = backtest(metric, rows, least_rows)
    if found is not None:
        within = f"{found.largest_error:.2g}" if found.largest_error else "0"
        return f"estimates were within {within} on the last {found.chunks} chunks with labels"
    few = len(differences(rows, least_rows))
    if not few:
        return "no chunk has labels yet, so nobody knows how near estimates come"
    return f"only {few} chunk{' has' if few == 1 else 's have'} labels, too few to say how near estimates come"


def missed(rows: Sequence[Mapping[str, Any]], least_rows: int, scale: float = 1.0) -> Missed | None:
    """How far off estimates were of late; None where they were as near as they may be, or too few chunks have labels.

    They may miss, on average, by `FLOOR` and by three sampling errors of what is realised.

    Args:
        rows: Of the chunks before, oldest first: as for `backtest`, with the sampling `error` of all `rows`.
        scale: Of the floor: 1 for shares, the reference's value where lower is better.

    Example:
        >>> rows = [{"value": 0.9, "realised": 0.4, "labelled": 100, "rows": 100, "error": 0.04}] * 4
        >>> missed(rows, 30)
        Missed(chunks=4, mean=0.5, largest=0.5)
        >>> missed(rows[:2], 30) is None
        True
        >>> missed([one | {"realised": 0.8} for one in rows], 30) is None
        True
    """
    told = [row for row in rows if differences([row], least_rows)][-RECENT:]
    if len(told) < LEAST_RECENT:
        return None
    errors = differences(told, least_rows)
    chance = [
        float(row.get("error") or 0.0) * math.sqrt(max(row.get("rows", 0) / row["labelled"], 1.0)) for row in told
    ]
    allowed = max(DEVIATIONS * sum(chance) / len(chance), FLOOR * scale)
    mean = sum(errors) / len(errors)
    return Missed(len(errors), mean, max(errors)) if mean > allowed else None


def differences(rows: Sequence[Mapping[str, Any]], least_rows: int) -> list[float]:
    """Absolute differences of estimated and realised, of the latest chunks that have both."""
    both = [
        (float(row["value"]), float(row["realised"]))
        for row in rows
        if row.get("labelled", 0) >= least_rows and row.get("value") is not None and row.get("realised") is not None
    ]
    return [abs(value - realised) for value, realised in both if math.isfinite(value - realised)][-LATEST:]
