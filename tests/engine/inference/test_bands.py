"""The band of a class: what is confirmed, what is not shown, and that nothing else is ever said of it."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pizzeria.inference.bands import VERDICTS, band_faults, band_of, verdict_of, weighed, widest

shares = st.floats(0, 1)
sizes = st.integers(1, 200)
bands = st.tuples(shares, shares).map(sorted)
quick = settings(max_examples=60)


def fitted(low: float, high: float, usual: float | None = 5) -> dict[str, Any]:
    found: dict[str, Any] = {"thresholds": {"bed": 0.4}, "bands": {"bed": [low, high]}}
    return found if usual is None else found | {"listing_photos": usual}


@quick
@given(probability=shares, band=bands, photos=sizes)
def test_at_or_above_high_is_confirmed_below_low_is_not_shown_and_the_rest_uncertain(
    probability: float, band: list[float], photos: int
) -> None:
    low, high = band
    said = verdict_of("bed", probability, photos, fitted(low, high, usual=None))
    assert said == ("confirmed" if probability >= high else "not shown" if probability < low else "uncertain")
    assert said in VERDICTS


@pytest.mark.parametrize(
    ("probability", "verdict"), [(0.0999, "not shown"), (0.1, "uncertain"), (0.6999, "uncertain"), (0.7, "confirmed")]
)
def test_the_ends_of_a_band_belong_to_it_below_and_to_confirmed_above(probability: float, verdict: str) -> None:
    assert verdict_of("bed", probability, 5, fitted(0.1, 0.7)) == verdict


def test_what_is_no_number_says_nothing() -> None:
    for photos in (1, 50):
        assert verdict_of("bed", math.nan, photos, fitted(0.1, 0.7)) == "uncertain"


@quick
@given(probability=shares, band=bands, photos=sizes, more=sizes)
def test_more_photos_never_confirm_what_fewer_did_not(
    probability: float, band: list[float], photos: int, more: int
) -> None:
    calibration = fitted(*band)
    few, many = (verdict_of("bed", probability, count, calibration) for count in (photos, photos + more))
    assert few == many or (few, many) in {("confirmed", "uncertain"), ("confirmed", "not shown")}
    if few == "not shown":
        assert many == "not shown"


@quick
@given(probability=st.floats(0.001, 0.999), photos=sizes, usual=st.floats(1, 50))
def test_beyond_the_usual_size_the_odds_fall_as_the_photos_grow(probability: float, photos: int, usual: float) -> None:
    found = weighed(probability, photos, usual)
    odds = probability / (1 - probability) / max(1, photos / usual)
    assert found / (1 - found) == pytest.approx(odds, rel=1e-6)
    if photos <= usual:
        assert found == probability


def test_a_bundle_that_does_not_say_what_is_usual_weighs_nothing() -> None:
    assert weighed(0.9, 1000, None) == 0.9
    assert verdict_of("bed", 0.9, 1000, fitted(0.1, 0.8, usual=None)) == "confirmed"
    assert verdict_of("bed", 0.9, 1000, fitted(0.1, 0.8, usual=5)) == "uncertain"
    assert (weighed(1.0, 9, 3), weighed(0.0, 9, 3)) == (1.0, 0.0)


@quick
@given(threshold=shares)
def test_without_a_band_nothing_less_likely_than_not_is_confirmed(threshold: float) -> None:
    low, high = band_of("bed", {"thresholds": {"bed": threshold}})
    assert (low, high) == widest(threshold) == (threshold / 2, max(threshold, 0.5))
    assert low <= threshold <= high


def test_each_class_has_its_own_band_or_none() -> None:
    calibration = {"thresholds": {"bed": 0.8, "tv": 0.6}, "bands": {"bed": [0, 1]}}
    assert band_of("bed", calibration) == (0.0, 1.0)
    assert all(isinstance(end, float) for end in band_of("bed", calibration))
    assert band_of("tv", calibration) == (0.3, 0.6)


@pytest.mark.parametrize(
    ("changes", "faults"),
    [
        ({}, []),
        ({"bands": None}, []),
        ({"bands": {"bed": [0, 1], "tv": [0.5, 0.5]}}, []),
        ({"bands": {"bed": [0.1, 0.7]}}, ["calibration.bands.tv is None, not [low, high]"]),
        ({"bands": [0.1, 0.7]}, [f"calibration.bands.{name} is None, not [low, high]" for name in ("bed", "tv")]),
        *(
            ({"bands": {"bed": band, "tv": [0, 1]}}, [f"calibration.bands.bed is {band!r}, not [low, high]"])
            for band in (
                *([0.7, 0.1], [-0.1, 0.5], [0.5, 1.1], [0.5], [0.1, 0.2, 0.3], (0.1, 0.2), ["0.1", 0.2], [False, True]),
                *("0.1", None, [math.nan, 0.5], [0.5, math.nan], [0.1, None]),
            )
        ),
        ({"listing_photos": 1}, []),
        ({"listing_photos": 2.5}, []),
        *(
            ({"listing_photos": usual}, [f"calibration.listing_photos is {usual!r}, not 1 or more"])
            for usual in (0.99, 0, -3, True, "5", None, math.nan)
        ),
    ],
)
def test_what_is_no_band_is_told_by_its_class(changes: dict[str, Any], faults: list[str]) -> None:
    good: dict[str, Any] = {"thresholds": {"bed": 0.4, "tv": 0.4}, "listing_photos": 5}
    assert band_faults(good | changes, ["bed", "tv"]) == faults
    assert band_faults({"thresholds": {}}, []) == []
