"""The cycle closes: drift is noticed, people say what is true, a successor learns from it and takes over, is watched,
and goes when the world turns back."""

from __future__ import annotations

import csv
import json
import random
import time
from pathlib import Path

import httpx
import pandas as pd
import pytest

from pizzeria.runs.ledger import Ledger
from pizzeria_plugins.prediction_logs import sqlite

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
maintenance: {at_most_every: 1s, probation: 1s, compare: {no_worse_by: 5.0}}
"""
FAR = {"low": 90, "high": 140}


def _rows(count: int, low: float, high: float, seed: int, each: float = 3) -> list[dict[str, float]]:
    draw = random.Random(seed)
    areas = [draw.uniform(low, high) for _ in range(count)]
    return [
        {"area": round(a, 2), "age": round(draw.uniform(0, 50), 1), "price": round(each * a + 10, 2)} for a in areas
    ]


def _write(path: Path, rows: list[dict[str, float]]) -> None:
    with open(path, "w", newline="") as stream:
        writer = csv.DictWriter(stream, ["area", "age", "price"])
        writer.writeheader()
        writer.writerows(rows)


def _ask(place: Kitchen, rows: list[dict[str, float]], *, labelled: bool) -> None:
    """Ask the service, and say what is true."""
    asked = [{key: row[key] for key in ("area", "age")} for row in rows]
    answers = (
        httpx.post(f"{place.address}/predict", json={"rows": asked}, timeout=60)
        .raise_for_status()
        .json()["predictions"]
    )
    labels = [
        {"prediction_id": answer["prediction_id"], "value": row["price"], "source": "owner"}
        for answer, row in zip(answers, rows, strict=True)
    ]
    if labelled:
        assert httpx.post(f"{place.address}/feedback", json={"labels": labels}, timeout=60).status_code == 202
    names = {answer["prediction_id"] for answer in answers}
    until = time.monotonic() + 60
    while not names <= set(_log(place)["prediction_id"]):  # the log is written behind the answers
        assert time.monotonic() < until
        time.sleep(0.1)


def _log(place: Kitchen) -> pd.DataFrame:
    return sqlite.read(sqlite.Options(), place.folder / "runs" / ".predictions" / "prices")


def _decided(place: Kitchen) -> list[str]:
    return [entry.detail["action"] for entry in Ledger(place.folder / "runs").entries("prices", "decided")]


def test_drift_labels_a_challenger_and_the_way_back(tmp_path: Path) -> None:
    place = open_kitchen(tmp_path)
    (tmp_path / "prices.yaml").write_text(SPEC)
    _write(tmp_path / "prices.csv", _rows(400, 20, 60, seed=1))
    done = place.run("run", "prices.yaml")
    assert done.returncode == 0, done.stdout + done.stderr
    try:
        first = httpx.get(f"{place.address}/readyz", timeout=60).json()["sha256"]
        assert "has not been monitored yet" in place.run("maintain", "prices").stdout

        _ask(place, _rows(120, **FAR, seed=2), labelled=False)
        time.sleep(1)
        monitored = place.run("monitor", "prices")
        assert monitored.returncode == 10, monitored.stdout + monitored.stderr
        assert "area" in monitored.stdout
        lacking = place.run("maintain", "prices").stdout
        assert "lacking: drift" in lacking
        assert "pizzeria labels" in lacking

        _ask(place, _rows(300, **FAR, seed=3, each=1.5), labelled=True)  # what the first model cannot know
        time.sleep(1)
        maintained = place.run("maintain", "prices")
        assert maintained.returncode == 0, maintained.stderr
        assert "promoted: mae " in maintained.stdout
        second = httpx.get(f"{place.address}/readyz", timeout=60).json()["sha256"]
        assert second != first

        _ask(place, _rows(100, **FAR, seed=4), labelled=True)  # and all is as before
        time.sleep(1)
        back = place.run("maintain", "prices")
        assert "rolled back: on probation since" in back.stdout, back.stdout + back.stderr
        assert httpx.get(f"{place.address}/readyz", timeout=60).json()["sha256"] == first
        champion = Ledger(tmp_path / "runs").champion("prices")
        assert champion is not None
        assert (champion.event, champion.sha256) == ("rolled_back", first)
        assert _decided(place) == ["kept", "lacking", "promoted", "rolled back"]

        happened = json.loads(place.run("history", "prices", "--json").stdout)
        assert [one["action"] for one in happened] == ["deploy", "deploy", "rollback"]
        assert [one["outcome"] for one in happened] == ["live", "live", "live"]
        compared = json.loads(place.run("diff", "prices", "--json").stdout)
        assert (compared["before"]["sha256"], compared["after"]["sha256"]) == (second, first)
        assert {one["path"]: one["after"] for one in compared["data"]}["rows.rows"] == 400
        assert "mae" in {one["name"] for one in compared["metrics"]}
        assert compared["comparable"] is False
    finally:
        assert place.run("stop", "prices").returncode == 0
