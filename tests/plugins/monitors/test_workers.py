"""Who measures: a process that dies, Ray for real, and what is kept of a pass that was cut off."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from pizzeria.conformance.asking import Quiet
from pizzeria.errors import PizzeriaError
from pizzeria.monitoring.traffic import FrameTraffic
from pizzeria.spec.monitoring import Chunk, DriftThreshold, Monitoring
from pizzeria.spec.problem import Problem
from pizzeria_plugins.monitors import library, nannyml
from pizzeria_plugins.monitors.memory import Memory

from .passing import judge

Table = Callable[..., Problem]
RULE = Monitoring(chunk=Chunk(size=100), drift=DriftThreshold(multivariate=()))


def answers(rows: int, seed: int) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    p = rng.random(rows)
    out = pd.DataFrame({"timestamp": pd.date_range("2026-01-01", periods=rows, freq="min", tz="UTC")})
    truth = np.where(rng.random(rows) < p, "yes", "no")
    return out.assign(**{"p:no": 1 - p, "p:yes": p, "pred": np.where(p > 0.5, "yes", "no"), "true": truth})


@dataclass(frozen=True)
class Deadly(FrameTraffic):
    """Whoever reads from some moment on, and is not the one who made it, is killed."""

    maker: int
    since: datetime

    def batches(
        self, *, since: datetime | None = None, until: datetime | None = None, columns: Sequence[str] | None = None
    ) -> Iterator[pd.DataFrame]:
        if os.getpid() != self.maker and since is not None and since >= self.since:
            os.kill(os.getpid(), signal.SIGKILL)
        return super().batches(since=since, until=until, columns=columns)


@dataclass(frozen=True)
class Counting(FrameTraffic):
    """Keeps who read what."""

    reads: list[datetime | None]

    def batches(
        self, *, since: datetime | None = None, until: datetime | None = None, columns: Sequence[str] | None = None
    ) -> Iterator[pd.DataFrame]:
        if columns != ["timestamp"]:
            self.reads.append(since)
        return super().batches(since=since, until=until, columns=columns)


@pytest.mark.slow
def test_a_worker_that_dies_is_told_and_what_was_measured_stays(table: Table, tmp_path: Path) -> None:
    analysis = answers(800, 1)
    deadly = Deadly(analysis, os.getpid(), analysis["timestamp"][599].to_pydatetime())
    both = RULE.model_copy(update={"workers": 2})
    with pytest.raises(PizzeriaError, match="a process that measured chunks died") as failed:
        judge(table(("no", "yes")), answers(400, 0), deadly, both, tmp_path, resamples=20)
    assert "monitoring.workers: 1" in str(failed.value.hint)
    done = [one for one in Memory(tmp_path, "").chunks() if not one.todo]
    assert 0 < len(done) < 8
    verdict = judge(table(("no", "yes")), answers(400, 0), analysis, RULE, tmp_path, resamples=20)
    alone = judge(table(("no", "yes")), answers(400, 0), analysis, RULE, resamples=20)
    assert verdict.findings == alone.findings


def test_a_pass_reads_only_what_is_new(table: Table, tmp_path: Path) -> None:
    problem, reference, analysis = table(("no", "yes")), answers(400, 0), answers(700, 1)
    judge(problem, reference, analysis[:450], RULE, tmp_path, resamples=20)
    again = Counting(analysis[:450], [])
    verdict = judge(problem, reference, again, RULE, tmp_path, resamples=20)
    assert (verdict.findings, verdict.chunks, verdict.stood) == ((), (), 5)
    assert again.reads == []
    assert verdict.plots
    more = Counting(analysis, [])
    verdict = judge(problem, reference, more, RULE, tmp_path, resamples=20)
    assert [chunk.name for chunk in verdict.chunks] == ["5", "6", "7"]
    assert verdict.stood == 4
    assert set(more.reads) == {analysis["timestamp"][399].to_pydatetime()}


def test_chunks_are_told_again_until_the_verdict_is_kept(table: Table, tmp_path: Path) -> None:
    """A kill between the verdict and the history must not lose what was found."""
    problem, reference, traffic = table(("no", "yes")), answers(400, 0), FrameTraffic(answers(300, 1))
    passed = (nannyml.Options(resamples=20), RULE, problem, reference, traffic, tmp_path, Quiet())
    first, second = nannyml.judge(*passed), nannyml.judge(*passed)
    assert [chunk.name for chunk in first.chunks] == ["1", "2", "3"]
    assert second == first
    nannyml.kept(tmp_path)
    assert nannyml.judge(*passed).stood == 3


def test_many_chunks_are_judged_some_at_a_time(table: Table, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    problem, reference, analysis = table(("no", "yes")), answers(400, 0), answers(900, 1)
    whole = judge(problem, reference, analysis, RULE, tmp_path / "1", resamples=20)
    monkeypatch.setattr(nannyml, "BLOCK", 2)
    blocks = judge(problem, reference, analysis, RULE, tmp_path / "2", resamples=20)
    assert {(f.kind, f.subject, f.chunk): f for f in blocks.findings} == {
        (f.kind, f.subject, f.chunk): f for f in whole.findings
    }
    assert (blocks.chunks, blocks.backtest, blocks.plots.keys()) == (whole.chunks, whole.backtest, whole.plots.keys())


def test_other_rules_judge_all_again_without_reading(table: Table, tmp_path: Path) -> None:
    problem, reference, analysis = table(("no", "yes")), answers(400, 0), answers(300, 1)
    judge(problem, reference, analysis, RULE, tmp_path, resamples=20)
    strict = RULE.model_copy(update={"drift": DriftThreshold(multivariate=(), above=0.01, deviations=0.1, columns=1)})
    traffic = Counting(analysis, [])
    verdict = judge(problem, reference, traffic, strict, tmp_path, resamples=20)
    assert [chunk.name for chunk in verdict.chunks] == ["1", "2", "3"]
    assert verdict.alerts
    assert traffic.reads == []
    # Another reference: nothing that was measured holds any more.
    verdict = judge(problem, answers(500, 7), traffic, strict, tmp_path, resamples=20)
    assert [chunk.name for chunk in verdict.chunks] == ["1", "2", "3"]
    assert traffic.reads


@pytest.mark.slow
def test_ray_says_the_same(table: Table, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("ray", reason="Ray is not installed: pip install 'pizzeria[ray]'")
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    problem, reference, analysis = table(("no", "yes")), answers(400, 0), answers(400, 1)
    alone = judge(problem, reference, analysis, RULE, tmp_path / "1", resamples=20)
    with library.quiet():
        on_ray: Any = RULE.model_copy(update={"runner": "ray", "workers": 1})
        assert judge(problem, reference, analysis, on_ray, tmp_path / "2", resamples=20).findings == alone.findings
