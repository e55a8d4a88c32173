"""How much a single column tells of the target, fitted on train and judged on validation.

A number is cut into bins by the quantiles of train, and each bin (or each value of a category) predicts what the
training rows in it have. For a number's target a straight line is tried as well, which does better in the tails.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import pandas as pd

FEWEST = 50
"""Fewer validation rows judge nothing."""
_BINS = 200
_ROWS_PER_BIN = 20
_PRIOR = 5.0


def auc_of(column: pd.Series[Any], classes: NDArray[np.int64], train: NDArray[np.bool_]) -> float | None:
    """Area under the ROC curve by the column alone, one class against the rest, weighted by their rows.

    Args:
        column: [N] values.
        classes: [N] index of the true class.
        train: [N] bool; the others are judged.

    Returns:
        0.5 for a column that tells nothing, 1 for one that tells all; None where nothing can be judged.

    Example:
        >>> import pandas as pd
        >>> true = np.arange(400) % 2
        >>> auc_of(pd.Series(true * 3.0), true, np.arange(400) < 300)
        1.0
    """
    cells = _cells(column, train)
    judged, total, weight = classes[~train], 0.0, 0
    if len(judged) < FEWEST:
        return None
    for c in np.unique(judged):
        is_class = classes == c
        positive = is_class[~train]
        if positive.all():
            return None
        score = _means(cells, is_class.astype(np.float64), train)[cells[~train]]
        total += _auc(score, positive) * int(positive.sum())
        weight += int(positive.sum())
    return total / weight


def r2_of(column: pd.Series[Any], target: NDArray[np.float64], train: NDArray[np.bool_]) -> float | None:
    """Share of the target's variance on validation that the column alone explains; 0 or less for nothing.

    Example:
        >>> import pandas as pd
        >>> values = np.linspace(0, 1, 400)
        >>> round(r2_of(pd.Series(values), values * 2 + 1, np.arange(400) % 4 > 0), 3)
        1.0
    """
    judged = target[~train]
    if len(judged) < FEWEST or not judged.std() > 0:
        return None
    cells = _cells(column, train)
    guesses = [_means(cells, target, train)[cells[~train]]]
    values = _numbers(column)
    if values is not None:
        known = np.isfinite(values)
        fit = known & train
        if fit.any() and values[fit].std() > 0:
            slope, start = np.polyfit(values[fit], target[fit], 1)
            guesses.append(np.where(known, values * slope + start, target[train].mean())[~train])
    spread = float(((judged - judged.mean()) ** 2).sum())
    return max(1 - float(((judged - guess) ** 2).sum()) / spread for guess in guesses)


def _numbers(column: pd.Series[Any]) -> NDArray[np.float64] | None:
    """float64 [N] with NaN where missing; seconds for times; None for what is no number."""
    import pandas as pd

    if pd.api.types.is_datetime64_any_dtype(column.dtype):
        return np.where(column.isna(), np.nan, pd.to_datetime(column, utc=True).astype("int64") / 1e9)
    if pd.api.types.is_numeric_dtype(column.dtype):
        return np.asarray(column.astype("float64").to_numpy(na_value=np.nan), np.float64)
    return None


def _cells(column: pd.Series[Any], train: NDArray[np.bool_]) -> NDArray[np.int64]:
    """The bin or value of each row; 0 for what is missing or was never seen in train."""
    import pandas as pd

    values = _numbers(column)
    if values is None:
        text = column.astype(object).where(column.notna(), None).map(lambda v: None if v is None else str(v))
        seen = pd.Index(text[train].dropna().unique())
        return np.asarray(seen.get_indexer(text), np.int64) + 1
    known = values[train & np.isfinite(values)]
    if not len(known):
        return np.zeros(len(values), np.int64)
    bins = max(2, min(_BINS, len(known) // _ROWS_PER_BIN))
    edges = np.unique(np.quantile(known, np.linspace(0, 1, bins + 1)[1:-1]))
    return np.where(np.isnan(values), 0, np.searchsorted(edges, values, side="right") + 1)


def _means(cells: NDArray[np.int64], target: NDArray[np.float64], train: NDArray[np.bool_]) -> NDArray[np.float64]:
    """What each cell predicts: the mean of its training rows, drawn to the mean of all where it has few."""
    size = int(cells.max()) + 1
    overall = float(target[train].mean())
    sums = np.bincount(cells[train], target[train], minlength=size)
    return np.asarray((sums + _PRIOR * overall) / (np.bincount(cells[train], minlength=size) + _PRIOR), np.float64)


def _auc(score: NDArray[np.float64], positive: NDArray[np.bool_]) -> float:
    """Share of (positive, negative) pairs in the right order; ties count half."""
    values, of = np.unique(score, return_inverse=True)
    yes = np.bincount(of, positive, minlength=len(values))
    no = np.bincount(of, ~positive, minlength=len(values))
    below = np.cumsum(no) - no
    return float((yes * (below + no / 2)).sum() / (yes.sum() * no.sum()))
