"""NannyML's distances between a column of a chunk and of the reference, and what they mean side by side."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import InitVar, dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]
QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
MOST = 6
"""Categories of the reference that figures show, the most frequent first."""


@dataclass
class Distance:
    """Distance of a column from the reference by one of NannyML's methods.

    Args:
        method: `jensen_shannon`, `hellinger`, `wasserstein`, `kolmogorov_smirnov`; of categories `jensen_shannon`,
            `hellinger`, `l_infinity`, `chi2`.
        reference: [M] numbers, or numbers of categories; NaN where missing.
        known: Categories in order of their numbers; None for numbers.
    """

    method: str
    reference: InitVar[Values]
    known: Sequence[str] | None = None
    rows: int = field(init=False)
    """Of the reference, with a value."""
    deviation: float = field(init=False)
    """Standard deviation of the reference."""
    often: list[int] = field(init=False)
    """Numbers of the categories that figures show."""
    usual: list[float] = field(init=False)
    """What figures show of the reference."""
    _fitted: Any = field(init=False, repr=False)

    def __post_init__(self, reference: Values) -> None:
        import pandas as pd
        from nannyml.drift.univariate import FeatureType, MethodFactory

        values = reference[~np.isnan(reference)]
        kind = FeatureType.CONTINUOUS if self.known is None else FeatureType.CATEGORICAL
        self.rows = len(values)
        self.deviation = float(values.std()) if len(values) else math.nan
        self.often = []
        if self.known is not None:
            counts = np.bincount(values.astype(np.int64), minlength=len(self.known))
            self.often = [int(i) for i in np.argsort(-counts, kind="stable")[:MOST]]
        # Its thresholds are not asked for, and neither is how to cut.
        self._fitted = MethodFactory.create(self.method, kind, chunker=None, threshold=None)
        self._fitted._fit(pd.Series(values))
        if self.method == "kolmogorov_smirnov" and self._fitted._ref_rel_freqs is None:
            self._sorted = np.sort(values)
        self.usual = self.shown(values)

    def of(self, values: Values) -> float:
        """The distance of a chunk; NaN when it has no value.

        Args:
            values: [N] as the reference's.
        """
        import pandas as pd

        values = values[~np.isnan(values)]
        if not len(values):
            return math.nan
        if self.method == "kolmogorov_smirnov" and self._fitted._ref_rel_freqs is None:
            return _kolmogorov_smirnov(self._sorted, values)
        found = float(self._fitted._calculate(pd.Series(values)))
        # Rounding may put the square of a distance below 0, and its root is then NaN: the two are the same.
        return 0.0 if math.isnan(found) else found

    def shown(self, values: Values) -> list[float]:
        """What figures show of a chunk: quantiles of numbers, or shares of the most frequent categories."""
        values = values[~np.isnan(values)]
        if self.known is None:
            return [float(f"{q:.6g}") for q in np.quantile(values, QUANTILES)]
        return [round(float((values == code).mean()), 6) for code in self.often]


def floor(distance: Distance, above: float | None, rows: int) -> float:
    """What `drift.above` allows, in the unit of the method.

    Distances from 0 to 1 are as they are. Wasserstein's is in the unit of the column: `above` counts standard
    deviations of the reference. The statistic of chi-squared grows with the rows: `above` is Cohen's effect size w
    ("Statistical Power Analysis for the Behavioral Sciences", 1988, chapter 7), and with n rows of the chunk and m of
    the reference chi2 = w^2 n m / (n + m).

    Example:
        >>> from pizzeria_plugins.monitors import library
        >>> with library.quiet():
        ...     nml = library.load()
        ...     distance = Distance("wasserstein", np.array([0.0, 4.0]))
        >>> floor(distance, 0.25, rows=10)
        0.5
    """
    if above is None:
        return 0.0
    if distance.method == "wasserstein":
        return above * distance.deviation
    if distance.method == "chi2":
        return above**2 * rows * distance.rows / (rows + distance.rows)
    return above


def _kolmogorov_smirnov(ordered: Values, values: Values) -> float:
    """The same as scipy's `ks_2samp`, without the p-value, which takes most of its time and which nobody asks for."""
    both = np.concatenate([ordered, values])
    left = np.searchsorted(ordered, both, side="right") / len(ordered)
    right = np.searchsorted(np.sort(values), both, side="right") / len(values)
    return float(np.abs(left - right).max())
