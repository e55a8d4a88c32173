"""`pizzeria init`: from a path to a spec that validates and gets through every check, for each kind of data."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner
from PIL import Image

from pizzeria.cli import main
from pizzeria.conformance.asking import Quiet
from pizzeria.execution import execute
from pizzeria.loading import load_spec
from pizzeria.proposal.proposing import Wishes, propose
from pizzeria.runs.store import Store
from pizzeria.spec.spec import Spec


def _init(*arguments: str) -> str:
    result = CliRunner().invoke(main, ["init", *arguments], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


def _checked(name: str) -> Spec:
    """The spec, after it went through all checks in a store of its own."""
    spec = load_spec([f"experiment={name}"])
    execute(spec, Store(Path("checked")), Quiet(), until="leakage")
    return spec


def _photo(path: Path, number: int, size: tuple[int, int] = (64, 48)) -> None:
    rng = np.random.default_rng(number)
    coarse = Image.fromarray(rng.integers(0, 255, (6, 6, 3), np.uint8))
    path.parent.mkdir(parents=True, exist_ok=True)
    coarse.resize(size, Image.Resampling.BICUBIC).save(path)


def test_a_table_with_a_column_that_gives_the_answer_away(working_folder: Path) -> None:
    rng = np.random.default_rng(0)
    count = 1200
    rooms = rng.integers(1, 8, count)
    price = rooms * 40 + rng.normal(0, 90, count)
    table = {
        "booking": [f"b{i}" for i in range(count)],
        "rooms": rooms,
        "town": rng.choice(["Lecce", "Bari"], count),
        "paid": price * 1.1,
        "price": price.round(2),
    }
    pd.DataFrame(table).to_csv("bookings 2026.csv", index=False)
    output = _init("--data", "bookings 2026.csv")
    assert "pizzeria run experiment=bookings_2026" in output
    text = Path("conf/experiment/bookings_2026.yaml").read_text()
    assert "paid alone tells price" in " ".join(text.replace("#", " ").split())
    spec = _checked("bookings_2026")
    assert (spec.problem.task, spec.problem.target) == ("tabular_regression", "price")
    assert set(spec.features.options.drop) == {"booking", "paid"}
    assert spec.data.expectations["rows"]
    mae = next(one for one in spec.problem.success if one.metric == "mae")
    assert mae.at_most is not None
    assert mae.at_most < np.abs(price - np.median(price)).mean()
    again = CliRunner().invoke(main, ["init", "--data", "bookings 2026.csv"])
    assert again.exit_code == 4
    assert "conf/experiment/bookings_2026.yaml exists" in again.output
    assert "--force" in again.output
    _init("--data", "bookings 2026.csv", "--force", "--target", "town", "--name", "towns")
    assert load_spec(["experiment=towns"]).problem.classes == ("Bari", "Lecce")


def test_class_folders_with_a_broken_photo_and_look_alikes(working_folder: Path) -> None:
    for i in range(36):
        _photo(Path(f"rooms/{'bath' if i % 3 else 'kitchen'}/{i}.png"), i)
        _photo(Path(f"rooms/{'bath' if i % 3 else 'kitchen'}/{i} again.jpg"), i, (80, 60))
    Path("rooms/bath/torn.jpg").write_bytes(b"\xff\xd8\xff\xe0torn")
    done = propose("rooms", Wishes(), Quiet())
    assert done.remarks == ()
    spec = _checked("rooms")
    assert spec.problem.classes == ("bath", "kitchen")
    assert spec.data.repair.unreadable == "set_aside"
    assert "torn.jpg" in done.path.read_text()
    assert spec.data.split.group_near_duplicates
    assert spec.data.split.stratify_by == "classes"


def test_boxes_that_reach_out_are_clipped_and_listings_stay_together(working_folder: Path) -> None:
    images, boxes = [], []
    for i in range(60):
        _photo(Path(f"coco/{i}.png"), i)
        images.append({"id": i, "file_name": f"{i}.png", "listing_id": f"l{i // 3}"})
        boxes.append({"id": i, "image_id": i, "category_id": i % 2, "bbox": [10, 10, 20 + 40 * (i == 7), 20]})
    boxes.append({"id": 99, "image_id": 0, "category_id": 2, "bbox": [1, 1, 5, 5]})
    names = [{"id": 0, "name": "bed"}, {"id": 1, "name": "sofa"}, {"id": 2, "name": "harp"}]
    Path("coco/annotations.json").write_text(json.dumps({"images": images, "annotations": boxes, "categories": names}))
    done = propose("coco", Wishes(), Quiet())
    assert done.remarks == ()
    spec = _checked("coco")
    assert spec.problem.task == "object_detection"
    assert spec.problem.classes == ("bed", "sofa")
    assert "harp (1)" in done.path.read_text()
    assert spec.data.repair.outside == "clip"
    assert spec.data.split.group_by == "listing_id"
    assert {one.metric for one in spec.problem.success} == {"map_50", "presence_f1"}
    labels = propose("coco", Wishes(name="labels", task="multilabel_classification"), Quiet())
    assert _checked("labels").model.use == "timm_probe"
    assert labels.path.name == "labels.yaml"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--data", "nowhere"], "there is no nowhere"),
        (["--data", "notes"], "holds nothing that a source recognises"),
        (["--data", "t.csv", "--task", "tabular"], "there is no task 'tabular'"),
        (["--data", "t.csv", "--source", "tabel"], "no plugin 'tabel'"),
        (["--data", "t.csv", "--source", "rooms"], "the source 'rooms' recognises no data"),
        (["--data", "t.csv", "--target", "prise"], "no column 'prise'"),
        (["--data", "t.csv", "--name", "../x"], "../x"),
    ],
)
def test_what_cannot_be_done_is_said(working_folder: Path, arguments: list[str], message: str) -> None:
    Path("notes").mkdir()
    Path("notes/readme.md").write_text("nothing here")
    Path("t.csv").write_text("a,price\n" + "".join(f"{i},{i % 2}\n" for i in range(40)))
    result = CliRunner().invoke(main, ["init", *arguments])
    assert result.exit_code in (2, 4)
    assert message in result.output
    assert not Path("conf").exists()
    assert not Path("../x.yaml").exists()


@pytest.fixture
def served(working_folder: Path) -> Iterator[str]:
    handler = partial(SimpleHTTPRequestHandler, directory=str(working_folder))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


def test_an_address_stays_an_address(working_folder: Path, served: str) -> None:
    pd.DataFrame({"x": range(100), "late": [i % 2 for i in range(100)]}).to_csv("trips.csv", index=False)
    for where in (working_folder.as_uri() + "/trips.csv", f"{served}/trips.csv"):
        done = propose(where, Wishes(), Quiet(), force=True)
        assert f"path: {where}" in done.path.read_text()
        assert _checked("trips").problem.target == "late"


@pytest.mark.slow
def test_real_flights_lose_their_leak(working_folder: Path, shared_data: Path) -> None:
    done = propose(str(shared_data / "tabular" / "flights.parquet"), Wishes(target="arr_delay"), Quiet())
    assert done.remarks == ()
    spec = load_spec(["experiment=flights"])
    assert "dep_delay" in spec.features.options.drop
    assert spec.data.split.order_by == "scheduled"


def test_a_spec_from_init_runs_to_a_bundle(working_folder: Path) -> None:
    rng = np.random.default_rng(1)
    x = rng.normal(size=600)
    pd.DataFrame(
        {"x": x, "noise": rng.normal(size=600), "late": (x + rng.normal(0, 0.5, 600) > 0).astype(int)}
    ).to_parquet("trips.parquet")
    propose("trips.parquet", Wishes(minutes=0.05), Quiet())
    done = execute(load_spec(["experiment=trips"]), Store(Path("runs")), Quiet(), until="package")
    assert done.results["package"].facts["sha256"]
