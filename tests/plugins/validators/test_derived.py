"""The derived columns: what they say of boxes, photos and rows, and that both engines say the same."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from pizzeria.contracts import Expectation
from pizzeria.spec.problem import Problem
from pizzeria.tables import Tables
from pizzeria_plugins.validators.batches import FileBatch
from pizzeria_plugins.validators.derived import photo_tables
from pizzeria_plugins.validators.derived_rows import derive_view, with_derived
from pizzeria_plugins.validators.great_expectations import validate
from pizzeria_plugins.validators.overlaps import overlaps

SUCCESS = ({"metric": "x", "at_least": 0},)


def problem(task: str, **more: Any) -> Problem:
    return Problem(need="n", owner="o", task=task, success=SUCCESS, **more)


DETECTION = problem("object_detection", classes=("bed", "sofa"))
SOLD = problem("tabular_classification", classes=("yes", "no"), target="sold")


def photos(count: int, **columns: Any) -> pd.DataFrame:
    frame = pd.DataFrame({"image_id": [f"i{n}" for n in range(count)]})
    frame["path"] = [f"i{n}.jpg" for n in range(count)]
    frame["sha256"] = [f"{n:064x}" for n in range(count)]
    return frame.assign(width=100, height=50, readable=True, problem="").assign(**columns)


def boxes(*rows: tuple[str, str, float, float, float, float]) -> pd.DataFrame:
    frame = pd.DataFrame(rows, columns=["image_id", "class_name", "x_min", "y_min", "x_max", "y_max"])
    return frame.assign(box_id=[f"b{n}" for n in range(len(frame))])


def unmet(outcomes: tuple[Expectation, ...]) -> dict[str, Expectation]:
    return {str(o.arguments.get("column")): o for o in outcomes if o.success is False}


def test_duplicate_and_contradictory_boxes() -> None:
    table = boxes(
        ("i0", "bed", 0, 0, 10, 10),
        ("i0", "sofa", 0, 0, 10, 9),  # at the same place as both beds
        ("i0", "bed", 0, 0, 10, 10.5),
        ("i0", "bed", 5, 0, 15, 10),  # a third of it in common
        ("i1", "sofa", 0, 0, 10, 10),  # in another photo
        ("i1", "bed", 0, 0, 0, 0),
    )
    frame = photo_tables(Tables(images=photos(2), boxes=table), DETECTION)["boxes"]
    assert frame["duplicate"].tolist() == [True, False, True, False, False, False]
    assert frame["contradictory"].tolist() == [True, True, True, False, False, False]
    assert frame["contradicts"].fillna("").tolist() == ["sofa", "bed", "sofa", "", "", ""]
    found = unmet(validate(Tables(images=photos(2), boxes=table.iloc[:5]), DETECTION, {}))
    assert found["contradictory"].severity == "warning"
    assert found["contradictory"].examples[0].endswith("contradicts sofa")
    assert found["duplicate"].unexpected == 2


def test_overlaps_agree_with_all_pairs() -> None:
    rng = np.random.default_rng(0)
    count = 300
    corners = rng.integers(0, 6, (count, 2)).astype(float)
    corners = np.concatenate([corners, corners + rng.integers(1, 6, (count, 2))], axis=1)
    images, classes = rng.integers(-1, 12, count), rng.integers(-1, 3, count)
    found = overlaps(images, classes, corners)

    def near(i: int, j: int) -> bool:
        low, high = np.maximum(corners[i, :2], corners[j, :2]), np.minimum(corners[i, 2:], corners[j, 2:])
        common = np.clip(high - low, 0, None).prod()
        areas = sum((corners[k, 2:] - corners[k, :2]).prod() for k in (i, j))
        return bool(common / (areas - common) >= 0.8)

    for i in range(count):
        others = [
            j for j in range(count) if j != i and images[i] == images[j] >= 0 and min(classes[i], classes[j]) >= 0
        ]
        others = [j for j in others if near(i, j)]
        assert found.same[i] == any(classes[i] == classes[j] for j in others)
        assert (found.other[i] >= 0) == any(classes[i] != classes[j] for j in others)


def test_a_box_that_is_absurd_for_its_class() -> None:
    rng = np.random.default_rng(1)
    rows = [(f"i{n}", "bed", 0, 0, 40 + rng.uniform(0, 10), 20 + rng.uniform(0, 5)) for n in range(60)]
    table = boxes(*rows, ("i60", "bed", 0, 0, 1, 1), ("i61", "bed", 0, 0, 99, 1), ("i62", "sofa", 0, 0, 1, 1))
    tables = Tables(images=photos(63), boxes=table)
    frame = photo_tables(tables, DETECTION)["boxes"]
    assert frame["size_deviation"].abs().nlargest(1).index.tolist() == [60]
    assert frame["aspect_deviation"].abs().nlargest(1).index.tolist() == [61]
    assert frame.loc[62, ["size_deviation", "aspect_deviation"]].isna().all()  # one sofa has no class to differ from
    found = unmet(validate(tables, DETECTION, {}))
    assert {"size_deviation", "aspect_deviation", "class_count"} <= set(found)


def test_photos_that_look_alike_and_disagree() -> None:
    single = problem("image_classification", classes=("bed", "sofa"))
    hashes = ["00000000000000ff", "00000000000000fe", "f0f0f0f0f0f0f0f0", None, "00000000000000ff"]
    table = photos(5, phash=hashes, dhash=hashes, label=["bed", "sofa", "bed", "bed", "bed"])
    frame = photo_tables(Tables(images=table), single)["images"]
    assert frame["near_duplicates"].fillna(-1).tolist() == [2, 2, 0, -1, 2]
    assert frame["near_duplicate_disagrees"].tolist()[:4] == [True, True, False, False]
    assert frame["near_duplicate_of"][2] is None or frame["near_duplicate_of"].isna()[2]
    found = unmet(validate(Tables(images=table), single, {}))
    assert found["near_duplicates"].severity == found["near_duplicate_disagrees"].severity == "warning"
    assert "near_duplicate_of i1" in found["near_duplicate_disagrees"].examples[0]


def test_the_quality_of_photos_and_labels() -> None:
    good = {
        "sharpness": 8.0,
        "brightness": 0.5,
        "contrast": 0.2,
        "entropy": 5.0,
        "dark_share": 0.0,
        "bright_share": 0.0,
    }
    table = photos(40, **good)
    assert unmet(validate(Tables(images=table, boxes=boxes(("i0", "bed", 0, 0, 50, 50))), DETECTION, {})).keys() == {
        *("unlabelled", "class_count", "class_name")  # hardly a photo has a box, there is one bed, and no sofa
    }
    for column, bad in (("sharpness", 1), ("brightness", 0.01), ("dark_share", 0.9), ("entropy", 0.1), ("width", 900)):
        spoilt = table.astype({"width": float}).copy()
        spoilt.loc[:4, column] = bad
        rows = boxes(*((f"i{n}", "bed", 0, 0, 50, 50) for n in range(40)))
        found = unmet(validate(Tables(images=spoilt, boxes=rows), DETECTION, {}))
        name = "aspect" if column == "width" else column
        assert found[name].severity == "warning"
        assert found[name].unexpected == 5


def test_classes_that_are_rare_or_absent() -> None:
    many = problem("multilabel_classification", classes=("a", "b", "c"))
    labels = [["a"]] * 200 + [["a", "b"]] + [[]]
    tables = Tables(images=photos(202, labels=labels))
    frame = photo_tables(tables, many)["images"]
    assert frame["class_count"].tolist()[:3] == [201, 201, 201]
    assert frame["class_count"].tolist()[200] == 1
    assert pd.isna(frame["class_count"][201])
    assert {"class_count", "class_balance"} <= set(unmet(validate(tables, many, {})))


def table(count: int = 60) -> pd.DataFrame:
    rng = np.random.default_rng(3)
    frame = pd.DataFrame({"row_id": [f"r{n}" for n in range(count)]})
    frame["x"], frame["town"] = rng.integers(0, 4, count).astype(float), rng.choice(["a", "b"], count)
    frame.loc[::9, "x"] = np.nan
    frame["seen"] = pd.Timestamp("2024-01-01 06:00")
    frame["sold"] = rng.choice(["yes", "no"], count)
    frame["tags"] = [["t"]] * count
    return frame


def test_rows_are_derived_alike_in_memory_and_in_the_file(tmp_path: Path) -> None:
    frame = table().assign(told=pd.Timestamp("2024-01-01 06:00", tz="Asia/Kathmandu"))
    path = tmp_path / "rows.parquet"
    frame.to_parquet(path, index=False)
    batch = FileBatch("rows", path, tmp_path, "row_id", lambda con, name: derive_view(con, name, SOLD))
    batch.connection.execute("set timezone = 'Asia/Tokyo'")  # the machine may be anywhere
    there = batch.connection.execute("select * exclude (told) from rows_derived order by row_id").df()
    batch.close()
    here = with_derived(pd.read_parquet(path), SOLD).sort_values("row_id").reset_index(drop=True)
    for column in ("copies", "conflicting_target", "class_count", "class_balance"):
        assert here[column].tolist() == there[column].tolist(), column
    for column in ("age_days_of_seen", "age_days_of_told"):
        assert np.allclose(here[column], there[column], rtol=0, atol=0.01), column
    assert here["copies"].max() > 1
    assert 0 < here["conflicting_target"].mean() <= 1


def test_equal_rows_with_other_targets_and_times_to_come_are_warned_of() -> None:
    frame = table(200).assign(seen=pd.Timestamp("2999-01-01"))
    found = unmet(validate(Tables(rows=frame), SOLD, {}))
    assert {"copies", "conflicting_target", "age_days_of_seen"} <= set(found)
    assert {o.severity for o in found.values()} == {"warning"}


def test_a_label_among_neighbours_of_another_class_is_a_candidate() -> None:
    rng = np.random.default_rng(5)
    x = np.concatenate([rng.normal(0, 1, 100), rng.normal(50, 1, 100)])
    sold = np.repeat(["yes", "no"], 100)
    sold[7] = "no"
    frame = pd.DataFrame({"row_id": [f"r{n}" for n in range(200)], "x": x, "y": rng.normal(0, 1, 200), "sold": sold})
    derived = with_derived(frame, SOLD)
    assert derived["neighbours_disagree"].nlargest(1).index.tolist() == [7]
    assert derived["neighbours_disagree"].drop(index=7).max() <= 0.8


def test_a_column_of_the_data_keeps_its_name() -> None:
    frame = table().assign(copies=7)
    assert with_derived(frame, SOLD)["copies"].tolist() == [7] * 60


def test_the_labeller_of_the_listings_contradicts_itself(shared_data: Path) -> None:
    """Real data: a detector that called 13 things a microwave and an oven at once."""
    file = json.loads((shared_data / "listings" / "annotations.json").read_text())
    names = {entry["id"]: entry["name"] for entry in file["categories"]}
    found = pd.DataFrame(file["annotations"]).rename(columns={"id": "box_id"})
    corners = np.array(found["bbox"].tolist())
    found[["x_min", "y_min"]], found[["x_max", "y_max"]] = corners[:, :2], corners[:, :2] + corners[:, 2:]
    found = found.assign(class_name=found["category_id"].map(names))
    images = pd.DataFrame(file["images"]).rename(columns={"id": "image_id", "file_name": "path"})
    frame = photo_tables(Tables(images=images, boxes=found), None)["boxes"]
    assert int(frame["contradictory"].sum()) == 26
    assert {"microwave", "oven"} <= set(frame.loc[frame["contradictory"], "class_name"])
    assert int(frame["duplicate"].sum()) == 0
