"""What the training split shows of a column: its entry in `preprocessing.json`, but for its name.

Every figure is taken from the sorted values, so that neither the order of the rows nor threads change a bit of it. One
column is in memory at a time.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pizzeria.errors import DataError
from pizzeria.inference.column_inputs import CATEGORIES, TEXT_PARTS, date_part, transformed

_AT_ONCE = 1 << 20
_QUANTILES = 101
_LEAST_SPREAD = 1e-30
"""Numbers that differ by less count as alike: divided by it, others would leave what a float32 holds."""
_MOST_WIDTHS = 1e30
"""Quartile distances from the median beyond which they say nothing of a spread, and a float32 could overflow."""
_NORMAL_IQR = 1.3489795003921634
"""Distance between the quartiles of a normal distribution, in deviations."""
_SKEWED = 1.0
"""Skewness from which `log: auto` takes the logarithm, if that makes it less."""


def fit_numbers(name: str, values: NDArray[np.float64], options: Any) -> dict[str, Any]:
    """See `numeric` in `pizzeria.inference.column_inputs`.

    Args:
        name: For the error.
        values: The training split's, NaN where missing; sorted in place.
        options: `scaling`, `missing_indicator`, `clip` and `log`.

    Raises:
        DataError: nothing is there, or the numbers are too large for their deviation to be one.
    """
    known = _sorted(values)
    missing = len(values) - len(known)
    if not len(known):
        raise DataError(f"column {name!r} has no value in the training split", hint=f"features.drop: [{name}]")
    median = quantile(known, 0.5)
    found: dict[str, Any] = {"median": median}
    if options.clip is not None:
        found["clip"] = [quantile(known, share) for share in options.clip]
    moved = transformed(found, known)
    if options.log == "auto" and known[0] >= 0:
        logarithm = transformed(found | {"log": True}, known)
        if skewness(moved) > max(_SKEWED, abs(skewness(logarithm))):
            found["log"], moved = True, logarithm
    filled = float(transformed(found, np.array([median]))[0])
    found |= _scaling(moved, missing, filled, options.scaling)
    if not all(map(math.isfinite, (found["mean"], found["std"]))):
        raise DataError(
            f"column {name!r} holds numbers up to {max(abs(known[0]), abs(known[-1])):g}, too large to be scaled",
            hint="set features.clip, mend the rows, or drop the column",
        )
    if missing and options.missing_indicator:
        found["missing"] = True
    return found


def fit_dates(name: str, values: NDArray[np.float64], options: Any) -> dict[str, Any]:
    """See `dates` in `pizzeria.inference.column_inputs`; parts that are the same in all rows are left out.

    Args:
        values: Unix seconds of the training split, NaN where missing; sorted in place.
        options: `date_parts` and `missing_indicator`.

    Raises:
        DataError: nothing is there, or all moments are alike.
    """
    known = _sorted(values)
    if not len(known):
        raise DataError(f"column {name!r} has no value in the training split", hint=f"features.drop: [{name}]")
    parts = [part for part in options.date_parts if _changes(known, part)]
    if not parts:
        raise DataError(
            f"none of {', '.join(options.date_parts)} changes in column {name!r} of the training split",
            hint=f"features.drop: [{name}], or other features.date_parts",
        )
    found: dict[str, Any] = {"median": quantile(known, 0.5), "parts": parts}
    if "trend" in parts:
        how = _standard(known, 0, 0.0)
        found["trend"] = {"mean": how["mean"], "std": how["std"], "low": float(known[0]), "high": float(known[-1])}
    if len(known) < len(values) and options.missing_indicator:
        found["missing"] = True
    return found


def fit_texts(name: str, values: NDArray[np.float32], options: Any) -> dict[str, Any]:
    """See `texts` in `pizzeria.inference.column_inputs`.

    Args:
        values: float32 [parts, N], what `text_statistics` tells of the training split, NaN where missing.
        options: `missing_indicator`.

    Raises:
        DataError: no text is there.
    """
    inputs = []
    missing = 0
    for part, row in zip(TEXT_PARTS, values, strict=True):
        known = _sorted(row)
        if not len(known):
            raise DataError(f"column {name!r} has no text in the training split", hint=f"features.drop: [{name}]")
        missing = len(row) - len(known)
        median = quantile(known, 0.5)
        inputs.append({"part": part, "median": median, **_standard(known, missing, median)})
    return {"inputs": inputs} | ({"missing": True} if missing and options.missing_indicator else {})


def fit_categories(counts: list[tuple[str, int]], rows: int, missing: int, options: Any) -> dict[str, Any]:
    """See `categorical` in `pizzeria.inference.column_inputs`.

    Args:
        counts: The training split's most frequent values with their rows, by rows and then by name.
        rows: Of the training split.
        missing: Of them, without a value.
        options: `min_count`, `min_share` and `missing_indicator`.

    Returns:
        Values sorted, so that the order of rows does not matter.

    Example:
        >>> from types import SimpleNamespace
        >>> options = SimpleNamespace(min_count=2, min_share=0, missing_indicator=True)
        >>> fit_categories([("mon", 3), ("sun", 1), ("tue", 1)], 6, 1, options)
        {'values': ['mon'], 'mode': 'mon', 'rare': ['sun', 'tue'], 'missing': True}
    """
    least = max(options.min_count, options.min_share * rows)
    found: dict[str, Any] = {
        "values": sorted(value for value, count in counts if count >= least),
        "mode": counts[0][0] if counts else None,
    }
    rare = sorted(value for value, count in counts if count < least)
    if rare:
        found["rare"] = rare
    if missing and options.missing_indicator:
        found["missing"] = True
    return found


def quantile(ordered: NDArray[Any], share: float) -> float:
    """The quantile of sorted numbers, straight between the two nearest.

    Example:
        >>> quantile(np.array([1.0, 2.0, 4.0, 8.0]), 0.5)
        3.0
    """
    at = share * (len(ordered) - 1)
    low = math.floor(at)
    below, above = float(ordered[low]), float(ordered[min(low + 1, len(ordered) - 1)])
    part = at - low
    return below if part == 0 or below == above else below * (1 - part) + above * part


def skewness(ordered: NDArray[np.float64]) -> float:
    """Third moment in deviations; 0 for numbers that are all alike."""
    mean, std = _moments(ordered)
    if std == 0 or not math.isfinite(std):
        return 0.0
    return _sum(ordered, lambda values: ((values - mean) / std) ** 3) / len(ordered)


def target_scale(values: NDArray[np.float64]) -> dict[str, float]:
    """Mean and deviation of a target's values, which are sorted in place; a constant one has 1."""
    values.sort()
    mean, std = _moments(values)
    return {"mean": mean, "std": _divisor(std)}


