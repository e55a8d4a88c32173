"""From the probability that a listing's photos show an amenity to a verdict: confirmed, uncertain or not shown.

An evaluator fits for each class a band [low, high] on the listings of the validation split, such that verdicts outside
it are right often enough (`evaluation.verdicts`); inside it nobody knows. The bundle's calibration carries:

| key | meaning |
|---|---|
| `thresholds` | {class: probability from which a photo is said to show it} |
| `bands` | {class: [low, high]}; a bundle without it gets [threshold / 2, max(threshold, 0.5)] |
| `listing_photos` | photos of a usual listing of the validation split, at least 1 |

A listing's probability is the highest among its photos, so each further photo is one more chance of a false alarm. The
bands already hold for listings of the usual size, because they are fitted on the highest of their photos. For a larger
listing the odds of the best photo are divided by (its photos / `listing_photos`) before they are compared with `high`:
if an amenity is to be seen in one photo of n, the prior odds that it is this one fall as 1 / n, and the evidence must
grow as much (Scott and Berger 2010, "Bayes and empirical-Bayes multiplicity adjustment in the variable-selection
problem"). `not shown` needs every photo below `low`, which more photos only make harder.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

VERDICTS = ("confirmed", "uncertain", "not shown")
MORE_LIKELY_THAN_NOT = 0.5


def verdict_of(name: str, probability: float, photos: int, calibration: Mapping[str, Any]) -> str:
    """One of `VERDICTS`.

    Args:
        name: The class.
        probability: The highest calibrated probability among the listing's photos, in [0, 1].
        photos: Photos of the listing, at least 1.
        calibration: Of the bundle; see above.

    Example:
        >>> fitted = {"thresholds": {"bed": 0.4}, "bands": {"bed": [0.1, 0.7]}, "listing_photos": 5}
        >>> [verdict_of("bed", p, 5, fitted) for p in (0.05, 0.4, 0.8)]
        ['not shown', 'uncertain', 'confirmed']
        >>> verdict_of("bed", 0.8, 40, fitted)
        'uncertain'
    """
    low, high = band_of(name, calibration)
    if weighed(probability, photos, calibration.get("listing_photos")) >= high:
        return "confirmed"
    return "not shown" if probability < low else "uncertain"  # NaN says nothing, and least of all that it is absent


def band_of(name: str, calibration: Mapping[str, Any]) -> tuple[float, float]:
    """The class's [low, high]; without one, the rule that every band keeps within.

    Example:
        >>> band_of("bed", {"thresholds": {"bed": 0.3}})
        (0.15, 0.5)
    """
    band = calibration.get("bands", {}).get(name)
    return widest(calibration["thresholds"][name]) if band is None else (float(band[0]), float(band[1]))


def widest(threshold: float) -> tuple[float, float]:
    """The highest `low` and lowest `high` that a band may have: nothing is confirmed that is less likely than not."""
    return threshold / 2, max(threshold, MORE_LIKELY_THAN_NOT)


def weighed(probability: float, photos: int, usual: float | None) -> float:
    """A probability whose odds are divided by photos / usual, where that is more than 1.

    Example:
        >>> round(weighed(0.9, 9, 3), 2), weighed(0.9, 2, 3), weighed(0.9, 9, None)
        (0.75, 0.9, 0.9)
    """
    if usual is None or photos <= usual:
        return probability
    return probability / (probability + (1 - probability) * photos / usual)


def band_faults(calibration: Mapping[str, Any], classes: list[str]) -> list[str]:
    """What is wrong with the bands of a calibration, if it has any."""
    faults = []
    bands, usual = calibration.get("bands"), calibration.get("listing_photos", 1)
    if bands is not None:
        for name in classes:
            band = bands.get(name) if isinstance(bands, Mapping) else None
            if not _is_band(band):
                faults.append(f"calibration.bands.{name} is {band!r}, not [low, high]")
    if isinstance(usual, bool) or not isinstance(usual, int | float) or not usual >= 1:
        faults.append(f"calibration.listing_photos is {usual!r}, not 1 or more")
    return faults


def _is_band(value: Any) -> bool:
    if not isinstance(value, list) or len(value) != 2 or not all(type(end) in (int, float) for end in value):
        return False
    return bool(0 <= value[0] <= value[1] <= 1)
