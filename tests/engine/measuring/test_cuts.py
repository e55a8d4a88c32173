"""How columns are cut into slices, which columns there are, and which are taken when nobody says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from pizzeria.errors import DataError
from pizzeria.loading import load_spec
from pizzeria.measuring.cuts import cut
from pizzeria.measuring.grouping import groups
from pizzeria.measuring.slice_columns import cuts, known_columns, require, wanted
from pizzeria.predictions import Boxes, Predictions
from pizzeria.spec.slices import Slice
from pizzeria.spec.spec import Spec
from pizzeria.tables import Tables


def counted(column: str, values: Any, *more: Any) -> dict[str, int]:
    found = cut(column, pd.Series(values), *more)
    return dict(zip(found.names, np.bincount(found.of).tolist(), strict=True))


def test_few_values_are_a_slice_each_and_missing_ones_too() -> None:
    assert counted("room", ["bath", "hall", None, "bath"]) == {"bath": 2, "hall": 1, "(missing)": 1}
    assert counted("stars", [3.0, 1.0, 3.0, np.nan]) == {"1": 1, "3": 2, "(missing)": 1}
    assert counted("labels", [["bed", "tv"], np.array(["bed", "tv"]), None]) == {"bed, tv": 2, "(missing)": 1}
    assert counted("pool", [True, False, True]) == {"true": 2, "false": 1}


def test_many_numbers_are_cut_into_thirds_and_times_as_well() -> None:
    assert counted("brightness", np.arange(300) / 300) == {"low": 100, "middle": 100, "high": 100}
    found = cut("brightness", pd.Series(np.arange(300)))
    assert found.ranges == {"low": "0 to 99", "middle": "100 to 199", "high": "200 to 299"}
    times = pd.Series(pd.date_range("2026-01-01", periods=30))
    assert cut("at", times).ranges["low"].startswith("2026-01-01")
    skewed = np.r_[np.zeros(280), np.arange(1, 21)]  # two thirds have one value: there is no middle
    assert counted("distance", skewed) == {"low": 280, "high": 20}


def test_edges_cut_where_they_lie_and_the_upper_slice_holds_them() -> None:
    assert counted("age", [29, 30, 59, 60, 75], (30.0, 60.0)) == {"below 30": 1, "30 to 60": 2, "60 or more": 2}
    with pytest.raises(DataError, match="room holds no numbers"):
        cut("room", pd.Series(["a"]), (1.0,))


def test_of_many_values_the_frequent_ones_stay_and_those_that_are_asked_for() -> None:
    values = [f"city {i}" for i in range(40) for _ in range(40 - i)]
    found = counted("city", values)
    assert len(found) == 21
    assert (found["city 0"], found["(others)"]) == (40, sum(range(1, 21)))
    assert counted("city", values, (), ["city 39"])["city 39"] == 1


@pytest.fixture
def photos() -> Tables:
    images = pd.DataFrame(
        {
            "image_id": ["a", "b", "c"],
            "path": "x",
            "width": 100,
            "height": 50,
            "brightness": [0.1, 0.5, 0.9],
            "room": ["hall", "bath", "hall"],
            "listing_id": ["L1", "L1", None],
        }
    )
    listings = pd.DataFrame({"listing_id": ["L1"], "city": ["Oslo"]})
    boxes = pd.DataFrame({"image_id": ["a"], "class_name": ["bed"]})
    return Tables(images=images, boxes=boxes, listings=listings)


TRUTH = Predictions(
    ("c", "a"),
    boxes=(
        Boxes.empty(),
        Boxes(np.array([[0, 0, 50, 20], [0, 0, 50, 30]], np.float32), np.ones(2, np.float32), np.zeros(2, np.int64)),
    ),
)


def spec(*overrides: str) -> Spec:
    return load_spec(["experiment=amenities", *overrides])


def test_columns_of_photos_their_listings_and_their_boxes(photos: Tables) -> None:
    assert {"room", "city", "object_size", "objects", "brightness"} <= set(known_columns(photos))
    names = [Slice(column=name) for name in ("city", "objects", "object_size", "room")]
    city, objects, size, room = cuts(names, spec(), photos, TRUTH)
    assert [city.names[i] for i in city.of] == ["(missing)", "Oslo"]
    assert [objects.names[i] for i in objects.of] == ["0", "2"]
    assert [size.names[i] for i in size.of] == ["(missing)", "0.25"]  # 1000 and 1500 of 5000 pixels
    assert [room.names[i] for i in room.of] == ["hall", "hall"]
    assert groups(photos, ["a", "c"], spec("data.split.group_by=listing_id")) == (["group L1", "photo c"], "listing")


def test_sensible_columns_without_a_wish_and_those_of_criteria(photos: Tables) -> None:
    assert [one.column for one in wanted(spec(), photos, {})] == ["room", "brightness", "object_size"]
    asked = spec("problem.success=[{metric: map, at_least: 0, slice: {city: Oslo}}]", "evaluation.slices=[]")
    assert [one.column for one in wanted(asked, photos, {})] == ["city"]
    columns = [("kind", 3), ("id", 900), ("sex", 2), ("race", 5), ("day", 7), ("hour", 12), ("one", 1)]
    preprocessing = {"categorical": [{"name": name, "values": list(range(size))} for name, size in columns]}
    rows = Tables(rows=pd.DataFrame(columns=["row_id", *(name for name, _ in columns)]))
    census = load_spec(["experiment=census"])
    assert [one.column for one in wanted(census, rows, preprocessing)] == ["sex", "kind", "race", "day"]


def test_rows_in_a_file_are_read_column_by_column(tmp_path: Path) -> None:
    frame = pd.DataFrame({"row_id": ["1", "2"], "sex": ["f", "m"], "age": [1, 2]})
    frame.to_parquet(tmp_path / "rows.parquet")
    rows = Tables(rows=tmp_path / "rows.parquet")
    census = load_spec(["experiment=census", "evaluation.slices=[sex]"])
    require(census, rows)
    (found,) = cuts(wanted(census, rows, {}), census, rows, Predictions(("2", "1"), values=np.zeros(2, np.float32)))
    assert [found.names[i] for i in found.of] == ["m", "f"]
    with pytest.raises(DataError, match="no column 'sx'") as caught:
        require(load_spec(["experiment=census", "evaluation.slices=[sx]"]), rows)
    assert "sex" in caught.value.hint
