"""What is learnt of photos, boxes and odd columns; tables of rows are in tests/engine/stages/test_validate.py."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from pizzeria.contracts import Expectation
from pizzeria.spec.problem import Problem
from pizzeria.tables import Tables
from pizzeria_plugins.validators.great_expectations import check_names, profile, validate

SUCCESS = ({"metric": "x", "at_least": 0},)
DETECTION = Problem(need="n", owner="o", task="object_detection", classes=("bed", "sofa"), success=SUCCESS)


def tables(brightness: float = 0.5, size: float = 20, count: int = 200) -> Tables:
    rng = np.random.default_rng(0)
    images = pd.DataFrame({"image_id": [f"i{n}" for n in range(count)], "sha256": [f"{n:064x}" for n in range(count)]})
    images["brightness"] = brightness + rng.uniform(-0.1, 0.1, count)
    images = images.assign(path="p", width=100, height=100, readable=True, problem="")
    boxes = pd.DataFrame({"box_id": [f"b{n}" for n in range(count)], "image_id": images["image_id"]})
    boxes["class_name"] = rng.choice(["bed", "sofa"], count, p=[0.8, 0.2])
    boxes = boxes.assign(x_min=5.0, y_min=5.0)
    boxes["x_max"] = boxes["y_max"] = 5 + size + rng.uniform(0, 10, count)
    return Tables(images=images, boxes=boxes)


def missed(outcomes: tuple[Expectation, ...], learnt: dict[str, list[dict[str, Any]]]) -> set[str]:
    entries = [entry for some in learnt.values() for entry in some]
    said = [(name, {k: v for k, v in a.items() if k != "severity"}) for entry in entries for name, a in entry.items()]
    return {str(o.arguments.get("column")) for o in outcomes if not o.success and (o.name, dict(o.arguments)) in said}


def test_photos_and_boxes() -> None:
    learnt = profile(tables(), DETECTION)
    assert check_names(learnt) == []
    assert missed(validate(tables(), DETECTION, learnt), learnt) == set()
    assert missed(validate(tables(brightness=0.2), DETECTION, learnt), learnt) == {"brightness"}
    assert missed(validate(tables(size=60), DETECTION, learnt), learnt) >= {"relative_area", "relative_width"}
    shares = [a for entry in learnt["boxes"] for a in entry.values() if a.get("column") == "class_name"]
    assert any(a.get("partition_object", {}).get("values") == ["bed", "sofa"] for a in shares)


def test_columns_that_have_little_to_learn_from(tmp_path: Path) -> None:
    count = 50
    frame = pd.DataFrame({"row_id": [f"r{n}" for n in range(count)], "constant": 3.0, "nothing": np.nan})
    frame["infinite"] = [np.inf, -np.inf, *np.linspace(0, 1, count - 2)]
    frame["code"] = [f"c{n}" for n in range(count)]
    frame["gaps"] = pd.array([None, *range(count - 1)], dtype="Int64")
    frame["flag"] = [True, False] * 25
    frame["list"] = [[1, 2]] * count
    frame["a 'b' \"c\""] = "x"
    learnt = profile(Tables(rows=frame), None)
    assert check_names(learnt) == []
    of_column = {(n, a.get("column")): a for entry in learnt["rows"] for n, a in entry.items()}
    assert of_column["expect_column_values_to_be_between", "constant"]["max_value"] == 3.3
    assert ("expect_column_values_to_be_unique", "code") in of_column
    assert not [key for key in of_column if key[1] in ("nothing", "list")]
    assert ("expect_column_values_to_be_of_type", "gaps") not in of_column
    frame["target"] = 1.0
    problem = Problem(need="n", owner="o", task="tabular_regression", target="target", success=SUCCESS)
    frame.to_parquet(tmp_path / "rows.parquet", index=False)
    outcomes = validate(Tables(rows=tmp_path / "rows.parquet"), problem, learnt)
    assert missed(outcomes, learnt) <= {"infinite"}
    assert profile(Tables(rows=frame.head(0)), None) == {}
