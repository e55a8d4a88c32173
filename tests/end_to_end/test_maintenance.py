"""The cycle closes: drift is noticed, a successor is trained on new data, promoted or refused, and rolled back."""

from __future__ import annotations

import csv
import json
import random
from pathlib import Path

import httpx
import pytest

from pizzeria.runs.ledger import Ledger

from .conftest import Kitchen, open_kitchen

pytestmark = pytest.mark.slow

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
data:
  path: prices.csv
  leakage: {allow: [{what: target, column: area, reason: prices are made of areas here}]}
training: {max_epochs: 15, batch_size: 32, learning_rate: 1.0e-2}
monitoring: {chunk: {size: 60}}
maintenance: {at_most_every: 1s}
"""


def _rows(count: int, low: float, high: float, seed: int) -> list[dict[str, float]]:
    draw = random.Random(seed)
    areas = [draw.uniform(low, high) for _ in range(count)]
    return [{"area": round(a, 2), "age": round(draw.uniform(0, 50), 1), "price": round(3 * a + 10, 2)} for a in areas]


def _write(path: Path, rows: list[dict[str, float]]) -> None:
    with open(path, "w", newline="") as stream:
        writer = csv.DictWriter(stream, ["area", "age", "price"])
        writer.writeheader()
        writer.writerows(rows)


def _decided(place: Kitchen) -> list[str]:
    return [entry.detail["action"] for entry in Ledger(place.folder / "runs").entries("prices", "decided")]


def test_drift_new_data_a_challenger_and_the_way_back(tmp_path: Path) -> None:
    place = open_kitchen(tmp_path)
    (tmp_path / "prices.yaml").write_text(SPEC)
    first_rows = _rows(400, 20, 60, seed=1)
    _write(tmp_path / "prices.csv", first_rows)
    done = place.run("run", "prices.yaml")
    assert done.returncode == 0, done.stdout + done.stderr
    try:
        first = httpx.get(f"{place.address}/readyz").json()["sha256"]
        assert "has not been monitored yet" in place.run("maintain", "prices").stdout

        shifted = [{"area": row["area"], "age": row["age"]} for row in _rows(120, 90, 140, seed=2)]
        assert httpx.post(f"{place.address}/predict", json={"rows": shifted}).status_code == 200
        monitored = place.run("monitor", "prices")
        for _ in range(20):  # the log is written behind the answers
            if monitored.returncode == 10:
                break
            monitored = place.run("monitor", "prices")
        assert monitored.returncode == 10, monitored.stdout + monitored.stderr
        assert "area" in monitored.stdout
        assert "the data have not changed" in place.run("maintain", "prices").stdout

        _write(tmp_path / "prices.csv", first_rows + _rows(300, 80, 150, seed=3))
        assert "would train" in place.run("maintain", "prices", "--dry-run").stdout
        maintained = place.run("maintain", "prices")
        assert maintained.returncode == 0, maintained.stderr
        assert "promoted: mae of the champion is" in maintained.stdout
        second = httpx.get(f"{place.address}/readyz").json()["sha256"]
        assert second != first
        assert _decided(place) == ["kept", "kept", "promoted"]

        back = place.run("rollback", "prices")
        assert back.returncode == 0, back.stderr
        assert httpx.get(f"{place.address}/readyz").json()["sha256"] == first
        champion = Ledger(tmp_path / "runs").champion("prices")
        assert champion is not None
        assert (champion.event, champion.sha256) == ("rolled_back", first)

        happened = json.loads(place.run("history", "prices", "--json").stdout)
        assert [one["action"] for one in happened] == ["deploy", "deploy", "rollback"]
        assert [one["outcome"] for one in happened] == ["live", "live", "live"]
        compared = json.loads(place.run("diff", "prices", "--json").stdout)
        assert (compared["before"]["sha256"], compared["after"]["sha256"]) == (second, first)
        assert compared["spec"] == []
        assert {one["path"]: one["after"] for one in compared["data"]}["rows.rows"] == 400
        assert "mae" in {one["name"] for one in compared["metrics"]}
        assert compared["comparable"] is False
    finally:
        assert place.run("stop", "prices").returncode == 0
