"""Fits the bands of `pizzeria.inference.bands` on listings whose truth is known, and says how right verdicts are.

The unit is the listing: an amenity is truly there when a photo of the listing shows it, and the listing's probability
is the highest among its photos. Photos that belong to no listing are judged one by one.

- `high` is the lowest probability from which on the precision (share of listings that truly show the amenity), by the
  lower bound of Clopper and Pearson (1934, "The use of confidence or fiducial limits illustrated in the case of the
  binomial"), is at least the target.
- `low` is the highest probability below which the omission (share of listings that do show it), by the upper bound, is
  at most the target.

Where no probability does (22 listings without one error are needed for a precision of 0.9 at the confidence 0.9, and 45
for an omission of 0.05) the calibrated probability itself decides, and `band_notes` says so: `high` is the target
precision, and `low` the target omission shared out among the photos of a usual listing, because the probability that
any of them shows it is at most the sum over them. No band is narrower than `pizzeria.inference.bands.widest`. Each
bound holds for a probability that was fixed before; the search among many makes it a little too kind, so what a model
reaches on the test split (`realised`) is the figure to trust.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pizzeria.inference.bands import verdict_of, weighed, widest
from pizzeria.spec.verification import Verdicts

_STEP = 1e-4  # probabilities nearer to each other than this differ by chance

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]


def fit(
    wanted: Verdicts,
    classes: Sequence[str],
    thresholds: Mapping[str, float],
    probabilities: Floats,
    true: Bools,
    listings: Sequence[str],
) -> dict[str, Any]:
    """What a bundle's calibration says about verdicts, as plain data.

    Args:
        wanted: The targets.
        classes: C names.
        thresholds: By class.
        probabilities: [N, C] calibrated, one row for each photo.
        true: [N, C] whether the photo shows the class.
        listings: [N] the listing of each photo.

    Returns:
        `bands` {class: [low, high]}, `band_notes` {class: what could not be bounded}, `listing_photos` (the median) and
        `prevalence` {class: share of photos that show it, by Laplace's rule of succession}.
    """
    best, there, photos = by_listing(probabilities, true, listings)
    usual = float(np.median(photos)) if len(photos) else 1.0
    share = wanted.omission / usual
    bands, notes = {}, {}
    for i, name in enumerate(classes):
        spread = np.array([weighed(p, n, usual) for p, n in zip(best[:, i].tolist(), photos.tolist(), strict=True)])
        high = lowest_sure(spread, there[:, i], wanted.precision, wanted.confidence)
        low = highest_safe(best[:, i], there[:, i], wanted.omission, wanted.confidence)
        said = [f"from {wanted.precision:g}: confirmed"] if high is None else []
        said += [f"below {share:.3g}: not shown"] if low is None else []
        if said:
            counts = f"{int(there[:, i].sum())} listings with it and {int((~there[:, i]).sum())} without"
            notes[name] = f"{counts} do not bound the errors; the probability itself decides ({', '.join(said)})"
        most_low, least_high = widest(thresholds[name])
        bands[name] = [
            min(share if low is None else low, most_low),
            max(wanted.precision if high is None else high, least_high),
        ]
    prevalence = (true.sum(axis=0) + 1) / (len(true) + 2)
    return {
        "bands": bands,
        "band_notes": notes,
        "listing_photos": usual,
        "prevalence": dict(zip(classes, prevalence.tolist(), strict=True)),
    }


def realised(
    calibration: Mapping[str, Any],
    classes: Sequence[str],
    probabilities: Floats,
    true: Bools,
    listings: Sequence[str],
) -> dict[str, Any]:
    """How right the verdicts are on each listing and class of another split; arguments as in `fit`.

    Returns:
        `listings` (count) and, over all classes and in `per_class`, `confirmed`, `uncertain` and `not_shown` (counts),
        `precision` and `omission` (NaN where there is no such verdict).
    """
    best, there, photos = by_listing(probabilities, true, listings)
    verdicts = np.array(
        [
            [verdict_of(name, float(row[i]), int(count), calibration) for i, name in enumerate(classes)]
            for row, count in zip(best, photos, strict=True)
        ]
    ).reshape(len(best), len(classes))
    each = {name: _counts(verdicts[:, i], there[:, i]) for i, name in enumerate(classes)}
    return {"listings": len(best)} | _counts(verdicts, there) | {"per_class": each}


def by_listing(probabilities: Floats, true: Bools, listings: Sequence[str]) -> tuple[Floats, Bools, NDArray[np.int64]]:
    """The highest probability [L, C], whether any photo shows the class [L, C], and the count of photos [L]."""
    names, of = np.unique(np.array(listings, dtype=np.str_), return_inverse=True)
    best = np.zeros((len(names), probabilities.shape[1]))
    there = np.zeros(best.shape, bool)
    np.maximum.at(best, of, probabilities)
    np.logical_or.at(there, of, true)
    return best, there, np.bincount(of, minlength=len(names))


def lowest_sure(probabilities: Floats, true: Bools, precision: float, confidence: float) -> float | None:
    """The lowest probability from which on the precision's lower bound reaches the target; None where none does.

    Example:
        >>> right = np.linspace(0.5, 0.99, 50)
        >>> wrong = np.linspace(0.01, 0.3, 50)
        >>> found = lowest_sure(np.r_[right, wrong], np.r_[[True] * 50, [False] * 50], 0.9, 0.9)
        >>> bool(0.2 < found < 0.3), lowest_sure(right[:9], np.ones(9, bool), 0.9, 0.9)
        (True, None)
    """
    steps, index = _steps(probabilities)
    count = np.bincount(index, minlength=len(steps))[::-1].cumsum()[::-1]
    right = np.bincount(index, weights=true, minlength=len(steps))[::-1].cumsum()[::-1]
    sure = steps[_lower_bound(right, count, confidence) >= precision]
    return float(sure[0]) if len(sure) else None


def highest_safe(probabilities: Floats, true: Bools, omission: float, confidence: float) -> float | None:
    """The highest probability below which the omission's upper bound keeps to the target; None where none does."""
    steps, index = _steps(probabilities)
    count = np.bincount(index, minlength=len(steps)).cumsum()
    missed = np.bincount(index, weights=true, minlength=len(steps)).cumsum()
    # What holds up to and with steps[i] holds below steps[i + 1]; above the highest nothing was seen.
    safe = np.flatnonzero(1 - _lower_bound(count - missed, count, confidence) <= omission)
    if not len(safe):
        return None
    return float(steps[min(int(safe[-1]) + 1, len(steps) - 1)])


def _lower_bound(hits: NDArray[Any], count: NDArray[Any], confidence: float) -> Floats:
    """Clopper and Pearson's one-sided lower bound of a share; 0 without a hit."""
    from scipy.stats import beta

    bound = beta.ppf(1 - confidence, np.maximum(hits, 1), count - hits + 1)
    lower: Floats = np.where(hits > 0, bound, 0.0)
    return lower


def _steps(probabilities: Floats) -> tuple[Floats, NDArray[np.int64]]:
    """Distinct probabilities, rounded down so that each is reached by those that it stands for; and where each lies."""
    values, index = np.unique(np.floor((probabilities / _STEP).round(6)), return_inverse=True)
    return (values * _STEP).round(4), index


def _counts(verdicts: NDArray[np.str_], there: Bools) -> dict[str, float]:
    confirmed, absent = verdicts == "confirmed", verdicts == "not shown"
    return {
        "confirmed": int(confirmed.sum()),
        "uncertain": int((verdicts == "uncertain").sum()),
        "not_shown": int(absent.sum()),
        "precision": float(there[confirmed].mean()) if confirmed.any() else float("nan"),
        "omission": float(there[absent].mean()) if absent.any() else float("nan"),
    }
