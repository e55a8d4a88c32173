"""One column's values as slices: each of few values, thirds of many numbers, or what lies between given edges."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pizzeria.errors import DataError
from pizzeria.spec.slices import edge_names, value_name

if TYPE_CHECKING:
    import pandas as pd

FEW, MOST = 12, 20
"""Numbers with no more values than `FEW` are taken by value; of other values the `MOST` frequent ones."""
MISSING, OTHERS = "(missing)", "(others)"
THIRDS = ("low", "middle", "high")


@dataclass(frozen=True)
class Cut:
    """N rows in slices.

    Attributes:
        names: Of the slices, in the order in which they are shown; each has a row.
        of: [N] the slice of each row.
        ranges: Of slices of numbers, the least and the largest value, in words.
    """

    column: str
    names: tuple[str, ...]
    of: NDArray[np.int64]
    ranges: Mapping[str, str]


def cut(column: str, values: pd.Series, edges: tuple[float, ...] = (), keep: Collection[str] = ()) -> Cut:
    """Cut a column.

    Args:
        values: [N].
        edges: Where one slice ends and the next, which holds the edge, begins.
        keep: Names of values that are a slice however rare they are.

    Raises:
        DataError: edges are given, and the column holds no numbers.

    Example:
        >>> import pandas as pd
        >>> found = cut("age", pd.Series([25.0, 41.0, None]), (30, 60))
        >>> found.names, found.of.tolist()
        (('below 30', '30 to 60', '(missing)'), [0, 1, 2])
    """
    numbers = _numbers(values)
    if numbers is None or (not edges and len(np.unique(numbers[~np.isnan(numbers)])) <= FEW):
        if edges:
            raise DataError(
                f"evaluation.slices: {column} holds no numbers, so no edges can cut it", hint="leave them out"
            )
        return _by_value(column, values, keep)
    ends = edges or np.quantile(numbers[~np.isnan(numbers)], [1 / 3, 2 / 3])
    names = edge_names(edges) if edges else THIRDS
    # An edge belongs to what begins there; of thirds, to what ends there, so that one frequent value does not fill all.
    at = np.searchsorted(ends, numbers, side="right" if edges else "left")
    at = np.where(np.isnan(numbers), len(names), at)
    found = _named(column, (*names, MISSING), at)
    return Cut(column, found.names, found.of, _ranges(found, values))


def _numbers(values: pd.Series) -> NDArray[np.float64] | None:
    """[N] as numbers, moments as seconds; None where they are neither."""
    from pandas.api import types

    if types.is_datetime64_any_dtype(values):
        seconds = values.astype("int64").to_numpy(np.float64)
        return np.where(values.isna(), np.nan, seconds)
    if types.is_bool_dtype(values) or not types.is_numeric_dtype(values):
        return None
    numbers: NDArray[np.float64] = values.to_numpy(np.float64, na_value=np.nan)
    return numbers


def _by_value(column: str, values: pd.Series, keep: Collection[str]) -> Cut:
    import pandas as pd

    codes, distinct = pd.factorize(values.map(_joined) if values.dtype == object else values)  # -1 where there is none
    texts = [value_name(_plain(one)) for one in distinct]
    counts: dict[str, int] = {}
    for text, count in zip(texts, np.bincount(codes[codes >= 0], minlength=len(texts)), strict=True):
        counts[text] = counts.get(text, 0) + int(count)
    ranked = sorted(counts, key=lambda name: (-counts[name], name))
    frequent = [name for place, name in enumerate(ranked) if place < MOST or name in keep]
    names = sorted(frequent, key=float) if _numbers(values) is not None else frequent
    place = {name: i for i, name in enumerate(names)}
    at = np.array([*(place.get(text, len(names)) for text in texts), len(names) + 1])
    return _named(column, (*names, OTHERS, MISSING), at[codes])


def _joined(value: Any) -> Any:
    """Lists, such as the labels of a photo, as one text."""
    return ", ".join(map(str, value)) if isinstance(value, list | tuple | np.ndarray) else value


def _plain(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else value


def _named(column: str, names: tuple[str, ...], at: NDArray[np.int64]) -> Cut:
    """Without slices that have no row."""
    there = np.unique(at)
    return Cut(column, tuple(names[i] for i in there), np.searchsorted(there, at), {})


def _ranges(found: Cut, values: pd.Series) -> dict[str, str]:
    out = {}
    for i, name in enumerate(found.names):
        own = values[found.of == i]
        if name != MISSING:
            low, high = (f"{one:.3g}" if isinstance(one, int | float) else str(one) for one in (own.min(), own.max()))
            out[name] = low if low == high else f"{low} to {high}"
    return out
