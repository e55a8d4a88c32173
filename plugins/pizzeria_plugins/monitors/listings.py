"""What the photos of a listing say together: how often that is right, estimated without labels.

A listing shows an amenity when at least one of its photos does, and is said to show it when at least one is said to.
With the calibrated probabilities p_1 ... p_n that its photos show it,

    P(shown) = 1 - (1 - p_1) (1 - p_2) ... (1 - p_n)

and a listing that is said to show it is said so rightly with P(shown), one that is not with 1 - P(shown). The mean over
listings and amenities is the expected share of right verdicts. The formula takes for granted that, given the photos,
whether one shows the amenity says nothing of whether another does: the errors of the photos of a listing are
independent. Where they are not, as when all photos show one room in the same bad light, P(shown) is too high, and the
share of right confirmations is overestimated; the standing comparison with labels shows by how much.

What is said of a listing is what `POST /verify` says of its photos alone, by the bands of the bundle
(`pizzeria.inference.bands`): confirmed, not shown, or uncertain, which is no verdict and does not count. Without bands
it is said to show what one of its photos is said to show. The rooms that photos show are not in the records, and move
no probability here.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Places = NDArray[np.int64]


@dataclass(frozen=True)
class Shares:
    """Right verdicts of each listing, as shares of the amenities.

    Attributes:
        estimated: [L] NaN where no amenity has a probability.
        realised: [L] of the amenities whose truth is known; NaN where none is.
    """

    estimated: Floats
    realised: Floats


def by_photos(listings: Places, said: Floats) -> Floats:
    """[L] what is said of each listing: 1 when one of its photos is said to show the amenity, else 0.

    Args:
        listings: [N] number of each photo's listing, 0 to L - 1; -1 for a photo of none.
        said: [N] 1 where the photo is said to show it.
    """
    inside = listings >= 0
    return (np.bincount(listings[inside], said[inside] == 1, minlength=_count(listings)) > 0).astype(float)


def by_bands(listings: Places, probabilities: Floats, band: tuple[float, float], usual: float | None) -> Floats:
    """[L] what is said of each listing: 1 confirmed, 0 not shown, NaN uncertain; as `bands.verdict_of`.

    Args:
        listings: As above.
        probabilities: [N] of the photos, as the bundle calibrates them.
        band: Of the amenity.
        usual: Photos of a usual listing; None where it is not known.

    Example:
        >>> p = np.array([0.05, 0.02, 0.95, 0.4])
        >>> by_bands(np.array([0, 0, 1, 2]), p, (0.1, 0.7), 5).tolist()
        [0.0, 1.0, nan]
    """
    inside = (listings >= 0) & np.isfinite(probabilities)
    best = np.zeros(_count(listings))
    np.maximum.at(best, listings[inside], probabilities[inside])
    photos = np.bincount(listings[listings >= 0], minlength=len(best))
    more = np.ones(len(best)) if usual is None else np.maximum(photos / usual, 1.0)
    weighed = np.where(more > 1, best / (best + (1 - best) * more), best)
    return np.where(weighed >= band[1], 1.0, np.where(best >= band[0], np.nan, 0.0))


def right_shares(
    listings: Places, probabilities: Mapping[str, Floats], said: Mapping[str, Floats], truth: Mapping[str, Floats]
) -> Shares:
    """How many verdicts of each listing are right.

    Args:
        listings: As above.
        probabilities: By amenity, [N] calibrated, that the photo shows it; NaN where there is none.
        said: By amenity, [L] what is said of each listing: 1 or 0, or NaN for no verdict.
        truth: By amenity, [N] 1 or 0; NaN where it is not known. Of a listing it is known when one photo shows the
            amenity, or all are known not to.

    Example:
        >>> two = np.array([0, 0, 1])
        >>> p, said = {"bed": np.array([0.5, 0.5, 0.1])}, {"bed": np.array([1.0, 0.0])}
        >>> right_shares(two, p, said, {}).estimated.tolist()
        [0.75, 0.9]
    """
    inside, count = listings >= 0, _count(listings)
    places = listings[inside]
    photos = np.bincount(places, minlength=count)
    estimated, realised = [], []
    for name, all_probabilities in probabilities.items():
        p, verdict = all_probabilities[inside], said[name]
        known = np.isfinite(p)
        with np.errstate(divide="ignore"):
            logs = np.log1p(-np.clip(p[known], 0.0, 1.0))
        none = np.exp(np.bincount(places[known], logs, minlength=count))
        whole = (np.bincount(places[known], minlength=count) == photos) & (photos > 0) & np.isfinite(verdict)
        estimated.append(np.where(whole, np.where(verdict == 1, 1 - none, none), np.nan))
        labels = truth.get(name)
        labels = np.full(len(p), np.nan) if labels is None else labels[inside]
        seen = np.bincount(places, labels == 1, minlength=count) > 0
        told = seen | (np.bincount(places, np.isnan(labels), minlength=count) == 0)
        realised.append(np.where(told & whole, ((verdict == 1) == seen).astype(float), np.nan))
    return Shares(_mean(estimated, count), _mean(realised, count))


def value_of(shares: Floats) -> float:
    """The mean over listings; NaN without any."""
    known = shares[np.isfinite(shares)]
    return float(known.mean()) if len(known) else math.nan


def _count(listings: Places) -> int:
    """L."""
    return int(listings.max(initial=-1)) + 1


def _mean(columns: Sequence[Floats], count: int) -> Floats:
    """[L] over the amenities that have a value."""
    if not columns:
        return np.full(count, np.nan)
    table = np.array(columns)
    known = np.isfinite(table)
    total = known.sum(axis=0)
    sums = np.where(known, table, 0.0).sum(axis=0)
    return np.where(total > 0, sums / np.maximum(total, 1), np.nan)
