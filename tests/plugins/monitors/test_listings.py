"""Right verdicts of listings: the formula against drawing the truth many times, and the metric in a pass."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

from pizzeria.contracts import Verdict
from pizzeria.inference.bands import band_of, verdict_of
from pizzeria.spec.monitoring import Chunk, DriftThreshold, Monitoring, PerformanceThreshold
from pizzeria.spec.problem import Problem
from pizzeria_plugins.monitors.listings import by_bands, by_photos, right_shares, value_of

from .passing import found, judge, kinds

Traffic = Callable[..., pd.DataFrame]


def test_the_estimate_is_the_mean_over_truths_drawn_from_the_probabilities() -> None:
    rng = np.random.default_rng(0)
    listings = np.repeat(np.arange(40), rng.integers(1, 9, 40))
    p = {name: rng.beta(0.5, 1.5, len(listings)) for name in ("bed", "tv")}
    said = {
        "bed": by_photos(listings, (p["bed"] > 0.4).astype(float)),
        "tv": by_bands(listings, p["tv"], (0.3, 0.7), 4),
    }
    estimated = right_shares(listings, p, said, {}).estimated
    drawn = np.zeros((4000, 40))
    for row in drawn:
        truth = {name: (rng.random(len(listings)) < values).astype(float) for name, values in p.items()}
        row += right_shares(listings, p, said, truth).realised
    # Three standard errors of 4000 draws of a share.
    assert np.abs(drawn.mean(axis=0) - estimated).max() < 3 * 0.5 / np.sqrt(4000)


def test_bands_give_the_verdicts_of_the_service() -> None:
    rng = np.random.default_rng(1)
    listings = np.repeat(np.arange(60), rng.integers(1, 30, 60))
    p = rng.beta(0.3, 4, len(listings))
    fitted = {"thresholds": {"bed": 0.4}, "bands": {"bed": [0.2, 0.6]}, "listing_photos": 6}
    told = {1.0: "confirmed", 0.0: "not shown"}
    ours = by_bands(listings, p, band_of("bed", fitted), 6)
    theirs = [verdict_of("bed", p[listings == i].max(), int((listings == i).sum()), fitted) for i in range(60)]
    assert [told.get(one, "uncertain") for one in ours] == theirs
    assert set(theirs) == {"confirmed", "uncertain", "not shown"}


def test_what_is_not_known_does_not_count() -> None:
    listings = np.array([0, 0, 1, 1, 2, -1])
    p = {"bed": np.array([0.9, 0.1, 0.2, np.nan, 1.0, 0.5])}
    said = {"bed": by_photos(listings, np.array([1.0, 0, 0, 0, 1, 0]))}
    truth = {"bed": np.array([1.0, np.nan, 0, 0, np.nan, 1])}
    shares = right_shares(listings, p, said, truth)
    # One shows it whatever the other does; one lacks a probability; one lacks the truth.
    assert shares.estimated == pytest.approx([0.91, np.nan, 1.0], nan_ok=True)
    assert shares.realised == pytest.approx([1.0, np.nan, np.nan], nan_ok=True)
    doubtful = {"bed": by_bands(listings, p["bed"], (0.1, 0.95), None)}
    assert right_shares(listings, p, doubtful, truth).estimated == pytest.approx([np.nan, np.nan, 1.0], nan_ok=True)
    nothing = np.full(0, 0.0)
    assert np.isnan(value_of(right_shares(np.zeros(0, int), {"bed": nothing}, {"bed": nothing}, {}).estimated))


RULE = Monitoring(
    chunk=Chunk(size=150),
    performance=(PerformanceThreshold(metric="right_verdicts"), PerformanceThreshold(metric="f1")),
    drift=DriftThreshold(columns=20, multivariate=()),
)


@pytest.fixture(scope="module")
def day(traffic: Traffic, detection: Problem) -> Verdict:
    return judge(detection, traffic(300, 1), traffic(300, 2), RULE)


def test_a_rule_on_right_verdicts_sees_the_night(traffic: Traffic, detection: Problem, day: Verdict) -> None:
    assert kinds(day) == []
    for finding in found(day, "performance", "right_verdicts"):
        assert finding.realised == pytest.approx(finding.value, abs=0.04)
        assert finding.error == pytest.approx(0.015, abs=0.01)
    night = judge(detection, traffic(300, 1), traffic(150, 3, dark=0.8), RULE)
    assert {alarm.subject for alarm in night.alerts if alarm.kind == "performance"} == {"right_verdicts", "f1"}


def test_the_bands_of_the_bundle_decide_what_is_said(traffic: Traffic, detection: Problem, day: Verdict) -> None:
    reference = traffic(300, 1)
    photos = found(day, "performance", "right_verdicts")[0]
    names = detection.classes
    reference.attrs["calibration"] = {
        "thresholds": dict.fromkeys(names, 0.5), "bands": {name: [0.1, 0.9] for name in names}, "listing_photos": 5,
    }  # fmt: skip
    (bands,) = found(judge(detection, reference, traffic(300, 2)[:150], RULE), "performance", "right_verdicts")
    # The doubtful are left out, so that what is left is right more often.
    assert bands.value > photos.value + 0.01
    assert bands.realised > photos.realised + 0.01
    assert bands.realised == pytest.approx(bands.value, abs=0.04)
