"""The gate passes what meets every criterion, says by how much the rest misses, and lets nothing undecided through."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pizzeria.gate import Gain, judge, passes
from pizzeria.spec.problem import Criterion

NAN = float("nan")


def evaluation(**changes: Any) -> dict[str, Any]:
    return {
        "metrics": {"map_50": 0.41, "calibration_error": 0.08, "presence_f1": NAN},
        "per_class": {"bed": {"map_50": 0.7}, "tv": {"map_50": NAN}},
        "examples": 90,
        "classes_never_seen": [],
    } | changes


@pytest.mark.parametrize(
    ("criterion", "passed", "text"),
    [
        ({"metric": "map_50", "at_least": 0.4}, True, "map_50 is 0.41, at least 0.4 was asked"),
        ({"metric": "map_50", "at_least": 0.41}, True, "map_50 is 0.41, at least 0.41 was asked"),
        ({"metric": "map_50", "at_least": 0.6}, False, "map_50 is 0.41, at least 0.6 was asked: 0.19 short"),
        (
            {"metric": "calibration_error", "at_most": 0.05},
            False,
            "calibration_error is 0.08, at most 0.05 was asked: 0.03 too much",
        ),
        (
            {"metric": "map_50", "at_least": 0.1, "at_most": 0.2},
            False,
            "map_50 is 0.41, at least 0.1 and at most 0.2 was asked: 0.21 too much",
        ),
        (
            {"metric": "map_50", "at_least": 0.6, "of_class": "bed"},
            True,
            "map_50 of bed is 0.7, at least 0.6 was asked",
        ),
        ({"metric": "calibration_error", "at_most": 0.08}, True, "calibration_error is 0.08, at most 0.08 was asked"),
        (
            {"metric": "map_50", "at_least": 0, "of_class": "tv"},
            None,
            "map_50 of tv is undecided, which does not pass: it could not be computed",
        ),
        (
            {"metric": "presence_f1", "at_least": 0},
            None,
            "presence_f1 is undecided, which does not pass: it could not be computed",
        ),
        (
            {"metric": "missing", "at_most": 9},
            None,
            "missing is undecided, which does not pass: it could not be computed",
        ),
    ],
)
def test_one_criterion(criterion: dict[str, Any], passed: bool | None, text: str) -> None:
    (outcome,) = judge([Criterion(**criterion)], evaluation())
    assert (outcome.passed, outcome.text) == (passed, text)
    assert passes([outcome]) is (passed is True)


def test_a_near_miss_is_not_rounded_away() -> None:
    near = evaluation(metrics={"map_50": 0.59996})
    (outcome,) = judge([Criterion(metric="map_50", at_least=0.6)], near)
    assert outcome.text == "map_50 is 0.59996, at least 0.6 was asked: 4e-05 short"


@pytest.mark.parametrize(
    ("value", "bound", "figure"),
    [
        (0.123456, 0.1, "0.123"),
        (5.0, 5.0, "5"),
        (0.123456, 0.123456, "0.123"),
        (0.12304, 0.123, "0.12304"),
        (math.nextafter(0.001, 1), 0.001, "0.0010000000000000002"),
    ],
)
def test_a_figure_has_three_digits_unless_they_hide_a_miss(value: float, bound: float, figure: str) -> None:
    (outcome,) = judge([Criterion(metric="mae", at_most=bound)], evaluation(metrics={"mae": value}))
    assert outcome.text.startswith(f"mae is {figure}, at most {bound:g} was asked")
    assert (outcome.passed, "too much" in outcome.text) == (value <= bound, value > bound)


def test_an_empty_split_or_a_class_never_seen_cannot_pass() -> None:
    overall, bed = Criterion(metric="map_50", at_least=0), Criterion(metric="map_50", at_least=0, of_class="bed")
    outcomes = judge([overall, bed], evaluation(examples=0))
    assert [o.passed for o in outcomes] == [None, None]
    assert outcomes[0].text == "map_50 is undecided, which does not pass: the test split is empty"
    sink = Criterion(metric="map_50", at_least=0, of_class="sink")
    outcomes = judge([overall, bed, sink], evaluation(classes_never_seen=["tv", "sink"]))
    assert [o.passed for o in outcomes] == [None, True, None]
    assert "the test split has no tv, no sink" in outcomes[0].text
    assert outcomes[2].text.endswith(": the test split has no sink")
    assert not passes(outcomes)


def test_no_criterion_does_not_pass() -> None:
    assert not passes([])


def test_an_outcome_is_plain_data() -> None:
    (outcome,) = judge([Criterion(metric="presence_f1", at_least=0.5)], evaluation())
    assert outcome.plain() == {
        "metric": "presence_f1",
        "of_class": None,
        "at_least": 0.5,
        "at_most": None,
        "value": None,
        "passed": None,
        "text": outcome.text,
        "slice": None,
        "lower_bound": False,
        "interval": None,
        "gain_over_champion": None,
        "gain": None,
    }


def test_an_outcome_has_all_that_was_asked_and_found() -> None:
    criterion = Criterion(
        metric="map_50", at_least=0.5, at_most=0.9, gain_over_champion=0, slice={"room": "kitchen"}, lower_bound=True
    )
    gain = Gain(0.02, 0.01, 0.03, 0.53, 90)
    (outcome,) = judge([criterion], SLICED, {0: gain})
    assert outcome.plain() == {
        "metric": "map_50",
        "of_class": None,
        "at_least": 0.5,
        "at_most": 0.9,
        "value": 0.55,
        "passed": False,
        "text": "map_50 where room is kitchen is 0.55 (0.4 to 0.7), at least 0.5 of the lower end and at most 0.9 of "
        "the upper end was asked, and a gain of +0.02, +0.01 to +0.03 over the champion's 0.53 on 90 that it never "
        "learnt from, at least +0 was asked of the lower end: 0.1 short",
        "slice": {"room": "kitchen"},
        "lower_bound": True,
        "interval": (0.4, 0.7),
        "gain_over_champion": 0,
        "gain": {"value": 0.02, "low": 0.01, "high": 0.03, "champion": 0.53, "rows": 90, "undecided": ""},
    }
    (outcome,) = judge([Criterion(metric="map_50", at_least=0, of_class="bed")], evaluation())
    assert (outcome.of_class, outcome.slice, outcome.gain) == ("bed", None, None)


def part(count: int = 40, **more: Any) -> dict[str, Any]:
    empty: dict[str, Any] = {name: {} for name in ("metrics", "per_class", "intervals", "per_class_intervals")}
    return empty | {"count": count, "undecided": ""} | more


SLICED = evaluation(
    classes_never_seen=["tv"],
    intervals={"map_50": [0.35, 0.47], "calibration_error": [0.05, 0.11]},
    per_class_intervals={"bed": {"map_50": [0.62, 0.78]}},
    slices={
        "room": {
            "kitchen": part(metrics={"map_50": 0.55}, intervals={"map_50": [0.4, 0.7]}),
            "hall": part(3, undecided="fewer than 20"),
            "bedroom": part(per_class={"bed": {"map_50": 0.9}}, per_class_intervals={"bed": {"map_50": [0.8, 1.0]}}),
        }
    },
)


@pytest.mark.parametrize(
    ("criterion", "passed", "text"),
    [
        (
            {"metric": "map_50", "at_least": 0.5, "slice": {"room": "kitchen"}},
            True,
            "map_50 where room is kitchen is 0.55, at least 0.5 was asked",
        ),
        (
            {"metric": "map_50", "at_least": 0.5, "slice": {"room": "kitchen"}, "lower_bound": True},
            False,
            "map_50 where room is kitchen is 0.55 (0.4 to 0.7), at least 0.5 of the lower end was asked: 0.1 short",
        ),
        (
            {"metric": "map_50", "at_least": 0.8, "of_class": "bed", "slice": {"room": "bedroom"}, "lower_bound": True},
            True,
            "map_50 of bed where room is bedroom is 0.9 (0.8 to 1), at least 0.8 of the lower end was asked",
        ),
        (
            {"metric": "map_50", "at_least": 0.5, "slice": {"room": "hall"}},
            None,
            "map_50 where room is hall is undecided, which does not pass: the test split has 3 where room is hall, "
            "fewer than 20",
        ),
        (
            {"metric": "map_50", "at_least": 0.5, "slice": {"room": "attic"}},
            None,
            "map_50 where room is attic is undecided, which does not pass: the test split has nothing where room is "
            "attic",
        ),
        (
            {"metric": "map_50", "at_least": 0.5, "slice": {"season": "summer"}},
            None,
            "map_50 where season is summer is undecided, which does not pass: the test split has nothing where season "
            "is summer",
        ),
        (
            {"metric": "map_50", "at_least": 0.6, "at_most": 0.65, "slice": {"room": "kitchen"}, "lower_bound": True},
            False,
            "map_50 where room is kitchen is 0.55 (0.4 to 0.7), at least 0.6 of the lower end and at most 0.65 of the "
            "upper end was asked: 0.2 short, and 0.05 too much",
        ),
        (
            {"metric": "map_50", "at_least": 0.6, "of_class": "bed", "lower_bound": True},
            True,
            "map_50 of bed is 0.7 (0.62 to 0.78), at least 0.6 of the lower end was asked",
        ),
        (
            {"metric": "map_50", "at_least": 0, "of_class": "sofa", "lower_bound": True},
            None,
            "map_50 of sofa is undecided, which does not pass: it could not be computed",
        ),
    ],
)
def test_slices_and_bounds(criterion: dict[str, Any], passed: bool | None, text: str) -> None:
    (outcome,) = judge([Criterion(**criterion)], SLICED)
    assert (outcome.passed, outcome.text) == (passed, text)


def test_the_upper_end_counts_for_at_most_and_without_an_interval_nothing_is_sure() -> None:
    seen = SLICED | {"classes_never_seen": []}
    most = Criterion(metric="calibration_error", at_most=0.1, lower_bound=True)
    (outcome,) = judge([most], seen)
    assert (outcome.passed, outcome.interval) == (False, (0.05, 0.11))
    assert outcome.text.endswith("at most 0.1 of the upper end was asked: 0.01 too much")
    (outcome,) = judge([Criterion(metric="map_50", at_least=0.1, lower_bound=True)], evaluation())
    assert (outcome.passed, outcome.text.rpartition(": ")[2]) == (None, "there are too few examples")


def test_the_champion() -> None:
    near = Criterion(metric="map_50", gain_over_champion=-0.02)
    sure = Criterion(metric="map_50", at_least=0.4, gain_over_champion=-0.02, lower_bound=True)
    outcome, *_ = judge([near], evaluation())
    assert (outcome.passed, outcome.gain) == (True, None)
    assert outcome.text == "map_50 is 0.41, there is no other champion to be better than"
    gain = Gain(-0.01, -0.05, 0.03, 0.42, 90)
    close, surely = judge([near, sure], SLICED | {"classes_never_seen": []}, {0: gain, 1: gain})
    assert close.passed is True
    assert close.text == (
        "map_50 is 0.41, a gain of -0.01, -0.05 to +0.03 over the champion's 0.42 on 90 that it never learnt from, "
        "at least -0.02 was asked"
    )
    assert (surely.passed, surely.text.rpartition(": ")[2]) == (False, "0.05 short, and 0.03 short")
    unknown = Gain(NAN, NAN, NAN, NAN, 0, "it has learnt from all of them")
    (outcome,) = judge([near], evaluation(), {0: unknown})
    assert (outcome.passed, outcome.text.rpartition(": ")[2]) == (None, "it has learnt from all of them")


@pytest.mark.parametrize(
    ("asked", "passed", "end"),
    [
        ({"gain_over_champion": -0.01}, True, "at least -0.01 was asked"),
        ({"gain_over_champion": 0.5}, False, "at least +0.5 was asked: 0.51 short"),
        ({"gain_over_champion": -0.05, "lower_bound": True}, True, "at least -0.05 was asked of the lower end"),
        ({"gain_over_champion": 0, "lower_bound": True}, False, "at least +0 was asked of the lower end: 0.05 short"),
    ],
)
def test_a_gain_that_is_asked_for_must_be_there(asked: dict[str, Any], passed: bool, end: str) -> None:
    gain = Gain(-0.01, -0.05, 0.03, 0.42, 90)
    (outcome,) = judge([Criterion(metric="map_50", **asked)], evaluation(), {0: gain})
    assert (outcome.passed, outcome.text.rpartition("learnt from, ")[2]) == (passed, end)


def test_a_gain_without_an_interval_is_told_without_and_is_sure_of_nothing() -> None:
    near = Criterion(metric="map_50", gain_over_champion=0)
    sure = Criterion(metric="map_50", gain_over_champion=0, lower_bound=True)
    plain, surely, nothing = judge(
        [near, sure, near],
        evaluation(),
        dict.fromkeys((0, 1), Gain(0.1, NAN, NAN, 0.31, 90)) | {2: Gain(*[NAN] * 4, 9)},
    )
    assert plain.text.startswith("map_50 is 0.41, a gain of +0.1 over the champion's 0.31 on 90")
    assert (plain.passed, surely.passed, nothing.passed) == (True, None, None)
    told = "map_50 is undecided, which does not pass: against the champion it cannot be told"
    assert surely.text == nothing.text == told


def test_figures_of_classes_that_nobody_took_are_undecided() -> None:
    seen = {"metrics": {"mae": 3.0}, "examples": 9, "classes_never_seen": []}
    (outcome,) = judge([Criterion(metric="mae", at_most=9, of_class="bed")], seen)
    assert (outcome.passed, outcome.value) == (None, None)


figures = st.floats(-2, 2).map(lambda x: round(x, 1)) | st.floats(allow_nan=True, allow_infinity=False) | st.just(NAN)
bounds = st.none() | st.floats(-2, 2).map(lambda x: round(x, 1))


@settings(max_examples=150)
@given(
    value=figures,
    interval=st.none() | st.tuples(figures, figures),
    gain=st.none() | st.tuples(figures, figures),
    wanted=st.tuples(bounds, bounds, bounds).filter(lambda three: any(one is not None for one in three)),
    lower_bound=st.booleans(),
)
def test_what_passes_is_what_meets_each_bound_and_nothing_else(
    value: float, interval: Any, gain: Any, wanted: tuple[float | None, ...], lower_bound: bool
) -> None:
    """NaN meets no bound, so whatever a figure or an end of its interval is: it passes by comparison alone."""
    at_least, at_most, over = wanted
    seen = evaluation(metrics={"m": value}, intervals={} if interval is None else {"m": interval})
    criterion = Criterion(
        metric="m", at_least=at_least, at_most=at_most, gain_over_champion=over, lower_bound=lower_bound
    )
    rival = None if gain is None or over is None else Gain(*gain, 9.0, 0.5, 30)
    (outcome,) = judge([criterion], seen, {} if rival is None else {0: rival})
    whole = interval is not None and not any(math.isnan(end) for end in interval)
    low, high = (interval if whole else (NAN, NAN)) if lower_bound else (value, value)
    met = not math.isnan(value)
    met &= at_least is None or low >= at_least
    met &= at_most is None or high <= at_most
    met &= rival is None or over is None or (rival.low if lower_bound else rival.value) >= over
    if lower_bound and rival is not None:
        met &= not math.isnan(rival.value)
    assert (outcome.passed is True) is met, outcome.text
    assert passes([outcome]) is met
    assert (outcome.passed is None) == ("undecided" in outcome.text)
    assert (outcome.passed is False) == (outcome.text.endswith(("short", "too much")))


@pytest.mark.parametrize("value", [float("inf"), -float("inf"), NAN])
def test_what_is_no_finite_number_is_undecided(value: float) -> None:
    (found,) = judge([Criterion(metric="m", at_least=-5, at_most=5)], evaluation(metrics={"m": value}))
    assert found.passed is None
    assert found.text == "m is undecided, which does not pass: it could not be computed"


@pytest.mark.parametrize(
    ("gain", "why"),
    [
        (Gain(0.3, 0.2, 0.4, 0.1, 0), "there is no row that it never learnt from"),
        (Gain(float("inf"), 0.2, 0.4, 0.1, 9), "it cannot be told"),
    ],
)
def test_a_gain_on_nothing_is_undecided(gain: Gain, why: str) -> None:
    (found,) = judge([Criterion(metric="map_50", gain_over_champion=0)], evaluation(), {0: gain})
    assert found.passed is None
    assert why in found.text
