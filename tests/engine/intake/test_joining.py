"""Several sources as one dataset."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from pizzeria.errors import DataError
from pizzeria.intake.joining import named
from pizzeria.spec.problem import Problem

from .conftest import aside, gather, handled, problem, sources, write_coco
from .hostile import USED

PNG, JPEG = USED["plain.png"][0], USED["plain.jpg"][0]
ROW = problem("tabular_classification", "yes", "no", target="late")


@pytest.fixture
def two(tmp_path: Path) -> tuple[dict[str, object], dict[str, object]]:
    """Two COCO sources with other names for the same classes, the same ids, and one photo in common."""
    write_coco(tmp_path / "one", {"1": PNG, "2": JPEG}, [("1", "couch", 1, 1, 9, 9), ("2", "tv", 1, 1, 9, 9)])
    write_coco(tmp_path / "two", {"1": PNG}, [("1", "settee", 2, 2, 9, 9)], **{"1": {"listing_id": 7, "room": "hall"}})
    one = {"use": "coco", "root": str(tmp_path / "one"), "class_map": {"couch": "sofa", "tv": None}}
    other = {"use": "coco", "root": str(tmp_path / "two"), "class_map": {"settee": "sofa"}}
    return one, other


def test_names_tell_sources_apart(two) -> None:
    one, other = two
    rooms = {"use": "rooms"}
    assert [name for name, _ in named(sources(one, rooms, other))] == ["coco", "rooms", "coco-2"]


def test_ids_classes_and_accounts_come_together(two, tmp_path: Path) -> None:
    tables = gather(sources(*two), problem("object_detection", "sofa"), tmp_path / "out")
    assert list(tables.images["image_id"]) == ["coco:1", "coco:2", "coco-2:1"]
    assert list(tables.images["source"]) == ["coco", "coco", "coco-2"]
    assert list(tables.images["listing_id"].fillna("")) == ["", "", "coco-2:7"]
    assert list(tables.boxes["box_id"]) == ["coco:0", "coco-2:0"]
    assert list(tables.boxes["image_id"]) == ["coco:1", "coco-2:1"]
    assert set(tables.boxes["class_name"]) == {"sofa"}
    assert tables.account.read == {"images": 3, "boxes": 3}
    assert aside(tables.account, "boxes") == {"of class tv, which class_map leaves out": 1}
    assert tables.account.handled["images"]["of the same content as a photo of another source"].examples == [
        "coco-2:1 and coco:1"
    ]


def test_labels_of_one_source_and_boxes_of_another(two, tmp_path: Path) -> None:
    (tmp_path / "labelled").mkdir()
    (tmp_path / "labelled/a.png").write_bytes(PNG)
    (tmp_path / "labelled.csv").write_text("file,labels\na.png,sofa\n")
    labelled = {"use": "image_folder", "root": str(tmp_path / "labelled"), "labels": str(tmp_path / "labelled.csv")}
    tables = gather(sources(labelled, two[1]), problem("multilabel_classification", "sofa"), tmp_path / "out")
    assert [list(names) for names in tables.images["labels"]] == [["sofa"], ["sofa"]]
    assert tables.account.read["labels"] == 2
    assert handled(tables.account, "boxes") == {"made labels of their photos": 1}


def test_files_that_a_source_makes_lie_in_its_own_folder(two, tmp_path: Path) -> None:
    rooms = {"use": "rooms", "listings": 1}
    tables = gather(sources(rooms, two[0], rooms), problem("object_detection", "bed", "sofa"), tmp_path / "out")
    assert all(Path(path).is_file() for path in tables.images["path"])
    assert len(list((tmp_path / "out/rooms-2/photos").iterdir())) == 3
    assert set(tables.listings["listing_id"]) == {"rooms:000000", "rooms-2:000000"}
    assert handled(tables.account, "images")["of the same content as a photo of another source"] == 3


def test_a_class_that_no_source_has_is_refused(two, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no class 'bath' in any of the sources 'coco' and 'coco-2'"):
        gather(sources(*two), problem("object_detection", "sofa", "bath"), tmp_path / "out")
    two[0]["class_map"] = {"settee": "sofa"}
    with pytest.raises(DataError, match="no class 'settee' in the source 'coco', which data"):
        gather(sources(*two), problem("object_detection", "sofa"), tmp_path / "out")


def rows(folder: Path, name: str, frame: pd.DataFrame, **more: object) -> dict[str, object]:
    folder.mkdir(exist_ok=True)
    frame.to_parquet(folder / name)
    return {"use": "table", "path": str(folder / name), **more}


def test_a_listing_may_be_the_same_in_two_sources(tmp_path: Path) -> None:
    box = [("1", "sofa", 1, 1, 9, 9)]
    write_coco(tmp_path / "one", {"1": PNG}, box, **{"1": {"listing_id": "L1"}})
    more = {"1": {"listing_id": "L1"}, "2": {"listing_id": "L2"}}
    write_coco(tmp_path / "two", {"1": JPEG, "2": PNG, "3": PNG}, box, **more)
    found = {"use": "coco", "root": str(tmp_path / "one")}
    other = {"use": "coco", "root": str(tmp_path / "two")}
    of = problem("object_detection", "sofa")
    apart = gather(sources(found, other), of, tmp_path / "apart").images
    same = gather(sources(found, other | {"same_listings": True}), of, tmp_path / "same").images
    assert [value for value in apart["listing_id"] if isinstance(value, str)] == ["coco:L1", "coco-2:L1", "coco-2:L2"]
    assert [value for value in same["listing_id"] if isinstance(value, str)] == ["coco:L1", "coco:L1", "coco-2:L2"]


def test_rows_are_joined_by_the_names_of_their_columns(tmp_path: Path) -> None:
    one = rows(tmp_path / "d", "one.parquet", pd.DataFrame({"km": [1, 2], "late": ["yes", "nope"], "at": ["x", "y"]}))
    other = rows(tmp_path / "d", "two.parquet", pd.DataFrame({"at": ["z"], "late": ["y"], "km": [2.5]}))
    one["class_map"], other["class_map"] = {"nope": "no"}, {"y": "yes"}
    tables = gather(sources(one, other), ROW, tmp_path / "out")
    assert list(tables.rows["row_id"]) == ["table:0", "table:1", "table-2:0"]
    assert list(tables.rows["late"]) == ["yes", "no", "yes"]
    assert list(tables.rows["km"]) == [1, 2, 2.5]
    assert list(tables.rows["source"]) == ["table", "table", "table-2"]
    assert tables.account.read == {"rows": 3}
    assert not list((tmp_path / "out").rglob("*.mapped"))


def test_rows_of_a_class_that_is_left_out_are_set_aside(tmp_path: Path) -> None:
    frame = pd.DataFrame({"km": range(7), "late": ["yes", "no", "?", "?", "no", None, "?"]})
    source = rows(tmp_path / "d", "one.parquet", frame, class_map={"?": None})
    tables = gather(sources(source), ROW, tmp_path / "out")
    assert aside(tables.account, "rows") == {"of class ?, which class_map leaves out": 3}
    assert tables.account.aside["rows"]["of class ?, which class_map leaves out"].examples == ["2", "3", "6"]
    assert list(tables.rows["km"]) == [0, 1, 4, 5]


@pytest.mark.parametrize(
    ("other", "message"),
    [
        ({"km": [1], "late": ["yes"], "zip": [1]}, "table and table-2 cannot be joined: table has no column zip"),
        ({"late": ["yes"]}, "cannot be joined: table-2 has no column km"),
        ({"km": ["far"], "late": ["yes"]}, "the column km is integer in table and text in table-2"),
    ],
)
def test_sources_of_other_columns_are_not_joined(tmp_path: Path, other: dict[str, list[object]], message: str) -> None:
    one = rows(tmp_path / "d", "one.parquet", pd.DataFrame({"km": [1, 2], "late": ["yes", "no"]}))
    two = rows(tmp_path / "d", "two.parquet", pd.DataFrame(other))
    with pytest.raises(DataError, match=message):
        gather(sources(one, two), ROW, tmp_path / "out")


def test_a_class_that_the_target_does_not_have_is_refused(tmp_path: Path) -> None:
    source = rows(tmp_path / "d", "one.parquet", pd.DataFrame({"km": [1, 2], "late": ["Yes", "no"]}))
    with pytest.raises(DataError, match="no class 'yes' in the target 'late' of the source 'table'") as caught:
        gather(sources(source), ROW, tmp_path / "out")
    assert "did you mean 'Yes' for 'yes'?" in caught.value.hint
    numbers = rows(tmp_path / "d", "two.parquet", pd.DataFrame({"km": [1, 2], "late": [0.0, 1.0]}))
    of = problem("tabular_classification", "0", "1", target="late")
    assert len(gather(sources(numbers), of, tmp_path / "out2").rows) == 2


def test_a_regression_has_no_classes_to_rename(tmp_path: Path) -> None:
    source = rows(tmp_path / "d", "one.parquet", pd.DataFrame({"km": [1], "late": [2.0]}), class_map={"a": "b"})
    of: Problem = problem("tabular_regression", target="late")
    with pytest.raises(DataError, match="tabular_regression has no classes"):
        gather(sources(source), of, tmp_path / "out")
