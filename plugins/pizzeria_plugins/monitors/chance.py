"""How far healthy chunks stray from the reference by chance alone, by the distances of drift.

See `noise`: many pairs are drawn from the reference itself, a pretended reference and a pretended chunk of the sizes of
the real ones. Where the reference is long enough it is also cut into chunks of that size, which shows what time does to
healthy data. It depends on the size of the chunk alone, so it is worked out once for each.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from pizzeria_plugins.monitors import noise
from pizzeria_plugins.monitors.chunks import LEAST_REFERENCE_CHUNKS
from pizzeria_plugins.monitors.distances import Distance
from pizzeria_plugins.monitors.schema import Read

DEVIATIONS = noise.DEVIATIONS
Spread = tuple[float, float]
"""Mean and standard deviation."""


@dataclass
class Healthy:
    """What healthy chunks show, by their size.

    Attributes:
        distances: By column, fitted on the reference.
        reference: [M] rows.
        groups: Rows that belong together.
        resamples: Pairs.
        seed: Of the draws.
        size: Rows of a full chunk, where chunks are cut by size.
    """

    distances: Mapping[str, Distance]
    reference: Read
    groups: list[NDArray[np.int64]]
    resamples: int
    seed: int
    size: int | None
    _found: dict[int, dict[str, list[Spread]]] = field(default_factory=dict, repr=False)

    def of(self, rows: int) -> dict[str, list[Spread]]:
        """By column, what pairs of the size show and, where there are chunks enough, the reference's own."""
        size = rows if rows == self.size else noise.step(rows)
        if size not in self._found:
            pairs = self._pairs(noise.sample_size(rows))
            own = self._own(size)
            self._found[size] = {
                name: [spread for values in (pairs[name], own.get(name)) if values is not None
                       and (spread := _spread(values)) is not None]
                for name in self.distances
            }  # fmt: skip
        return self._found[size]

    def keep(self, size: int, found: Mapping[str, Sequence[Sequence[float]]]) -> None:
        """Take what was worked out before for chunks of that size."""
        self._found[size] = {name: [(one[0], one[1]) for one in spreads] for name, spreads in found.items()}

    def _pairs(self, rows: int) -> dict[str, NDArray[np.float64]]:
        rng = np.random.default_rng(self.seed)
        size = min(self.reference.rows, noise.LARGEST_SAMPLE)
        found = {name: np.full(self.resamples, np.nan) for name in self.distances}
        for i in range(self.resamples):
            left, right = noise.draw(self.groups, size, rng), noise.draw(self.groups, rows, rng)
            for name, distance in self.distances.items():
                values = self.reference.values[name]
                before, after = values[left], values[right]
                if np.isnan(before).all() or np.isnan(after).all():
                    continue
                found[name][i] = Distance(distance.method, before, distance.known).of(after)
        return found

    def _own(self, size: int) -> dict[str, NDArray[np.float64]]:
        count = self.reference.rows // size
        if count < LEAST_REFERENCE_CHUNKS:
            return {}
        edges = [i * size for i in range(count)] + [self.reference.rows]
        return {
            name: np.array([distance.of(self.reference.values[name][first:stop]) for first, stop in pairwise(edges)])
            for name, distance in self.distances.items()
        }


def limit(healthy: Sequence[Sequence[float]], deviations: float) -> float:
    """The largest of mean + deviations x standard deviation; 0 when nothing is known.

    Example:
        >>> limit([(0.1, 0.02), (0.05, 0.01)], 3)
        0.16
    """
    return max((mean + deviations * deviation for mean, deviation in healthy), default=0.0)


def _spread(values: NDArray[np.float64]) -> Spread | None:
    """None when no pair had values on both sides."""
    known = values[~np.isnan(values)]
    if not len(known) or not math.isfinite(known.mean()):
        return None
    # Six digits: it stands beside every reading of the size.
    return float(f"{known.mean():.6g}"), float(f"{known.std():.6g}")
