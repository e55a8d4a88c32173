"""A deployed model of prices on the shelf of `replay`, with a log to write to, a bell to ring, and a clock to set."""

from __future__ import annotations

import csv
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from pizzeria import clock, registry
from pizzeria.deployments import champion, log_folder, put_live
from pizzeria.execution import execute
from pizzeria.inference.bundle import open_bundle
from pizzeria.inference.predictor import Predictor
from pizzeria.inference.truth import Label, moment
from pizzeria.loading import load_spec
from pizzeria.maintenance.decisions import Decision, maintain
from pizzeria.monitoring.passes import monitor
from pizzeria.progress import PlainProgress
from pizzeria.runs.ledger import Ledger
from pizzeria.runs.store import Store

BEGIN = datetime(2026, 3, 1, tzinfo=UTC)
SPEC = """
defaults:
  - override /data: table
  - override /features: columns
  - override /model: tabular_network
  - override /deployment: replay
  - override /monitoring: bell
name: prices
problem:
  need: Test.
  owner: tests
  task: tabular_regression
  target: price
  success: [{metric: r2, at_least: 0.3}]
data:
  path: prices.csv
  leakage: {allow: [{what: target, column: area, reason: prices are made of areas here}]}
training: {max_epochs: 8, batch_size: 64, learning_rate: 2.0e-2}
maintenance:
  at_most_every: 12h
  least_labels: 60
  probation: 2d
  compare: {no_worse_by: 0.5, resamples: 200}
"""


def old_world(count: int, seed: int) -> list[dict[str, float]]:
    """Prices as the first model learns them."""
    return _world(count, seed, 20, 60)


def smallest_flats(count: int, seed: int) -> list[dict[str, float]]:
    """Those of the old world on which a model that has learnt of large flats too does clearly worse."""
    return _world(count, seed, 20, 28)


def new_world(count: int, seed: int) -> list[dict[str, float]]:
    """Larger flats, which the first model has never seen."""
    return _world(count, seed, 100, 160)


def turned_world(count: int, seed: int) -> list[dict[str, float]]:
    """The same flats as in the old world, and the larger, the cheaper."""
    return [row | {"price": round(310 - row["price"], 2)} for row in old_world(count, seed)]


def _world(count: int, seed: int, low: float, high: float) -> list[dict[str, float]]:
    draw = random.Random(seed)
    rows = [{"area": round(draw.uniform(low, high), 2), "age": round(draw.uniform(0, 50), 1)} for _ in range(count)]
    return [row | {"price": round(3 * row["area"] + 10 + draw.gauss(0, 4), 2)} for row in rows]


def write(path: Path, rows: Sequence[dict[str, float]]) -> None:
    with open(path, "w", newline="") as stream:
        writer = csv.DictWriter(stream, ["area", "age", "price"])
        writer.writeheader()
        writer.writerows(rows)


@dataclass
class Place:
    """A working folder, and what can be done there at what time."""

    folder: Path
    at: datetime = BEGIN
    asked: int = 0

    @property
    def store(self) -> Store:
        return Store(self.folder / "runs")

    @property
    def ledger(self) -> Ledger:
        return Ledger(self.folder / "runs")

    def later(self, **span: float) -> None:
        self.at += timedelta(**span)

    def sha256(self) -> str:
        return champion("prices", self.store)[0].sha256

    def traffic(self, rows: Sequence[dict[str, float]], *, labelled: bool = True, truth: float = 0.0) -> None:
        """The live model answers these rows, a minute apart; what is true comes with them, `truth` beside it."""
        _, run, spec = champion("prices", self.store)
        log = spec.serving.log
        assert log is not None
        plugin, folder = registry.load("prediction_logs", log.use), log_folder(self.store, "prices")
        predictor = Predictor(open_bundle(run.stage("package") / "bundle"))
        answers = predictor.rows([{key: row[key] for key in ("area", "age")} for row in rows])
        records, labels = [], []
        for row, answer in zip(rows, answers, strict=True):
            self.asked += 1
            self.later(minutes=1)
            name = f"p{self.asked:06d}"
            known = {"timestamp": self.at.isoformat(timespec="milliseconds"), "prediction_id": name, "input_id": name}
            records.append(answer.record() | known | {"latency_ms": 1.0, "listing_id": ""})
            said = json.dumps({"value": row["price"] + truth})
            labels.append(Label("prediction_id", name, said, moment(self.at), "tests"))
        plugin.writer(log.options, folder)(records)
        if labelled:
            plugin.add_labels(log.options, folder, labels)

    def ring(self, on: bool = True) -> None:
        """A monitoring pass that finds drift, or finds none."""
        bell = self.folder / "bell"
        bell.touch() if on else bell.unlink(missing_ok=True)
        self.later(minutes=1)
        _, run, spec = champion("prices", self.store)
        with clock.at(self.at):
            monitor(spec, run, self.store, PlainProgress())

    def maintain(self, **options: Any) -> Decision:
        self.later(minutes=1)
        with clock.at(self.at):
            return maintain("prices", self.store, PlainProgress(), **options)

    def decided(self) -> list[str]:
        return [entry.detail["action"] for entry in self.ledger.entries("prices", "decided")]

    def last(self) -> dict[str, Any]:
        return self.ledger.entries("prices", "decided")[-1].detail

    def settings(self, **maintenance: Any) -> None:
        """Change `maintenance` in the spec of the live run, as if it had been deployed so."""
        import yaml

        _, run, _ = champion("prices", self.store)
        path = run.folder / "spec.yaml"
        data = yaml.safe_load(path.read_text())
        data["maintenance"] |= maintenance
        path.write_text(yaml.safe_dump(data, sort_keys=False))

    def kill_at(self, point: str, command: str = "maintain") -> None:
        """`pizzeria maintain`, killed with SIGKILL when it comes to a point; see `stopping.py`."""
        mark = self.folder / "stopped"
        mark.unlink(missing_ok=True)
        process = self.popen(point, command)
        until = time.monotonic() + 400
        while not mark.exists() and process.poll() is None and time.monotonic() < until:
            time.sleep(0.02)
        assert mark.exists(), f"it never came to {point}: {process.communicate()[0]}"
        process.send_signal(signal.SIGKILL)
        process.communicate()

    def popen(self, point: str = "", command: str = "maintain") -> subprocess.Popen[str]:
        stopping = Path(__file__).with_name("stopping.py")
        return subprocess.Popen(
            [sys.executable, str(stopping), command, self.at.isoformat()],
            cwd=self.folder,
            env={**os.environ, "STOP_AT": point, "PIZZERIA_STORE": str(self.folder / "runs")},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )


