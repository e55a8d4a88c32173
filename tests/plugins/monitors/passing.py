"""One pass of the NannyML monitor over records in memory."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import pandas as pd

from pizzeria.conformance.asking import Quiet
from pizzeria.contracts import Traffic, Verdict
from pizzeria.monitoring.traffic import FrameTraffic
from pizzeria.spec.monitoring import Chunk, Monitoring, PerformanceThreshold
from pizzeria.spec.problem import Problem
from pizzeria_plugins.monitors import nannyml

SIXTY = Monitoring(chunk=Chunk(size=60), performance=PerformanceThreshold(metric="f1"))


def judge(
    problem: Problem,
    reference: pd.DataFrame,
    analysis: pd.DataFrame | Traffic,
    monitoring: Monitoring = SIXTY,
    memory: Path | None = None,
    **options: Any,
) -> Verdict:
    """A pass; with a memory of its own, if none is given, and kept then. Few pairs are drawn by default."""
    traffic = FrameTraffic(analysis) if isinstance(analysis, pd.DataFrame) else analysis
    with tempfile.TemporaryDirectory() as fresh:
        folder = memory or Path(fresh)
        verdict = nannyml.judge(
            nannyml.Options(**{"resamples": 20, **options}), monitoring, problem, reference, traffic, folder, Quiet()
        )
        nannyml.kept(folder)
    return verdict


def kinds(verdict: Verdict) -> list[str]:
    """What the alarms are about, each once."""
    return list(dict.fromkeys(alarm.kind for alarm in verdict.alerts))


def texts(verdict: Verdict, kind: str | None = None) -> list[str]:
    """Of the alarms."""
    return [alarm.text for alarm in verdict.alerts if kind in (None, alarm.kind)]


def found(verdict: Verdict, kind: str, subject: str) -> list[Any]:
    """Findings, oldest chunk first."""
    return [finding for finding in verdict.findings if (finding.kind, finding.subject) == (kind, subject)]
