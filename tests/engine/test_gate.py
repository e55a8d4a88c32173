"""The gate passes what meets every criterion, says by how much the rest misses, and lets nothing undecided through."""

from __future__ import annotations

from typing import Any

import pytest

from pizzeria.gate import judge, passes
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
    }
