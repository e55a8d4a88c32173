"""What is behind a fall: NannyML's ranking, and what is said with too few chunks for one."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from pizzeria.contracts import Alarm
from pizzeria.spec.problem import Problem
from pizzeria_plugins.monitors import causes, drift, library
from pizzeria_plugins.monitors.instruments import Known


def months(rows: int, months: int) -> pd.DataFrame:
    """Chunks of `rows`: the price moves back and forth and the answers with it, the stars once and for all."""
    rng = np.random.default_rng(0)
    chunk = np.arange(rows * months) // rows
    wave = np.sin(chunk) * (chunk > 0)
    return pd.DataFrame(
        {
            "price": rng.normal(wave * 2, 1),
            "stars": rng.normal((chunk > 1) * 3.0, 1),
            "noise": rng.normal(size=len(chunk)),
            "p": np.clip(rng.beta(2, 2, len(chunk)) * (1 - 0.4 * np.abs(wave)), 0, 1),
        }
    ).assign(yes=lambda frame: (frame["p"] > 0.5).astype(int), truth=lambda frame: rng.random(len(frame)) < frame["p"])


def test_correlations_are_those_of_nannyml(monkeypatch: pytest.MonkeyPatch) -> None:
    """NannyML's ranker calls `Series.ravel`, which pandas 3 has no more."""
    monkeypatch.setattr(pd.Series, "ravel", lambda series: series.to_numpy(), raising=False)
    frame = months(200, 12).astype({"truth": int})
    reference, analysis = frame[:200], frame[200:].reset_index(drop=True)
    nml = library.load()
    with library.quiet():
        names = ["price", "stars", "noise"]
        univariate = nml.UnivariateDriftCalculator(names, continuous_methods=["jensen_shannon"], chunk_size=200)
        strayed = univariate.fit(reference).calculate(analysis).filter(period="analysis")
        cbpe = nml.CBPE(
            problem_type="classification_binary", y_pred_proba="p", y_pred="yes", y_true="truth", metrics=["accuracy"],
            chunk_size=200,
        ).fit(reference)  # fmt: skip
        result = cbpe.estimate(analysis)
        performance = result.filter(period="analysis")
        ranker = nml.CorrelationRanker().fit(result.filter(period="reference"))
        said = ranker.rank(strayed, performance)
    table = strayed.to_df()
    distances = {name: table[(name, "jensen_shannon", "value")].to_numpy() for name in names}
    values = performance.to_df()[("accuracy", "value")].to_numpy()
    found = causes.correlated(distances, values, ranker.mean_reference_performance)
    assert [cause.column for cause in found] == list(said["column_name"])
    assert [cause.correlation for cause in found] == pytest.approx(list(said["pearsonr_correlation"]))
    assert [cause.p_value for cause in found] == pytest.approx(list(said["pearsonr_pvalue"]))


@pytest.fixture
def known(context: Any, read_chunks: Any, table: Any) -> Known:
    """Readings of drift in which the stars strayed furthest, and the price went with performance."""
    frame = months(200, 12)
    records = frame[["price", "stars", "noise"]].add_prefix("feature:")
    records["prediction_id"] = [f"id {i}" for i in range(len(records))]
    instrument = drift.fit(context(records[:200], table(), resamples=20))
    assert instrument is not None
    found: Known = read_chunks(instrument, [records[i : i + 200] for i in range(200, 2400, 200)])
    return found


def performance(chunks: int) -> dict[str, float | None]:
    return {str(i): 0.8 - 0.2 * abs(float(np.sin(i))) for i in range(1, chunks + 1)}


def test_an_alarm_names_the_column_that_goes_with_performance(known: Known) -> None:
    alarm = Alarm("performance", "accuracy", "8", "", "", "accuracy in chunk 8 is estimated at 0.6")
    quality = Alarm("quality", "missing values", "8", "", "", "In chunk 8 price is missing")
    told, other = causes.explain([alarm, quality], known, performance(11), 0.8, ["usual.jpg"])
    assert told.causes == ("price",)
    assert "; likely cause: price (its drift goes with performance, r = 0.9" in told.text
    assert len(told.examples) == 5
    assert told.usual == ("usual.jpg",)
    assert other == quality


def test_with_few_chunks_it_names_what_strayed_furthest(known: Known) -> None:
    few = Known(known.parts[:4], known.fresh, known.readings)
    found = causes.likely(few, "2", performance(4), 0.8)
    assert found.columns[0] == "stars"
    assert found.how == "it strayed furthest"
    assert causes.likely(known, "9", {}, None).columns[0] == "stars"


def test_nothing_is_named_where_nothing_drifted(
    context: Any, read_chunks: Any, detection: Problem, traffic: Any
) -> None:
    instrument = drift.fit(context(traffic(400, 0), detection, resamples=20))
    assert instrument is not None
    healthy = read_chunks(instrument, [traffic(100, 1)])
    alarm = Alarm("performance", "f1", "1", "", "", "f1 in chunk 1 is realised at 0.2")
    assert causes.explain([alarm], healthy, {"1": 0.2}, 0.8, ["usual.jpg"]) == (alarm,)
    assert causes.likely(healthy, "no such chunk", {}, 0.8).columns == ()
