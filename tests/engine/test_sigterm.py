"""SIGTERM ends a command cleanly, whatever it is at: with 143, the ledger told, and no lock left."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from pizzeria.graph import plan
from pizzeria.loading import load_spec
from pizzeria.runs.ledger import Ledger
from pizzeria.runs.store import Store

SPEC = """
defaults:
  - override /data: table
  - override /features: columns
  - override /model: tabular_network
name: prices
problem:
  need: Test.
  owner: tests
  task: tabular_regression
  target: price
  success: [{metric: r2, at_least: 0.5}]
data: {path: prices.csv, validator: slow}
"""

SLOW = '''
"""Expectations that take their time."""

import time
from pathlib import Path

from pizzeria_plugins.validators.great_expectations import Options, check_names


def validate(*arguments, **more):
    Path("at-work").touch()
    time.sleep(120)
'''


@pytest.mark.parametrize(
    ("how", "code", "said"),
    [(signal.SIGTERM, 143, "told to end by SIGTERM"), (signal.SIGINT, 130, "interrupted by the user")],
)
def test_a_stage_at_work_is_left_in_order(working_folder: Path, how: signal.Signals, code: int, said: str) -> None:
    (working_folder / "prices.yaml").write_text(SPEC)
    rows = "".join(f"{i},{3 * i + i % 7}\n" for i in range(1, 60))
    (working_folder / "prices.csv").write_text(f"area,price\n{rows}")
    (working_folder / "plugins" / "validators").mkdir(parents=True)
    (working_folder / "plugins" / "validators" / "slow.py").write_text(SLOW)
    process = subprocess.Popen(
        [sys.executable, "-m", "pizzeria.cli", "run", "prices.yaml"],
        env=dict(os.environ),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    until = time.monotonic() + 240
    while not (working_folder / "at-work").exists():
        assert process.poll() is None, process.communicate()[0]
        assert time.monotonic() < until
        time.sleep(0.05)
    process.send_signal(how)
    out, _ = process.communicate(timeout=60)
    assert process.returncode == code, out
    assert "the same command goes on from here" in out
    assert "Traceback" not in out

    store = Store()
    entries = Ledger(store.root).entries("prices")
    assert [entry.event for entry in entries] == ["run_started", "run_stopped"]
    assert entries[-1].detail["message"] == f"{said}; the same command goes on"
    step = next(step for step in plan(load_spec(("prices.yaml",)), store) if step.name == "validate")
    with store.partial(step.fingerprint, keep=True):  # or it would say that another process is at work
        pass
