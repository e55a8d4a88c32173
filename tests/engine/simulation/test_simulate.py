"""`pizzeria simulate` on a history that breaks: inputs come from where the first model has seen none."""

from __future__ import annotations

import json
import os
import random
import re
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from pizzeria.runs.ledger import Ledger

SPEC = """
defaults:
  - override /data: table
  - override /features: columns
  - override /model: tabular_network
name: shifting
problem:
  need: Test.
  owner: tests
  task: tabular_classification
  target: kind
  classes: [a, b]
  success: [{metric: accuracy, at_least: 0.7}]
data:
  path: shifting.parquet
  split: {order_by: at, validation: 0.2, test: 0.2}
features: {drop: [at]}
model: {hidden: 16, blocks: 1}
training: {max_epochs: 12, batch_size: 64, learning_rate: 1.0e-2}
monitoring:
  chunk: {size: 150}
  performance: {metric: accuracy, below: 0.75}
maintenance: {retrain_on: [performance, drift], probation: null, least_labels: 300}
"""
DAYS, A_DAY, PAST, BREAK = 10, 150, 600, 3


def _history(folder: Path) -> None:
    """`kind` is b from 0 to 4. Before the break x lies around 0, after it around 4: a model that knows but the former
    says b of nearly all of the latter. A twentieth is noise."""
    draw = random.Random(1)
    rows = []
    for i in range(PAST + DAYS * A_DAY):
        x, noise = draw.gauss(4 if i >= PAST + BREAK * A_DAY else 0, 1), draw.gauss(0, 1)
        kind = (0 < x < 4) ^ (draw.random() < 0.05)
        at = datetime(2026, 1, 1) + timedelta(days=(i - PAST) / A_DAY)
        rows.append({"at": at, "x": round(x, 4), "noise": round(noise, 4), "kind": "b" if kind else "a"})
    pd.DataFrame(rows).to_parquet(folder / "shifting.parquet")
    (folder / "shifting.yaml").write_text(SPEC)


def _command(*more: str) -> list[str]:
    head = [sys.executable, "-m", "pizzeria.cli", "simulate", "shifting.yaml"]
    return [*head, "--start", "2026-01-01", "--delay", "1d", *more]


def _run(folder: Path, *more: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(_command(*more), cwd=folder, capture_output=True, text=True, check=False, env=_environment())


def _environment() -> dict[str, str]:
    return {**{key: value for key, value in os.environ.items() if key != "PIZZERIA_STORE"}, "OMP_NUM_THREADS": "1"}


def _results(folder: Path) -> dict[str, Any]:
    [path] = folder.glob("runs/simulations/*/results.json")
    found: dict[str, Any] = json.loads(path.read_text())
    return found


def _values(policy: dict[str, Any], part: Sequence[int] | slice) -> float:
    return float(np.mean([window["value"] for window in policy["windows"]][part]))


@pytest.mark.slow
def test_a_break_is_noticed_and_mended_and_a_killed_simulation_goes_on(tmp_path: Path) -> None:
    _history(tmp_path)
    policies = ("--policy", "never", "--policy", "on_alert")
    process = subprocess.Popen(_command(*policies), cwd=tmp_path, env=_environment(), stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 300
    while not list(tmp_path.glob("runs/simulations/*/never/state.json")) or _step(tmp_path) < 1:
        assert process.poll() is None, "it ended before it could be killed"
        assert time.monotonic() < deadline
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.wait()
    done = _run(tmp_path, *policies)
    assert done.returncode == 0, done.stdout + done.stderr

    found = _results(tmp_path)
    assert (found["learnt"], found["replayed"], found["metric"]) == (PAST, DAYS * A_DAY, "auroc")
    never, on_alert = found["policies"]
    rows = [window["rows"] for window in never["windows"]]
    assert sum(rows) == DAYS * A_DAY, "each row was answered once, whatever was killed"
    assert (never["trained"], never["promoted"], never["used"]) == (0, 0, 0)
    assert never["labels"] == on_alert["labels"] == DAYS * A_DAY
    third = len(rows) // 3
    assert _values(never, slice(third)) > 0.85
    assert _values(never, slice(-third, None)) < 0.7, "nobody mended it"
    assert on_alert["promoted"] >= 1
    assert on_alert["trained"] >= on_alert["promoted"]
    assert on_alert["used"] > BREAK * A_DAY
    assert _values(on_alert, slice(-1, None)) > 0.8 > _values(never, slice(-1, None)), "it learnt the new inputs"
    assert _values(on_alert, slice(third)) == pytest.approx(_values(never, slice(third)))
    assert "drift" in on_alert["alerts"]
    promoted = [mark["at"] for mark in on_alert["marks"] if mark["what"] == "promoted"]
    assert min(promoted) > "2026-01-04", "not before the break"
    head, *lines = done.stdout.splitlines()[:3]
    assert head.split()[:2] == ["policy", "auroc"]
    assert [line.split("  ")[0].strip() for line in lines] == ["never", "on alert"]

    [page] = tmp_path.glob("runs/simulations/*/plot.html")
    text = page.read_text()
    assert "a new model took over" in text
    assert not re.search(r"<script[^>]+src=|<link", text), "the page needs nothing from elsewhere"
    store = page.parent / "on_alert"
    entries = Ledger(store).entries("shifting")
    assert [entry.at for entry in entries] == sorted(entry.at for entry in entries)
    assert all(entry.at.startswith("2026-01") for entry in entries), "nothing happened at any other time"
    assert not (tmp_path / "runs" / "ledger.sqlite").exists() or not Ledger(tmp_path / "runs").entries(
        "shifting", "promoted"
    )


def _step(folder: Path) -> int:
    [path] = folder.glob("runs/simulations/*/never/state.json")
    return int(json.loads(path.read_text())["step"])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--policy", "monthly"), "there is no policy 'monthly'"),
        (("--labels", "0"), "without labels no policy can learn anything"),
        (("data.split.order_by=null",), "the history has no order in time"),
        (("--metric", "map_50"), "the task has no metric 'map_50'"),
        (("--traffic", "shifting.yaml"), "it is for photos"),
        (("--every", "0d"), "0 is no interval"),
        (("--time", "x"), "x is double"),
        (("--start", "2030-01-01"), "and 0 after it"),
    ],
)
def test_what_cannot_be_simulated_is_said(tmp_path: Path, arguments: tuple[str, ...], message: str) -> None:
    from click.testing import CliRunner

    from pizzeria.cli import main

    _history(tmp_path)
    before = Path.cwd()
    try:
        os.chdir(tmp_path)
        done = CliRunner().invoke(main, ["simulate", "shifting.yaml", *arguments])
    finally:
        os.chdir(before)
    assert done.exit_code != 0
    assert message in done.output, done.output
