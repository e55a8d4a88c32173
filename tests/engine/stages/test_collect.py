"""What decides what was collected, and that a plan says what changed."""

from __future__ import annotations

import shutil
from io import BytesIO
from pathlib import Path

import pytest
from PIL import Image

from pizzeria import registry
from pizzeria.execution import execute
from pizzeria.graph import plan
from pizzeria.loading import load_spec
from pizzeria.progress import PlainProgress
from pizzeria.runs.store import Store
from pizzeria.spec.check import check
from pizzeria.spec.compose import compose
from pizzeria.spec.spec import Spec
from pizzeria.stages import collect

_SPEC = """
defaults: [{override /data: rooms}, {override /features: photos}, {override /model: timm_detector}]
name: joined
problem:
  need: n
  owner: o
  task: object_detection
  classes: [bed, sofa]
  success: [{metric: map_50, at_least: 0.1}]
data:
  listings: 2
  class_map: {table: sofa, tv: null}
  also:
    - {use: coco, root: photos, class_map: {couch: sofa}}
    - {use: rooms, seed: 5}
  repair: {unreadable: set_aside}
"""


@pytest.fixture
def joined(working_folder: Path) -> Path:
    (working_folder / "photos").mkdir()
    Image.new("RGB", (8, 8)).save(working_folder / "photos/1.png")
    (working_folder / "photos/annotations.json").write_text("{}")
    (working_folder / "conf/experiment").mkdir(parents=True)
    (working_folder / "conf/experiment/joined.yaml").write_text(_SPEC)
    return working_folder


def spec(*overrides: str) -> Spec:
    return check(compose(["experiment=joined", *overrides]), registry.load)


def test_all_sources_decide(joined: Path) -> None:
    found = collect.reads(spec())["data"]
    assert found["class_map"] == {"table": "sofa", "tv": "(left out)"}
    assert found["also"]["coco"]["class_map"] == {"couch": "sofa"}
    assert (found["seed"], found["also"]["rooms-2"]["seed"]) == (0, 5)
    assert found["repair"]["unreadable"] == "set_aside"
    assert collect.plugins(spec()) == [("sources", "rooms"), ("sources", "coco")]
    assert [Path(path).name for path in collect.data(spec())] == ["photos"]


def test_a_plan_says_what_changed(joined: Path) -> None:
    store = Store()
    alone = ["data.also=[]"]
    execute(spec(*alone), store, PlainProgress(), until="collect")
    assert plan(spec(*alone), store)[0].why == ""
    for override, why in (
        ("data.class_map={tv: sofa}", "data.class_map.tv: (left out) -> sofa"),
        ("data.class_map={chair: null}", "data.class_map.chair: None -> (left out)"),
        ("data.repair.outside=clip", "data.repair.outside: refuse -> clip"),
        ("data.also=[{use: rooms, seed: 6}]", "data.also.rooms-2.seed: None -> 6"),
        ("features.max_megapixels=50", "features.max_megapixels: 100.0 -> 50.0"),
    ):
        assert why in plan(spec(*alone, override), store)[0].why
    # what is checked later does not decide what is collected
    assert plan(spec(*alone, "data.split.validation=0.3"), store)[0].why == ""


_FETCHED = """
defaults: [{override /data: image_folder}, {override /features: photos}, {override /model: timm_classifier}]
name: fetched
problem: {need: n, owner: o, task: image_classification, classes: [a, b], success: [{metric: accuracy, at_least: 0}]}
data: {root: "memory://photos"}
"""


def test_fetched_photos_that_are_gone_are_fetched_again(working_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fsspec = pytest.importorskip("fsspec", reason="fsspec is not installed: addresses are not tested")
    monkeypatch.setenv("PIZZERIA_CACHE", str(working_folder / "cache"))
    store_there = fsspec.filesystem("memory")
    for number, name in enumerate("ab"):
        stream = BytesIO()
        Image.new("RGB", (8, 8), (90 * number, 0, 0)).save(stream, "PNG")
        store_there.pipe(f"/photos/{name}/1.png", stream.getvalue())
    (working_folder / "fetched.yaml").write_text(_FETCHED)
    mine, store = load_spec(["fetched.yaml"]), Store()
    execute(mine, store, PlainProgress(), until="collect")
    assert plan(mine, store)[0].why == ""
    shutil.rmtree(working_folder / "cache" / "fetched")
    assert plan(mine, store)[0].why.endswith("1.png is gone, and is fetched again")
    done = execute(mine, store, PlainProgress(), until="collect")
    assert done.ran == ("collect",)
    assert plan(mine, store)[0].why == ""
