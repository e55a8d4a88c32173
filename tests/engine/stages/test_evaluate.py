"""What the stage `evaluate` adds to an evaluator's figures, and what the gate makes of it, on a small table."""

from __future__ import annotations

import csv
import json
import random
from pathlib import Path
from typing import Any

import pytest

from pizzeria.errors import DataError, GateError
from pizzeria.execution import execute
from pizzeria.graph import plan
from pizzeria.loading import load_spec
from pizzeria.progress import PlainProgress
from pizzeria.runs.ledger import Ledger
from pizzeria.runs.store import Store
from pizzeria.spec.spec import Spec

SPEC = """
defaults:
  - override /data: table
  - override /features: columns
  - override /model: tabular_network
name: guests
problem:
  need: Test.
  owner: tests
  task: tabular_classification
  classes: ["no", "yes"]
  target: returns
  success: [{metric: accuracy, at_least: 0.6}]
data:
  path: guests.csv
  split: {group_by: family, test: 0.3}
model: {hidden: 16, blocks: 1}
training: {max_epochs: 4, batch_size: 64, learning_rate: 0.02}
"""


@pytest.fixture
def folder(working_folder: Path) -> Path:
    """Guests of two countries: in one of them nothing tells who returns."""
    draw = random.Random(0)
    with open(working_folder / "guests.csv", "w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["nights", "country", "family", "returns"])
        for i in range(600):
            nights, country = round(draw.uniform(1, 20), 2), draw.choice(["is", "no"])
            returns = nights > 10 if country == "is" else draw.random() < 0.5
            writer.writerow([nights, country, f"family {i // 2}", "yes" if returns else "no"])
    (working_folder / "guests.yaml").write_text(SPEC)
    return working_folder


def spec(*overrides: str) -> Spec:
    return load_spec(["guests.yaml", *overrides])


def evaluated(*overrides: str, until: str = "evaluate") -> Any:
    return execute(spec(*overrides), Store(), PlainProgress(), until=until)


def read(done: Any, name: str) -> Any:
    return json.loads((done.run.stage("evaluate") / name).read_text())


def test_slices_intervals_and_the_baseline(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = read(evaluated(), "metrics.json")
    assert set(found["intervals"]) == set(found["metrics"])
    for name, (low, high) in found["intervals"].items():
        assert low <= found["metrics"][name] <= high, name
    assert set(found["per_class_intervals"]) == {"no", "yes"}
    assert found["bootstrap"] == {"confidence": 0.95, "resamples": 500, "unit": "family", "groups": 90}
    country = found["slices"]["country"]
    assert set(country) == {"is", "no"}
    assert country["is"]["count"] + country["no"]["count"] == 180
    assert country["is"]["metrics"]["auroc"] > 0.9 > 0.7 > country["no"]["metrics"]["auroc"]
    assert country["is"]["intervals"]["auroc"][0] > country["no"]["intervals"]["auroc"][1]
    assert found["baseline"]["metrics"]["auroc"] == 0.5
    assert found["not_better"] == []

    criteria = "{metric: accuracy, at_least: 0.95, slice: {country: 'no'}}, {metric: auroc, at_least: 0.5}"
    with pytest.raises(GateError, match=r"accuracy where country is no is 0\.\d+, at least 0\.95 was asked"):
        evaluated(f"problem.success=[{criteria}]", "evaluation.slices=[nights]")
    cut = Store().run("guests").stage("evaluate") / "metrics.json"
    assert list(json.loads(cut.read_text())["slices"]) == ["nights", "country"]
    assert list(json.loads(cut.read_text())["slices"]["nights"]) == ["low", "middle", "high"]


def test_a_model_no_better_than_a_guess_is_told(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = read(
        evaluated("problem.success=[{metric: accuracy, at_least: 0}]", "features.drop=[nights, country]"),
        "metrics.json",
    )
    assert found["not_better"]
    assert "a trivial model has 0.5: how frequent each class is in training" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("override", "message", "hint"),
    [
        ("evaluation.slices=[nihgts]", r"evaluation\.slices\[0\]: the data have no column 'nihgts'", "nights"),
        (
            "problem.success=[{metric: f1, at_least: 0, slice: {contry: is}}]",
            r"problem\.success\[0\]\.slice: the data have no column 'contry'",
            "country",
        ),
        (
            "problem.success=[{metric: f1, at_least: 0, slice: {country: it}}]",
            r"problem\.success\[0\]\.slice: country is cut into no slice 'it'",
            "is",
        ),
        ("evaluation.slices=[{column: country, edges: [3]}]", "country holds no numbers", "leave them out"),
    ],
)
def test_what_the_data_do_not_have_is_refused_before_training(
    folder: Path, override: str, message: str, hint: str
) -> None:
    with pytest.raises(DataError, match=message) as caught:
        evaluated(override)
    assert hint in caught.value.hint
    assert not (Store().runs()[0].folder / "stages" / "train").exists()


def test_the_champion_is_asked_and_another_one_is_asked_anew(folder: Path) -> None:
    wish = "problem.success=[{metric: auroc, gain_over_champion: -0.01}]"
    first = evaluated(wish, until="package")
    (alone,) = read(first, "gate.json")
    assert alone["text"].endswith("there is no other champion to be better than")
    live(first, str(first.results["package"].facts["sha256"]))
    assert evaluation_is_due(wish) == ""  # the champion is this very model

    weak = [wish, "training.max_epochs=1", "training.learning_rate=1e-6"]
    with pytest.raises(GateError, match=r"a gain of -0\.\d+.* over the champion's 0\.\d+ on 180 that it never learnt"):
        evaluated(*weak)
    again = evaluated(wish, "training.seed=3", "problem.success.0.gain_over_champion=-0.2")
    (against,) = read(again, "gate.json")
    assert (against["passed"], against["gain"]["rows"]) == (True, 180)
    assert against["gain"]["low"] <= against["gain"]["value"] <= against["gain"]["high"]
    live(again, "ab" * 32)
    assert evaluation_is_due(wish) == "the champion is another one now"


def live(done: Any, sha256: str) -> None:
    Ledger(Store().root).add("promoted", "guests", run=done.run.id, sha256=sha256)


def evaluation_is_due(*overrides: str) -> str:
    return next(step.why for step in plan(spec(*overrides), Store()) if step.name == "evaluate")
