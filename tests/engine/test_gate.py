"""The gate passes what meets every criterion, says by how much the rest misses, and lets nothing undecided through."""

from __future__ import annotations

from typing import Any

import pytest

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


def test_an_empty_split_or_a_class_never_seen_cannot_pass() -> None:
    overall, bed = Criterion(metric="map_50", at_least=0), Criterion(metric="map_50", at_least=0, of_class="bed")
    outcomes = judge([overall, bed], evaluation(examples=0))
    assert [o.passed for o in outcomes] == [None, None]
    assert "the test split is empty" in outcomes[0].text
    outcomes = judge([overall, bed], evaluation(classes_never_seen=["tv", "sink"]))
    assert [o.passed for o in outcomes] == [None, True]
    assert "the test split has no tv, no sink" in outcomes[0].text
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
    assert (surely.passed, surely.text.rpartition(": ")[2]) == (False, "0.05 short")
    unknown = Gain(NAN, NAN, NAN, NAN, 0, "it has learnt from all of them")
    (outcome,) = judge([near], evaluation(), {0: unknown})
    assert (outcome.passed, outcome.text.rpartition(": ")[2]) == (None, "it has learnt from all of them")
