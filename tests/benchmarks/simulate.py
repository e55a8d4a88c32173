"""The proofs of docs/simulation.md: `python tests/benchmarks/simulate.py [electricity] [census] [rooms]`.

Each is one `pizzeria simulate`, on data that nobody here made: the electricity market of New South Wales, photos from
../shared/data, the census in NannyML's wheel. It goes on where it was stopped. What the commands print, and their
plots, are what the page shows. Minutes to half an hour each on two cores; OMP_NUM_THREADS=1 is fastest there.
"""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from pathlib import Path

SHARED = Path(__file__).parents[3] / "shared" / "data"
_ROOMS = """
defaults:
  - override /data: image_folder
  - override /features: embeddings
  - override /model: timm_probe
name: {name}
problem:
  need: Hosts upload photos without saying which room they show, and guests look for the kitchen in vain.
  owner: listing-quality
  task: image_classification
  classes: [bathroom, bedroom, kitchen]
  success: [{{metric: accuracy, at_least: 0.8}}]
data:
  root: {root}
  {data}
model:
  backbone: tf_efficientnet_lite0
  image_size: 224
  weights: {weights}
training: {{max_epochs: 12, batch_size: 64, learning_rate: 1.0e-3, monitor: loss}}
monitoring:
  chunk: {{size: 100}}
  performance: {{metric: accuracy, below: 0.90}}
"""


def electricity() -> None:
    """Half-hours of 1996 to 1998; the market changes in 1997."""
    _simulate("experiment=electricity", f"data.path={SHARED / 'tabular' / 'electricity.parquet'}", "--every", "30d")


def census() -> None:
    """The counter-proof: nothing is wrong, so nothing must be done."""
    write_census(Path("census.parquet"))
    options = ("--start", "2016-01-01", "--every", "60d", "--delay", "60d", "--metric", "accuracy")
    _simulate("experiment=census", *options, "--policy", "never", "--policy", "on_alert")


def rooms() -> None:
    """Photos of listings, then photos of such rooms by other photographers, from Places365."""
    root, weights = SHARED / "listings", SHARED / "weights" / "tf_efficientnet_lite0.safetensors"
    with open("listing_rooms.csv", "w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["file", "labels", "listing_id"])
        for image in json.loads((root / "annotations.json").read_text())["images"]:
            writer.writerow([image["file_name"].removeprefix("photos/"), image["room"], image["listing_id"]])
    data = "labels: listing_rooms.csv\n  split: {group_by: listing_id, group_near_duplicates: true, test: 0.25}"
    text = _ROOMS.format(name="listing_rooms", root=root / "photos", data=data, weights=weights)
    Path("listing_rooms.yaml").write_text(text)
    data = "class_map: {dining_room: null, entrance_hall: null, living_room: null}"
    text = _ROOMS.format(name="places_rooms", root=SHARED / "rooms", data=data, weights=weights)
    Path("places_rooms.yaml").write_text(text)
    options = ("--start", "0.5", "--every", "1d", "--delay", "3d", "--traffic", "places_rooms.yaml")
    _simulate("listing_rooms.yaml", *options, "--policy", "never", "--policy", "on_alert")


def write_census(path: Path) -> None:
    """The census as one table; `asked` spreads the people of a year over it, in an order that is drawn.

    The files say the year alone. In their own order the people of institutions come in one block at the end of 2017 and
    the beginning of 2018, which is how the office sorts its files and nothing that happened.
    """
    import nannyml
    import numpy as np
    import pandas as pd

    reference, analysis, truth = nannyml.load_us_census_ma_employment_data()
    people = pd.concat([reference, analysis.merge(truth, on="id")], ignore_index=True)
    people = people.drop(columns=["prediction", "predicted_probability"])
    people = people.sample(frac=1, random_state=0).sort_values("year", kind="stable")
    share = people.groupby("year").cumcount() / people.groupby("year")["id"].transform("size")
    begin = np.array([np.datetime64(f"{year}-01-01", "us") for year in people["year"]])
    people["asked"] = begin + (share * 365 * 86_400_000_000).to_numpy().astype("timedelta64[us]")
    people.drop(columns=["id", "year"]).to_parquet(path, index=False)


def _simulate(*arguments: str) -> None:
    command = [sys.executable, "-m", "pizzeria.cli", "simulate", *arguments]
    print("$ pizzeria", *command[3:], flush=True)
    subprocess.run(command, check=True)


if __name__ == "__main__":
    proofs = {"electricity": electricity, "census": census, "rooms": rooms}
    for chosen in sys.argv[1:] or list(proofs):
        proofs[chosen]()
