"""Bootstrap intervals: those of SciPy, as often right as they say, and bounded in work."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from pizzeria.measuring.intervals import Rule, figures, groups_of
from pizzeria.measuring.judged import Judged


def numbers(rows: int, seed: int) -> Judged:
    chance = np.random.default_rng(seed)
    true = chance.normal(100, 20, rows)
    return Judged(values=true + chance.gamma(2, 3, rows), wanted=true)


def answers(rows: int, seed: int) -> Judged:
    """One class of two, right in 85 of 100 cases."""
    chance = np.random.default_rng(seed)
    true = chance.integers(0, 2, rows)
    right = chance.random(rows) < 0.85
    p = np.where(right, true, 1 - true) * 0.8 + 0.1
    return Judged(np.stack([1 - p, p], axis=1), np.eye(2, dtype=bool)[true])


def test_the_interval_is_that_of_scipy() -> None:
    judged = numbers(200, 1)
    found = figures(judged, ["mae"], np.arange(200), Rule(resamples=4000)).intervals["mae"]
    error = np.abs(judged.values - judged.wanted)
    wanted = stats.bootstrap((error,), np.mean, n_resamples=4000, method="BCa", rng=np.random.default_rng(5))
    low, high = wanted.confidence_interval
    assert found == pytest.approx((low, high), abs=0.06 * (high - low))


def test_the_truth_lies_in_the_interval_as_often_as_it_says() -> None:
    trials, rule = 300, Rule(resamples=200)
    held = 0
    for seed in range(trials):
        low, high = figures(answers(80, seed), ["accuracy"], np.arange(80), rule).intervals["accuracy"]
        held += low <= 0.85 <= high
    assert 0.90 <= held / trials <= 0.985


def test_copies_of_a_group_say_no_more_than_one() -> None:
    judged = numbers(60, 2)
    ten = judged.of(np.repeat(np.arange(60), 10))
    names = [f"listing {i // 10}" for i in range(600)]
    alone = figures(judged, ["mae"], np.arange(60), Rule()).intervals["mae"]
    together = figures(ten, ["mae"], groups_of(names, 600), Rule()).intervals["mae"]
    apart = figures(ten, ["mae"], groups_of(None, 600), Rule()).intervals["mae"]
    width = alone[1] - alone[0]
    assert together[1] - together[0] == pytest.approx(width, rel=0.15)
    assert apart[1] - apart[0] < 0.5 * width


def test_of_many_rows_some_are_drawn_and_the_interval_is_as_narrow_as_all_would_make_it() -> None:
    judged = numbers(40_000, 3)
    low, high = figures(judged, ["mae"], np.arange(40_000), Rule(resamples=1000, most=2000)).intervals["mae"]
    error = np.abs(judged.values - judged.wanted)
    assert high - low == pytest.approx(2 * 1.96 * error.std() / 200, rel=0.1)
    assert low < error.mean() < high


def test_what_is_never_wrong_is_not_sure() -> None:
    true = np.eye(2, dtype=bool)[np.arange(50) % 2]
    perfect = Judged(true * 0.98 + 0.01, true)
    found = figures(perfect, ["accuracy", "recall"], np.arange(50), Rule())
    assert found.intervals["accuracy"] == pytest.approx((0.025 ** (1 / 50), 1.0))
    assert found.class_intervals["recall"][0] == pytest.approx((0.025 ** (1 / 25), 1.0))


def test_a_calibration_error_lies_in_its_interval_though_draws_are_larger() -> None:
    judged = answers(150, 4)
    found = figures(judged, ["calibration_error"], np.arange(150), Rule())
    low, high = found.intervals["calibration_error"]
    assert 0 <= low <= found.metrics["calibration_error"] <= high < 0.2


def test_too_few_groups_or_no_draws_make_no_interval_and_figures_stay() -> None:
    few = figures(numbers(19, 1), ["mae"], np.arange(19), Rule())
    assert (few.intervals, few.metrics["mae"] > 0) == ({}, True)
    assert figures(numbers(50, 1), ["mae"], np.arange(50), Rule(resamples=0)).intervals == {}
    rare = answers(100, 1)
    rare.true[:] = [True, False]
    rare.true[:1] = [False, True]
    found = figures(rare, ["recall"], np.arange(100), Rule())
    assert found.class_intervals["recall"][0] is not None
    assert found.class_intervals["recall"][1] is None  # one row: most draws are without it


def test_the_same_seed_makes_the_same_interval_and_wanted_ones_alone_are_made() -> None:
    judged = answers(60, 9)
    one, two = (figures(judged, ["accuracy", "f1"], np.arange(60), Rule(), wanted=["f1"]) for _ in range(2))
    assert one.intervals == two.intervals
    assert set(one.intervals) == {"f1"}
    assert set(one.metrics) == {"accuracy", "f1"}
