"""The validator on real frames: what it passes, what it names, and what it leaves undecided."""

from __future__ import annotations

import hashlib
import json
import resource
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from pizzeria.contracts import Expectation
from pizzeria.errors import DataError
from pizzeria.spec.problem import Problem
from pizzeria.tables import Tables
from pizzeria_plugins.validators.great_expectations import check_names, validate

CLASSES = ("bed", "sofa")
SUCCESS = ({"metric": "x", "at_least": 0},)


def problem(task: str, **more: object) -> Problem:
    return Problem(need="n", owner="o", task=task, success=SUCCESS, **more)


DETECTION = problem("object_detection", classes=CLASSES)


def images(count: int = 60, **columns: object) -> pd.DataFrame:
    frame = pd.DataFrame({"image_id": [f"i{n}" for n in range(count)]})
    frame["path"] = [f"i{n}.jpg" for n in range(count)]
    frame["sha256"] = [f"{n:064x}" for n in range(count)]
    return frame.assign(bytes=9, width=100, height=50, readable=True, problem="", **columns)


def boxes(count: int = 60) -> pd.DataFrame:
    frame = pd.DataFrame({"box_id": [f"b{n}" for n in range(count)], "image_id": [f"i{n}" for n in range(count)]})
    return frame.assign(class_name="bed", x_min=10.0, y_min=10.0, x_max=60.0, y_max=35.0)


def find(outcomes: tuple[Expectation, ...], name: str, table: str, **arguments: object) -> Expectation:
    found = [
        o for o in outcomes if o.table == table and o.name.endswith(name) and arguments.items() <= o.arguments.items()
    ]
    assert len(found) == 1, [(o.table, o.name, o.arguments) for o in outcomes]
    return found[0]


def failed(outcomes: tuple[Expectation, ...]) -> list[Expectation]:
    """What would stop a run."""
    return [outcome for outcome in outcomes if outcome.success is not True and outcome.severity == "critical"]


def test_clean_detection_data_pass() -> None:
    outcomes = validate(Tables(images=images(), boxes=boxes()), DETECTION, {})
    assert failed(outcomes) == []
    assert len(outcomes) >= 14
    assert all(outcome.evaluated == 60 for outcome in outcomes)


def test_each_fault_of_a_box_is_named_with_its_row() -> None:
    table = boxes()
    table.loc[1, "image_id"] = "nowhere"
    table.loc[2, "x_max"] = 140.0
    table.loc[3, "x_max"] = 10.4
    table.loc[4, "y_max"] = 2.0
    table.loc[5, "class_name"] = "piano"
    table.loc[6, "class_name"] = None
    twice = table.iloc[[7]].assign(box_id="again")
    outcomes = validate(Tables(images=images(), boxes=pd.concat([table, twice])), DETECTION, {})
    assert find(outcomes, "be_in_set", "boxes", column="image_exists").examples == (
        "b1: image_id nowhere, image_exists False",
    )
    inside = find(outcomes, "be_in_set", "boxes", column="inside_image")
    assert inside.examples[0].startswith("b2: image_id i2, class_name bed, x_min 10, y_min 10, x_max 140")
    assert (inside.evaluated, inside.unexpected) == (60, 1)
    assert find(outcomes, "between", "boxes", column="width").examples[0].startswith("b3:")
    assert find(outcomes, "between", "boxes", column="height").examples[0].startswith("b4:")
    assert find(outcomes, "be_in_set", "boxes", column="class_name").examples == ("b5: image_id i5, class_name piano",)
    assert find(outcomes, "not_be_null", "boxes", column="class_name").unexpected == 1
    compound = find(outcomes, "compound_columns_to_be_unique", "boxes")
    assert [example.split(":")[0] for example in compound.examples] == ["b7", "again"]
    assert len(failed(outcomes)) == 7


def test_unreadable_and_repeated_photos_are_named() -> None:
    table = images()
    table.loc[3, ["readable", "problem", "width", "height"]] = [False, "cut off after 12 bytes", 0, 0]
    table.loc[[5, 6, 7], "sha256"] = "f" * 64
    outcomes = validate(Tables(images=table, boxes=boxes()), DETECTION, {})
    readable = find(outcomes, "be_in_set", "images", column="readable")
    assert readable.examples == ("i3: path i3.jpg, problem cut off after 12 bytes, readable False",)
    assert find(outcomes, "unique", "images", column="sha256").success is False
    gone = images().assign(sha256="")
    outcome = find(validate(Tables(images=gone, boxes=boxes()), DETECTION, {}), "unique", "images", column="sha256")
    assert (outcome.success, outcome.evaluated) == (None, 0)
    assert find(outcomes, "be_in_set", "boxes", column="inside_image").evaluated == 59
    assert {o.table for o in failed(outcomes)} == {"images"}


