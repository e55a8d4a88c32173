"""The parts of a proposal: what columns hold, the task, the split, the trivial model, the YAML."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from pizzeria.errors import DataError
from pizzeria.proposal.baseline import baseline, criteria
from pizzeria.proposal.columns import Column, look
from pizzeria.proposal.framing import check_task, frame_photos, frame_rows
from pizzeria.proposal.machine import Machine, choose
from pizzeria.proposal.splitting import of_photos, of_rows
from pizzeria.proposal.yaml_text import spec_text
from pizzeria.spec.problem import Problem
from pizzeria.tables import Tables


def _table() -> Tables:
    count = 200
    rows = pd.DataFrame(
        {
            "row_id": [str(i) for i in range(count)],
            "booked": pd.date_range("2026-01-01", periods=count, freq="h"),
            "host_id": [f"h{i % 40}" for i in range(count)],
            "price": np.linspace(10, 99.5, count),
            "nights": [i % 7 for i in range(count)],
            "note": [f"note {i}" for i in range(count)],
            "cancelled": [i % 4 == 0 for i in range(count)],
            "gap": [None if i % 2 else 1.5 for i in range(count)],
        }
    )
    return Tables(rows=rows)


def test_what_columns_hold(tmp_path: Path) -> None:
    found = {column.name: column for column in look(_table())}
    table = _table().rows
    assert table is not None
    table.to_parquet(tmp_path / "rows.parquet")
    assert look(Tables(rows=tmp_path / "rows.parquet")) == list(found.values())
    assert {name: column.kind for name, column in found.items()} == {
        "booked": "time",
        "host_id": "text",
        "price": "number",
        "nights": "number",
        "note": "text",
        "cancelled": "boolean",
        "gap": "number",
    }
    assert found["cancelled"].counts == {"true": 50, "false": 150}
    assert found["nights"].whole
    assert not found["price"].whole
    assert found["gap"].missing == 100
    assert [name for name, column in found.items() if column.identifies] == ["note"]


def test_the_task_comes_from_the_target() -> None:
    columns = look(_table())
    by_class = frame_rows(columns, None, "cancelled")
    assert (by_class.task, by_class.counts) == ("tabular_classification", {"false": 150, "true": 50})
    assert frame_rows(columns, None, "price").task == "tabular_regression"
    assert frame_rows(columns, None, "nights").task == "tabular_classification"
    assert frame_rows(columns, "tabular_regression", "nights").task == "tabular_regression"
    last = frame_rows(columns, "tabular_regression", None)
    assert last.target == "gap"
    assert "--target" in last.why


@pytest.mark.parametrize(
    ("task", "target", "message"),
    [
        (None, "prise", "no column 'prise'"),
        (None, "booked", "holds times"),
        (None, "note", "200 different texts"),
        ("tabular_classification", "price", "200 different values"),
        ("object_detection", "cancelled", "rows do not serve object_detection"),
    ],
)
def test_a_target_that_makes_no_sense_is_refused(task: str | None, target: str, message: str) -> None:
    with pytest.raises(DataError, match=message) as caught:
        frame_rows(look(_table()), task, target)
    assert caught.value.hint


def test_photos_say_their_task_and_rare_classes_are_named() -> None:
    images = pd.DataFrame({"image_id": list("abc"), "label": ["x", "y", "x"], "labels": [["x"], ["y", "x"], []]})
    boxes = pd.DataFrame({"image_id": "a", "class_name": ["bed"] * 12 + ["sofa"] * 3})
    framed = frame_photos(Tables(images=images, boxes=boxes), None)
    assert (framed.task, framed.counts, framed.rare) == ("object_detection", {"bed": 12}, {"sofa": 3})
    assert "image_classification" in framed.why
    assert frame_photos(Tables(images=images), "multilabel_classification").counts == {"x": 2, "y": 1}
    with pytest.raises(DataError, match="no boxes and no labels"):
        frame_photos(Tables(images=images[["image_id"]]), None)
    with pytest.raises(DataError, match="no task 'object_detecton'") as caught:
        check_task("object_detecton")
    assert caught.value.hint == "did you mean object_detection?"


def test_the_split_follows_time_groups_and_rare_classes() -> None:
    columns = look(_table())
    framing = frame_rows(columns, None, "cancelled")
    assert of_rows(columns, framing)[0] == {"order_by": "booked"}
    untimed = [column for column in columns if column.kind != "time"]
    assert of_rows(untimed, framing)[0] == {"group_by": "host_id"}
    plain = [column for column in untimed if column.name != "host_id"]
    assert of_rows(plain, framing)[0] == {"stratify_by": "classes"}
    given_split = [*plain, Column("split", "text", 200, 2, 0, counts={"train": 150, "test": 50})]
    assert of_rows(given_split, framing)[0] == {"column": "split"}
    images = pd.DataFrame({"image_id": range(60), "listing_id": [i // 3 for i in range(60)]})
    assert of_photos(images, framing, {})[0]["group_by"] == "listing_id"
    assert of_photos(images, framing, {"column": "split"})[0] == {"column": "split"}


def test_the_trivial_model_of_classes_and_numbers() -> None:
    tables = _table()
    assert tables.rows is not None
    splits = pd.Series(["train"] * 120 + ["validation"] * 40 + ["test"] * 40, index=tables.rows["row_id"])
    problem = Problem.model_construct(
        task="tabular_classification", classes=("false", "true"), target="cancelled", success=()
    )
    reached = baseline(problem, tables, splits)
    assert reached["auroc"] == pytest.approx(0.5)
    assert reached["log_loss"] == pytest.approx(-(0.75 * np.log(0.75) + 0.25 * np.log(0.25)), rel=1e-3)
    made = criteria(problem, reached)
    assert made[0][0] == {"metric": "auroc", "at_least": 0.525}
    assert made[1][0]["at_most"] < reached["log_loss"]
    number = Problem.model_construct(task="tabular_regression", classes=(), target="price", success=())
    prices = tables.rows["price"].to_numpy()
    expected = np.abs(prices[160:] - np.median(prices[:160])).mean()
    assert baseline(number, tables, splits)["mae"] == pytest.approx(expected, rel=1e-5)


def test_the_trivial_detector_says_mean_boxes() -> None:
    ids = [str(i) for i in range(40)]
    images = pd.DataFrame({"image_id": ids, "width": 100, "height": 50})
    box = {"class_name": "bed", "x_min": 10.0, "y_min": 10.0, "x_max": 60.0, "y_max": 40.0}
    boxes = pd.DataFrame([{"image_id": key, **box} for key in ids])
    splits = pd.Series(["train"] * 30 + ["validation"] * 4 + ["test"] * 6, index=ids)
    problem = Problem.model_construct(task="object_detection", classes=("bed", "tv"), target=None, success=())
    reached = baseline(problem, Tables(images=images, boxes=boxes), splits)
    assert reached["map_50"] == pytest.approx(1.0)  # each bed lies in the same place


def test_the_model_fits_the_machine() -> None:
    framing = frame_photos(
        Tables(boxes=pd.DataFrame({"image_id": "a", "class_name": ["bed"] * 12}), images=pd.DataFrame()), None
    )
    small, large = Machine(2, gpu=False), Machine(64, gpu=True)
    few, many = (choose(framing, count, small, None) for count in (300, 200_000))
    assert few.model_options["image_size"] > many.model_options["image_size"]
    assert many.training["max_epochs"] == 3
    assert choose(framing, 200_000, large, None).training["max_epochs"] >= 3
    assert (few.model_options["backbone"], few.model_options["weights"]) == ("tf_efficientnet_lite0", "package")
    fine = choose(framing, 300, small, "w/mobilenetv2_100.safetensors").model_options
    assert (fine["backbone"], fine["weights"]) == ("mobilenetv2_100", "w/mobilenetv2_100.safetensors")
    assert fine["freeze_backbone"]


_NAMES = st.text(
    st.characters(codec="utf-8", exclude_categories=["Cs", "Cc"], exclude_characters="\ufeff\u2028\u2029\x85"),
    max_size=12,
)


@settings(max_examples=60)
@given(
    st.dictionaries(
        _NAMES.filter(bool), st.one_of(_NAMES, st.integers(), st.booleans(), st.none(), st.lists(_NAMES)), min_size=1
    ),
    st.lists(_NAMES, max_size=4),
)
def test_whatever_is_written_is_read_back(section: dict[str, object], classes: list[str]) -> None:
    spec = {
        "name": "x",
        "problem": {"classes": classes, "success": [{"metric": "f1", "at_least": 0.5}]},
        "data": section,
    }
    why = {"problem.success.0": "a reason: with # signs", "data": "because"}
    text = spec_text(["Found: # this", "and that"], {"model": "m"}, spec, why, {"problem": ["left out: a, b"]})
    read = yaml.safe_load(text)
    assert read.pop("defaults") == [{"override /model": "m"}]
    assert read == spec
    assert "# a reason:" in text
