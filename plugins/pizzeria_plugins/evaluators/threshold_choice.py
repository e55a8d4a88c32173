"""Chooses the probability from which a class is said to be there, by what the spec wishes (`evaluation.thresholds`).

- `max_f1`: the highest F1.
- precision at least p: of the thresholds that keep it, the one with the highest recall.
- recall at least r: of the thresholds that keep it, the one with the highest precision.

Where no threshold keeps the wish, the one that comes nearest is taken: the highest precision (or recall) that there is.
All of it holds for the examples that it is chosen on; what the test split says is the figure to trust.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pizzeria.spec.thresholds import Wish

_ROUNDING = 1e-12

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]


@dataclass(frozen=True)
class Choice:
    """A threshold, and what it does on the examples that it was chosen on.

    Attributes:
        threshold: In (0, 1).
        precision, recall: In [0, 1]; NaN where nothing is said to be there.
        kept: Whether the wish is met.
    """

    threshold: float
    precision: float
    recall: float
    kept: bool

    def plain(self, wish: Wish) -> dict[str, Any]:
        """As data for the calibration and the report."""
        reached = {"precision": _known(self.precision), "recall": _known(self.recall)}
        return {"wish": wish.text, "kept": self.kept} | reached


def choose(probabilities: Floats, true: Bools, wish: Wish, floor: float = 0.0) -> Choice:
    """The threshold that the wish asks for, in the middle of the widest run of thresholds that do equally well.

    Args:
        probabilities: [N] calibrated.
        true: [N] whether the class is present; at least once.
        wish: What to keep, and what to make the best of.
        floor: Probabilities up to this one are never said to be present.

    Example:
        >>> p, true = np.array([0.1, 0.3, 0.6, 0.8, 0.9]), np.array([False, True, False, True, True])
        >>> [round(choose(p, true, Wish(**wish)).threshold, 2) for wish in ({}, {"precision": 0.9}, {"recall": 0.6})]
        [0.2, 0.7, 0.7]
    """
    # Interpolated plateaus differ by rounding errors, and a threshold between two such values would be chance.
    values, index = np.unique(probabilities.round(4), return_inverse=True)
    floor = round(floor, 4)
    hits = np.bincount(index, weights=true, minlength=len(values))[::-1].cumsum()[::-1]
    said = np.bincount(index, minlength=len(values))[::-1].cumsum()[::-1]
    precision, recall = hits / said, hits / true.sum()
    # A threshold between values[i - 1] and values[i] says "present" of values[i] and above, with precision[i].
    lower = np.concatenate([[0.0], values[:-1]])
    able = values > floor
    if not able.any():
        return Choice((floor + 1) / 2, float("nan"), 0.0, kept=wish.precision is None and wish.recall is None)
    best, kept = _best(precision, recall, 2 * hits / (said + true.sum()), able, wish)
    edges = np.flatnonzero(np.diff(np.concatenate([[False], best, [False]]).astype(int)))
    runs = [(max(lower[a], floor), values[b - 1], a) for a, b in edges.reshape(-1, 2)]
    low, high, at = max(runs, key=lambda run: run[1] - run[0])
    return Choice(float(low + high) / 2, float(precision[at]), float(recall[at]), kept)


def _best(precision: Floats, recall: Floats, f1: Floats, able: Bools, wish: Wish) -> tuple[Bools, bool]:
    """Which thresholds do best, and whether they keep the wish."""
    if wish.precision is not None:
        asked, least, other = precision, wish.precision, recall
    elif wish.recall is not None:
        asked, least, other = recall, wish.recall, precision
    else:
        return _highest(f1, able), True
    keeping = able & (asked >= least - _ROUNDING)
    if keeping.any():
        return _highest(asked, _highest(other, keeping)), True
    return _highest(other, _highest(asked, able)), False


def _highest(figure: Floats, among: Bools) -> Bools:
    best: Bools = among & (figure >= figure[among].max() - _ROUNDING)
    return best


def _known(value: float) -> float | None:
    return None if np.isnan(value) else round(value, 6)
