from __future__ import annotations

import json
from pathlib import Path

import pytest
from PIL import Image

from pizzeria.errors import DataError
from pizzeria_plugins.sources import coco

CATEGORIES = [{"id": 1, "name": "bed"}, {"id": 7, "name": "tv"}, {"id": 9, "name": "dining table"}]


@pytest.fixture
def dataset(tmp_path):
    """Four photos of three listings, five boxes, and a CSV; returns the folder and the JSON to be changed."""
    (tmp_path / "photos").mkdir()
    for i in range(1, 5):
        Image.new("RGB", (80, 60), (i * 40, 90, 90)).save(tmp_path / f"photos/{i}.jpg")
    images = [
        {"id": i, "file_name": f"photos/{i}.jpg", "width": 80, "height": 60, "listing_id": group, "room": "bedroom"}
        for i, group in ((1, 10), (2, 11), (3, 10), (4, 12))
    ]
    boxes = [
        {"id": 1, "image_id": 1, "category_id": 1, "bbox": [5, 6, 20, 30], "score": 0.9},
        {"id": 2, "image_id": 1, "category_id": 7, "bbox": [40, 6.5, 10, 10], "score": 0.45},
        {"id": 3, "image_id": 2, "category_id": 9, "bbox": [0, 0, 30, 30]},
        {"id": 4, "image_id": 3, "category_id": 7, "bbox": [1, 1, 30, 30], "score": 0.8},
        {"id": 5, "image_id": 4, "category_id": 1, "bbox": [1, 1, 30, 30], "iscrowd": 1},
    ]
    data = {"images": images, "annotations": boxes, "categories": CATEGORIES}
    (tmp_path / "annotations.json").write_text(json.dumps(data))
    (tmp_path / "listings.csv").write_text(
        "listing_id,declared,in_photos,zip\n10,bed tv sauna,bed tv,85255\n11,dining table;bed,,85266\n99,bed,,1\n"
    )
    return tmp_path, data


def _collect(root, problem, progress, **options):
    tables = coco.collect(coco.Options(root=str(root), **options), problem, root / "out", progress)
    tables.account.check(tables.counts())
    return tables


def aside(tables):
    return {unit: {why: tally.count for why, tally in of.items()} for unit, of in tables.account.aside.items()}


def test_boxes_images_and_labels(dataset, problem_of, progress):
    root, _ = dataset
    tables = _collect(root, problem_of("object_detection", "tv", "bed"), progress)
    assert list(tables.images["image_id"]) == ["1", "2", "3", "4"]
    assert list(tables.images["listing_id"]) == ["10", "11", "10", "12"]
    assert list(tables.images["room"]) == ["bedroom"] * 4
    assert [Path(path).is_absolute() for path in tables.images["path"]] == [True] * 4
    first = tables.boxes.iloc[0]
    assert (first["x_min"], first["y_min"], first["x_max"], first["y_max"]) == (5, 6, 25, 36)
    assert list(tables.boxes["class_name"]) == ["bed", "tv", "dining table", "tv"]
    assert aside(tables) == {"boxes": {"of a crowd, not of one thing (iscrowd)": 1}}
    assert tables.classes == ("bed", "tv", "dining table")
    assert tables.listings is None


def test_min_score_leaves_out_doubtful_boxes_and_keeps_those_without_score(dataset, problem_of, progress):
    root, _ = dataset
    tables = _collect(root, problem_of("object_detection", "tv", "bed", "dining table"), progress, min_score=0.5)
    assert list(tables.boxes["box_id"]) == ["1", "3", "4"]
    assert aside(tables)["boxes"]["with a score below data.min_score, 0.5"] == 1


def test_listings_are_read_and_only_those_with_photos(dataset, problem_of, progress):
    root, _ = dataset
    problem = problem_of("object_detection", "bed", "tv", "dining table")
    tables = _collect(root, problem, progress, listings="listings.csv")
    assert list(tables.listings["listing_id"]) == ["10", "11"]
    assert [list(n) for n in tables.listings["declared"]] == [["bed", "tv", "sauna"], ["dining table", "bed"]]
    assert [list(n) for n in tables.listings["in_photos"]] == [["bed", "tv"], []]
    assert list(tables.listings["zip"]) == [85255, 85266]
    assert aside(tables)["listings"] == {"without a photo": 1}
    assert tables.account.handled["images"]["of a listing that listings.csv lacks"].examples == ["12"]


def test_limit_keeps_listings_whole(dataset, problem_of, progress):
    root, _ = dataset
    tables = _collect(root, problem_of("object_detection", "bed", "tv"), progress, limit=1)
    assert list(tables.images["image_id"]) == ["1", "3"]
    assert set(tables.boxes["image_id"]) == {"1", "3"}
    assert aside(tables) == {"images": {"beyond data.limit": 2}, "boxes": {"of a photo beyond data.limit": 2}}


