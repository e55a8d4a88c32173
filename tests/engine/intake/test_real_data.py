"""Real photos of listings joined with rendered rooms, each with its own names for the same things."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from pizzeria.execution import execute
from pizzeria.loading import load_spec
from pizzeria.progress import PlainProgress
from pizzeria.report import render
from pizzeria.runs.store import Store

from .conftest import aside, gather, handled, problem, sources

CLASSES = ("bed", "sofa", "fridge", "stove", "plant")


def test_listings_joined_with_rooms(shared_data: Path, tmp_path: Path) -> None:
    listings = {
        "use": "coco",
        "root": str(shared_data / "listings"),
        "listings": "listings.csv",
        "limit": 90,
        "class_map": {"refrigerator": "fridge", "oven": "stove", "microwave": None},
    }
    rooms = {"use": "rooms", "listings": 4, "class_map": {"table": None}}
    tables = gather(sources(listings, rooms), problem("object_detection", *CLASSES), tmp_path / "out")
    account = tables.account
    assert account.read["images"] == 1284 + 12
    assert len(tables.images) == 90 + 12
    assert set(tables.boxes["class_name"]) == set(CLASSES)
    by_source = tables.boxes.groupby("source")["class_name"].agg(set)
    assert "plant" not in by_source["rooms"]
    assert {"fridge", "stove"} <= by_source["rooms"] & by_source["coco"]
    assert "of class microwave, which class_map leaves out" in aside(account, "boxes")
    assert handled(account, "images")["without a box"] > 0
    assert set(tables.listings["source"]) == {"coco", "rooms"}
    assert tables.images["readable"].all()
    assert np.isfinite(tables.images[["brightness", "sharpness", "entropy"]].to_numpy(float)).all()
    assert tables.images["phash"].str.fullmatch("[0-9a-f]{16}").all()


SPEC = """
defaults: [{override /data: rooms}, {override /features: photos}, {override /model: timm_detector}]
name: joined
problem:
  need: n
  owner: o
  task: object_detection
  classes: [bed, sofa, fridge, stove]
  success: [{metric: map_50, at_least: 0.1}]
data:
  listings: 4
  also:
    - use: coco
      root: ROOT
      listings: listings.csv
      limit: 24
      class_map: {refrigerator: fridge, oven: stove}
  repair: {outside: clip, degenerate: set_aside, duplicates: set_aside, unreadable: set_aside}
  split: {group_by: listing_id}
model: {image_size: 96}
"""


@pytest.mark.slow
def test_what_was_joined_is_checked_split_and_made_features_of(shared_data: Path, working_folder: Path) -> None:
    (working_folder / "joined.yaml").write_text(SPEC.replace("ROOT", str(shared_data / "listings")))
    done = execute(load_spec(["joined.yaml"]), Store(), PlainProgress(), until="features")
    assert done.results["collect"].facts["images"] == 36
    assert done.results["features"].facts["rows"] == 36
    assert "Account" in render(done.run.folder).read_text()