def test_one_repeated_pair_among_many_photos_passes_but_is_named_unless_the_spec_is_stricter() -> None:
    table = images(200)
    table.loc[1, "sha256"] = table.loc[0, "sha256"]
    tables = Tables(images=table, boxes=boxes())
    lenient = find(validate(tables, DETECTION, {}), "unique", "images", column="sha256")
    assert (lenient.success, lenient.unexpected) == (True, 2)
    assert lenient.examples[0].startswith("i0: path i0.jpg")
    own = {"images": [{"expect_column_values_to_be_unique": {"column": "sha256"}}]}
    assert find(validate(tables, DETECTION, own), "unique", "images", column="sha256").success is False


def test_a_spec_names_derived_columns() -> None:
    own = {
        "boxes": [
            {"expect_column_values_to_be_between": {"column": "relative_area", "min_value": 0.3, "max_value": 1}}
        ],
        "images": [{"expect_column_mean_to_be_between": {"column": "box_count", "min_value": 2}}],
    }
    outcomes = validate(Tables(images=images(), boxes=boxes()), DETECTION, own)
    area, mean = failed(outcomes)[::-1]
    assert (area.name, area.unexpected, len(area.examples)) == ("expect_column_values_to_be_between", 60, 10)
    assert area.examples[0] == "b0: relative_area 0.25"
    assert mean.examples == ("observed 1",)


def test_nothing_evaluated_is_undecided() -> None:
    outcomes = validate(Tables(images=images(0), boxes=boxes(0)), DETECTION, {})
    assert [o.success for o in outcomes if o.name == "expect_table_row_count_to_be_between"] == [False, False]
    assert {o.success for o in outcomes if o.name != "expect_table_row_count_to_be_between"} == {None}
    all_null = images().assign(stars=np.nan)
    own = {"images": [{"expect_column_values_to_be_between": {"column": "stars", "min_value": 1}}]}
    outcome = validate(Tables(images=all_null, boxes=boxes()), DETECTION, own)
    assert find(outcome, "between", "images", column="stars").success is None


def test_a_missing_table_or_column_is_undecided_and_says_so() -> None:
    own = {
        "listings": [{"expect_table_row_count_to_equal": {"value": 3}}],
        "images": [{"expect_column_values_to_be_unique": {"column": "image_idd"}}],
    }
    outcomes = failed(validate(Tables(images=images()), DETECTION, own))
    assert [(o.table, o.success, o.examples) for o in outcomes] == [
        ("images", None, ("the table has no column image_idd; did you mean image_id?",)),
        ("boxes", None, ("the data have no table boxes",)),
        ("listings", None, ("the data have no table listings",)),
    ]


def test_values_that_cannot_be_compared_are_undecided() -> None:
    own = {"images": [{"expect_column_values_to_be_between": {"column": "path", "min_value": 1}}]}
    (outcome,) = failed(validate(Tables(images=images(), boxes=boxes()), DETECTION, own))
    assert outcome.success is None
    assert "same type" in outcome.examples[0]


def test_labels_of_photos() -> None:
    single = problem("image_classification", classes=CLASSES)
    table = images(4, label=["bed", "sofa", "lamp", None])
    outcomes = failed(validate(Tables(images=table), single, {}))
    assert [o.examples for o in outcomes] == [("i3: label nan",), ("i2: label lamp",)]
    many = problem("multilabel_classification", classes=CLASSES)
    table = images(4, labels=[["bed"], [], ["sofa", "lamp"], None])
    outcomes = failed(validate(Tables(images=table), many, {}))
    assert [o.examples for o in outcomes] == [("i3: labels nan",), ("i2: unknown_labels lamp",)]


def test_a_target_of_booleans_may_be_written_either_way() -> None:
    rows = pd.DataFrame({"row_id": ["a", "b"], "late": [True, False]})
    for classes in (("true", "false"), ("True", "False")):
        assert (
            failed(validate(Tables(rows=rows), problem("tabular_classification", classes=classes, target="late"), {}))
            == []
        )


