"""The paired bootstrap, and what follows from it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from scipy import stats
from tests.engine.measuring.test_weighted import problem, sides

from pizzeria.maintenance.comparison import decide
from pizzeria.measuring.judged import Answers
from pizzeria.measuring.paired import Compared, Evaluate, compare
from pizzeria.predictions import Predictions
from pizzeria.spec.maintenance import Comparison
from pizzeria.spec.problem import Problem
from pizzeria_plugins.evaluators import torchmetrics

NONE = {"method": "none"}


def values(rows: int, error: float, seed: int, shift: float = 0.0) -> tuple[Answers, Predictions]:
    chance = np.random.default_rng(7)
    keys = tuple(map(str, range(rows)))
    true = chance.normal(100, 20, rows)
    said = true + shift + np.random.default_rng(seed).normal(0, error, rows)
    return Answers(Predictions(keys, values=said.astype(np.float32)), NONE), Predictions(
        keys, values=true.astype(np.float32)
    )


def test_the_interval_is_that_of_scipy() -> None:
    old, truth = values(300, 3.0, 1)
    new, _ = values(300, 2.5, 2)
    found = compare(Comparison(resamples=4000), problem("tabular_regression"), old, new, truth, seconds=600)
    a, b, t = (np.asarray(one.values, np.float64) for one in (old.predictions, new.predictions, truth))

    def gain(a: Any, b: Any, t: Any, axis: int = -1) -> Any:
        return np.abs(a - t).mean(axis=axis) - np.abs(b - t).mean(axis=axis)

    wanted = stats.bootstrap(
        (a, b, t), gain, paired=True, method="percentile", n_resamples=4000, rng=np.random.default_rng(3)
    ).confidence_interval
    assert found.main.gain == pytest.approx(gain(a, b, t))
    width = wanted.high - wanted.low
    assert found.main.low == pytest.approx(wanted.low, abs=0.06 * width)
    assert found.main.high == pytest.approx(wanted.high, abs=0.06 * width)


def test_rows_of_a_group_are_drawn_together() -> None:
    """Ten copies of each row say no more than one, and the interval must not get narrower by them."""
    old, truth = values(60, 3.0, 1)
    new, _ = values(60, 2.0, 2)

    def copied(one: Predictions) -> Predictions:
        assert one.values is not None
        return Predictions(tuple(f"{key}.{i}" for key in one.keys for i in range(10)), values=np.repeat(one.values, 10))

    pairs = [Answers(copied(one.predictions), NONE) for one in (old, new)]
    groups = [key for key in truth.keys for _ in range(10)]
    single = compare(Comparison(), problem("tabular_regression"), old, new, truth)
    together = compare(Comparison(), problem("tabular_regression"), *pairs, copied(truth), groups)
    apart = compare(Comparison(), problem("tabular_regression"), *pairs, copied(truth))
    width = single.main.high - single.main.low
    assert (together.main.low, together.main.high) == pytest.approx(
        (single.main.low, single.main.high), abs=0.06 * width
    )
    assert (together.groups, together.rows) == (60, 600)
    assert apart.main.high - apart.main.low < 0.5 * width


@pytest.mark.parametrize("task", ["tabular_classification", "multilabel_classification", "object_detection"])
def test_the_evaluator_agrees_so_it_is_not_asked_for_each_draw(task: str) -> None:
    of = problem(task)
    old, truth, calibration = sides(task, 50, seed=1)
    pair = (Answers(old, calibration), Answers(old, calibration))
    found = compare(Comparison(resamples=100), of, *pair, truth, evaluate=evaluator(of))
    assert found.how == "weighted"
    assert (found.main.gain, found.main.low, found.main.high) == (0, 0, 0)
    assert len(found.classes) == 3


def test_an_evaluator_that_means_something_else_is_asked_for_each_draw() -> None:
    of = problem("multilabel_classification")
    old, truth, calibration = sides("multilabel_classification", 50, seed=1)
    new, _, _ = sides("multilabel_classification", 50, seed=2)
    pair = (Answers(old, calibration), Answers(new, calibration))
    usual = evaluator(of)

    def half(said: Predictions, true: Predictions, how: Any) -> Any:
        result = usual(said, true, how)
        return result | {"metrics": {name: value / 2 for name, value in result["metrics"].items()}}

    quick = compare(Comparison(resamples=100), of, *pair, truth, evaluate=usual)
    slow = compare(Comparison(resamples=100), of, *pair, truth, evaluate=half, seconds=0)
    assert (slow.how, slow.resamples) == ("evaluator", 50)  # no time is left, and these are the least
    assert slow.main.gain == pytest.approx(quick.main.gain / 2, abs=1e-6)


def evaluator(of: Problem) -> Evaluate:
    def evaluate(said: Predictions, true: Predictions, how: Any) -> Any:
        return torchmetrics.evaluate(torchmetrics.Options(), of, said, true, how)

    return evaluate


def same(error: float, rows: int = 200) -> tuple[Answers, Predictions]:
    return values(rows, error, 1)


@pytest.mark.parametrize(
    ("on_frozen", "on_window", "margin", "passed", "said"),
    [
        (2.9, 1.0, 0.0, True, "mae"),  # better on the window, much the same on the frozen set
        (6.0, 1.0, 0.0, False, "surely worse on the frozen test set"),
        (3.5, 1.0, 0.5, True, "mae"),  # worse, and within what is allowed
        (3.9, 1.0, 0.3, False, "surely worse, and likely by more than allowed"),
        (2.9, 3.0, 0.0, False, "not surely better"),
        (1.0, 3.0, 0.0, True, "mae"),  # more data, the same world
        (1.0, 6.0, 0.0, False, "surely worse on the newest labels"),
        (1.0, 4.5, 0.9, False, "better on what was, and not on what is"),
    ],
)
def test_the_rule(on_frozen: float, on_window: float, margin: float, passed: bool, said: str) -> None:
    of, rule = problem("tabular_regression"), Comparison(no_worse_by=margin)
    old, truth = same(3.0)
    sets = {}
    for seed, (name, error) in enumerate({"frozen": on_frozen, "window": on_window}.items()):
        new, _ = values(200, error, 5 + seed)
        sets[name] = compare(rule, of, old, new, truth)
    found = decide(rule, of, sets)
    assert found.passed is passed, found.why
    assert said in found.why


@pytest.mark.parametrize(
    ("on_frozen", "on_window", "passed", "said"),
    [
        (9.0, 1.0, True, "no veto"),  # what was true is so no more
        (1.0, 3.0, False, "not surely better"),  # better on what was says nothing
        (1.0, 6.0, False, "surely worse on the newest labels"),
        (9.0, None, None, "no newest labels"),
    ],
)
def test_where_the_meaning_has_changed_the_window_decides_alone(
    on_frozen: float, on_window: float | None, passed: bool | None, said: str
) -> None:
    of, rule = problem("tabular_regression"), Comparison(no_worse_by=0.0)
    old, truth = same(3.0)
    sets = {"frozen": compare(rule, of, old, values(200, on_frozen, 5)[0], truth)}
    if on_window is not None:
        sets["window"] = compare(rule, of, old, values(200, on_window, 6)[0], truth)
    found = decide(rule, of, sets, meaning_changed=True)
    assert found.passed is passed, found.why
    assert said in found.why
    assert on_window is None or "rows of the frozen test set" in found.why, "it stays evidence"
    spoilt = replace(sets["frozen"], undecided="there is no row")
    assert decide(rule, of, sets | {"frozen": spoilt}, meaning_changed=True).passed is passed


def test_time_that_is_up_makes_fewer_draws_and_says_so() -> None:
    old, truth = values(500, 3.0, 1)
    new, _ = values(500, 1.0, 2)
    of, rule = problem("tabular_regression"), Comparison(resamples=2000)
    found = compare(rule, of, old, new, truth, seconds=0)
    assert (found.resamples, found.plain()["resamples"], found.plain()["asked"]) == (100, 100, 2000)
    assert "by 100 of 2000 draws: time was up" in decide(rule, of, {"window": found}).why
    whole = compare(rule, of, old, new, truth, seconds=600)
    assert "time was up" not in decide(rule, of, {"window": whole}).why


def test_a_model_against_itself_has_no_reason_to_take_over() -> None:
    of = problem("tabular_regression")
    old, truth = same(3.0)
    found = decide(Comparison(), of, {"window": compare(Comparison(), of, old, old, truth)})
    assert (found.passed, "not surely better" in found.why) == (False, True)


def test_a_class_that_is_lost_refuses_a_better_whole() -> None:
    of, rule = problem("tabular_classification"), Comparison()
    chance = np.random.default_rng(0)
    rows, keys = 600, tuple(map(str, range(600)))
    label = chance.choice(3, rows, p=[0.5, 0.4, 0.1])
    truth = Predictions(keys, probabilities=np.eye(3, dtype=np.float32)[label])

    def model(sharpness: tuple[float, float, float], seed: int) -> Answers:
        logits = np.eye(3)[label] * np.array(sharpness)[label][:, None]
        logits = logits + np.random.default_rng(seed).normal(0, 1, (rows, 3))
        p = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
        return Answers(Predictions(keys, probabilities=p.astype(np.float32)), NONE)

    one = compare(rule, of, model((1.5, 1.5, 4), 1), model((6, 6, -6), 2), truth, metric="accuracy")
    found = decide(rule, of, {"frozen": one})
    assert one.main.low > 0
    assert found.passed is False
    assert "f1 of tv" in found.why


@pytest.mark.parametrize(
    ("rows", "label", "said"), [(0, 0, "no row"), (10, 0, "are needed"), (50, 1, "all rows are of one class")]
)
def test_nothing_is_decided_on_nothing(rows: int, label: int, said: str) -> None:
    of = problem("tabular_classification")
    keys = tuple(map(str, range(rows)))
    truth = Predictions(keys, probabilities=np.eye(3, dtype=np.float32)[np.full(rows, label)])
    one = Answers(Predictions(keys, probabilities=np.full((rows, 3), 1 / 3, np.float32)), NONE)
    found = compare(Comparison(), of, one, one, truth)
    assert said in found.undecided
    assert decide(Comparison(), of, {"frozen": found}).passed is None


def test_figures_that_are_no_numbers_decide_nothing() -> None:
    old, truth = values(40, 3.0, 1)
    assert old.predictions.values is not None
    broken = Answers(Predictions(truth.keys, values=np.full(40, np.nan, np.float32)), NONE)
    found = compare(Comparison(), problem("tabular_regression"), old, broken, truth)
    assert "cannot be computed" in found.undecided
    assert decide(Comparison(), problem("tabular_regression"), {}).passed is None
    assert isinstance(found, Compared)
    with pytest.raises(ValueError, match="same keys"):
        compare(Comparison(), problem("tabular_regression"), old, values(41, 3.0, 1)[0], truth)
