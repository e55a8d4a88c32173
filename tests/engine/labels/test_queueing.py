"""What is asked of whom: the unsure, the drifted and the disagreeing first, near-equal photos once, with the reason."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest

from pizzeria.errors import DataError
from pizzeria.labels import add, queue
from pizzeria.labels.reading import read_file

from .conftest import Kitchen, picture


def table(folder: Path) -> list[dict[str, str]]:
    with open(folder / "queue.csv", newline="") as stream:
        return list(csv.DictReader(stream))


def test_near_equal_photos_are_asked_once_and_the_photos_are_written(detection: Kitchen) -> None:
    for i in range(6):
        detection.photo(f"{i}.png", picture(i))
    for name in ("again.png", "once-more.png"):
        detection.photo(name, picture(3))
    done = queue(detection.served, detection.folder / "out")
    rows = table(detection.folder / "out")
    assert done.asked == len(rows) == done.photos
    assert done.alike == 2
    assert [int(row["rank"]) for row in rows] == list(range(1, len(rows) + 1))
    assert [float(row["worth"]) for row in rows] == sorted((float(row["worth"]) for row in rows), reverse=True)
    for row in rows:
        assert row["why"]
        assert row["classes"] == ""
        assert (detection.folder / "out" / row["photo"]).read_bytes() == detection.served.photo(row["prediction_id"])
