"""Killed or interrupted anywhere, the same command goes on and ends as if nothing had happened."""

from __future__ import annotations

import hashlib
import json
import os
import re
import signal
import subprocess
import time
from collections.abc import Set
from pathlib import Path

import pytest

from .conftest import PIZZERIA, open_kitchen

pytestmark = pytest.mark.slow

SPEC = """
defaults:
  - override /data: rooms
  - override /features: photos
  - override /model: timm_detector
name: small
problem:
  need: Test.
  owner: tests
  task: object_detection
  classes: [bed, sofa, table, chair, stove, fridge, sink, tv]
  success: [{metric: map_50, at_least: 0}]
data: {listings: 16, split: {group_by: listing_id, validation: 0.2, test: 0.2}}
model: {image_size: 96}
training: {max_epochs: 16, batch_size: 8, validate_every: 8}
"""


def _start(folder: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [*PIZZERIA, "run", "small.yaml", "--until", "train"],
        cwd=folder,
        env={**os.environ, "PIZZERIA_STORE": str(folder / "runs")},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def _checkpoints(folder: Path) -> set[str]:
    return {path.name for path in (folder / "runs" / ".cache").glob("*.partial/checkpoints/epoch-*")}


def _wait_for_checkpoint(folder: Path, process: subprocess.Popen[str], beyond: Set[str] = frozenset()) -> None:
    """Until a first one, or another one, is there; the many epochs that are left take seconds on any machine."""
    until = time.monotonic() + 300
    while time.monotonic() < until and process.poll() is None:
        if _checkpoints(folder) - beyond:
            return
        time.sleep(0.02)
    pytest.fail("no checkpoint was seen while the training ran")


def _wait_until_it_runs(process: subprocess.Popen[str]) -> None:
    """Python is up, and the command takes care of signals: before that, Ctrl-C ends Python itself."""
    until = time.monotonic() + 60
    while time.monotonic() < until and process.poll() is None:
        [caught] = re.findall(r"^SigCgt:\s*(\w+)$", Path(f"/proc/{process.pid}/status").read_text(), re.M)
        if int(caught, 16) >> signal.SIGTERM - 1 & 1:
            return
        time.sleep(0.02)
    pytest.fail("the command did not come so far as to take care of signals")


def _weights(folder: Path) -> str:
    [path] = (folder / "runs").glob("small-*/stages/train/model.safetensors")
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_kill_and_ctrl_c_leave_a_run_that_resumes_with_equal_weights(tmp_path: Path) -> None:
    for name in ("whole", "cut"):
        open_kitchen(tmp_path / name)
        (tmp_path / name / "small.yaml").write_text(SPEC)
    whole = _start(tmp_path / "whole")
    out, _ = whole.communicate(timeout=600)
    assert whole.returncode == 0, out

    killed = _start(tmp_path / "cut")
    _wait_for_checkpoint(tmp_path / "cut", killed)
    killed.send_signal(signal.SIGKILL)
    killed.communicate()
    terminated = _start(tmp_path / "cut")
    _wait_for_checkpoint(tmp_path / "cut", terminated, beyond=_checkpoints(tmp_path / "cut"))
    terminated.send_signal(signal.SIGTERM)
    out, _ = terminated.communicate(timeout=600)
    assert terminated.returncode == 143, out
    assert "told to end by SIGTERM; the same command goes on" in out
    assert "Traceback" not in out
    interrupted = _start(tmp_path / "cut")
    _wait_until_it_runs(interrupted)
    time.sleep(1)  # anywhere: reading the spec, or importing a library, or training
    interrupted.send_signal(signal.SIGINT)
    out, _ = interrupted.communicate(timeout=600)
    assert interrupted.returncode in (130, 0), out
    if interrupted.returncode:
        assert "the same command goes on" in out
        assert "Traceback" not in out
    resumed = _start(tmp_path / "cut")
    out, _ = resumed.communicate(timeout=600)
    assert resumed.returncode == 0, out
    assert "collect: never run" not in out  # what was complete is not done again
    assert _weights(tmp_path / "cut") == _weights(tmp_path / "whole")
    assert not list((tmp_path / "cut" / "runs" / ".cache").glob("*.partial"))
    [result] = (tmp_path / "cut" / "runs").glob("small-*/stages/train/result.json")
    assert json.loads(result.read_text())["facts"]["epochs"] == 16


def test_a_missed_gate_is_not_packaged_and_says_by_how_much(tmp_path: Path) -> None:
    place = open_kitchen(tmp_path)
    (tmp_path / "small.yaml").write_text(
        SPEC.replace("at_least: 0}", "at_least: 0.99}").replace("max_epochs: 16", "max_epochs: 1")
    )
    done = place.run("run", "small.yaml")
    assert done.returncode == 3, done.stderr
    assert "1 of 1 success criteria not met" in done.stderr
    assert "at least 0.99 was asked: 0.9" in done.stderr
    [run] = (tmp_path / "runs").glob("small-*")
    assert not (run / "stages" / "package").exists()
    assert "0.99" in (run / "report.html").read_text()
    again = place.run("run", "small.yaml")
    assert again.returncode == 3
    assert "train:" not in again.stderr  # nothing ran again
