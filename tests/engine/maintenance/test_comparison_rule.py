"""The rule of taking over, on differences that are given: each condition alone, and all of them together."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pizzeria.maintenance.comparison import decide, speaks_against, surely_worse
from pizzeria.measuring.paired import Compared, Difference
from pizzeria.spec.maintenance import Comparison
from pizzeria.spec.problem import Problem

RULE = Comparison(no_worse_by=0.02, class_no_worse_by=0.1)
SCORES = Problem(
    need="n",
    owner="o",
    task="tabular_classification",
    target="t",
    classes=("a", "b"),
    success=({"metric": "f1", "at_least": 0},),
)
ERRORS = Problem(need="n", owner="o", task="tabular_regression", target="t", success=({"metric": "mae", "at_most": 9},))


def difference(low: float, high: float, subject: str = "f1", champion: float = 0.5) -> Difference:
    gain = (low + high) / 2
    return Difference(subject, champion, champion + gain, gain, low, high)


def seen(low: float, high: float, *classes: Difference, **more: Any) -> Compared:
    return Compared(90, 30, difference(low, high), classes, **({"resamples": 500, "asked": 500} | more))


BETTER, ALIKE, WORSE = seen(0.01, 0.05), seen(-0.01, 0.01), seen(-0.5, -0.03)
A_LITTLE_WORSE = seen(-0.015, -0.001)
OF_CLASS = difference(-0.4, -0.11, "f1 of b")


@pytest.mark.parametrize(
    ("sets", "passed", "why"),
    [
        ({}, None, "there is nothing to compare on"),
        ({"window": BETTER}, True, ""),
        ({"frozen": BETTER}, True, ""),
        ({"frozen": ALIKE, "window": BETTER}, True, ""),
        ({"frozen": BETTER, "window": ALIKE}, True, ""),
        ({"frozen": A_LITTLE_WORSE, "window": BETTER}, True, ""),
        ({"frozen": BETTER, "window": A_LITTLE_WORSE}, False, "it is better on what was, and not on what is: "),
        ({"frozen": WORSE, "window": BETTER}, False, "it is surely worse on the frozen test set: "),
        ({"frozen": BETTER, "window": WORSE}, False, "it is surely worse on the newest labels: "),
        ({"frozen": ALIKE, "window": ALIKE}, False, "it is not surely better: "),
        ({"frozen": seen(0.0, 0.2)}, False, "it is not surely better: "),
        ({"frozen": seen(-0.3, 0.0), "window": BETTER}, True, ""),
        ({"frozen": seen(-0.03, -0.01), "window": BETTER}, True, ""),
        (
            {"frozen": seen(-0.3, -0.02), "window": BETTER},
            False,
            "on the frozen test set it is surely worse, and likely",
        ),
        (
            {"frozen": BETTER, "window": seen(0.01, 0.05, difference(0, 1, "f1 of a"), OF_CLASS)},
            False,
            "a class is surely worse on the newest labels: f1 of b 0.5 of the champion, 0.245 of the challenger "
            "(gain -0.255, -0.4 to -0.11); f1 0.5 of the champion",
        ),
        ({"frozen": BETTER, "window": seen(0.01, 0.05, difference(-0.4, -0.1, "f1 of b"))}, True, ""),
        ({"frozen": replace(BETTER, undecided="no row"), "window": BETTER}, None, "on the frozen test set: no row"),
        ({"frozen": BETTER, "window": replace(WORSE, undecided="one class")}, None, "on the newest labels: one class"),
    ],
)
def test_each_condition(sets: dict[str, Compared], passed: bool | None, why: str) -> None:
    found = decide(RULE, SCORES, sets)
    assert found.passed is passed
    assert found.why.startswith(why)


def test_what_it_says_has_every_figure() -> None:
    found = decide(RULE, SCORES, {"frozen": ALIKE, "window": replace(BETTER, resamples=100, rows=7)})
    assert found.why == (
        "f1 0.5 of the champion, 0.5 of the challenger (gain +0, -0.01 to +0.01) on 90 rows of the frozen test set; "
        "f1 0.5 of the champion, 0.53 of the challenger (gain +0.03, +0.01 to +0.05) on 7 rows of the newest labels, "
        "by 100 of 500 draws: time was up"
    )
    assert decide(RULE, SCORES, {"frozen": WORSE, "window": BETTER}).why == (
        "it is surely worse on the frozen test set: f1 0.5 of the champion, 0.235 of the challenger "
        "(gain -0.265, -0.5 to -0.03) on 90 rows of the frozen test set"
    )
    assert decide(RULE, SCORES, {"frozen": ALIKE, "window": ALIKE}).why.count("; ") == 1


@pytest.mark.parametrize(
    ("sets", "passed", "why", "end"),
    [
        ({"frozen": WORSE, "window": BETTER}, True, "f1 0.5", "of the frozen test set"),
        ({"frozen": BETTER, "window": ALIKE}, False, "it is not surely better: ", "of the frozen test set"),
        ({"frozen": replace(WORSE, undecided="no row"), "window": BETTER}, True, "f1 0.5", ": no row"),
        ({"window": BETTER}, True, "f1 0.5", "of the newest labels"),
        (
            {"frozen": BETTER},
            None,
            "inputs mean something else than they did, and there are no newest labels to decide on",
            "to decide on",
        ),
        (
            {"frozen": BETTER, "window": replace(BETTER, undecided="no row")},
            None,
            "on the newest labels: no row",
            "row",
        ),
        ({}, None, "there is nothing to compare on", "on"),
    ],
)
def test_where_the_meaning_has_changed_the_window_decides(
    sets: dict[str, Compared], passed: bool | None, why: str, end: str
) -> None:
    found = decide(RULE, SCORES, sets, meaning_changed=True)
    assert found.passed is passed
    assert found.why.startswith(why)
    assert found.why.endswith(end)
    told = "; no veto, since inputs mean something else by now: "
    assert (told in found.why) == (len(sets) == 2 and passed is not None)


ends = st.tuples(*[st.floats(-0.3, 0.3).map(lambda x: round(x, 2))] * 2).map(sorted)


@settings(max_examples=100)
@given(frozen=st.none() | ends, window=st.none() | ends, classes=st.lists(ends, max_size=2))
def test_it_takes_over_exactly_where_it_is_better_somewhere_and_surely_worse_nowhere(
    frozen: list[float] | None, window: list[float] | None, classes: list[list[float]]
) -> None:
    parts = [difference(*one, f"f1 of {name}") for one, name in zip(classes, "ab", strict=False)]
    sets = {name: seen(*one, *parts) for name, one in (("frozen", frozen), ("window", window)) if one is not None}
    worse = any(one.main.high < -0.02 for one in sets.values())
    worse |= bool(sets) and any(high < -0.1 for _, high in classes)
    better = any(one.main.low > 0 for one in sets.values())
    backwards = window is not None and window[1] < 0
    found = decide(RULE, SCORES, sets)
    assert found.passed is (None if not sets else better and not worse and not backwards), found.why
    for one in sets.values():
        of_one = one.main.high < -0.02 or any(high < -0.1 for _, high in classes)
        assert speaks_against(one, RULE, SCORES) == of_one
        assert speaks_against(replace(one, undecided="no row"), RULE, SCORES)


def test_the_margin_of_an_error_is_a_share_of_the_champions() -> None:
    margin = 0.1
    for problem, subject, champion, allowed in (
        (ERRORS, "mae", 20.0, 2.0),
        (ERRORS, "mae", -20.0, 2.0),
        (ERRORS, "r2", 20.0, 0.1),
        (SCORES, "f1", 0.5, 0.1),
        (SCORES, "f1 of a", 0.5, 0.1),
        (SCORES, "log_loss", 2.0, 0.2),
        (SCORES, "whatever it is", 2.0, 0.1),
    ):
        for high, worse in ((-allowed * 1.01, True), (-allowed * 0.99, False)):
            one = difference(high - 1, high, subject, champion)
            assert surely_worse(one, margin, problem) is worse, (subject, high)