@pytest.mark.parametrize("values", [[0, 1, 1], [0.0, 1.0, 1.0], ["0", "1", "1"]])
def test_rows_whose_target_is_a_class(values: list[object], tmp_path: Path) -> None:
    binary = problem("tabular_classification", classes=("0", "1"), target="up")
    rows = pd.DataFrame({"row_id": ["a", "b", "c"], "up": values})
    assert failed(validate(Tables(rows=rows), binary, {}, tmp_path)) == []
    other = problem("tabular_classification", classes=("0", "2"), target="up")
    assert failed(validate(Tables(rows=rows), other, {}))[0].unexpected == 2


def test_rows_whose_target_is_a_number() -> None:
    regression = problem("tabular_regression", target="price")
    rows = pd.DataFrame({"row_id": ["a", "b", "b"], "price": [1.0, np.inf, np.nan]})
    outcomes = failed(validate(Tables(rows=rows), regression, {}))
    assert [o.examples for o in outcomes] == [("b", "b"), ("b: price nan",), ("b: price inf",)]
    outcomes = failed(validate(Tables(rows=rows.drop(columns="price")), regression, {}))
    assert [o.success for o in outcomes] == [False, False, None, None]


def test_listings_named_twice() -> None:
    listings = pd.DataFrame({"listing_id": ["1", "2", "2"], "declared": [["bed"], [], []]})
    (outcome,) = failed(validate(Tables(images=images(), boxes=boxes(), listings=listings), DETECTION, {}))
    assert (outcome.table, outcome.examples) == ("listings", ("2", "2"))


def test_every_listed_expectation_runs_on_frames() -> None:
    """No name that `pizzeria validate` accepts is one that the library then cannot run on pandas."""
    number, text = {"column": "width"}, {"column": "path"}
    pair = {"column_A": "width", "column_B": "height"}
    columns = {"column_list": ["width", "height"]}
    arguments: dict[str, dict[str, object]] = {
        "expect_column_distinct_values_to_be_in_set": number | {"value_set": [100]},
        "expect_column_distinct_values_to_contain_set": number | {"value_set": [100]},
        "expect_column_distinct_values_to_equal_set": number | {"value_set": [100]},
        "expect_column_kl_divergence_to_be_less_than": {
            "column": "problem",
            "partition_object": {"values": [""], "weights": [1.0]},
            "threshold": 0.1,
        },
        "expect_column_most_common_value_to_be_in_set": number | {"value_set": [100]},
        "expect_column_pair_values_a_to_be_greater_than_b": pair,
        "expect_column_pair_values_to_be_equal": pair,
        "expect_column_pair_values_to_be_in_set": pair | {"value_pairs_set": [[100, 50]]},
        "expect_column_quantile_values_to_be_between": number
        | {"quantile_ranges": {"quantiles": [0.5], "value_ranges": [[0, 200]]}},
        "expect_column_to_exist": number,
        "expect_column_type_to_be": text | {"type_": "str"},
        "expect_column_value_lengths_to_be_between": text | {"min_value": 1},
        "expect_column_value_lengths_to_equal": text | {"value": 6},
        "expect_column_value_z_scores_to_be_less_than": {"column": "bytes", "threshold": 3, "double_sided": True},
        "expect_column_values_to_be_dateutil_parseable": {"column": "day"},
        "expect_column_values_to_be_in_set": number | {"value_set": [100]},
        "expect_column_values_to_be_of_type": text | {"type_": "str"},
        "expect_column_values_to_be_json_parseable": {"column": "json"},
        "expect_column_values_to_match_regex": text | {"regex": "jpg$"},
        "expect_column_values_to_match_regex_list": text | {"regex_list": ["jpg$"]},
        "expect_column_values_to_match_strftime_format": {"column": "day", "strftime_format": "%Y-%m-%d"},
        "expect_column_values_to_not_be_in_set": number | {"value_set": [1]},
        "expect_column_values_to_not_match_regex": text | {"regex": "png$"},
        "expect_column_values_to_not_match_regex_list": text | {"regex_list": ["png$"]},
        "expect_compound_columns_to_be_unique": columns,
        "expect_multicolumn_sum_to_equal": columns | {"sum_total": 150},
        "expect_multicolumn_values_to_be_equal": columns,
        "expect_select_column_values_to_be_unique_within_record": columns,
        "expect_table_column_count_to_equal": {"value": 3},
        "expect_table_columns_to_match_ordered_list": columns,
        "expect_table_columns_to_match_set": {"column_set": ["width"]},
        "expect_table_row_count_to_equal": {"value": 40},
    }
    path = Path(sys.modules["pizzeria_plugins.validators.names"].__file__ or "").with_name("gx_names.json")
    names = json.loads(path.read_text())
    assert arguments.keys() <= names.keys()
    own = []
    for name in names:
        bounds = {"min_value": 0} if "min_value" in names[name]["arguments"] else {}
        own.append({name: arguments.get(name, (number if "column" in names[name]["arguments"] else {}) | bounds)})
    table = images(40, day="2026-01-31", json="{}").assign(bytes=range(40))
    assert check_names({"images": own}) == []
    outcomes = validate(Tables(images=table, boxes=boxes(40)), DETECTION, {"images": own})
    assert [(o.name, o.examples) for o in outcomes if o.success is None] == []


