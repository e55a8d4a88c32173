"""Labelled predictions become data: nothing lost, each once, and nothing of the test is ever learnt from."""

from __future__ import annotations

import json
import random
import shutil
from datetime import timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from pizzeria.conformance.asking import Quiet
from pizzeria.errors import LackError, PoisonError
from pizzeria.execution import execute
from pizzeria.graph import plan
from pizzeria.maintenance.collecting import collect_labelled
from pizzeria.runs.store import Store

from .served_model import Model, open_model

SPEC = """
defaults:
  - override /data: table
  - override /features: columns
  - override /model: tabular_network
  - override /deployment: shelf
name: kitchen
problem:
  need: Test.
  owner: tests
  task: tabular_classification
  classes: ["cold", "hot"]
  target: state
  success: [{metric: accuracy, at_least: 0.5}]
data:
  path: rows.csv
  split: {order_by: day}
  leakage: {allow: [{what: target, column: heat, reason: it is made so}]}
model: {hidden: 8, blocks: 0}
training: {max_epochs: 4, batch_size: 32, learning_rate: 2.0e-2}
maintenance: {least_labels: 20, window: 0.25}
"""


def rows(count: int, seed: int, shift: float = 0.0) -> list[dict[str, Any]]:
    draw = random.Random(seed)
    out: list[dict[str, Any]] = []
    for i in range(count):
        heat = round(draw.gauss(shift, 1), 4)
        out.append({"day": f"2025-0{1 + i * 9 // count}-01", "heat": heat, "room": draw.choice(["a", "b"])})
    return out