def _scaling(moved: NDArray[np.float64], missing: int, filled: float, scaling: str) -> dict[str, Any]:
    standard = _standard(moved, missing, filled)
    if scaling == "robust":
        width = (quantile(moved, 0.75) - quantile(moved, 0.25)) / _NORMAL_IQR
        farthest = max(moved[-1] - filled, filled - moved[0])
        usable = width > _LEAST_SPREAD and farthest < _MOST_WIDTHS * width
        return {"mean": filled, "std": width if usable else standard["std"]}
    if scaling == "min_max":
        low, high = float(moved[0]), float(moved[-1])
        return {"mean": low, "std": _divisor(high - low)}
    if scaling == "quantile":
        return standard | {"quantiles": _levels(moved)}
    return standard


def _levels(moved: NDArray[np.float64]) -> list[list[float]]:
    """Places of quantiles with their levels; a place that is several quantiles has the mean of their levels."""
    places: dict[float, list[float]] = {}
    for step in range(_QUANTILES):
        level = step / (_QUANTILES - 1)
        places.setdefault(quantile(moved, level), []).append(level)
    return [[place, math.fsum(levels) / len(levels)] for place, levels in sorted(places.items())]


def _standard(known: NDArray[Any], missing: int, filled: float) -> dict[str, float]:
    """Mean and deviation with the missing ones filled; a constant column is moved to 0 and not blown up."""
    mean, std = _moments(known, missing, filled)
    return {"mean": mean, "std": _divisor(std)}


def _divisor(spread: float) -> float:
    """What numbers are divided by; 1 where they are all alike, or as good as that."""
    return spread if spread > _LEAST_SPREAD else 1.0


def _moments(ordered: NDArray[Any], missing: int = 0, filled: float = 0.0) -> tuple[float, float]:
    count = len(ordered) + missing
    if ordered[0] == ordered[-1] and (not missing or ordered[0] == filled):
        return float(ordered[0]), 0.0
    with np.errstate(over="ignore", invalid="ignore"):
        mean = (_sum(ordered, lambda values: values) + missing * filled) / count
        square = _sum(ordered, lambda values: (values - mean) ** 2) + missing * (filled - mean) ** 2
    return mean, math.sqrt(square / count) if math.isfinite(square) else math.inf


def _sum(ordered: NDArray[Any], of: Callable[[NDArray[np.float64]], NDArray[np.float64]]) -> float:
    try:
        return math.fsum(float(of(piece.astype(np.float64)).sum()) for piece in _pieces(ordered))
    except (OverflowError, ValueError):
        return math.inf


def _pieces(ordered: NDArray[Any]) -> Iterator[NDArray[Any]]:
    for at in range(0, len(ordered), _AT_ONCE):
        yield ordered[at : at + _AT_ONCE]


def _sorted(values: NDArray[Any]) -> NDArray[Any]:
    """What is there, in order; NaN comes last when numpy sorts."""
    values.sort()
    return values[: len(values) - int(np.isnan(values).sum())]


def _changes(known: NDArray[np.float64], part: str) -> bool:
    if part == "trend":
        return bool(known[0] < known[-1])
    name, _, _ = part.partition("_")
    first: float | None = None
    for piece in _pieces(known):
        found = date_part(name, piece, whole=part in CATEGORIES)
        first = float(found[0]) if first is None else first
        if (found != first).any():
            return True
    return False
