from __future__ import annotations

from typing import ClassVar

import pytest
from PIL import Image

from pizzeria.conformance.sources import SourceSuite
from pizzeria.errors import DataError
from pizzeria_plugins.sources import open_images, open_images_csv

HEADER = "ImageID,Source,LabelName,Confidence,XMin,XMax,YMin,YMax,IsOccluded,IsTruncated,IsGroupOf,IsDepiction,IsInside"
NAMES = "/m/03ssj5,Bed\n/m/07c52,Television\n"


def photo(path, size=(40, 30), orientation=1):
    path.parent.mkdir(parents=True, exist_ok=True)
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.new("RGB", size, (90, 40, 40)).save(path, exif=exif)


def row(image_id, label="/m/03ssj5", x=(0.25, 0.75), y=(0, 1), occluded=0, group=0, depiction=0):
    return f"{image_id},xclick,{label},1,{x[0]},{x[1]},{y[0]},{y[1]},{occluded},0,{group},{depiction},0"


class TestSuite(SourceSuite):
    plugin = open_images
    task = "object_detection"
    options: ClassVar = {"root": "data"}

    @classmethod
    def bring(cls, folder):
        photo(folder / "photos/a.jpg")
        (folder / "boxes.csv").write_text(f"{HEADER}\n{row('a')}\n")
        return {"root": str(folder)}


@pytest.fixture
def root(tmp_path):
    """Three photos, boxes of two of them and of others, labels and names."""
    for name in ("a", "b", "c"):
        photo(tmp_path / f"photos/{name}.jpg")
    boxes = [row("a"), row("zz"), row("b", "/m/07c52", occluded=1), row("b", group=1), row("b", depiction=1)]
    (tmp_path / "train-annotations-bbox.csv").write_text("\n".join([HEADER, *boxes, row("zz", x=("?", "?"))]) + "\n")
    (tmp_path / "labels.csv").write_text(
        "ImageID,Source,LabelName,Confidence\na,verification,/m/03ssj5,1\na,machine,/m/03ssj5,0.9\n"
        "a,verification,/m/07c52,0\nb,machine,/m/07c52,0.3\nc,verification,/m/0unknown,1\nzz,verification,/m/07c52,1\n"
    )
    (tmp_path / "class-descriptions-boxable.csv").write_text(NAMES)
    return tmp_path


@pytest.fixture
def collect(root, problem_of, progress):
    def go(task="object_detection", **options):
        tables = open_images.collect(
            open_images.Options(root=root, **options), problem_of(task, "Bed", "Television"), root, progress
        )
        counts = tables.counts()
        if "labels" in tables.images:
            counts["labels"] = int(tables.images["labels"].map(len).sum())
        tables.account.check(counts)
        return tables

    return go


def counts(tallies):
    return {reason: tally.count for reason, tally in tallies.items()}


def test_boxes(collect):
    tables = collect()
    assert list(tables.images["image_id"]) == ["a", "b", "c"]
    assert "split" not in tables.images
    assert tables.classes == ("Bed", "Television")
    first = tables.boxes.iloc[0]
    assert [first[c] for c in ("x_min", "y_min", "x_max", "y_max")] == [10, 0, 30, 30]
    assert list(tables.boxes["class_name"]) == ["Bed", "Television", "Bed"]
    assert list(tables.boxes["occluded"]) == [False, True, False]
    assert list(tables.boxes["box_id"])[1] == "train-annotations-bbox.csv:4"
    account = tables.account
    assert account.read == {"images": 3, "boxes": 6}
    assert counts(account.aside["boxes"]) == {
        "of photos that are not there, or beyond data.limit": 2,
        "around a group (IsGroupOf)": 1,
    }
    assert account.aside["boxes"]["around a group (IsGroupOf)"].examples == ["train-annotations-bbox.csv:5"]
    assert account.handled["images"]["without a row in the CSV files: taken to show nothing"].examples == [
        "photos/c.jpg"
    ]


def test_marked_boxes(collect):
    assert len(collect(group_of="keep").boxes) == 4
    assert len(collect(depictions="set_aside").boxes) == 2


def test_rows_in_many_pieces_keep_their_lines(root, collect, monkeypatch):
    monkeypatch.setattr(open_images_csv, "_BLOCK", 300)
    assert list(collect().boxes["box_id"]) == [f"train-annotations-bbox.csv:{line}" for line in (2, 4, 6)]


