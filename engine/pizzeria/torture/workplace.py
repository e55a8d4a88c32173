"""Small specs with their data, for trials: whole life cycles that take seconds."""

from __future__ import annotations

import csv
import random
from pathlib import Path

from pizzeria.ports import free_port

_ROWS = """\
defaults:
  - override /data: table
  - override /features: columns
  - override /model: tabular_network
  - override /deployment: local
name: {name}
problem:
  need: To be broken, and to hold.
  owner: torture
  task: tabular_classification
  input: A row.
  output: The probability of yes.
  classes: ["no", "yes"]
  target: answer
  success: [{{metric: auroc, at_least: 0.7}}]
data: {{path: rows.csv, split: {{validation: 0.2, test: 0.2}}}}
model: {{hidden: 16}}
training: {{max_epochs: {epochs}, batch_size: 32, learning_rate: 1.0e-2}}
monitoring: {{chunk: {{size: 100}}}}
deployment: {{port: {port}}}
"""

_PHOTOS = """\
defaults:
  - override /data: rooms
  - override /features: photos
  - override /model: timm_detector
  - override /deployment: local
name: {name}
problem:
  need: To be broken, and to hold.
  owner: torture
  task: object_detection
  input: One photo of a listing.
  output: Boxes of amenities.
  classes: [bed, sofa, table, chair, stove, fridge, sink, tv]
  success: [{{metric: map_50, at_least: 0}}]
data: {{listings: 16, split: {{group_by: listing_id, validation: 0.2, test: 0.2}}}}
model: {{image_size: 96}}
training: {{max_epochs: {epochs}, batch_size: 8, validate_every: {epochs}}}
monitoring: {{chunk: {{size: 30}}}}
deployment: {{port: {port}}}
"""


def rows(folder: Path, *, name: str = "tiny", count: int = 400, epochs: int = 3, port: int | None = None) -> Path:
    """A spec of a tabular classifier beside its data; returns the spec's path.

    Args:
        folder: Made when it is not there.
        count: Rows of `rows.csv`.
        port: Of the service; a free one when it is None.
    """
    folder.mkdir(parents=True, exist_ok=True)
    draw = random.Random(0)
    with open(folder / "rows.csv", "w", newline="") as stream:
        lines = csv.writer(stream)
        lines.writerow(["row_id", "size", "age", "kind", "answer"])
        for i in range(count):
            size, age, kind = draw.gauss(0, 1), draw.gauss(0, 1), draw.choice("abc")
            answer = "yes" if size + age * (kind == "a") + draw.gauss(0, 0.3) > 0 else "no"
            lines.writerow([f"r{i}", f"{size:.4f}", f"{age:.4f}", kind, answer])
    return _written(folder, name, _ROWS, epochs, port)


def photos(folder: Path, *, name: str = "flat", epochs: int = 2, port: int | None = None) -> Path:
    """A spec of a small detector on generated listings; returns the spec's path."""
    folder.mkdir(parents=True, exist_ok=True)
    return _written(folder, name, _PHOTOS, epochs, port)


def _written(folder: Path, name: str, text: str, epochs: int, port: int | None) -> Path:
    path = folder / f"{name}.yaml"
    path.write_text(text.format(name=name, epochs=epochs, port=port or free_port()))
    return path
