"""The shipped specs on real photos and on the real electricity market: small subsets, a few epochs."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest

from .conftest import open_kitchen

pytestmark = pytest.mark.slow


def test_listings(shared_data: Path, tmp_path: Path) -> None:
    place = open_kitchen(tmp_path)
    weights = shared_data / "weights" / "tf_efficientnet_lite0.safetensors"
    spec = [
        "experiment=listings",
        f"data.root={shared_data / 'listings'}",
        "data.limit=120",
        f"model.weights={weights}",
        "model.image_size=128",
        "training.max_epochs=2",
        "problem.classes=[bed,sink,toilet,chair]",
        "problem.success=[{metric: map_50, at_least: 0}]",
    ]
    done = place.run("run", *spec)
    assert done.returncode == 0, done.stdout + done.stderr
    try:
        out = tmp_path / "verdicts.json"
        csv = pd.read_csv(shared_data / "listings" / "listings.csv").head(2)
        csv.to_csv(tmp_path / "listings.csv", index=False)
        photos = str(shared_data / "listings" / "photos")
        verified = place.run("verify", "listings", "listings.csv", "--photos", photos, "--out", str(out))
        assert verified.returncode == 0, verified.stderr
        verdicts = json.loads(out.read_text())
        assert [str(one["listing_id"]) for one in verdicts] == [str(name) for name in csv["listing_id"]]
    finally:
        assert place.run("stop", "listings").returncode == 0
    assert place.run("status").stdout.strip() == "nothing is deployed"


def test_electricity(shared_data: Path, tmp_path: Path) -> None:
    place = open_kitchen(tmp_path)
    path = shared_data / "tabular" / "electricity_head.csv"
    spec = ["experiment=electricity", f"data.path={path}", "training.max_epochs=3", "monitoring.chunk.size=150"]
    done = place.run("run", *spec, "problem.success=[{metric: auroc, at_least: 0.6}]", "--until", "package")
    assert done.returncode == 0, done.stdout + done.stderr
    [run] = (tmp_path / "runs").glob("electricity-*")
    reference = pd.read_parquet(run / "stages" / "package" / "reference.parquet")
    assert {"p:1", "pred", "true", "feature:nsw_price"} <= set(reference.columns)
    rows = pd.read_csv(path)
    splits = pd.read_parquet(run / "stages" / "split" / "splits.parquet")["split"]
    times = pd.to_datetime(rows["timestamp"])
    assert times[splits.to_numpy() == "train"].max() < times[splits.to_numpy() == "test"].min()
    predicted = place.run("predict", "electricity", str(path), "--out", str(tmp_path / "out.csv"))
    assert predicted.returncode == 0, predicted.stderr
    assert len(pd.read_csv(tmp_path / "out.csv")) == len(rows)


def test_flights(shared_data: Path, tmp_path: Path) -> None:
    """Dates, categories with rare values, and missing values, from a CSV to the bundle and back."""
    place = open_kitchen(tmp_path)
    rows = pd.read_parquet(shared_data / "tabular" / "flights.parquet").iloc[::100]
    rows["distance"] = rows["distance"].astype(float).mask(rows["distance"] % 7 == 0)
    rows["carrier"] = rows["carrier"].mask(rows["sched_dep_time"] % 11 == 0)
    path = tmp_path / "flights.csv"
    rows.to_csv(path, index=False)
    spec = ["experiment=flights", f"data.path={path}", "training.max_epochs=2", "features.min_count=20"]
    done = place.run("run", *spec, "problem.success=[{metric: mae, at_most: 60}]", "--until", "package")
    assert done.returncode == 0, done.stdout + done.stderr
    [run] = (tmp_path / "runs").glob("flights-*")
    how = json.loads((run / "stages" / "features" / "preprocessing.json").read_text())
    kinds = {kind: [one["name"] for one in how.get(kind, [])] for kind in ("numeric", "categorical", "dates")}
    assert kinds["categorical"] == ["carrier", "origin", "dest"]
    assert kinds["dates"] == ["scheduled"]
    assert not {"dep_delay", "air_time"} & {*kinds["numeric"]}
    assert next(one for one in how["numeric"] if one["name"] == "distance")["missing"]
    carrier, _, dest = how["categorical"]
    assert carrier["missing"]
    assert dest["rare"]
    predicted = place.run("predict", "flights", str(path), "--out", str(tmp_path / "out.csv"))
    assert predicted.returncode == 0, predicted.stderr
    assert len(pd.read_csv(tmp_path / "out.csv")) == len(rows)
