"""The draws of a bootstrap, as a weight for each row; rows of a group are drawn together."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pizzeria.measuring.judged import Floats, Values

LEAST_GROUPS = 20
"""An interval from fewer is no better than a guess."""
LEAST_DRAWS = 50
LOST = 0.1
"""Where more of the draws than this share cannot be computed, such as without one row of a rare class, nor can the
interval."""
_CELLS = 4_000_000


@dataclass(frozen=True)
class Draws:
    """Draws of groups, with replacement.

    Attributes:
        of_group: [N] the group of each row, from 0.
        groups: How many there are, and how many each draw takes.
        resamples: Draws that are wanted.
        seconds: After which no further draw is begun, once there are `LEAST_DRAWS`.
    """

    of_group: NDArray[np.int64]
    groups: int
    resamples: int
    seconds: float
    seed: int

    def weights(self, block: int) -> Iterator[Floats]:
        """Weights [at most `block`, N] until there are enough, or time is up."""
        chance, made, until = np.random.default_rng(self.seed), 0, time.monotonic() + self.seconds
        while made < self.resamples and (made < LEAST_DRAWS or time.monotonic() < until):
            count = min(block, self.resamples - made)
            drawn = chance.integers(0, self.groups, (count, self.groups)) + self.groups * np.arange(count)[:, None]
            of = np.bincount(drawn.ravel(), minlength=count * self.groups).reshape(count, self.groups)
            yield of[:, self.of_group].astype(np.float64)
            made += count

    def of(self, measures: Sequence[Values]) -> list[Floats]:
        """[B, C] of each, on the same draws."""
        block = max(1, min(100, _CELLS // max(len(self.of_group), self.groups)))
        found: list[list[Floats]] = [[] for _ in measures]
        for weights in self.weights(block):
            for out, measure in zip(found, measures, strict=True):
                out.append(measure(weights))
        return [np.concatenate(one) for one in found]
