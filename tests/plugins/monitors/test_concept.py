"""Concept drift: the formula against one written another way, and real data with and without it."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest

from pizzeria.contracts import Alarm
from pizzeria.spec.problem import Problem
from pizzeria_plugins.monitors import concept, library

Table = Callable[..., Problem]


def two(p: Any, yes: Any) -> pd.DataFrame:
    names = np.array(["no", "yes"])
    return pd.DataFrame(
        {"p:no": 1 - p, "p:yes": p, "pred": names[(p > 0.5).astype(int)], "true": names[yes.astype(int)]}
    )


def test_z_is_that_of_spiegelhalter_1986(context: Any, read_chunks: Any, table: Table) -> None:
    """As the paper writes it: (B - E[B]) / sd(B), B the sum of squares, with the variance of each term by its two
    outcomes."""
    rng = np.random.default_rng(0)
    p = rng.random(400)
    yes = rng.random(400) < p**1.4
    instrument = concept.fit(context(two(p, rng.random(400) < p), table(("no", "yes"))))
    assert instrument is not None
    reading = read_chunks(instrument, [two(p, yes)]).readings["concept"]["1"]
    score = ((yes - p) ** 2).sum()
    expected = (p * (1 - p) ** 2 + (1 - p) * p**2).sum()
    variance = (p * (1 - p) ** 4 + (1 - p) * p**4 - (p * (1 - p) ** 2 + (1 - p) * p**2) ** 2).sum()
    assert reading["z"] == pytest.approx((score - expected) / math.sqrt(variance))
    assert reading["value"] == pytest.approx((score - expected) / 400)


def test_z_of_three_classes_is_standard_normal_where_probabilities_are_right(table: Table) -> None:
    rng = np.random.default_rng(1)
    p = rng.dirichlet([1, 2, 3], 2000)
    names = np.array(["a", "b", "c"])
    z = []
    for _ in range(200):
        true = names[(rng.random((2000, 1)) > p.cumsum(axis=1)).sum(axis=1).clip(max=2)]
        frame = pd.DataFrame({f"p:{name}": p[:, i] for i, name in enumerate(names)}).assign(true=true)
        terms = concept.terms_of(frame, table(("a", "b", "c")))
        z.append(terms.values.sum() / math.sqrt(terms.variance.sum()))
    assert np.mean(z) == pytest.approx(0, abs=0.25)
    assert np.std(z) == pytest.approx(1, abs=0.15)


def test_photos_by_class(context: Any, judge_chunks: Any, traffic: Any, detection: Problem) -> None:
    """Probabilities of healthy photos are right; of dark ones they are not. Without labels nothing is said."""
    instrument = concept.fit(context(traffic(400, 0), detection))
    assert instrument is not None
    chunks = [traffic(100, 1), traffic(100, 2, dark=0.8), traffic(100, 3, labels=False)]
    chunks.append(traffic(100, 4).assign(**{name: None for name in traffic(1, 0) if name.startswith("true:")}))
    chunks[-1].loc[:9, "true:bed"] = 1
    judgement = judge_chunks(instrument, chunks)
    assert [(finding.chunk, finding.alert) for finding in judgement.findings] == [
        ("1", False),
        ("2", True),
        ("4", None),
    ]
    assert [alarm.chunk for alarm in judgement.alarms] == ["2"]


def test_a_number_that_means_more_than_it_did(context: Any, judge_chunks: Any, table: Table) -> None:
    rng = np.random.default_rng(0)

    def values(rows: int, bias: float) -> pd.DataFrame:
        pred = rng.normal(100, 20, rows)
        return pd.DataFrame({"pred": pred, "true": pred + bias + rng.normal(0, 10, rows)})

    instrument = concept.fit(context(values(500, 1.0), table()))
    assert instrument is not None
    judgement = judge_chunks(instrument, [values(200, 1.0) for _ in range(20)] + [values(200, 8.0), values(200, -8.0)])
    assert [alarm.chunk for alarm in judgement.alarms] == ["21", "22"]
    assert {(finding.subject, finding.method) for finding in judgement.findings} == {("bias", "mean residual")}


def test_answers_that_are_better_than_they_claim_are_no_alarm(context: Any, judge_chunks: Any, table: Table) -> None:
    rng = np.random.default_rng(0)
    p = rng.uniform(0.3, 0.7, 600)
    instrument = concept.fit(context(two(p[:300], rng.random(300) < p[:300]), table(("no", "yes"))))
    assert instrument is not None
    assert judge_chunks(instrument, [two(p[300:], p[300:] > 0.5)]).alarms == ()


def test_census_is_silent(context: Any, judge_chunks: Any, table: Table) -> None:
    """Employment in Massachusetts from NannyML's wheel: two chunks shift, and what the inputs mean does not."""
    nml = library.load()
    with library.quiet():
        reference, analysis, truth = nml.load_us_census_ma_employment_data()
    analysis = analysis.merge(truth, on="id")
    left, right = (two(frame["predicted_probability"], frame["employed"]) for frame in (reference, analysis))
    instrument = concept.fit(context(left, table(("no", "yes"))))
    assert instrument is not None
    for size in (500, 5000):
        chunks = [right[i : i + size] for i in range(0, len(right) - size + 1, size)]
        judgement = judge_chunks(instrument, chunks)
        assert judgement.alarms == ()
        assert len(judgement.findings) == len(chunks)


def test_electricity_is_not(context: Any, judge_chunks: Any, table: Table, shared_data: Any) -> None:
    """A real market: what the model learnt of its first months is soon no longer so."""
    from sklearn.ensemble import HistGradientBoostingClassifier

    frame = pd.read_parquet(shared_data / "tabular" / "electricity.parquet")
    inputs, up = frame.drop(columns=["timestamp", "price_up"]).select_dtypes("number"), frame["price_up"] == 1
    model = HistGradientBoostingClassifier(random_state=0, max_iter=50).fit(inputs[:7000], up[:7000])
    records = two(model.predict_proba(inputs)[:, 1], up)
    instrument = concept.fit(context(records[7000:9000].reset_index(drop=True), table(("no", "yes"))))
    assert instrument is not None
    alarms: tuple[Alarm, ...] = judge_chunks(
        instrument, [records[i : i + 1000] for i in range(9000, 33_000, 1000)]
    ).alarms
    assert len(alarms) > 12
    assert "the model is more wrong than its own probabilities say" in alarms[0].text
