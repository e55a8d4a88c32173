"""How far healthy chunks stray from the reference by chance alone.

A distance between two samples of one and the same traffic is not 0: with 60 photos a Jensen-Shannon distance of 0.25
is common. So the same NannyML calculators are run on many pairs drawn from the reference itself, a pretended reference
and a pretended chunk of the same sizes as the real ones, and a column counts as drifted only beyond what such pairs
show. Photos of one listing look alike and are drawn together.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import pandas as pd

DEVIATIONS = 3.0
"""NannyML's own rule: alert beyond three standard deviations from the mean."""
LARGEST_SAMPLE = 1000
"""Most rows of a pretended sample: with more, chance plays no part next to any sensible threshold, and takes long."""
STEP = 1.5
"""Chunk sizes are rounded down to a power of this, so that chunks by period share their pretended pairs."""

Groups = list[NDArray[np.int64]]


def groups(reference: pd.DataFrame) -> Groups:
    """Row numbers that belong together: the photos of a listing, or each row for itself.

    Example:
        >>> import pandas as pd
        >>> [rows.tolist() for rows in groups(pd.DataFrame({"listing_id": ["L1", "", "L1", None]}))]
        [[0, 2], [1], [3]]
    """
    if "listing_id" not in reference:
        return [np.array([row]) for row in range(len(reference))]
    listings = reference["listing_id"].fillna("").astype(str)
    named = listings[listings != ""].reset_index(drop=True)
    places = np.flatnonzero((listings != "").to_numpy())
    together = [places[rows] for rows in named.groupby(named, sort=True).indices.values()]
    alone = np.flatnonzero((listings == "").to_numpy())
    return [*together, *(np.array([row]) for row in alone)]


def sample_size(rows: int) -> int:
    """The chunk size that stands for `rows`: never more, so that the noise is never underestimated.

    Example:
        >>> [sample_size(rows) for rows in (30, 60, 500, 100_000)]
        [25, 57, 437, 1000]
    """
    return min(step(rows), LARGEST_SAMPLE)


def step(rows: int) -> int:
    """The size down to which `rows` are rounded, so that chunks of about one size share what was worked out."""
    return int(STEP ** math.floor(math.log(max(rows, 2), STEP)))


def draw(among: Groups, size: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """`size` row numbers, whole groups at a time, with replacement."""
    return np.concatenate([among[i] for i in rng.integers(len(among), size=size)])[:size]
