"""The NannyML monitor on detection records: silent on healthy traffic, loud on dark photos, undecided on nothing."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from pizzeria.contracts import Verdict
from pizzeria.errors import DataError, SpecError
from pizzeria.spec.monitoring import Chunk, DriftThreshold, Monitoring, PerformanceThreshold
from pizzeria.spec.problem import Problem
from pizzeria_plugins.monitors import nannyml

from .passing import judge, kinds, texts

Traffic = Callable[..., pd.DataFrame]
DEFAULTS = {"resamples": nannyml.Options().resamples}


@pytest.fixture(scope="module")
def healthy(traffic: Traffic, detection: Problem) -> Verdict:
    return judge(detection, traffic(150, 1), traffic(200, 2, labels=False), **DEFAULTS)


@pytest.fixture(scope="module")
def quick(traffic: Traffic, detection: Problem) -> Verdict:
    """The same with few pairs."""
    return judge(detection, traffic(150, 1), traffic(200, 2, labels=False))


@pytest.fixture(scope="module")
def dark(traffic: Traffic, detection: Problem) -> Verdict:
    return judge(detection, traffic(150, 1), traffic(200, 3, dark=0.6), **DEFAULTS)


def test_healthy_traffic_is_silent_and_decided(healthy: Verdict) -> None:
    assert healthy.alerts == ()
    assert kinds(healthy) == []
    assert healthy.undecided == ()
    assert {finding.alert for finding in healthy.findings} == {False}
    assert {finding.chunk for finding in healthy.findings} == {"1", "2", "3"}
    assert {finding.kind for finding in healthy.findings} == {"performance", "drift", "multivariate_drift", "quality"}


def test_dark_photos_raise_performance_and_drift(dark: Verdict) -> None:
    assert kinds(dark) == ["performance", "drift", "multivariate_drift", "quality", "concept"]
    drift = texts(dark, "drift")
    assert len(drift) == 3
    assert all("brightness" in alert and "sharpness" in alert for alert in drift)
    whole = [finding for finding in dark.findings if finding.subject == "f1"]
    assert all(finding.alert for finding in whole)


def test_estimate_is_near_what_labels_say(traffic: Traffic, detection: Problem) -> None:
    verdict = judge(detection, traffic(400, 1), traffic(400, 2), Monitoring(chunk=Chunk(size=200)))
    found = {finding.chunk: finding for finding in verdict.findings if finding.subject == "f1"}
    assert set(found) == {"1", "2"}
    for finding in found.values():
        assert finding.value is not None
        assert finding.realised == pytest.approx(finding.value, abs=0.05)
    beds = [finding for finding in verdict.findings if finding.subject == "f1 of bed"]
    assert all(finding.realised == pytest.approx(finding.value, abs=0.1) for finding in beds)


def test_realised_macro_f1_is_scikit_learns(traffic: Traffic, detection: Problem) -> None:
    from sklearn.metrics import f1_score

    analysis = traffic(100, 5)
    verdict = judge(detection, traffic(150, 1), analysis, Monitoring(chunk=Chunk()))
    finding = next(finding for finding in verdict.findings if finding.subject == "f1")
    scores = [f1_score(analysis[f"true:{name}"], analysis[f"pred:{name}"]) for name in detection.classes]
    assert finding.realised == pytest.approx(float(np.mean(scores)))
    assert finding.end == analysis["timestamp"].iloc[-1]


def test_a_spec_threshold_is_taken_literally(traffic: Traffic, detection: Problem, healthy: Verdict) -> None:
    values = [finding.value for finding in healthy.findings if finding.subject == "f1"]
    middle = sorted(float(value or 0) for value in values)[1]
    rule = Monitoring(chunk=Chunk(size=60), performance=PerformanceThreshold(metric="f1", below=middle))
    verdict = judge(detection, traffic(150, 1), traffic(200, 2, labels=False), rule)
    alerts = [finding.alert for finding in verdict.findings if finding.subject == "f1"]
    assert alerts == [value is not None and value < middle for value in values]
    assert sum(map(bool, alerts)) == 1
    assert kinds(verdict) == ["performance"]


def test_plots_are_plotly_and_compact(dark: Verdict) -> None:
    assert 5 <= len(dark.plots) <= 12
    for title, text in dark.plots.items():
        figure = json.loads(text)
        assert figure["data"], title
        assert figure["layout"]["paper_bgcolor"] == "white"
        assert len(text) < 60_000, title


@pytest.mark.slow
def test_false_alarms_are_rare_and_darkness_never_passes(traffic: Traffic, detection: Problem) -> None:
    """100 healthy chunks of 60 photos against 5 references of 120: at most 2 may alert; every dark one does."""
    alarms = 0
    for seed in range(5):
        reference = traffic(120, 1000 + seed)
        verdict = judge(detection, reference, traffic(1200, 2000 + seed, labels=False), **DEFAULTS)
        alarms += len({alarm.chunk for alarm in verdict.alerts})
        night = judge(detection, reference, traffic(120, 3000 + seed, dark=0.6, labels=False), **DEFAULTS)
        assert {alarm.chunk for alarm in night.alerts if alarm.kind == "drift"} == {"1", "2"}, seed
    assert alarms <= 2


def test_nothing_is_undecided_and_never_fine(traffic: Traffic, detection: Problem) -> None:
    for reference, analysis in ((150, 0), (20, 100), (0, 0), (150, 29)):
        verdict = judge(detection, traffic(151, 1)[:reference], traffic(101, 2)[:analysis])
        assert verdict.undecided, (reference, analysis)
        assert [finding.alert for finding in verdict.findings] == [None]
        assert verdict.alerts == ()


def test_few_are_undecided_in_each_pass_until_they_are_enough(
    traffic: Traffic, detection: Problem, tmp_path: Path
) -> None:
    for _ in range(2):
        verdict = judge(detection, traffic(150, 1), traffic(60, 2)[:20], memory=tmp_path)
        assert [finding.alert for finding in verdict.findings] == [None]
        assert verdict.undecided == (
            "chunk 1 (20 rows from 2026-01-01 00:00) is too short to judge, at least 30 rows are needed",
        )
    verdict = judge(detection, traffic(150, 1), traffic(80, 2)[:70], memory=tmp_path)
    assert verdict.undecided == ()
    assert [(chunk.name, chunk.open) for chunk in verdict.chunks] == [("1", False)]


def test_empty_log_without_columns_is_undecided(traffic: Traffic, detection: Problem) -> None:
    assert judge(detection, traffic(150, 1), pd.DataFrame()).undecided == ("there is no prediction to judge",)


def test_a_short_period_is_undecided_beside_the_others(traffic: Traffic, detection: Problem) -> None:
    rule = Monitoring(chunk=Chunk(period="D"))
    verdict = judge(detection, traffic(150, 1), traffic(150, 2, labels=False), rule)
    assert [text for text in verdict.undecided if "too short" in text] == [
        "chunk 2026-01-02 (6 rows from 2026-01-02 00:00) is too short to judge, at least 30 rows are needed"
    ]
    assert {finding.chunk for finding in verdict.findings if finding.alert is False} == {"2026-01-01"}


def test_period_without_timestamps_is_refused(traffic: Traffic, detection: Problem) -> None:
    with pytest.raises(DataError, match="no timestamp"):
        judge(detection, traffic(90, 1), traffic(90, 2).drop(columns="timestamp"), Monitoring(chunk=Chunk(period="D")))


def test_class_that_the_reference_lacks_is_undecided(traffic: Traffic, detection: Problem) -> None:
    reference = traffic(150, 1).assign(**{"true:tv": 0})
    verdict = judge(detection, reference, traffic(60, 2))
    assert any(
        text.startswith("f1 of tv cannot be estimated: the reference has it in 0 rows") for text in verdict.undecided
    )
    assert "f1 of bed" in {finding.subject for finding in verdict.findings}


def test_no_class_at_all_is_undecided(traffic: Traffic, detection: Problem) -> None:
    reference = traffic(150, 1).assign(**{f"true:{name}": 1 for name in detection.classes})
    verdict = judge(detection, reference, traffic(60, 2))
    assert [finding.alert for finding in verdict.findings if finding.kind == "performance"] == [None]
    assert sum("cannot be estimated" in text for text in verdict.undecided) == len(detection.classes)


def test_empty_column_is_undecided_and_a_quality_alert(traffic: Traffic, detection: Problem) -> None:
    analysis = traffic(60, 2).assign(**{"feature:sharpness": np.nan})
    verdict = judge(detection, traffic(150, 1), analysis)
    drift = next(f for f in verdict.findings if f.kind == "drift" and f.subject == "sharpness")
    assert (drift.value, drift.alert) == (None, None)
    assert next(f for f in verdict.findings if f.kind == "multivariate_drift").alert is None
    assert any("sharpness is missing" in text and "100%" in text for text in texts(verdict, "quality"))
    assert "drift" not in kinds(verdict)


def test_absent_columns_are_undecided(traffic: Traffic, detection: Problem) -> None:
    analysis = traffic(60, 2).drop(columns=["feature:warmth", "p:bed"]).assign(**{"feature:noise": 1.0})
    verdict = judge(detection, traffic(150, 1), analysis)
    text = "\n".join(verdict.undecided)
    assert "warmth has no value in chunk 1 (60 rows from 2026-01-01 00:00), so its drift is unknown" in text
    assert "only the traffic has noise" in text
    assert next(f for f in verdict.findings if f.subject == "f1").value is not None


def test_order_of_rows_does_not_matter(traffic: Traffic, detection: Problem, quick: Verdict) -> None:
    shuffled = traffic(200, 2, labels=False).sample(frac=1, random_state=0)
    assert judge(detection, traffic(150, 1), shuffled).findings == quick.findings


def test_records_read_as_objects_are_judged_alike(traffic: Traffic, detection: Problem, quick: Verdict) -> None:
    """As a log may return them: every value an object, and numbers as text."""
    analysis = traffic(200, 2, labels=False)
    analysis["feature:warmth"] = analysis["feature:warmth"].map(repr)
    assert judge(detection, traffic(150, 1), analysis.astype(object)).findings == quick.findings


def test_drift_can_be_silenced_by_its_own_thresholds(traffic: Traffic, detection: Problem) -> None:
    lenient = DriftThreshold(above=1.0, columns=3, multivariate=())
    rule = Monitoring(chunk=Chunk(size=60), performance=PerformanceThreshold(metric="f1", below=0.0), drift=lenient)
    verdict = judge(detection, traffic(150, 1), traffic(60, 3, dark=0.6), rule)
    assert set(kinds(verdict)) <= {"quality", "concept"}
    assert "multivariate_drift" not in {finding.kind for finding in verdict.findings}


@pytest.mark.parametrize(("method", "categories"), [("hellinger", "hellinger"), ("kolmogorov_smirnov", "l_infinity")])
def test_other_methods_tell_dark_from_healthy(
    traffic: Traffic, detection: Problem, method: Any, categories: Any
) -> None:
    rule = Monitoring(
        chunk=Chunk(size=60), drift=DriftThreshold(numbers=method, categories=categories, multivariate=())
    )
    night = judge(detection, traffic(150, 1), traffic(60, 3, dark=0.6), rule)
    assert "drift" in kinds(night)
    assert f"({method})" in "\n".join(texts(night))
    assert judge(detection, traffic(150, 1), traffic(60, 2), rule).alerts == ()


def test_metric_of_another_task_is_refused(traffic: Traffic, detection: Problem) -> None:
    rule = Monitoring(performance=PerformanceThreshold(metric="mae", above=1))
    assert [path for path, _, _ in nannyml.check(rule, detection)] == ["performance.metric"]
    assert nannyml.check(Monitoring(), detection) == []
    with pytest.raises(SpecError, match=r"monitoring\.performance\.metric: mae cannot be estimated"):
        judge(detection, traffic(150, 1), traffic(60, 2), rule)


def test_a_fresh_process_is_quick_and_loads_neither_torch_nor_env_files(tmp_path: Any) -> None:
    """Importing NannyML alone would import torch through FLAML; checking a spec must not even import NannyML."""
    program = """
import logging, sys, time, warnings
logging.basicConfig(level=logging.DEBUG, stream=sys.stdout)
warnings.simplefilter("error")
from pizzeria_plugins.monitors import library, nannyml
assert not {"nannyml", "pandas", "numpy"} & set(sys.modules) - {"numpy"}
start = time.perf_counter()
library.load()
assert "torch" not in sys.modules and "pytorch_lightning" not in sys.modules
print("seconds", time.perf_counter() - start)
"""
    environment = {k: v for k, v in os.environ.items() if k != "NML_DISABLE_USAGE_LOGGING"}
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, env=environment, cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert "nannyml" not in done.stdout.lower().replace("seconds", "")


@pytest.mark.slow
def test_a_pass_over_200_photos_takes_seconds(traffic: Traffic, detection: Problem, healthy: Verdict) -> None:
    start = time.process_time()
    judge(detection, traffic(150, 1), traffic(200, 2, labels=False), **DEFAULTS)
    assert time.process_time() - start < 10
