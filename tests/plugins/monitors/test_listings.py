"""Right verdicts of listings: the formula against drawing the truth many times, and the metric in a pass."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

from pizzeria.spec.monitoring import Chunk, DriftThreshold, Monitoring, PerformanceThreshold
from pizzeria.spec.problem import Problem
from pizzeria_plugins.monitors.listings import right_shares, value_of

from .passing import found, judge, kinds

Traffic = Callable[..., pd.DataFrame]


def test_the_estimate_is_the_mean_over_truths_drawn_from_the_probabilities() -> None:
    rng = np.random.default_rng(0)
    listings = np.repeat(np.arange(40), rng.integers(1, 9, 40))
    p = {name: rng.beta(0.5, 1.5, len(listings)) for name in ("bed", "tv")}
    said = {name: (values > 0.4).astype(float) for name, values in p.items()}
    estimated = right_shares(listings, p, said, {}).estimated
    drawn = np.zeros((4000, 40))
    for row in drawn:
        truth = {name: (rng.random(len(listings)) < values).astype(float) for name, values in p.items()}
        row += right_shares(listings, p, said, truth).realised
    # Three standard errors of 4000 draws of a share.
    assert np.abs(drawn.mean(axis=0) - estimated).max() < 3 * 0.5 / np.sqrt(4000)


def test_what_is_not_known_does_not_count() -> None:
    listings = np.array([0, 0, 1, 1, 2, -1])
    p = {"bed": np.array([0.9, 0.1, 0.2, np.nan, 1.0, 0.5])}
    said = {"bed": np.array([1.0, 0, 0, 0, 1, 0])}
    truth = {"bed": np.array([1.0, np.nan, 0, 0, np.nan, 1])}
    shares = right_shares(listings, p, said, truth)
    # One shows it whatever the other does; one lacks a probability; one lacks the truth.
    assert shares.estimated == pytest.approx([0.91, np.nan, 1.0], nan_ok=True)
    assert shares.realised == pytest.approx([1.0, np.nan, np.nan], nan_ok=True)
    nothing = np.full(0, 0.0)
    assert np.isnan(value_of(right_shares(np.zeros(0, int), {"bed": nothing}, {"bed": nothing}, {}).estimated))


def test_a_rule_on_right_verdicts_sees_the_night(traffic: Traffic, detection: Problem) -> None:
    rule = Monitoring(
        chunk=Chunk(size=150),
        performance=(PerformanceThreshold(metric="right_verdicts"), PerformanceThreshold(metric="f1")),
        drift=DriftThreshold(columns=20, multivariate=()),
    )
    day = judge(detection, traffic(300, 1), traffic(300, 2), rule, resamples=20)
    assert kinds(day) == []
    for finding in found(day, "performance", "right_verdicts"):
        assert finding.realised == pytest.approx(finding.value, abs=0.04)
        assert finding.error == pytest.approx(0.015, abs=0.01)
    night = judge(detection, traffic(300, 1), traffic(150, 3, dark=0.8), rule, resamples=20)
    assert {alarm.subject for alarm in night.alerts if alarm.kind == "performance"} == {"right_verdicts", "f1"}
