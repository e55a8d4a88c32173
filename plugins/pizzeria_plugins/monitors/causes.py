"""Which columns are likely behind a fall of performance: those whose drift goes with it from chunk to chunk."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pizzeria.contracts import Alarm
from pizzeria_plugins.monitors import chance
from pizzeria_plugins.monitors.instruments import Known

LEAST_CHUNKS = 6
"""With fewer any two columns go together."""
SURE = 0.05
"""A correlation with a larger p-value is no cause."""
NAMED = 4


@dataclass(frozen=True)
class Cause:
    """A column, with Pearson's correlation of its drift and the change of performance, and the p-value of that."""

    column: str
    correlation: float
    p_value: float


@dataclass(frozen=True)
class Causes:
    """Columns that are likely behind what happened in a chunk, the likeliest first.

    Attributes:
        how: In words, how they were ranked, for an alarm's text; empty when there are none.
        sure: Whether their drift goes with performance, rather than being large only.
    """

    columns: tuple[str, ...]
    how: str
    sure: bool = False


def correlated(
    distances: Mapping[str, NDArray[np.float64]], performance: NDArray[np.float64], usual: float
) -> list[Cause]:
    """Columns by how much their drift goes with the absolute change of performance, as NannyML's CorrelationRanker,
    which fails with pandas 3.

    Args:
        distances: By column, [P] distance in each chunk; NaN where unknown.
        performance: [P] estimated or realised.
        usual: Mean performance on the reference.

    Example:
        >>> fall = np.array([0.9, 0.9, 0.8, 0.7])
        >>> [cause.column for cause in correlated({"a": 1 - fall, "b": fall}, fall, usual=0.9)]
        ['a', 'b']
    """
    from scipy.stats import pearsonr  # type: ignore[import-untyped]

    change = np.abs(performance - usual)
    found = []
    for name, values in distances.items():
        known = np.isfinite(values) & np.isfinite(change)
        if known.sum() < 2 or np.ptp(values[known]) == 0 or np.ptp(change[known]) == 0:
            found.append(Cause(name, math.nan, math.nan))
            continue
        correlation, p_value = pearsonr(values[known], change[known])
        found.append(Cause(name, float(correlation), float(p_value)))
    return sorted(found, key=lambda cause: -math.inf if math.isnan(cause.correlation) else cause.correlation)[::-1]


def explain(
    alarms: Sequence[Alarm],
    known: Known,
    performance: Mapping[str, float | None],
    usual: float | None,
    rows: Sequence[str],
) -> tuple[Alarm, ...]:
    """Name in each alarm what is likely behind it, and show predictions that drifted where it has none of its own.

    Args:
        performance: By chunk, the headline metric; see `likely`.
        rows: `input_id`s of usual rows of the reference.
    """
    found: dict[str, Causes] = {}
    readings = dict(known.readings.get("drift", {}))
    told = []
    for alarm in alarms:
        if alarm.kind == "quality" or alarm.chunk not in readings:
            told.append(alarm)
            continue
        if alarm.chunk not in found:
            found[alarm.chunk] = likely(known, alarm.chunk, performance, usual)
        causes = found[alarm.chunk]
        examples = alarm.examples or tuple(readings[alarm.chunk]["examples"])
        alarm = replace(alarm, examples=examples, usual=tuple(rows) if examples else ())
        if causes.columns and (alarm.kind != "drift" or causes.sure):
            text = f"{alarm.text}; likely cause: {causes.columns[0]} ({causes.how})"
            alarm = replace(alarm, text=text, causes=causes.columns)
        told.append(alarm)
    return tuple(told)


def likely(known: Known, chunk: str, performance: Mapping[str, float | None], usual: float | None) -> Causes:
    """What is likely behind a fall in a chunk, out of the columns that drifted there.

    With chunks enough they are ranked by correlation, and those without one are left out; with too few, or when
    performance did not move with any, by how far each strayed.

    Args:
        known: With the readings of drift.
        performance: By chunk, the headline metric.
        usual: Its mean on the reference; None where it is unknown.
    """
    readings = {part.name: reading for part, reading in known.of("drift")}
    if chunk not in readings:
        return Causes((), "")
    strong = {name: strength(found) for name, found in readings[chunk]["columns"].items()}
    drifted = sorted((name for name in strong if strong[name] > 1), key=strong.__getitem__, reverse=True)
    if not drifted:
        return Causes((), "")
    order = [part.name for part in known.parts if part.name in readings and performance.get(part.name) is not None]
    if usual is not None and len(order) >= LEAST_CHUNKS:
        distances = {
            name: np.array([_value(readings[one]["columns"].get(name)) for one in order], np.float64)
            for name in drifted
        }
        moved = np.array([performance[one] for one in order], np.float64)
        causes = [cause for cause in correlated(distances, moved, usual) if cause.correlation > 0]
        causes = [cause for cause in causes if cause.p_value < SURE][:NAMED]
        if causes:
            how = f"its drift goes with performance, r = {causes[0].correlation:.2f} over {len(order)} chunks"
            return Causes(tuple(cause.column for cause in causes), how, sure=True)
    return Causes(tuple(drifted[:NAMED]), "it strayed furthest")


def strength(found: Mapping[str, Any]) -> float:
    """How far a column strayed, as a multiple of what healthy chunks show; 0 where it is unknown."""
    if found["value"] is None:
        return 0.0
    usual = chance.limit(found["healthy"], chance.DEVIATIONS)
    return float(found["value"]) / usual if usual > 0 else math.inf if found["value"] > 0 else 0.0


def _value(found: Mapping[str, Any] | None) -> float:
    return math.nan if found is None or found["value"] is None else float(found["value"])
