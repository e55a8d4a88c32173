"""What the photos of a listing say together: how often that is right, estimated without labels.

A listing shows an amenity when at least one of its photos does, and is said to show it when at least one is said to.
With the calibrated probabilities p_1 ... p_n that its photos show it,

    P(shown) = 1 - (1 - p_1) (1 - p_2) ... (1 - p_n)

and a listing that is said to show it is said so rightly with P(shown), one that is not with 1 - P(shown). The mean over
listings and amenities is the expected share of right verdicts. The formula takes for granted that, given the photos,
whether one shows the amenity says nothing of whether another does: the errors of the photos of a listing are
independent. Where they are not, as when all photos show one room in the same bad light, P(shown) is too high, and the
share of right confirmations is overestimated; the standing comparison with labels shows by how much.

It is the photo's own threshold that counts here. The bands and rooms of `POST /verify`, which call the doubtful ones
uncertain, are not in the records.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Shares:
    """Right verdicts of each listing, as shares of the amenities.

    Attributes:
        estimated: [L] NaN where no amenity has a probability.
        realised: [L] of the amenities whose truth is known; NaN where none is.
    """

    estimated: Floats
    realised: Floats


def right_shares(
    listings: NDArray[np.int64],
    probabilities: Mapping[str, Floats],
    said: Mapping[str, Floats],
    truth: Mapping[str, Floats],
) -> Shares:
    """How many verdicts of each listing are right.

    Args:
        listings: [N] number of each photo's listing, 0 to L - 1; -1 for a photo of none.
        probabilities: By amenity, [N] calibrated, that the photo shows it; NaN where there is none.
        said: By amenity, [N] 1 where the photo is said to show it.
        truth: By amenity, [N] 1 or 0; NaN where it is not known. Of a listing it is known when one photo shows the
            amenity, or all are known not to.

    Example:
        >>> two = np.array([0, 0, 1])
        >>> p, said = {"bed": np.array([0.5, 0.5, 0.1])}, {"bed": np.array([1.0, 0.0, 0.0])}
        >>> right_shares(two, p, said, {}).estimated.tolist()
        [0.75, 0.9]
    """
    inside = listings >= 0
    places = listings[inside]
    count = int(places.max()) + 1 if len(places) else 0
    estimated, realised = [], []
    for name, p in probabilities.items():
        p, answer = p[inside], said[name][inside]
        known = np.isfinite(p) & np.isfinite(answer)
        with np.errstate(divide="ignore"):
            logs = np.log1p(-np.clip(p[known], 0.0, 1.0))
        none = np.exp(np.bincount(places[known], logs, minlength=count))
        shown = np.bincount(places[known], answer[known] == 1, minlength=count) > 0
        photos = np.bincount(places, minlength=count)
        whole = np.bincount(places[known], minlength=count) == photos
        estimated.append(np.where(whole & (photos > 0), np.where(shown, 1 - none, none), np.nan))
        labels = truth.get(name)
        labels = np.full(len(p), np.nan) if labels is None else labels[inside]
        seen = np.bincount(places, labels == 1, minlength=count) > 0
        told = seen | (np.bincount(places, np.isnan(labels), minlength=count) == 0)
        realised.append(np.where(told & whole, (shown == seen).astype(float), np.nan))
    return Shares(_mean(estimated, count), _mean(realised, count))


def value_of(shares: Floats) -> float:
    """The mean over listings; NaN without any."""
    known = shares[np.isfinite(shares)]
    return float(known.mean()) if len(known) else math.nan


def _mean(columns: Sequence[Floats], count: int) -> Floats:
    """[L] over the amenities that have a value."""
    if not columns:
        return np.full(count, np.nan)
    table = np.array(columns)
    known = np.isfinite(table)
    total = known.sum(axis=0)
    sums = np.where(known, table, 0.0).sum(axis=0)
    return np.where(total > 0, sums / np.maximum(total, 1), np.nan)
