"""A spec of a small table, and the command that sweeps over it."""

from __future__ import annotations

import csv
import random
from pathlib import Path

import pytest

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
  success: [{metric: r2, at_least: -100}]
data: {path: prices.csv}
training: {max_epochs: 1, batch_size: 16}
"""


def write_rows(path: Path) -> None:
    draw = random.Random(0)
    with open(path, "w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["area", "rooms", "price"])
        for _ in range(60):
            area, rooms = draw.uniform(10, 90), draw.randint(1, 5)
            writer.writerow([round(area, 1), rooms, round(3 * area + 20 * rooms + draw.gauss(0, 20), 1)])


@pytest.fixture
def folder(working_folder: Path) -> Path:
    (working_folder / "prices.yaml").write_text(SPEC)
    write_rows(working_folder / "prices.csv")
    return working_folder
