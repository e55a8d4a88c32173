"""The NannyML monitor on tables: against NannyML called directly on real data, more than two classes, and a number."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest

from pizzeria.spec.monitoring import Chunk, DriftThreshold, Monitoring, PerformanceThreshold, QualityThreshold
from pizzeria.spec.problem import Problem
from pizzeria_plugins.monitors import library

from .passing import found, judge, kinds, texts

Table = Callable[..., Problem]
ALONE = DriftThreshold(multivariate=())


def census_records(frame: pd.DataFrame, columns: list[str]) -> pd.DataFrame:
    names = np.array(["idle", "employed"])
    out = {f"feature:{name}": frame[name] for name in columns}
    out |= {"p:idle": 1 - frame["predicted_probability"], "p:employed": frame["predicted_probability"]}
    out["pred"] = names[frame["prediction"]]
    if "employed" in frame:
        out["true"] = names[frame["employed"]]
    return pd.DataFrame(out)


@pytest.fixture(scope="module")
def census() -> tuple[pd.DataFrame, pd.DataFrame]:
    """Employment in Massachusetts, 2015 and then 2016 to 2018, from NannyML's wheel: NannyML's own quickstart.

    Of the analysis the chunks 21 to 30 of 5000 rows, among which those that shift lie.
    """
    nml = library.load()
    with library.quiet():
        reference, analysis, truth = nml.load_us_census_ma_employment_data()
    analysis = analysis.merge(truth, on="id").iloc[100_000:150_000]
    return reference.iloc[:50_000].reset_index(drop=True), analysis.reset_index(drop=True)


@pytest.mark.slow
def test_census_as_nannyml_says_itself(census: tuple[pd.DataFrame, pd.DataFrame], table: Table) -> None:
    reference, analysis = census
    columns = ["AGEP", "SCHL", "RELP"]
    rule = Monitoring(chunk=Chunk(size=5000), performance=PerformanceThreshold(metric="roc_auc"), drift=ALONE)
    verdict = judge(
        table(("idle", "employed")),
        census_records(reference, columns),
        census_records(analysis, columns),
        rule,
        resamples=20,
    )
    nml = library.load()
    with library.quiet():
        cbpe = nml.CBPE(
            problem_type="classification_binary",
            y_pred_proba="predicted_probability",
            y_pred="prediction",
            y_true="employed",
            metrics=["roc_auc"],
            chunk_size=5000,
        )
        said = cbpe.fit(reference).estimate(analysis).filter(period="analysis").to_df()["roc_auc"]
        univariate = nml.UnivariateDriftCalculator(column_names=["AGEP", "RELP"], chunk_size=5000).fit(reference)
        drift = univariate.calculate(analysis).filter(period="analysis").to_df()
    whole = found(verdict, "performance", "roc_auc")
    assert [f.value for f in whole] == pytest.approx(list(said["value"]))
    assert [f.realised for f in whole] == pytest.approx(list(said["realized"]))
    # NannyML's quickstart: the 28th and 29th chunk of the whole analysis alert, and no other.
    assert [f.alert for f in whole] == list(said["alert"]) == [False] * 7 + [True, True] + [False]
    for name in ("AGEP", "RELP"):
        values = [f.value for f in found(verdict, "drift", name)]
        assert values == pytest.approx(list(drift[(name, "jensen_shannon", "value")]))
    assert [f.alert for f in found(verdict, "drift", "RELP")] == [False] * 7 + [True, True] + [False]
    assert kinds(verdict) == ["performance", "drift"]
    assert verdict.undecided == ()


def three_classes(rows: int, seed: int, noise: float = 1.0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    names = np.array(["low", "middle", "high"])
    truth = rng.integers(0, 3, rows)
    scores = rng.normal(0, noise, (rows, 3)) + 2 * np.eye(3)[truth]
    p = np.exp(2 * scores) / np.exp(2 * scores).sum(axis=1, keepdims=True)
    out = pd.DataFrame({f"p:{name}": p[:, i] for i, name in enumerate(names)})
    shifted = noise > 1
    return out.assign(
        **{
            "pred": names[p.argmax(axis=1)],
            "true": names[truth],
            "feature:price": rng.lognormal(4 + shifted, 0.5, rows),
            "feature:nights": rng.integers(1, 15, rows) * (1 + 2 * shifted),
            "feature:city": rng.choice(["Lyon", "Oslo", "Porto"] if not shifted else ["Rome", "Oslo"], rows),
        }
    )


@pytest.mark.parametrize(
    "metric", ["f1", "roc_auc", "accuracy", "precision", "recall", "specificity", "average_precision"]
)
def test_three_classes(table: Table, metric: Any) -> None:
    problem = table(("low", "middle", "high"))
    rule = Monitoring(chunk=Chunk(size=150), performance=PerformanceThreshold(metric=metric), drift=ALONE)
    healthy = judge(problem, three_classes(400, 0), three_classes(300, 1), rule, resamples=20)
    assert healthy.alerts == ()
    assert healthy.undecided == ()
    for finding in found(healthy, "performance", metric):
        assert finding.realised == pytest.approx(finding.value, abs=0.08)


def test_three_classes_shifted(table: Table) -> None:
    problem = table(("low", "middle", "high"))
    rule = Monitoring(chunk=Chunk(size=150), performance=PerformanceThreshold(metric="accuracy", below=0.7))
    verdict = judge(problem, three_classes(400, 0), three_classes(150, 1, noise=4.0), rule)
    assert {"performance", "drift", "quality"} <= set(kinds(verdict))
    text = "\n".join(texts(verdict))
    assert "accuracy in chunk 1 (150 rows) is realised at" in text
    assert "city has values that the reference never had" in text
    assert text.count("Rome") == 1
    assert "columns drifted" in text


def test_two_classes_judge_the_second(table: Table) -> None:
    """p:no is one minus p:yes: only one of them counts as a column."""
    rng = np.random.default_rng(0)
    p = rng.random(300)
    truth = rng.random(300) < p
    records = pd.DataFrame({"p:no": 1 - p, "p:yes": p, "feature:x": p + rng.normal(size=300)})
    records = records.assign(pred=np.where(p > 0.5, "yes", "no"), true=np.where(truth, "yes", "no"))
    rule = Monitoring(chunk=Chunk(), performance=PerformanceThreshold(metric="precision"))
    verdict = judge(table(("no", "yes")), records[:200], records[200:], rule)
    finding = found(verdict, "performance", "precision")[0]
    said = records[200:].query("pred == 'yes'")
    assert finding.realised == pytest.approx((said["true"] == "yes").mean())
    assert {f.subject for f in verdict.findings if f.kind == "drift"} == {"x", "probability of yes", "prediction"}
    assert verdict.undecided == ("fewer than two input columns vary in the reference: no multivariate drift",)


def test_classes_that_look_like_numbers_are_found_in_labels_read_as_floats(table: Table) -> None:
    rng = np.random.default_rng(0)
    p = rng.random(300)
    truth = (rng.random(300) < p).astype(int)
    records = pd.DataFrame({"p:0": 1 - p, "p:1": p, "pred": np.where(p > 0.5, "1", "0"), "true": truth.astype(str)})
    analysis = records[200:].assign(true=pd.Series(truth[200:], index=range(200, 300)).where(p[200:] > 0.1))
    rule = Monitoring(chunk=Chunk(), performance=PerformanceThreshold(metric="accuracy"), drift=ALONE)
    verdict = judge(table(("0", "1")), records[:200], analysis, rule)
    known = p[200:] > 0.1
    right = (truth[200:] == (p[200:] > 0.5))[known]
    assert found(verdict, "performance", "accuracy")[0].realised == pytest.approx(right.mean())


def test_labels_on_some_rows_are_used_where_they_are_enough(table: Table) -> None:
    problem = table(("low", "middle", "high"))
    rule = Monitoring(
        chunk=Chunk(size=100), performance=PerformanceThreshold(metric="accuracy", below=0.6), drift=ALONE
    )
    analysis = three_classes(200, 1)
    # Labels say that every answer is wrong: on 40 rows of the first chunk, on 10 of the second.
    wrong = analysis["pred"].map({"low": "high", "middle": "low", "high": "middle"})
    analysis["true"] = wrong.where((analysis.index < 40) | (analysis.index >= 190))
    verdict = judge(problem, three_classes(400, 0), analysis, rule, resamples=20)
    assert [finding.alert for finding in found(verdict, "performance", "accuracy")] == [True, False]
    assert [finding.realised for finding in found(verdict, "performance", "accuracy")] == [0.0, 0.0]
    assert texts(verdict, "performance") == [
        "accuracy in chunk 1 (100 rows) is realised at 0, below 0.484 "
        "(by three sampling errors below 0.6, since 40 of 100 rows have labels); "
        "no chunk has labels yet, so nobody knows how near estimates come"
    ]


def numbers(rows: int, seed: int, shift: float = 0.0) -> pd.DataFrame:
    """A price whose error grows with the size of the flat, so that larger flats mean larger errors."""
    rng = np.random.default_rng(seed)
    size = rng.uniform(20, 80, rows) + shift
    value = 3 * size
    out = pd.DataFrame({"feature:size, m2": size, "feature:stars": rng.integers(1, 6, rows).astype(float)})
    out["feature:city"] = rng.choice(["Lyon", "Oslo", "Porto"], rows)
    return out.assign(pred=value, true=value + rng.normal(size=rows) * (1 + (size / 20) ** 2))


@pytest.mark.parametrize("metric", ["mae", "rmse", "mse", "mape"])
def test_regression_estimates_the_error(table: Table, metric: Any) -> None:
    rule = Monitoring(chunk=Chunk(size=200), performance=PerformanceThreshold(metric=metric), drift=ALONE)
    verdict = judge(table(), numbers(1000, 0), numbers(400, 1), rule, resamples=20)
    assert verdict.alerts == ()
    assert verdict.undecided == ()
    for finding in found(verdict, "performance", metric):
        assert finding.value == pytest.approx(finding.realised, rel=0.35)
        assert finding.threshold.startswith("above ")


def test_regression_without_labels_sees_larger_errors_coming(table: Table) -> None:
    analysis = numbers(300, 1, shift=30).drop(columns="true")
    analysis = analysis[analysis["feature:size, m2"] < 80].reset_index(drop=True)
    reference = numbers(600, 0)
    usual = float((reference["true"] - reference["pred"]).abs().mean())
    rule = Monitoring(performance=PerformanceThreshold(metric="mae", above=1.2 * usual))
    verdict = judge(table(), reference, analysis, rule)
    (finding,) = found(verdict, "performance", "mae")
    assert finding.alert
    assert finding.realised is None
    assert kinds(verdict) == ["performance", "drift"]


def test_regression_is_judged_on_mae_without_a_rule(table: Table) -> None:
    verdict = judge(table(), numbers(300, 0), numbers(100, 1), Monitoring())
    assert len(found(verdict, "performance", "mae")) == 1


def test_quality_counts_missing_and_unseen(table: Table) -> None:
    analysis = numbers(200, 1)
    analysis.loc[:19, "feature:city"] = "Atlantis"
    analysis.loc[20:49, "feature:city"] = None
    analysis.loc[:3, "feature:stars"] = np.nan
    rule = Monitoring(chunk=Chunk(size=100), drift=ALONE, quality=QualityThreshold(unseen_above=0.1))
    verdict = judge(table(), numbers(600, 0), analysis, rule)
    quality = {(f.subject, f.chunk): (f.value, f.alert) for f in verdict.findings if f.kind == "quality"}
    assert quality == {
        ("missing stars", "1"): (0.04, False),
        ("missing city", "1"): (0.3, True),
        ("unseen city", "1"): (0.2, True),
        ("missing or unseen values", "2"): (0.0, False),
    }
    assert any("Atlantis" in alert for alert in texts(verdict))


def test_columns_missing_in_the_reference_too_are_no_alert(table: Table) -> None:
    def half(frame: pd.DataFrame) -> pd.DataFrame:
        return frame.assign(**{"feature:stars": frame["feature:stars"].where(frame.index % 2 == 0)})

    verdict = judge(table(), half(numbers(400, 0)), half(numbers(100, 1)), Monitoring())
    assert verdict.alerts == ()


def test_a_constant_that_starts_to_vary_has_drifted(table: Table) -> None:
    """NannyML alone gives a distance of 0: its histogram of a constant has one bin, as wide as 1."""
    reference, analysis = numbers(300, 0), numbers(200, 1)
    for frame in (reference, analysis):
        frame["feature:tax"] = frame["feature:fee"] = 0.2
    rng = np.random.default_rng(2)
    moved = analysis.assign(**{"feature:tax": rng.uniform(0, 0.4, 200), "feature:fee": rng.uniform(0, 0.4, 200)})
    rule = Monitoring(drift=ALONE)
    assert judge(table(), reference, analysis, rule).alerts == ()
    verdict = judge(table(), reference, moved, rule)
    assert found(verdict, "drift", "tax")[0].value == pytest.approx(1.0)
    assert kinds(verdict) == ["drift"]
    assert not any("never had" in alert for alert in texts(verdict))


@pytest.mark.slow
def test_electricity_over_time(shared_data: Any, table: Table) -> None:
    """A real market, and a made-up model that stays as good as it was while the market changes."""
    frame = pd.read_parquet(shared_data / "tabular" / "electricity.parquet")
    rng = np.random.default_rng(0)
    up = frame["price_up"] == 1
    p = np.where(up, rng.beta(3, 2, len(frame)), rng.beta(2, 3, len(frame)))
    records = frame.drop(columns=["timestamp", "price_up"]).add_prefix("feature:")
    records = records.assign(timestamp=frame["timestamp"], **{"p:down": 1 - p, "p:up": p})
    records = records.assign(pred=np.where(p > 0.5, "up", "down"), true=np.where(up, "up", "down"))
    rule = Monitoring(chunk=Chunk(size=1000), performance=PerformanceThreshold(metric="roc_auc", below=0.65))
    reference, analysis = records[:6000].reset_index(drop=True), records[30_000:36_000].reset_index(drop=True)
    verdict = judge(table(("down", "up")), reference, analysis, rule)
    assert kinds(verdict) == ["drift", "quality"]
    assert all(f.alert for f in found(verdict, "drift", "nsw_price"))
    assert all(f.value == pytest.approx(f.realised, abs=0.05) for f in found(verdict, "performance", "roc_auc"))