def state(row: dict[str, Any]) -> str:
    return "hot" if row["heat"] > 0 else "cold"


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a trained model, for each test to have a copy of."""
    folder = tmp_path_factory.mktemp("trained")
    table = rows(300, 1)
    pd.DataFrame([row | {"state": state(row)} for row in table]).to_csv(folder / "rows.csv", index=False)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        open_model(folder, SPEC)
    return folder


@pytest.fixture
def model(trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Model:
    copy = tmp_path / "copy"
    shutil.copytree(trained, copy, symlinks=True)
    monkeypatch.chdir(copy)
    return Model(Store(copy / "runs"), "kitchen")


def send(model: Model, count: int, seed: int, source: str = "ann", *, flip: bool = False) -> list[str]:
    """Predictions of rows, and their labels."""
    sent = [{"heat": row["heat"], "room": row["room"]} for row in rows(count, seed, 0.5)]
    ids = model.rows(sent)
    said = [state(row) for row in sent]
    said = [{"hot": "cold", "cold": "hot"}[one] for one in said] if flip else said
    model.label({name: {"class": one} for name, one in zip(ids, said, strict=True)}, source)
    return ids


def sides(folder: Path) -> dict[str, str]:
    found = pd.read_parquet(folder / "fixed.parquet")
    return dict(zip(found["key"], found["split"], strict=True))


def test_rows_from_labels_to_a_second_and_a_third_model(model: Model) -> None:
    first, _ = model.champion
    with pytest.raises(LackError, match=r"there are 0 new labels, and maintenance.least_labels is 20"):
        model.collect()
    ids = send(model, 40, 2)
    version = model.collect()
    assert (version.number, version.labels, version.new, version.window) == (1, 40, 40, 10)
    assert model.collect() == version, "the same labels are the same version"
    parts = pd.read_parquet(version.parts).set_index("key")["part"]
    assert parts[parts == "window"].index.tolist() == [f"table-2:{name}" for name in ids[-10:]], "the newest"
    before = pd.read_parquet(first.stage("split") / "splits.parquet").set_index("key")["split"]
    frozen = {f"table:{key}" for key in before[before == "test"].index}
    assert set(parts[parts == "frozen"].index) == frozen
    assert version.manifest["counts"]["by_class"].keys() == {"cold", "hot"}
    assert version.manifest["counts"]["by_source"] == {"ann": 40}

    done = execute(version.spec, model.store, Quiet(), until="package")
    splits = pd.read_parquet(done.results["split"].folder / "splits.parquet").set_index("key")["split"]
    assert set(splits[splits == "test"].index) == set(parts.index)
    assert {key.partition(":")[2] for key in splits[splits == "train"].index if key.startswith("table:")} == set(
        before[before == "train"].index
    )
    joined = pd.read_parquet(done.results["collect"].folder / "rows.parquet")
    new = joined[joined["source"] == "table-2"]
    assert new["day"].dt.year.eq(2026).all(), "the model does not see the day: the time of the prediction stands for it"
    assert set(json.loads((done.results["features"].folder / "preprocessing.json").read_text())["numeric"][0]) >= {
        "name"
    }
    parts_of = json.loads((done.results["evaluate"].folder / "parts.json").read_text())
    assert (parts_of["frozen"]["count"], parts_of["window"]["count"]) == (len(frozen), 10)
    assert "accuracy" in parts_of["window"]["metrics"]
    reference = pd.read_parquet(done.results["package"].folder / "reference.parquet")
    assert len(reference) == len(frozen) + 10, "so small a window alone would be no reference"
    assert all(step.result is not None for step in plan(version.spec, model.store) if step.name != "deploy")

    second = model.train(version.spec)
    assert second.id == done.run.id
    with pytest.raises(LackError, match="there are 0 new labels"):
        model.collect()
    # The log is pruned: what was labelled is kept all the same.
    plugin, options, folder = model.served.log
    plugin.prune(options, folder, model.at + timedelta(seconds=1))
    later = send(model, 23, 3)
    truth = json.loads(pd.read_parquet(version.folder / "examples.parquet")["truth"].iloc[0])["class"]
    model.label({ids[0]: {"class": truth}}, at=model.at)  # the same again is nothing new
    model.label({ids[0]: {"class": "cold" if truth == "hot" else "hot"}}, at=model.at + timedelta(hours=1))
    third = model.collect()
    assert (third.number, third.labels, third.new, third.window) == (2, 63, 24, 6)
    assert set(pd.read_parquet(third.parts).query("part == 'frozen'")["key"]) == frozen
    examples = pd.read_parquet(third.folder / "examples.parquet").set_index("prediction_id")
    assert json.loads(examples.loc[ids[0], "truth"])["class"] != truth, "the latest label holds"
    now = sides(third.folder)
    assert not [key for key in frozen if now[key] != "test"]
    assert all(now[f"table-2:{name}"] in ("train", "validation") for name in ids), "an earlier window is learnt from"
    assert all(now[f"table-2:{name}"] == "test" for name in later[-6:])
    assert len(third.spec.data.also) == 1
    execute(third.spec, model.store, Quiet(), until="split")


def test_what_is_doubted_is_refused_or_left_out_and_asked_again(model: Model) -> None:
    send(model, 120, 2)
    send(model, 60, 4, "mal", flip=True)
    with pytest.raises(PoisonError, match="labels of 'mal' contradict") as caught:
        model.collect()
    assert caught.value.evidence["doubts"]
    run, spec = model.champion
    trust = spec.maintenance.trust.model_copy(update={"on_doubt": "leave_out"})
    settings = spec.maintenance.model_copy(update={"trust": trust})
    version = collect_labelled(
        "kitchen", run=run, spec=spec.model_copy(update={"maintenance": settings}), store=model.store, progress=Quiet()
    )
    assert (version.labels, version.manifest["left_out"]) == (120, {"doubted": 60})
    assert version.manifest["counts"]["by_source"] == {"ann": 120}
    assert "labels of 'mal' contradict" in version.manifest["doubts"][0]


def test_memory_leaves_old_rows_out_and_a_warm_start_keeps_the_columns(model: Model) -> None:
    send(model, 40, 2)
    run, spec = model.champion
    spec = spec.model_copy(update={"maintenance": spec.maintenance.model_copy(update={"memory": 100, "start": "warm"})})
    version = collect_labelled("kitchen", spec, run, model.store, Quiet())
    counts = version.manifest["counts"]
    assert counts["train"] + counts["validation"] == 100
    assert counts["frozen"] == sum(pd.read_parquet(run.stage("split") / "splits.parquet")["split"].eq("test"))
    found = execute(version.spec, model.store, Quiet(), until="split").results["split"]
    splits = pd.read_parquet(found.folder / "splits.parquet")
    assert version.spec.training.start == version.folder / "start" / "model.safetensors"
    warm = execute(version.spec, model.store, Quiet(), until="train").results
    fitted = [
        json.loads((one / "preprocessing.json").read_text()) for one in (warm["features"].folder, run.stage("features"))
    ]
    assert fitted[0] == fitted[1], "the champion's scales and codes are kept"
    old = splits[splits["key"].str.startswith("table:") & (splits["split"] == "train")]
    rows = pd.read_parquet(run.stage("collect") / "rows.parquet").set_index("row_id")["day"]
    left = [rows[key.partition(":")[2]] for key in old["key"]]
    assert min(left) > rows.iloc[0], "the oldest rows are gone"
    assert "of the data before" in " ".join(version.manifest["left_out"])
    short = spec.model_copy(update={"maintenance": spec.maintenance.model_copy(update={"memory": 20})})
    tight = collect_labelled("kitchen", short, run, model.store, Quiet())
    assert (tight.labels < 40, tight.known) == (True, 40), "what is forgotten is known all the same"
