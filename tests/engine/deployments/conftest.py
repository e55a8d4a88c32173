"""Runs with real bundles, a target of the tests' own that can be stopped at named points, and commands in processes of
their own."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import yaml
from onnx import TensorProto, helper, numpy_helper

from pizzeria.inference.bundle import draft_bundle, write_bundle
from pizzeria.inference.predictor import Predictor
from pizzeria.inference.sample import answer_sample
from pizzeria.runs.ledger import Entry, Ledger
from pizzeria.runs.store import Result, Run, Store

PIZZERIA = (sys.executable, "-m", "pizzeria.cli")

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
data: {path: prices.csv}
"""

TARGET = Path(__file__).with_name("stalls.py")


@dataclass
class Stall:
    """A working folder with the target `stalls` in ./plugins, and runs of `prices` to deploy."""

    folder: Path
    runs: dict[str, Run] = field(default_factory=dict)
    sha256: dict[str, str] = field(default_factory=dict)

    @property
    def store(self) -> Store:
        return Store(self.folder / "runs")

    @property
    def ledger(self) -> Ledger:
        return Ledger(self.store.root)

    def environment(self, stall_at: str = "", **more: str) -> dict[str, str]:
        return {
            **os.environ,
            "STALL_AT": stall_at,
            "PIZZERIA_STORE": str(self.folder / "runs"),
            "COLUMNS": "200",
        } | more

    def command(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """A command, to its end."""
        return subprocess.run(
            [*PIZZERIA, *arguments],
            cwd=self.folder,
            env=self.environment(**environment),
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    def begin(self, *arguments: str, stall_at: str) -> subprocess.Popen[str]:
        """A command that has come to a point, and waits there."""
        mark = self.folder / "stalled"
        mark.unlink(missing_ok=True)
        process = self.popen(*arguments, stall_at=stall_at)
        while not mark.exists():
            assert process.poll() is None, f"it never came to {stall_at}: {process.communicate()[0]}"
            time.sleep(0.02)
        return process

    def popen(self, *arguments: str, stall_at: str = "") -> subprocess.Popen[str]:
        """A command that has just begun."""
        return subprocess.Popen(
            [*PIZZERIA, *arguments],
            cwd=self.folder,
            env=self.environment(stall_at),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def kill(self, *arguments: str, at: str) -> None:
        """kill -9 a command at a point."""
        process = self.begin(*arguments, stall_at=at)
        process.send_signal(signal.SIGKILL)
        process.communicate()
        (self.folder / "stalled").unlink()

    def champion(self) -> str | None:
        entry = self.ledger.champion("prices")
        return None if entry is None else entry.sha256

    def serves(self, place: str = "here") -> dict[str, Any]:
        """What the target's service is, as its own file says it."""
        path = self.folder / place / "prices.json"
        return json.loads(path.read_text()) if path.exists() else {}

    def agree(self) -> None:
        """The ledger and what serves are the same, and nothing is half done."""
        served = self.serves()
        assert served.get("sha256") == self.champion()
        assert not served.get("staged"), served
        assert self.ledger.interrupted("prices") is None

    def events(self) -> list[str]:
        return [entry.event for entry in self.ledger.entries("prices")]

    def last(self) -> Entry:
        return self.ledger.entries("prices")[-1]


def summer(path: Path, bias: float) -> None:
    """A model of rows: the sum of two numbers, and a bias that makes each one another bundle."""
    nodes = [
        helper.make_node("ReduceSum", ["numeric", "axis"], ["sums"], keepdims=0),
        helper.make_node("Add", ["sums", "bias"], ["values"]),
    ]
    weights = {"axis": np.array([1], np.int64), "bias": np.float32(bias)}
    graph = helper.make_graph(
        nodes,
        "summer",
        [helper.make_tensor_value_info("numeric", TensorProto.FLOAT, ["N", 2])],
        [helper.make_tensor_value_info("values", TensorProto.FLOAT, ["N"])],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in weights.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.save(model, path)


def pack(folder: Path, bias: float, metrics: Mapping[str, float]) -> str:
    """A whole bundle at `folder/bundle`; returns its sha256."""
    columns = [{"name": name, "median": 1, "mean": 0, "std": 1} for name in ("rooms", "beds")]
    target = {"name": "price", "mean": 0, "std": 1}
    description = {
        "name": "prices",
        "task": "tabular_regression",
        "classes": [],
        "preprocessing": {"kind": "columns", "numeric": columns, "categorical": [], "target": target},
        "calibration": {"method": "none"},
        "metrics": dict(metrics),
        "gate": [],
        "lineage": {},
        "versions": {},
    }
    model = folder / "model.onnx"
    summer(model, bias)
    sample = ("request.json", json.dumps({"rows": [{"rooms": 2, "beds": 1}]}).encode())
    answer = answer_sample(Predictor(draft_bundle(description, model), 1), sample)
    sha256 = write_bundle(folder / "bundle", description, model, sample, answer)
    model.unlink()
    return sha256


MakeRun = Callable[..., Run]


def make_run(stall: Stall, name: str, bias: float, *, seed: int = 0, **deployment: Any) -> Run:
    """A run of `prices` that has got as far as its bundle."""
    from pizzeria.loading import load_spec

    (stall.folder / "prices.yaml").write_text(SPEC)
    (stall.folder / "prices.csv").write_text("area,price\n1,2\n")
    resolved = load_spec(["prices.yaml", f"training.seed={seed}"]).resolved()
    resolved["deployment"] = {"use": "stalls", **deployment}
    store = stall.store
    run = store.open_run(f"prices-{name}", yaml.safe_dump(resolved, sort_keys=False))
    with store.partial(f"{name}-package", keep=False) as partial:
        sha256 = pack(partial, bias, {"mae": 1 + bias, "r2": 0.9})
        empty = Result("package", f"{name}-package", partial, {"sha256": sha256}, 0.0, "", {}, None)
        run.link(store.commit(partial, empty))
    stall.runs[name], stall.sha256[name] = run, sha256
    return run


@pytest.fixture(scope="session")
def packed_stall(tmp_path_factory: pytest.TempPathFactory) -> Stall:
    """Two runs, `a` and `b`, packed once for all tests."""
    folder = tmp_path_factory.mktemp("stall")
    (folder / "plugins" / "targets").mkdir(parents=True)
    shutil.copy(TARGET, folder / "plugins" / "targets" / "stalls.py")
    stall = Stall(folder)
    before = Path.cwd()
    os.chdir(folder)
    try:
        make_run(stall, "a", 0.0)
        make_run(stall, "b", 1.0, seed=1)
    finally:
        os.chdir(before)
    return stall


@pytest.fixture
def stall(packed_stall: Stall, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Stall:
    """A copy of them, in the working folder of the test."""
    folder = tmp_path / "stall"
    shutil.copytree(packed_stall.folder, folder, symlinks=True)
    monkeypatch.chdir(folder)
    monkeypatch.setenv("PIZZERIA_STORE", str(folder / "runs"))
    store = Store(folder / "runs")
    return Stall(
        folder, {name: store.run(run.id) for name, run in packed_stall.runs.items()}, dict(packed_stall.sha256)
    )