@contextmanager
def inside(folder: Path) -> Iterator[None]:
    """Work in a folder, with the store in it."""
    before, store = Path.cwd(), os.environ.get("PIZZERIA_STORE")
    os.chdir(folder)
    os.environ["PIZZERIA_STORE"] = str(folder / "runs")
    try:
        yield
    finally:
        os.chdir(before)
        os.environ.pop("PIZZERIA_STORE")
        if store is not None:
            os.environ["PIZZERIA_STORE"] = store


@pytest.fixture(scope="session")
def packed_place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    """The first model, trained once for all tests, and live."""
    folder = tmp_path_factory.mktemp("place") / "prices"
    (folder / "plugins" / "monitors").mkdir(parents=True)
    shutil.copy(Path(__file__).with_name("bell.py"), folder / "plugins" / "monitors" / "bell.py")
    for group, use in (("deployment", "replay"), ("monitoring", "bell")):
        (folder / "conf" / group).mkdir(parents=True)
        (folder / "conf" / group / f"{use}.yaml").write_text(f"use: {use}\n")
    (folder / "prices.yaml").write_text(SPEC)
    write(folder / "prices.csv", old_world(500, 1))
    found = Place(folder)
    with inside(folder), clock.at(found.at):
        spec = load_spec(["prices.yaml"])
        done = execute(spec, found.store, PlainProgress(), until="package")
        package = done.results["package"]
        put_live(spec, done.run, package.folder / "bundle", package.facts["sha256"], found.store, PlainProgress())
    return found


@pytest.fixture(scope="session")
def packed_challenger(packed_place: Place, tmp_path_factory: pytest.TempPathFactory) -> Place:
    """The world is new, labels are there, the bell rings, and half a day has passed: a challenger is called for."""
    found = copied(packed_place, tmp_path_factory.mktemp("due"))
    with inside(found.folder):
        found.traffic(new_world(300, 7))
        found.ring()
    found.later(hours=12)
    return found


@pytest.fixture(scope="session")
def packed_promoted(packed_challenger: Place, tmp_path_factory: pytest.TempPathFactory) -> Place:
    """It was trained, and has just taken over."""
    found = copied(packed_challenger, tmp_path_factory.mktemp("promoted"))
    with inside(found.folder):
        decision = found.maintain()
    assert decision.action == "promoted", decision.why
    return found


def copied(place: Place, into: Path) -> Place:
    """The same in another folder."""
    shutil.copytree(place.folder, into / "prices", symlinks=True)
    return Place(into / "prices", place.at, place.asked)


@pytest.fixture
def place(packed_place: Place, tmp_path: Path) -> Iterator[Place]:
    """The first model live, in a folder of the test's own."""
    found = copied(packed_place, tmp_path)
    with inside(found.folder):
        yield found


@pytest.fixture
def due(packed_challenger: Place, tmp_path: Path) -> Iterator[Place]:
    """A challenger is called for, and can be trained."""
    found = copied(packed_challenger, tmp_path)
    with inside(found.folder):
        yield found


@pytest.fixture
def promoted(packed_promoted: Place, tmp_path: Path) -> Iterator[Place]:
    """A model that was trained for the new world has just taken over."""
    found = copied(packed_promoted, tmp_path)
    with inside(found.folder):
        yield found
