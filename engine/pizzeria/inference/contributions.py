"""How much each column of a row adds to its answer: Shapley values (Strumbelj and Kononenko 2014).

The row is compared with the baseline: the training split's median of each number and each date, its most frequent
value of each category (`missing`, for a bundle that does not tell it), and the median of what is counted of each text.
All inputs that are made of one column go together. A coalition is a set of columns that have the row's values, while
the others have the baseline's. A column's Shapley value is what it adds to the answer when it joins a coalition, in
the mean over all orders of joining. So what the columns add makes up just the difference between the answer and the
baseline's; columns that do the same get the same, and one that the model does not look at gets 0.

Up to `EXACT` columns all coalitions are asked. With more, orders are drawn, each together with its reverse, which takes
much of the noise away.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pizzeria.errors import RequestError
from pizzeria.inference.answers import TableAnswer
from pizzeria.inference.calibration import calibrate
from pizzeria.inference.column_inputs import layout, usual_row
from pizzeria.inference.predictor import Predictor
from pizzeria.inference.rows import Columns, encode_columns

MAX_EXPLAINED = 100
"""Rows of one request that may be explained."""
EXACT = 10
"""Columns up to which all coalitions are asked: 2 ** 10 of them."""
_ASKED = 2048
"""Coalitions, about, that are asked for one row with more columns."""
_AT_ONCE = 2_000_000
"""Numbers and codes that are put together for the model at once."""
_SEED = 0


@dataclass(frozen=True)
class Contributions:
    """What the answers for N rows with M columns are made of.

    Attributes:
        names: M columns, in the order of `pizzeria.inference.column_inputs.column_names`.
        base: float64 [N], the baseline's probability of the row's class, or its value.
        shares: float64 [N, M]; `base + shares.sum(axis=1)` is the answer.
    """

    names: tuple[str, ...]
    base: NDArray[np.float64]
    shares: NDArray[np.float64]


def explain_rows(predictor: Predictor, columns: Columns, answer: TableAnswer) -> list[dict[str, Any]]:
    """The `explanation` of each row in the answer of `POST /predict`.

    Args:
        predictor: What answered.
        columns: What was answered, as `pizzeria.inference.rows.to_columns` gives it.
        answer: Of the predictor.

    Returns:
        {"class": of classification alone, "method": "shapley", "base": b, "contributions": {column: c}} for each row;
        probabilities are told to six decimal digits.

    Raises:
        RequestError: 413 more than `MAX_EXPLAINED` rows; 422 the model has no finite answer for a coalition.
    """
    count = len(next(iter(columns.values())))
    if count > MAX_EXPLAINED:
        raise RequestError(
            413,
            "too_many_rows",
            f"there are {count} rows to explain",
            hint=f"send at most {MAX_EXPLAINED} with ?explain=true",
        )
    found = contributions(predictor, columns, answer)
    base, shares = found.base, found.shares
    said: list[dict[str, Any]] = [{}] * count
    if answer.probabilities is not None:
        base, shares = np.round(base, 6), np.round(shares, 6)
        said = [{"class": predictor.bundle.classes[i]} for i in answer.probabilities.argmax(axis=1).tolist()]
    return [
        one | {"method": "shapley", "base": b, "contributions": dict(zip(found.names, row, strict=True))}
        for one, b, row in zip(said, base.tolist(), (shares + 0.0).tolist(), strict=True)
    ]


def contributions(predictor: Predictor, columns: Columns, answer: TableAnswer) -> Contributions:
    """Shapley values of each row's answer: of the calibrated probability of the class that is said, or of the value.

    The same row always gets the same.

    Raises:
        RequestError: 422, the model has no finite answer for a coalition; names the row.
    """
    how = predictor.bundle.preprocessing
    made = layout(how)
    numeric, categorical = encode_columns(columns, how)
    usual_numeric, usual_categorical = usual_row(how)
    joined, weights = _coalitions(len(made.names))
    has_number, has_code = joined[:, list(made.numeric)], joined[:, list(made.categorical)]
    told = _told(answer)
    asked = np.empty((len(numeric), len(joined)))
    step = max(1, _AT_ONCE // (has_number.size + has_code.size))
    for at in range(0, len(numeric), step):
        some = slice(at, at + step)
        numbers = np.where(has_number, numeric[some, None], usual_numeric)
        codes = np.where(has_code, categorical[some, None], usual_categorical)
        labels = None if answer.probabilities is None else answer.probabilities[some].argmax(axis=1)
        asked[some] = _ask(predictor, numbers, codes, labels)
    if not np.isfinite(asked).all():
        row = int(np.argwhere(~np.isfinite(asked))[0][0])
        raise RequestError(
            422,
            "no_explanation",
            f"rows[{row}]: the model has no finite answer for a part of it",
            hint="leave explain out, or send smaller numbers",
        )
    asked[:, -1] = told  # the whole row, to the last bit as it was answered
    return Contributions(made.names, asked[:, 0].copy(), asked @ weights)


def _told(answer: TableAnswer) -> NDArray[np.float64]:
    """float64 [N]: the probability of the class that is said, or the value."""
    if answer.probabilities is None:
        return np.asarray(answer.values, np.float64)
    return np.asarray(answer.probabilities.max(axis=1), np.float64)


def _ask(
    predictor: Predictor, numeric: NDArray[Any], categorical: NDArray[Any], labels: NDArray[np.int64] | None
) -> NDArray[np.float64]:
    """Answers for N rows in K coalitions each: encoded [N, K, F] and [N, K, G] in, float64 [N, K] out."""
    rows, coalitions = numeric.shape[:2]
    raw = predictor.table(
        numeric.reshape(rows * coalitions, -1).astype(np.float32),
        categorical.reshape(rows * coalitions, -1).astype(np.int64),
    )
    if raw.probabilities is None:
        return np.asarray(raw.values, np.float64).reshape(rows, coalitions)
    assert labels is not None
    bundle = predictor.bundle
    calibrated = calibrate(bundle.calibration, raw.probabilities, bundle.classes).reshape(rows, coalitions, -1)
    return np.asarray(calibrated[np.arange(rows), :, labels], np.float64)


@lru_cache(maxsize=8)
def _coalitions(columns: int) -> tuple[NDArray[np.bool_], NDArray[np.float64]]:
    """Which coalitions are asked, and how their answers make Shapley values.

    Returns:
        bool [K, M], in each coalition the columns that have joined, from none of them to all; and float64 [K, M], by
        which K answers are multiplied to give M values.
    """
    return _all_coalitions(columns) if columns <= EXACT else _drawn_coalitions(columns)


def _all_coalitions(columns: int) -> tuple[NDArray[np.bool_], NDArray[np.float64]]:
    joined = (np.arange(2**columns)[:, None] >> np.arange(columns) & 1).astype(bool)
    sizes = joined.sum(axis=1)
    orders = np.array([1 / (columns * math.comb(columns - 1, size)) for size in range(columns)] + [0.0])
    weights = np.where(joined, orders[sizes - 1, None], -orders[sizes, None])
    return joined, weights


def _drawn_coalitions(columns: int) -> tuple[NDArray[np.bool_], NDArray[np.float64]]:
    rng = np.random.default_rng((_SEED, columns))
    drawn = [rng.permutation(columns) for _ in range(max(1, _ASKED // (2 * columns)))]
    orders = [order for one in drawn for order in (one, one[::-1])]
    inner = columns - 1  # coalitions on the way of one order, besides none and all
    joined = np.zeros((len(orders) * inner + 2, columns), bool)
    joined[-1] = True
    weights = np.zeros(joined.shape)
    for number, order in enumerate(orders):
        way = [0, *range(1 + number * inner, 1 + (number + 1) * inner), len(joined) - 1]
        joined[way[1:-1]] = np.argsort(order) < np.arange(1, columns)[:, None]
        weights[way[1:], order] += 1 / len(orders)
        weights[way[:-1], order] -= 1 / len(orders)
    return joined, weights