def test_labels_of_whole_photos(collect):
    tables = collect("multilabel_classification")
    assert [list(names) for names in tables.images["labels"]] == [["Bed"], [], ["/m/0unknown"]]
    assert tables.boxes is None
    assert counts(tables.account.aside["labels"]) == {
        "given twice to one photo": 1,
        "verified not to be there (Confidence 0)": 1,
        "below min_confidence": 1,
        "of photos that are not there, or beyond data.limit": 1,
    }
    (what,) = tables.account.handled["labels"]
    assert what.startswith("of a LabelName that no class description names")
    lower = collect("multilabel_classification", min_confidence=0.3)
    assert [list(names) for names in lower.images["labels"]][1] == ["Television"]
    assert len(collect("multilabel_classification", labels=()).boxes) == 3


def test_splits_by_file_or_by_folder(root, collect):
    (root / "test-annotations-bbox.csv").write_text(f"{HEADER}\n{row('c')}\n")
    assert list(collect().images["split"]) == ["train", "train", "test"]
    (root / "test-annotations-bbox.csv").unlink()
    for split, name in (("train", "a"), ("validation", "b"), ("test", "c")):
        (root / f"photos/{split}").mkdir()
        (root / f"photos/{name}.jpg").rename(root / f"photos/{split}/{name}.jpg")
    assert list(collect().images["split"]) == ["train", "validation", "test"]
    assert open_images.recognise(root).split == {"column": "split"}


def test_shares_are_of_the_upright_photo(root, collect):
    photo(root / "photos/a.jpg", orientation=6)
    first = collect().boxes.iloc[0]
    assert [first[c] for c in ("x_min", "y_min", "x_max", "y_max")] == [7.5, 0, 22.5, 40]


def test_limit(collect):
    tables = collect(limit=1)
    assert list(tables.images["image_id"]) == ["a"]
    assert tables.account.aside["images"]["beyond data.limit"].count == 2


def test_names(root, collect):
    (root / "class-descriptions-boxable.csv").write_text("LabelName,DisplayName\n" + NAMES)
    assert set(collect().boxes["class_name"]) == {"Bed", "Television"}
    (root / "class-descriptions-boxable.csv").write_text('/m/03ssj5,"Bed, double"\n\n/m/07c52,Café\n', "cp1252")
    assert set(collect().boxes["class_name"]) == {"Bed, double", "Café"}
    (root / "class-descriptions-boxable.csv").unlink()
    tables = collect()
    assert set(tables.boxes["class_name"]) == {"/m/03ssj5", "/m/07c52"}
    assert tables.classes is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (f"{HEADER}\n{row('zz')}\n{row('a', x=('nan', 1))}\n", r"boxes\.csv:3: XMin is 'nan', no number"),
        (f"{HEADER}\n{row('a', y=(0, 480))}\n", r"boxes\.csv:2: YMax is '480', no share"),
        (f"{HEADER}\n{row('a', label='')}\n", r"boxes\.csv:2: LabelName is empty"),
        (f"{HEADER}\na,xclick,/m/1", r"boxes\.csv cannot be read: CSV parse error"),
        ("ImageID,LabelName\na,b\n", r"boxes\.csv has no column XMin, YMin, XMax, YMax"),
        ("", r"boxes\.csv is empty"),
        (None, r"boxes\.csv cannot be read"),
    ],
)
def test_a_malformed_file_of_boxes_is_named(root, collect, text, message):
    if text is not None:
        (root / "boxes.csv").write_text(text)
    with pytest.raises(DataError, match=message):
        collect(boxes=("boxes.csv",))


def test_bytes_that_are_no_text(root, collect):
    (root / "boxes.csv").write_bytes(HEADER.encode() + b"\na,\xff\xfe,\x80,1,0,1,0,1,0,0,0,0,0\n")
    with pytest.raises(DataError, match=r"boxes\.csv"):
        collect(boxes=("boxes.csv",))


def test_a_table_without_rows(root, collect):
    (root / "boxes.csv").write_text(HEADER + "\n")
    tables = collect(boxes=("boxes.csv",))
    assert len(tables.boxes) == 0
    assert len(tables.images) == 3


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("/m/1\n", r"names\.csv:1: '/m/1' is no LabelName and its name"),
        ("/m/1,Bed\n/m/1,Sofa\n", r"names\.csv:2: /m/1 is called Sofa, and Bed before"),
    ],
)
def test_malformed_names(root, collect, text, message):
    (root / "names.csv").write_text(text)
    with pytest.raises(DataError, match=message):
        collect(class_names="names.csv")


def test_what_is_missing_is_named(root, collect, tmp_path):
    photo(root / "photos/more/a.png")
    with pytest.raises(DataError, match="have one ImageID"):
        collect()
    with pytest.raises(DataError, match="nowhere is not a folder"):
        collect(photos="nowhere")
    (root / "photos/more/a.png").unlink()
    with pytest.raises(DataError, match="more has no photo"):
        collect(photos="photos/more")
    with pytest.raises(DataError, match="has no CSV of boxes"):
        collect(boxes=())
