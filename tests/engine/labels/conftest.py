"""Runs with a real tiny bundle and the SQLite log, filled by the contract itself, as a service would."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml
from PIL import Image

from pizzeria.inference.bundle import open_bundle
from pizzeria.inference.contract import Contract, Limits
from pizzeria.inference.predictor import Predictor
from pizzeria.labels import Served, open_served
from pizzeria.runs.store import Store
from pizzeria_plugins.prediction_logs import sqlite

from ...plugins.servers import conftest as services
from ..runs.sealed import seal

detection_bundle = services.detection_bundle
classification_bundle = services.classification_bundle
tabular_bundle = services.tabular_bundle
mixed_bundle = services.mixed_bundle

_SOURCES: dict[str, dict[str, Any]] = {
    "object_detection": {"data": {"use": "rooms"}, "model": {"use": "timm_detector"}, "features": {"use": "photos"}},
    "image_classification": {
        "data": {"use": "image_folder", "root": "photos"},
        "model": {"use": "timm_classifier"},
        "features": {"use": "photos"},
    },
    "tabular_regression": {
        "data": {"use": "table", "path": "rows.csv"},
        "model": {"use": "tabular_network"},
        "features": {"use": "columns"},
    },
}


def picture(seed: int, size: tuple[int, int] = (96, 64), kind: str = "PNG") -> bytes:
    """A photo unlike that of any other seed."""
    random = np.random.default_rng(seed)
    pixels = random.integers(0, 256, (4, 6, 3), np.uint8)
    image = Image.fromarray(pixels).resize(size, Image.Resampling.BICUBIC)
    stream = io.BytesIO()
    image.save(stream, kind)
    return stream.getvalue()


@dataclass
class Kitchen:
    """A run named `amenities` in a store, and what was asked of its model."""

    store: Store
    folder: Path
    contract: Contract
    write: Callable[[Any], None]
    ids: dict[str, str] = field(default_factory=dict)
    """Prediction ids by input id."""

    @property
    def served(self) -> Served:
        return open_served("amenities", self.store)

    def photo(self, name: str, data: bytes, listing: str = "") -> str:
        query = f"?input_id={name}" + (f"&listing_id={listing}" if listing else "")
        reply = self.contract.answer("POST", f"/predict{query}", {"Content-Type": "image/png"}, data)
        assert reply.status == 200, reply.body
        self.write([record | {"latency_ms": 1.0} for record in reply.records])
        self.ids[name] = json.loads(reply.body)["prediction_id"]
        return self.ids[name]

    def rows(self, rows: list[dict[str, Any]]) -> list[str]:
        sent = json.dumps({"rows": rows}).encode()
        reply = self.contract.answer("POST", "/predict", {"Content-Type": "application/json"}, sent)
        assert reply.status == 200, reply.body
        self.write([record | {"latency_ms": 1.0} for record in reply.records])
        return [one["prediction_id"] for one in json.loads(reply.body)["predictions"]]


def open_kitchen(folder: Path, bundle: Path, reference: list[bytes] | list[dict[str, Any]], **log: Any) -> Kitchen:
    """A packed run of the bundle, whose reference are its answers to some photos or rows."""
    opened = open_bundle(bundle)
    store = Store(folder / "runs")
    problem = {
        "need": "a test",
        "owner": "nobody",
        "task": opened.task,
        "success": [{"metric": "map_50", "at_least": 0.1}],
    }
    problem |= {"classes": list(opened.classes)} if opened.classes else {"target": "price"}
    problem["success"][0]["metric"] = {"object_detection": "map_50", "tabular_regression": "r2"}.get(
        opened.task, "accuracy"
    )
    spec = {"name": "amenities", "problem": problem, **_SOURCES[opened.task]}
    spec["serving"] = {"log": {"use": "sqlite", **log}}
    run = store.open_run("amenities-01", yaml.safe_dump(spec))
    package = run.folder / "stages" / "package"
    package.mkdir(parents=True)
    (package / "bundle").symlink_to(bundle)
    logs = store.root / ".predictions" / "amenities"
    contract = Contract(Predictor(opened, 1), Limits(), keep_photos=bool(log.get("photos")))
    kitchen = Kitchen(store, folder, contract, sqlite.writer(sqlite.Options(), logs))
    records = []
    for one in reference:
        target, kind = ("/predict", "image/png") if isinstance(one, bytes) else ("/predict", "application/json")
        body = one if isinstance(one, bytes) else json.dumps([one]).encode()
        [record] = contract.answer("POST", target, {"Content-Type": kind}, body).records
        record.pop("photo", None)
        columns = record.pop("columns", None)
        records.append(record if columns is None else {key: next(iter(values)) for key, values in columns.items()})
    pd.DataFrame(records).to_parquet(package / "reference.parquet")
    seal(package)
    return kitchen


@pytest.fixture
def detection(tmp_path: Path, detection_bundle: Path) -> Kitchen:
    """Photos are kept."""
    return open_kitchen(tmp_path, detection_bundle, [picture(1000 + i) for i in range(30)], photos=True)


@pytest.fixture
def classification(tmp_path: Path, classification_bundle: Path) -> Kitchen:
    """Photos are kept."""
    return open_kitchen(tmp_path, classification_bundle, [picture(1000 + i) for i in range(30)], photos=True)


@pytest.fixture
def rows(tmp_path: Path, tabular_bundle: Path) -> Kitchen:
    return open_kitchen(tmp_path, tabular_bundle, [{"rooms": i % 5, "beds": i % 3} for i in range(30)])
