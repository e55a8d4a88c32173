"""What cannot be estimated is undecided, never fine; several rules; how near estimates came, in the alarm's text."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
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


LOW = Monitoring(chunk=Chunk(size=5000), performance=PerformanceThreshold(metric="accuracy", below=0.8))
OPEN = "below 0.74 (by three sampling errors below 0.8, since the chunk is still open)"


@pytest.mark.parametrize(
    ("labelled", "open", "estimated", "realised", "words"),
    [
        (0, False, 0.8, None, "below 0.8"),
        (0, True, 0.74, None, OPEN),
        (900, False, 0.8, 0.8, "below 0.8"),
        (100, False, 0.8, 0.8 - 3 * 0.06 * math.sqrt(8 / 9), "below 0.8"),
        (100, True, 0.74, 0.8 - 3 * 0.06, OPEN),
    ],
    ids=["full", "open", "all labels", "some labels", "open, some labels"],
)
def test_a_rule_allows_for_the_error_of_a_part(
    context: Any, table: Table, labelled: int, open: bool, estimated: float, realised: float | None, words: str
) -> None:
    """900 rows: a full chunk is held against the rule as it stands, a part of one beyond its own sampling error."""
    with library.quiet():
        instrument = performance.fit(context(answers(600, 0), table(("no", "yes")), LOW))
    row = {"error": 0.02, "labelled": labelled}
    first, second = instrument.limits(instrument.rules[0], Part("1", 0, 900, open=open), row)
    assert first.low == pytest.approx(estimated)
    assert str(first) == words
    if realised is not None:
        assert second.low == pytest.approx(realised)


def test_an_open_chunk_just_below_the_rule_is_silent_until_it_is_full(
    context: Any, read_chunks: Any, table: Table
) -> None:
    with library.quiet():
        instrument = performance.fit(context(answers(600, 0), table(("no", "yes")), LOW))
    known = read_chunks(instrument, [answers(200, 1).drop(columns="true")])
    (full,) = instrument.judge(known).findings
    growing = replace(known, parts=[replace(known.parts[0], open=True)])
    (early,) = instrument.judge(growing).findings
    assert full.value == early.value
    assert full.value is not None
    assert full.error is not None
    assert 0.7 < full.value < 0.8
    assert (full.alert, early.alert) == (True, False)
    assert (full.low, early.low) == (0.8, pytest.approx(0.8 - 3 * full.error))


def test_estimates_that_missed_of_late_decide_nothing_but_alarms(judged: Any) -> None:
    """Labels say the contrary of what the model was sure of: the next estimate, which looks well, ends no incident."""

    def known(seed: int) -> pd.DataFrame:
        return answers(100, seed)

    def missed(seed: int) -> pd.DataFrame:
        said = answers(100, seed)
        return said.assign(true=said["true"].map({"yes": "no", "no": "yes"}))

    def unknown(seed: int, right: bool = True) -> pd.DataFrame:
        return answers(100, seed, right).drop(columns="true")

    four = [missed(seed) for seed in range(1, 5)]
    said = judged([*four, unknown(5), unknown(6, right=False)])
    assert [finding.alert for finding in said.findings] == [True] * 4 + [None, True]
    (text,) = said.undecided
    assert text.startswith("f1 in chunk 5 (100 rows): estimates were off by 0.")
    assert text.endswith("on the last 4 chunks with labels, so this one says little")
    assert said.findings[4].threshold.endswith("so this one says little")

    few = judged([*four[:2], unknown(5)])
    assert [finding.alert for finding in few.findings] == [True, True, False], "two are too few to say so"
    told = judged([*four, known(5)])
    assert (told.findings[4].alert, told.undecided) == (False, ()), "labels of its own decide"
    near = judged([*(known(seed) for seed in range(1, 5)), unknown(5)])
    assert [finding.alert for finding in near.findings] == [False] * 5
    lenient = Monitoring(chunk=Chunk(size=100), performance=PerformanceThreshold(metric="f1", below=0.01))
    assert judged([*four, unknown(5)], lenient).undecided == (), "no miss would turn the verdict"