def test_photos_folder_and_inputs(dataset, problem_of, progress):
    root, data = dataset
    for image in data["images"]:
        image["file_name"] = image["file_name"].removeprefix("photos/")
    (root / "annotations.json").write_text(json.dumps(data))
    options = coco.Options(root=str(root), photos="photos", listings="listings.csv")
    paths = coco.collect(options, problem_of("object_detection", "bed"), root, progress).images["path"]
    assert all(Path(path).is_file() for path in paths)
    assert list(coco.inputs(options)) == [root / "photos", root / "annotations.json", root / "listings.csv"]
    assert list(coco.inputs(coco.Options(root=str(root), listings="listings.csv"))) == [root]


def test_boxes_of_a_photo_that_exif_turns_are_turned_where_the_annotations_were_made_before(
    dataset, problem_of, progress
):
    root, _ = dataset
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (80, 60)).save(root / "photos/1.jpg", exif=exif)
    tables = _collect(root, problem_of("object_detection", "bed"), progress)
    first = tables.boxes.iloc[0]
    assert (first["x_min"], first["y_min"], first["x_max"], first["y_max"]) == (60 - 36, 5, 60 - 6, 25)
    assert tables.account.handled["boxes"]["turned with their photo, as EXIF says"].count == 2


def test_a_photo_of_another_size_than_the_annotations_say_is_counted(dataset, problem_of, progress):
    root, _ = dataset
    Image.new("RGB", (40, 30)).save(root / "photos/1.jpg")
    tables = _collect(root, problem_of("object_detection", "bed"), progress)
    (tally,) = tables.account.handled["images"].values()
    assert tally.count == 1
    assert tally.examples[0].endswith("photos/1.jpg is 40 x 30, not 80 x 60")


def test_a_mark_at_the_beginning_and_other_encodings_of_the_csv(dataset, problem_of, progress):
    root, _ = dataset
    (root / "annotations.json").write_bytes(b"\xef\xbb\xbf" + (root / "annotations.json").read_bytes())
    (root / "listings.csv").write_bytes("listing_id,declared,where\n10,bed,Zürich\n".encode("cp1252"))
    tables = _collect(root, problem_of("object_detection", "bed"), progress, listings="listings.csv")
    assert list(tables.listings["where"]) == ["Zürich"]
    assert tables.account.handled["listings"]["read from listings.csv as cp1252"].count == 1


def test_missing_and_malformed_files_are_named(dataset, problem_of, progress):
    root, _ = dataset
    problem = problem_of("object_detection", "bed")
    with pytest.raises(DataError, match=r"nowhere\.json is not there"):
        _collect(root, problem, progress, annotations="nowhere.json")
    (root / "bad.json").write_text('{"images": [],\n "annotations": [}\n')
    with pytest.raises(DataError, match=r"bad\.json:2: column 18: not JSON"):
        _collect(root, problem, progress, annotations="bad.json")
    with pytest.raises(DataError, match=r"none\.csv cannot be read"):
        _collect(root, problem, progress, listings="none.csv")
    (root / "empty.csv").write_text("")
    with pytest.raises(DataError, match=r"empty\.csv cannot be read"):
        _collect(root, problem, progress, listings="empty.csv")
    (root / "wrong.csv").write_text("id,declared\n1,bed\n")
    with pytest.raises(DataError, match="no column listing_id"):
        _collect(root, problem, progress, listings="wrong.csv")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda d: d.pop("images"), "'images' is not a list"),
        (lambda d: d["images"].clear(), "has no images"),
        (lambda d: d["images"][1].update(id=1), r"images\[1\]: id 1 stands twice"),
        (lambda d: d["images"][0].update(file_name="../../etc/passwd"), "leads out of the photos' folder"),
        (lambda d: d["images"][0].pop("file_name"), r"images\[0\] needs an id and a file_name"),
        (lambda d: d["annotations"][2].update(bbox=[1, 2, 3]), r"annotations\[2\]: bbox is \[1, 2, 3\]"),
        (lambda d: d["annotations"][2].update(bbox=[1, 2, 3, float("nan")]), r"annotations\[2\]: bbox"),
        (lambda d: d["annotations"][0].update(image_id=77), "there is no image 77"),
        (lambda d: d["annotations"][0].update(category_id=[]), "there is no category"),
        (lambda d: d["categories"].append({"id": 7, "name": "x"}), r"categories\[3\] repeats"),
    ],
)
def test_a_wrong_entry_is_named(dataset, problem_of, progress, change, message):
    root, data = dataset
    change(data)
    (root / "annotations.json").write_text(json.dumps(data))
    with pytest.raises(DataError, match=message):
        _collect(root, problem_of("object_detection", "bed"), progress)


def test_the_real_listings(problem_of, progress, tmp_path, shared_data):
    options = coco.Options(root=str(shared_data / "listings"), listings="listings.csv", limit=31)
    tables = coco.collect(options, problem_of("object_detection", "bed", "tv", "oven"), tmp_path, progress)
    assert len(tables.images) == 33
    assert tables.images["listing_id"].nunique() == len(tables.listings) == 11
    assert {"bed", "tv", "oven", "sofa"} <= set(tables.boxes["class_name"])
    tables.account.check(tables.counts())