def test_arguments_that_the_library_refuses_are_a_data_error() -> None:
    own = {"images": [{"expect_column_values_to_be_between": {"column": "width"}}]}
    with pytest.raises(DataError, match=r"images: expect_column_values_to_be_between: .*cannot both be None"):
        validate(Tables(images=images(), boxes=boxes()), DETECTION, own)
    row = {"column": "path", "row_condition": "@__import__('os').getpid() > 0"}
    own = {"images": [{"expect_column_values_to_not_be_null": row}]}
    with pytest.raises(DataError, match="row_condition is not allowed"):
        validate(Tables(images=images()), DETECTION, own)


def test_the_real_listing_photos_pass(tmp_path: Path) -> None:
    """1,284 photos, a few of them twice; see ../shared/data/README.md."""
    root = Path(__file__).resolve().parents[3] / "../shared/data/listings"
    if not root.is_dir():
        pytest.skip("../shared/data/listings is absent: real photos not validated")
    file = json.loads((root / "annotations.json").read_text())
    table = pd.DataFrame(file["images"]).rename(columns={"id": "image_id", "file_name": "path"})
    table["sha256"] = [hashlib.sha256((root / path).read_bytes()).hexdigest() for path in table["path"]]
    names = {entry["id"]: entry["name"] for entry in file["categories"]}
    found = pd.DataFrame(file["annotations"]).rename(columns={"id": "box_id"})
    corners = np.array(found["bbox"].tolist())
    found[["x_min", "y_min"]], found[["x_max", "y_max"]] = corners[:, :2], corners[:, :2] + corners[:, 2:]
    found = found.assign(class_name=found["category_id"].map(names)).drop(columns=["bbox"])
    tables = Tables(images=table.assign(readable=True, problem=""), boxes=found)
    outcomes = validate(tables, problem("object_detection", classes=tuple(names.values())), {})
    assert failed(outcomes) == []
    assert find(outcomes, "unique", "images", column="sha256").unexpected > 0


def used_by_children() -> float:
    """Seconds of the processor, which others may have meanwhile; of processes that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def test_it_is_quick_quiet_and_leaves_no_file(tmp_path: Path) -> None:
    """1,284 photos with 4,091 boxes (the size of ../shared/data/listings) in a process of their own."""
    script = """
import numpy as np, pandas as pd
from pizzeria.spec.problem import Problem
from pizzeria.tables import Tables
from pizzeria_plugins.validators.great_expectations import validate
n, m = 1284, 4091
images = pd.DataFrame({"image_id": [f"i{k}" for k in range(n)], "sha256": [f"{k:064x}" for k in range(n)]})
images = images.assign(path="p", bytes=9, width=448, height=299, readable=True, problem="")
rng = np.random.default_rng(0)
boxes = pd.DataFrame({"box_id": [f"b{k}" for k in range(m)], "image_id": [f"i{k % n}" for k in range(m)]})
boxes = boxes.assign(class_name="bed", x_min=rng.uniform(0, 99, m), y_min=1.0, x_max=200.0, y_max=100.0)
success = ({"metric": "map", "at_least": 0},)
problem = Problem(need="n", owner="o", task="object_detection", classes=("bed",), success=success)
print(all(o.success or o.severity != "critical" for o in validate(Tables(images=images, boxes=boxes), problem, {})))
"""
    start = used_by_children()
    done = subprocess.run([sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert used_by_children() - start < 30
    assert (done.stdout, done.stderr) == ("True\n", "")
    assert list(tmp_path.iterdir()) == []
