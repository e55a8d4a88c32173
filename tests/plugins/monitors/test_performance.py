"""What cannot be estimated is undecided, never fine; several rules; how near estimates came, in the alarm's text."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest

from pizzeria.spec.monitoring import Chunk, Monitoring, PerformanceThreshold
from pizzeria.spec.problem import Problem
from pizzeria_plugins.monitors import library, performance
from pizzeria_plugins.monitors.chunks import Part

Table = Callable[..., Problem]
F1 = Monitoring(chunk=Chunk(size=100), performance=PerformanceThreshold(metric="f1"))


def answers(rows: int, seed: int, right: bool = True, names: tuple[str, ...] = ("no", "yes")) -> pd.DataFrame:
    """Calibrated; or with all answers said the other way round."""
    rng = np.random.default_rng(seed)
    p = rng.random(rows)
    said, truth = p > 0.5, rng.random(rows) < p
    word = np.array(names)
    out = pd.DataFrame({f"p:{names[0]}": 1 - p, f"p:{names[1]}": p})
    return out.assign(pred=word[(said == right).astype(int)], true=pd.Series(word[truth.astype(int)], dtype=object))


@pytest.fixture
def judged(context: Any, judge_chunks: Any, table: Table) -> Callable[..., Any]:
    def judge(chunks: list[pd.DataFrame], rule: Monitoring = F1, reference: pd.DataFrame | None = None) -> Any:
        usual = answers(600, 0) if reference is None else reference
        with library.quiet():
            instrument = performance.fit(context(usual, table(("no", "yes")), rule))
        return judge_chunks(instrument, chunks)

    return judge


@pytest.mark.parametrize(
    "change",
    [
        {"p:yes": np.nan},
        {"p:yes": "much"},
        {"pred": None},
        {"pred": "maybe"},
        {"p:yes": None, "true": None},
        {"pred": pd.Series([["a list"]] * 100)},
    ],
    ids=["no number", "text", "no answer", "no class", "neither", "lists"],
)
def test_without_values_nothing_is_said_but_that(judged: Any, change: dict[str, Any]) -> None:
    chunk = answers(100, 1).assign(**change)
    if "true" in change or "pred" in change:
        judgement = judged([chunk])
        assert [finding.alert for finding in judgement.findings] == [None]
        assert judgement.undecided == ("f1 cannot be estimated in chunk 1 (100 rows)",)
    assert judged([chunk]).findings[0].value is None


def test_a_chunk_without_its_columns_is_undecided(judged: Any) -> None:
    judgement = judged([answers(100, 1)[["true"]]])
    assert [finding.alert for finding in judgement.findings] == [None]


def test_a_chunk_of_one_class_is_judged_by_what_can_be_said(judged: Any) -> None:
    """Labels of one class say nothing of F1; answers of one class leave it undecided where others are rare anyway."""
    one = answers(100, 1)
    one["true"] = "yes"
    (finding,) = judged([one]).findings
    assert (finding.realised, finding.alert) == (None, False)
    rare = answers(3000, 0)
    rare = rare[(rare["true"] == "no") | (rare.index % 60 == 0)].reset_index(drop=True)
    quiet = answers(100, 2)[["p:no", "p:yes", "pred"]].assign(**{"p:no": 0.99, "p:yes": 0.01, "pred": "no"})
    (finding,) = judged([quiet], reference=rare).findings
    assert (finding.value, finding.alert) == (None, None)


def test_a_reference_of_one_class_leaves_all_undecided(judged: Any) -> None:
    judgement = judged([answers(100, 1)], reference=answers(600, 0).assign(true="yes"))
    assert [finding.alert for finding in judgement.findings] == [None]
    assert judgement.undecided == ("f1 cannot be estimated: of 600 reference rows no in 0, at least 5 each are needed",)


def test_each_rule_has_its_findings_and_its_alarms(judged: Any) -> None:
    rule = Monitoring(
        chunk=Chunk(size=100),
        performance=(
            PerformanceThreshold(metric="accuracy", below=0.1),
            PerformanceThreshold(metric="roc_auc", above=0.2),
        ),
    )
    judgement = judged([answers(100, 1)], rule)
    assert [(finding.subject, finding.alert) for finding in judgement.findings] == [
        ("accuracy", False),
        ("roc_auc", True),
    ]
    (low, high), (method, error) = zip(*((f.low, f.high) for f in judgement.findings), strict=True), (
        judgement.findings[0].method, judgement.findings[0].error,
    )  # fmt: skip
    assert (low, high, method) == ((0.1, None), (None, 0.2), "CBPE")
    assert error == pytest.approx(0.045, abs=0.02)
    assert [alarm.subject for alarm in judgement.alarms] == ["roc_auc"]


def test_deviations_need_a_reference_of_five_chunks(judged: Any) -> None:
    rule = Monitoring(chunk=Chunk(size=200), performance=PerformanceThreshold(metric="accuracy", deviations=3))
    judgement = judged([answers(200, 1)], rule)
    assert [finding.alert for finding in judgement.findings] == [None]
    assert any("the reference makes 1 chunks, and deviations need at least 5" in text for text in judgement.undecided)


def test_an_alarm_says_how_near_estimates_came(judged: Any, context: Any, read_chunks: Any, table: Table) -> None:
    chunks = [answers(100, seed) for seed in range(1, 8)] + [answers(100, 9, right=False)]
    (alarm,) = judged(chunks).alarms
    assert alarm.chunk == "8"
    assert "is estimated at" in alarm.text
    assert alarm.text.split("; ")[-1].startswith("estimates were within 0.")
    assert alarm.text.endswith("on the last 7 chunks with labels")
    (early,) = judged([chunks[-1]]).alarms
    assert early.text.endswith("no chunk has labels yet, so nobody knows how near estimates come")
    with library.quiet():
        instrument = performance.fit(context(answers(600, 0), table(("no", "yes")), F1))
    found = instrument.backtest(read_chunks(instrument, chunks))
    assert found.chunks == 8
    assert 0 < found.mean_error < found.largest_error < 0.3
    assert instrument.backtest(read_chunks(instrument, chunks[:4])) is None


def test_few_labels_are_given_their_own_error(context: Any, table: Table) -> None:
    """What 30 of 1000 rows say may lie further from the reference than what all of them say."""
    with library.quiet():
        instrument = performance.fit(context(answers(600, 0), table(("no", "yes")), F1))
    rule, part = instrument.rules[0], Part("1", 0, 1000)
    (estimated, all_said), (same, few_said) = (
        instrument.limits(rule, part, {"error": 0.02, "labelled": count}) for count in (1000, 30)
    )
    assert estimated == same
    usual = instrument.estimator.usual["f1"].realised
    assert usual - all_said.low == pytest.approx(3 * 0.02 * math.sqrt(1 + 1000 / 600))
    assert usual - few_said.low == pytest.approx(3 * 0.02 * math.sqrt(1000 / 30) * math.sqrt(1 + 30 / 600))
