"""Data quality: the shares that NannyML counts, and what of them a healthy chunk has by chance."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest

from pizzeria.spec.monitoring import Monitoring, QualityThreshold
from pizzeria.spec.problem import Problem
from pizzeria_plugins.monitors import library, quality

Table = Callable[..., Problem]


def flats(rows: int, seed: int) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    columns = {
        "feature:size": rng.uniform(20, 80, rows),
        "feature:city": rng.choice(["Lyon", "Oslo", "Porto"], rows).astype(object),
        "feature:zip": rng.zipf(1.6, rows).clip(max=10**6).astype(str).astype(object),
    }
    return pd.DataFrame(columns).assign(pred=rng.normal(size=rows))


def broken(rows: int) -> pd.DataFrame:
    chunk = flats(rows, 1).assign(**{"feature:zip": "1"})
    chunk.loc[:19, "feature:city"] = "Atlantis"
    chunk.loc[20:49, "feature:city"] = None
    chunk.loc[:9, "feature:size"] = 500
    chunk.loc[10:12, "feature:size"] = None
    return chunk


def test_as_nannyml_counts(context: Any, judge_chunks: Any, table: Table) -> None:
    reference, analysis = flats(600, 0).assign(**{"feature:zip": "1"}), broken(100)
    instrument = quality.fit(context(reference, table()))
    assert instrument is not None
    judgement = judge_chunks(instrument, [analysis])
    nml = library.load()
    with library.quiet():
        left, right = (
            frame.astype({"feature:city": object}).fillna({"feature:city": np.nan}) for frame in (reference, analysis)
        )
        said = {}
        for subject, column, calculator in (
            ("missing size", "feature:size", nml.MissingValuesCalculator),
            ("missing city", "feature:city", nml.MissingValuesCalculator),
            ("size out of range", "feature:size", nml.NumericalRangeCalculator),
        ):
            result = calculator(column_names=[column], chunk_size=100).fit(left).calculate(right)
            said[subject] = float(result.filter(period="analysis").to_df()[(column, "value")].iloc[0])
    found = {finding.subject: (finding.value, finding.alert) for finding in judgement.findings}
    assert found == {
        "missing size": (pytest.approx(said["missing size"]), False),
        "missing city": (pytest.approx(said["missing city"]), True),
        "size out of range": (pytest.approx(said["size out of range"]), True),
        "unseen city": (0.2, True),
    }
    alarms = {alarm.subject: alarm for alarm in judgement.alarms}
    assert set(alarms) == {"missing values", "values never seen", "values out of range"}
    assert "Atlantis" in alarms["values never seen"].text
    assert alarms["values never seen"].causes == ("city",)
    assert "500" in alarms["values out of range"].text


def test_a_chunk_without_any_is_decided(context: Any, judge_chunks: Any, table: Table) -> None:
    instrument = quality.fit(context(flats(600, 0).drop(columns="feature:zip"), table()))
    assert instrument is not None
    (finding,) = judge_chunks(instrument, [flats(100, 1)]).findings
    assert (finding.value, finding.alert) == (0.0, False)


def test_healthy_chunks_are_silent(context: Any, judge_chunks: Any, table: Table) -> None:
    """Of 100 rows the range is soon left, and of zip codes there is always one that was never seen."""
    strict = Monitoring(quality=QualityThreshold(missing_above=0, unseen_above=0, outside_above=0))
    reference = flats(100, 0)
    reference.loc[::3, "feature:size"] = None
    chunks = [flats(30, seed) for seed in range(1, 31)]
    for chunk in chunks:
        chunk.loc[::3, "feature:size"] = None
    instrument = quality.fit(context(reference, table(), strict))
    assert instrument is not None
    assert judge_chunks(instrument, chunks).alarms == ()
    assert any(finding.subject == "unseen zip" for finding in judge_chunks(instrument, chunks).findings)


def test_a_column_that_is_gone_is_missing(context: Any, judge_chunks: Any, table: Table) -> None:
    instrument = quality.fit(context(flats(600, 0), table()))
    assert instrument is not None
    (alarm,) = judge_chunks(instrument, [flats(100, 1).drop(columns="feature:size")]).alarms
    assert "size is missing in 100% of the rows, in the reference in 0%" in alarm.text
