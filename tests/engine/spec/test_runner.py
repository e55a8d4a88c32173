"""The section `runner`: how it may be written, what is refused, and that it decides nothing of a result."""

from __future__ import annotations

from pathlib import Path

import pytest

from pizzeria import registry
from pizzeria.errors import SpecError
from pizzeria.graph import plan
from pizzeria.loading import load_spec
from pizzeria.runs.store import Store
from pizzeria.stages import train

SPEC = """
defaults:
  - override /data: rooms
  - override /features: photos
  - override /model: timm_detector
name: rooms
problem:
  need: Test.
  owner: tests
  task: object_detection
  classes: [bed, sofa]
  success: [{metric: map_50, at_least: 0.1}]
%s
"""


def spec(folder: Path, runner: str, *overrides: str):
    (folder / "rooms.yaml").write_text(SPEC % runner)
    return load_spec(["rooms.yaml", *overrides])


def test_it_may_be_written_short(working_folder: Path) -> None:
    assert spec(working_folder, "").runner.use == "local"
    short = spec(working_folder, "runner: ray").runner
    assert (short.use, short.options.workers) == ("ray", 2)
    assert spec(working_folder, "runner: {use: ray, workers: 4}").runner.options.workers == 4
    typed = spec(working_folder, "", "runner=torchrun", "runner.devices=8").runner
    assert (typed.use, typed.options.devices) == ("torchrun", 8)
    assert short.resolved()["use"] == "ray"


@pytest.mark.parametrize(
    ("runner", "message"),
    [
        ("runner: rey", "no plugin 'rey' among the runners"),
        ("runner: {use: ray, worker: 2}", "unknown key; neither runner nor the plugin ray has it"),
        ("runner: {use: ray, workers: 3}", "a batch of 16 cannot be shared evenly by 3 processes"),
        ("runner: {use: torchrun, nodes: 2}", "2 machines must meet somewhere; set runner.rendezvous"),
        ("runner: {use: torchrun, devices: 2, strategy: magic}", "found 'magic'"),
    ],
)
def test_what_cannot_work_is_refused(runner: str, message: str, working_folder: Path) -> None:
    with pytest.raises(SpecError) as caught:
        spec(working_folder, runner)
    assert message in str(caught.value)


def test_a_trainer_of_one_process_is_told_apart(working_folder: Path) -> None:
    (working_folder / "plugins/trainers").mkdir(parents=True)
    (working_folder / "plugins/trainers/lonely.py").write_text(
        '"""Trains alone."""\n'
        "from pizzeria.spec.section import Options as PluginOptions\n\n"
        "class Options(PluginOptions):\n    pass\n\n"
        "def train(job):\n    return {}\n\n"
        "def predict(job, weights, split):\n    return None\n"
    )
    with pytest.raises(SpecError, match="the runner ray trains in 2 processes, and the trainer lonely in one"):
        spec(working_folder, "runner: ray\ntraining: {use: lonely}")


def test_where_it_runs_decides_nothing(working_folder: Path) -> None:
    store = Store(working_folder / "runs")
    fingerprints = [
        [step.fingerprint for step in plan(spec(working_folder, runner), store)] for runner in ("", "runner: ray")
    ]
    assert fingerprints[0] == fingerprints[1]
    assert "runners" not in {kind for kind, _ in train.plugins(spec(working_folder, ""))}
    assert registry.load("runners", "local").Options().model_dump() == {}
