"""The tasks that the demo and the real data leave out, from a spec to a bundle: photos of one class, and of several."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest

from .conftest import open_kitchen

pytestmark = pytest.mark.slow

CLASSIFIER = """
defaults:
  - override /data: image_folder
  - override /features: photos
  - override /model: timm_classifier
name: room-types
problem:
  need: Test.
  owner: tests
  task: image_classification
  classes: [bedroom, kitchen]
  success: [{metric: accuracy, at_least: 0}]
data: {root: photos}
model: {image_size: 64}
training: {max_epochs: 2}
"""
MULTILABEL = """
defaults:
  - override /data: rooms
  - override /features: photos
  - override /model: timm_classifier
name: amenities-shown
problem:
  need: Test.
  owner: tests
  task: multilabel_classification
  classes: [bed, sofa, table, chair, stove, fridge, sink, tv]
  success: [{metric: average_precision, at_least: 0}]
data: {listings: 40}
model: {image_size: 64}
training: {max_epochs: 2}
"""


def _by_room(folder: Path) -> None:
    """Rendered photos in one folder for each room type."""
    from pizzeria_plugins.room_renderer.listing import render_listings

    for listing in render_listings(30):
        for photo in listing.photos:
            room = Path(photo.name).stem.split("-")[-1]
            if room in ("bedroom", "kitchen"):
                (folder / room).mkdir(parents=True, exist_ok=True)
                (folder / room / Path(photo.name).name).write_bytes(photo.jpeg)


@pytest.mark.parametrize(("spec", "column"), [(CLASSIFIER, "true"), (MULTILABEL, "true:bed")], ids=["one", "several"])
def test_a_classifier_from_a_spec_to_a_bundle(tmp_path: Path, spec: str, column: str) -> None:
    place = open_kitchen(tmp_path)
    _by_room(tmp_path / "photos")
    (tmp_path / "spec.yaml").write_text(spec)
    done = place.run("run", "spec.yaml", "--until", "package")
    assert done.returncode == 0, done.stdout + done.stderr
    [run] = [path.parent for path in (tmp_path / "runs").glob("*/spec.yaml")]
    parity = json.loads((run / "stages" / "package" / "parity.json").read_text())
    assert parity["passed"]
    assert parity["metrics"]["trained"] == pytest.approx(parity["metrics"]["served"], abs=0.005)
    reference = pd.read_parquet(run / "stages" / "package" / "reference.parquet")
    assert column in reference
    predicted = place.run("predict", run.name, "photos", "--out", "found.csv")
    assert predicted.returncode == 0, predicted.stderr
    photos = sorted((tmp_path / "photos").rglob("*.jpg"))
    assert len(pd.read_csv(tmp_path / "found.csv")) == len(photos)
    if "image_folder" in spec:  # a changed photo reruns from data
        photos[0].write_bytes(photos[0].read_bytes() + b"\0")
        assert "data files changed" in place.run("plan", "spec.yaml").stdout
