"""The numbers of NannyML on the whole table: values, sampling errors and what is realised; in passes, and by workers.

NannyML is called directly, with its own chunker, as its users call it.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from pizzeria.contracts import Finding
from pizzeria.spec.monitoring import Chunk, DriftThreshold, Monitoring, PerformanceThreshold
from pizzeria.spec.problem import Problem
from pizzeria_plugins.monitors import library
from pizzeria_plugins.monitors.values import BOOSTING

from .passing import found, judge

Table = Callable[..., Problem]
Kept = dict[tuple[str, str, str], Finding]
SIZE = 250
SCORES = ("f1", "roc_auc", "accuracy", "precision", "recall", "specificity")
ERRORS = ("mae", "rmse", "mse", "mape")


def timed(frame: pd.DataFrame) -> pd.DataFrame:
    """With times, three records in each minute."""
    minutes = np.arange(len(frame)) // 3
    stamps = pd.Timestamp("2026-01-01", tz="UTC") + pd.to_timedelta(minutes, unit="min")
    return frame.assign(timestamp=stamps)


def answers(rows: int, seed: int, classes: tuple[str, ...], shift: float = 0.0) -> pd.DataFrame:
    """Scores that are a little too sure, so that NannyML calibrates them."""
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, len(classes), rows)
    scores = rng.normal(shift, 1, (rows, len(classes))) + 1.2 * np.eye(len(classes))[truth]
    p = np.exp(2.5 * scores) / np.exp(2.5 * scores).sum(axis=1, keepdims=True)
    names = np.array(classes)
    out = pd.DataFrame({f"p:{name}": p[:, i] for i, name in enumerate(classes)})
    labels = pd.Series(names[truth], dtype=object).where(rng.random(rows) < 0.9)
    return timed(out.assign(pred=names[p.argmax(axis=1)], true=labels, **{"feature:x": scores[:, 0]}))


def prices(rows: int, seed: int) -> pd.DataFrame:
    """An error that grows with the size of the flat; with a category, and with what is missing."""
    rng = np.random.default_rng(seed)
    size = rng.uniform(20, 80, rows)
    city = pd.Series(rng.choice(["Lyon", "Oslo", "Porto"], rows), dtype=object).where(rng.random(rows) < 0.95)
    stars = np.where(rng.random(rows) < 0.9, rng.integers(1, 6, rows), np.nan)
    out = pd.DataFrame({"feature:size": size, "feature:stars": stars, "feature:city": city, "pred": 3 * size})
    return timed(out.assign(true=3 * size + rng.normal(size=rows) * (1 + (size / 20) ** 2)))


def directly(estimator: Any, reference: pd.DataFrame, analysis: pd.DataFrame, metric: str) -> pd.DataFrame:
    with library.quiet():
        result = estimator.fit(reference).estimate(analysis).filter(period="analysis")
        table: pd.DataFrame = result.data[metric]
    return table


def same(findings: list[Finding], said: pd.DataFrame) -> None:
    assert len(findings) == len(said) > 2
    assert [f.value for f in findings] == pytest.approx(list(said["value"]), rel=1e-9)
    assert [f.realised for f in findings] == pytest.approx(list(said["realized"]), rel=1e-9)


def over_passes(
    problem: Problem, reference: pd.DataFrame, analysis: pd.DataFrame, rule: Monitoring, memory: Path
) -> Any:
    """Three passes over growing traffic; the findings of the last time that each chunk was judged."""
    kept: Kept = {}
    for stop in (SIZE // 2, 2 * SIZE + 10, len(analysis)):
        verdict = judge(problem, reference, analysis[:stop], rule, memory, resamples=20)
        kept |= {(f.kind, f.subject, f.chunk): f for f in verdict.findings}
    return kept


@pytest.mark.parametrize("passes", [False, True], ids=["one pass", "three passes"])
@pytest.mark.parametrize("classes", [("no", "yes"), ("low", "middle", "high")], ids=["binary", "multiclass"])
def test_cbpe(table: Table, tmp_path: Path, classes: tuple[str, ...], passes: bool) -> None:
    reference, analysis = answers(1000, 0, classes).dropna().reset_index(drop=True), answers(1000, 1, classes)
    rules = tuple(PerformanceThreshold(metric=metric) for metric in SCORES)  # type: ignore[arg-type]
    rule = Monitoring(chunk=Chunk(size=SIZE), performance=rules, drift=DriftThreshold(multivariate=()))
    if passes:
        kept = over_passes(table(classes), reference, analysis, rule, tmp_path)
    else:
        verdict = judge(table(classes), reference, analysis, rule, tmp_path, resamples=20)
        kept = {(f.kind, f.subject, f.chunk): f for f in verdict.findings}
    nml = library.load()
    two = len(classes) == 2
    frames = [
        frame.assign(**{c: frame[c].eq("yes").astype(float).where(frame[c].notna()) for c in ("pred", "true")})
        if two else frame
        for frame in (reference, analysis)
    ]  # fmt: skip
    cbpe = nml.CBPE(
        metrics=list(SCORES),
        y_pred_proba="p:yes" if two else {name: f"p:{name}" for name in classes},
        y_pred="pred",
        y_true="true",
        problem_type="classification_binary" if two else "classification_multiclass",
        chunk_size=SIZE,
    )
    with library.quiet():
        said = cbpe.fit(frames[0]).estimate(frames[1]).filter(period="analysis").data
    for metric in SCORES:
        findings = [kept["performance", metric, str(i + 1)] for i in range(4)]
        same(findings, said[metric])
        # Of means over classes NannyML takes the classes for independent; see `classes`.
        factor = 1 if two or metric == "accuracy" else np.sqrt(3)
        assert [f.error for f in findings] == pytest.approx(list(said[metric]["sampling_error"] * factor), rel=1e-9)


@pytest.mark.parametrize("metric", ERRORS)
def test_dle(table: Table, tmp_path: Path, metric: Any) -> None:
    reference, analysis = prices(1000, 0), prices(1000, 1)
    rule = Monitoring(
        chunk=Chunk(size=SIZE), performance=PerformanceThreshold(metric=metric), drift=DriftThreshold(multivariate=())
    )
    verdict = judge(table(), reference, analysis, rule, tmp_path, resamples=20)
    names = {"feature:size": "x0", "feature:stars": "x1", "feature:city": "x2"}
    nml = library.load()
    dle = nml.DLE(
        feature_column_names=list(names.values()), y_pred="pred", y_true="true", metrics=[metric],
        hyperparameters=BOOSTING, chunk_size=SIZE,
    )  # fmt: skip
    said = directly(dle, reference.rename(columns=names), analysis.rename(columns=names), metric)
    findings = found(verdict, "performance", metric)
    same(findings, said)
    assert [f.error for f in findings] == pytest.approx(list(said["sampling_error"]), rel=1e-9)


def test_the_threshold_of_deviations_is_nannymls(table: Table, tmp_path: Path) -> None:
    classes = ("no", "yes")
    reference, analysis = answers(2000, 0, classes).dropna().reset_index(drop=True), answers(500, 1, classes)
    rule = Monitoring(
        chunk=Chunk(size=SIZE),
        performance=PerformanceThreshold(metric="roc_auc", deviations=3),
        drift=DriftThreshold(multivariate=()),
    )
    verdict = judge(table(classes), reference, analysis, rule, tmp_path, resamples=20)
    frames = [
        frame.assign(**{c: frame[c].eq("yes").astype(float).where(frame[c].notna()) for c in ("pred", "true")})
        for frame in (reference, analysis)
    ]
    # NannyML keeps the rest of a division as a chunk of its own; here it joins the last one of the reference.
    whole = len(reference) // SIZE * SIZE
    nml = library.load()
    cbpe = nml.CBPE(
        metrics=["roc_auc"], y_pred_proba="p:yes", y_pred="pred", y_true="true",
        problem_type="classification_binary", chunk_size=SIZE,
    )  # fmt: skip
    said = directly(cbpe, frames[0][:whole], frames[1], "roc_auc")
    for finding in found(verdict, "performance", "roc_auc"):
        assert finding.low == pytest.approx(said["lower_threshold"].iloc[0], abs=0.01)
        assert finding.threshold.startswith("below ")
        assert "3 standard deviations over the reference's chunks" in finding.threshold


@pytest.mark.slow
def test_two_processes_say_the_same_as_one(table: Table, tmp_path: Path) -> None:
    classes = ("low", "middle", "high")
    reference, analysis = answers(600, 0, classes).dropna().reset_index(drop=True), answers(1000, 1, classes)
    rule = Monitoring(chunk=Chunk(size=100), performance=PerformanceThreshold(metric="average_precision"))
    alone = judge(table(classes), reference, analysis, rule, tmp_path / "1", resamples=20)
    both = rule.model_copy(update={"workers": 2})
    assert judge(table(classes), reference, analysis, both, tmp_path / "2", resamples=20).findings == alone.findings
