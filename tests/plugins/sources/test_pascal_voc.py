from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import pytest
from PIL import Image

from pizzeria.conformance.sources import SourceSuite
from pizzeria.errors import DataError
from pizzeria_plugins.sources import pascal_voc

BOX = "<object><name>{}</name>{}<bndbox><xmin>{}</xmin><ymin>{}</ymin><xmax>{}</xmax><ymax>{}</ymax></bndbox></object>"
SIZE = "<size><width>{}</width><height>{}</height><depth>3</depth></size>"


def photo(path, size=(40, 30), orientation=1):
    path.parent.mkdir(parents=True, exist_ok=True)
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.new("RGB", size, (90, 40, 40)).save(path, exif=exif)


def xml(path, *objects, size=(40, 30), filename="", head=""):
    path.parent.mkdir(parents=True, exist_ok=True)
    parts = [f"<filename>{filename}</filename>", SIZE.format(*size), *objects]
    path.write_text(f"{head}<annotation>\n" + "\n".join(parts) + "\n</annotation>\n")


@pytest.fixture
def root(tmp_path):
    """Three labelled photos in the usual layout."""
    for name, boxes in (
        ("000001", [BOX.format("bed", "<difficult>1</difficult>", 1, 1, 40, 30)]),
        ("000002", [BOX.format("tv", "<truncated>1</truncated><occluded>0</occluded>", 5, 6, 10, 12)]),
        ("000003", []),
    ):
        photo(tmp_path / f"JPEGImages/{name}.jpg")
        xml(tmp_path / f"Annotations/{name}.xml", *boxes, filename=f"{name}.jpg")
    return tmp_path


class TestSuite(SourceSuite):
    plugin = pascal_voc
    task = "object_detection"
    options: ClassVar = {"root": "data"}

    @classmethod
    def bring(cls, folder):
        photo(folder / "JPEGImages/1.jpg")
        xml(folder / "Annotations/1.xml", BOX.format("bed", "", 1, 1, 9, 9), filename="1.jpg")
        return {"root": str(folder)}


@pytest.fixture
def collect(root, problem_of, progress):
    def go(**options):
        tables = pascal_voc.collect(
            pascal_voc.Options(root=root, **options), problem_of("object_detection", "bed"), root, progress
        )
        tables.account.check(tables.counts())
        return tables

    return go


def test_corners_are_edges_of_pixels_that_count_from_0(collect):
    tables = collect()
    assert list(tables.images["image_id"]) == ["000001.jpg", "000002.jpg", "000003.jpg"]
    assert "split" not in tables.images
    first, second = tables.boxes.to_dict("records")
    assert [first[c] for c in ("x_min", "y_min", "x_max", "y_max")] == [0, 0, 40, 30]
    assert [second[c] for c in ("x_min", "y_min", "x_max", "y_max")] == [4, 5, 10, 12]
    assert (first["class_name"], first["difficult"], second["truncated"], second["occluded"]) == (
        "bed",
        True,
        True,
        False,
    )
    assert list(collect(first_pixel=0).boxes["x_min"]) == [1, 5]


def test_a_first_pixel_0_is_the_border(root, collect):
    xml(root / "Annotations/000003.xml", BOX.format("bed", "", 0, 1, 9, 9))
    tables = collect()
    assert tables.boxes["x_min"].min() == 0
    (what,) = tables.account.handled["boxes"]
    assert what.startswith("begin at pixel 0")


def test_difficult_objects_may_be_set_aside(collect):
    tables = collect(difficult="set_aside")
    assert list(tables.boxes["class_name"]) == ["tv"]
    assert tables.account.aside["boxes"]["marked difficult"].examples == ["000001.xml:4"]


def test_lists_become_the_column_split(root, collect):
    lists = root / "ImageSets/Main"
    lists.mkdir(parents=True)
    for name in ("a b", "extra"):
        photo(root / f"JPEGImages/{name}.jpg")
    (lists / "train.txt").write_text("000001\n")
    (lists / "val.txt").write_text("000002 1\n\na b\n")
    (lists / "trainval.txt").write_text("000001\n000002\n000003\na b\n")
    (lists / "test.txt").write_text("lost\n")
    (lists / "bed_train.txt").write_text("000001 -1\n")
    tables = collect()
    found = dict(zip(tables.images["image_id"], tables.images["split"], strict=True))
    assert found == {
        "000001.jpg": "train",
        "000002.jpg": "validation",
        "000003.jpg": "train",
        "a b.jpg": "validation",
        "lost.jpg": "test",
    }
    assert not Path(tables.images.set_index("image_id").at["lost.jpg", "path"]).exists()
    assert tables.account.aside["images"]["on no list of ImageSets/Main"].examples == ["extra.jpg"]
    assert tables.account.handled["images"]["without an XML: taken to show nothing"].count == 2
    assert len(collect(lists=None).images) == 5
    (lists / "test.txt").write_text("000004\n000003\n")
    with pytest.raises(DataError, match=r"trainval\.txt:3: 000003 is on the list of another split too: .*test\.txt:2"):
        collect()
    (lists / "test.txt").write_text("../../etc/passwd\n")
    with pytest.raises(DataError, match=r"test\.txt:1: .* leads out"):
        collect()


def test_photos_and_xml_without_each_other(root, collect):
    photo(root / "JPEGImages/unlabelled.jpg")
    photo(root / "JPEGImages/._000001.jpg")
    (root / "Annotations/._000001.xml").write_bytes(b"\0\x05\x16\x07\0Mac OS X")
    xml(root / "Annotations/lost.xml", BOX.format("bed", "", 1, 1, 9, 9), filename="gone.png")
    tables = collect()
    assert list(tables.images["image_id"])[-2:] == ["lost.png", "unlabelled.jpg"]
    assert tables.account.handled["images"]["without an XML: taken to show nothing"].examples == ["unlabelled.jpg"]
    assert tables.account.aside["images"]["a hidden file"].count == 1
    assert tables.account.read["images"] == 6


def test_limit(collect):
    tables = collect(limit=1)
    assert len(tables.images) == len(tables.boxes) == 1
    assert tables.account.aside["images"]["beyond data.limit"].count == 2


def test_a_photo_that_was_scaled_or_is_turned_keeps_its_boxes(root, collect):
    photo(root / "JPEGImages/000001.jpg", (20, 15))
    photo(root / "JPEGImages/000002.jpg", (40, 30), orientation=6)
    boxes = collect().boxes
    corners = boxes[["x_min", "y_min", "x_max", "y_max"]].to_numpy().tolist()
    assert corners[0] == [0, 0, 20, 15]
    assert corners[1] == [30 - 12, 4, 30 - 5, 10]  # (4, 5, 10, 12) in 40 x 30, turned to the right


def test_a_photo_of_another_shape_is_refused_or_set_aside(root, collect):
    photo(root / "JPEGImages/000001.jpg", (30, 40))
    with pytest.raises(DataError, match=r"000001\.xml: 000001\.jpg is of 40 x 30 pixels in the XML, but 30 x 40"):
        collect()
    tables = collect(wrong_size="set_aside")
    assert len(tables.images) == 2
    assert list(tables.boxes["class_name"]) == ["tv"]
    xml(root / "Annotations/000001.xml", BOX.format("bed", "", 1, 1, 9, 9), size=(0, 0))
    assert len(collect().boxes) == 2


def test_other_layouts(tmp_path, problem_of, progress):
    for name in ("train/1", "valid/2", "test/3"):
        photo(tmp_path / f"a/{name}.jpg")
        xml(tmp_path / f"a/{name}.xml", BOX.format("bed", "", 1, 1, 9, 9))
        photo(tmp_path / f"b/images/{name}.png")
        xml(tmp_path / f"b/annotations/{name}.xml", BOX.format("bed", "", 1, 1, 9, 9))
    for layout in ("a", "b"):
        found = pascal_voc.recognise(tmp_path / layout)
        assert (found.split, found.options) == ({"column": "split"}, {"root": str(tmp_path / layout)})
        tables = pascal_voc.collect(pascal_voc.Options(**found.options), None, tmp_path, progress)
        assert sorted(tables.images["split"]) == ["test", "train", "validation"]
        assert len(tables.boxes) == 3


def test_the_filename_finds_a_photo_of_another_name(root, collect):
    photo(root / "JPEGImages/IMG_7.jpg")
    xml(root / "Annotations/seven.xml", BOX.format("bed", "", 1, 1, 9, 9), filename="IMG_7.jpg")
    assert "IMG_7.jpg" in set(collect().boxes["image_id"])
    xml(root / "Annotations/other.xml", filename="IMG_7.jpg")
    with pytest.raises(DataError, match=r"are both of the photo IMG_7\.jpg"):
        collect()
    xml(root / "Annotations/other.xml", filename="../../etc/passwd.jpg")
    with pytest.raises(DataError, match=r"other\.xml:2: filename '.*' leads out of the photos' folder"):
        collect()
    xml(root / "Annotations/other.xml", filename="C:\\photos\\1.jpg")
    with pytest.raises(DataError, match="leads out"):
        collect()
    (root / "Annotations/other.xml").unlink()
    photo(root / "JPEGImages/000001.png")
    assert "000001.jpg" in set(collect().boxes["image_id"])
    xml(root / "Annotations/000001.xml", filename="what.jpg")
    with pytest.raises(DataError, match=r"may be of 000001\.jpg or 000001\.png"):
        collect()


BOMB = '<?xml version="1.0"?>\n<!DOCTYPE a [\n<!ENTITY a "ha">\n<!ENTITY b "&a;&a;">\n]>\n<annotation>&b;</annotation>'


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", r"000001\.xml is empty"),
        (BOMB.encode(), r"000001\.xml:3: declares or refers to an entity"),
        (
            b'<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><annotation>&x;</annotation>',
            r"000001\.xml:1: declares or refers to",
        ),
        (b"<annotation>\n<object>\n<name>bed", r"000001\.xml:3: not XML: "),
        (
            b"<annotation>\n" + BOX.format("bed", "", 1, "nan", 2, 3).encode() + b"</annotation>",
            r"xml:2: ymin is 'nan'",
        ),
        (
            b"<annotation>\n\n" + BOX.format("bed", "", 1, 1, "1_0", 3).encode() + b"</annotation>",
            r"xml:3: xmax is '1_0'",
        ),
        (
            b"<annotation>" + BOX.format("", "", 1, 1, 2, 3).encode() + b"</annotation>",
            r"xml:1: the object has no name",
        ),
        (b"<annotation><object><name>bed</name></object></annotation>", r"xml:1: the object 'bed' has no bndbox"),
        (b"<annotation><size><width>-4</width></size></annotation>", r"xml:1: width is '-4'"),
        (
            b"<annotation>" + BOX.format("bed", "<difficult>2</difficult>", 1, 1, 2, 3).encode() + b"</annotation>",
            r"xml:1: difficult is '2', neither 0 nor 1",
        ),
        (b"<kml>\n</kml>", r"xml:1: begins with <kml>, and is no Pascal VOC"),
        (b"<annotation>" + b"<x>" * 60, r"xml:1: is nested more than 50 deep"),
        (bytes(range(256)), r"000001\.xml"),
    ],
)
def test_hostile_xml_is_refused_with_its_line(root, collect, content, message):
    (root / "Annotations/000001.xml").write_bytes(content)
    with pytest.raises(DataError, match=message):
        collect()


@pytest.mark.parametrize(
    ("head", "encoding", "guessed"),
    [
        ("", "utf-8-sig", False),
        ('<?xml version="1.0" encoding="UTF-16"?>', "utf-16", False),
        ('<?xml version="1.0" encoding="ISO-8859-1"?>', "latin-1", False),
        ('<?xml version="1.0" encoding="gbk"?>', "gbk", False),
        ('<?xml version="1.0" encoding="utf-8"?>', "cp1252", True),
    ],
)
def test_encodings(root, collect, head, encoding, guessed):
    name = "沙发" if encoding == "gbk" else "canapé"
    text = f"{head}<annotation>\n{BOX.format(name, '', 1, 1, 9, 9)}\n</annotation>"
    (root / "Annotations/000001.xml").write_bytes(text.encode(encoding))
    tables = collect()
    assert tables.boxes["class_name"][0] == name
    assert bool(tables.account.handled) == guessed


def test_parts_of_an_object_and_what_tools_add_are_passed_over(root, collect):
    part = "<part><name>head</name><bndbox><xmin>1</xmin><ymin>1</ymin><xmax>2</xmax><ymax>2</ymax></bndbox></part>"
    extra = f"{part}<pose>Left</pose><actions><jumping>1</jumping></actions><attributes><name>x</name></attributes>"
    xml(root / "Annotations/000001.xml", BOX.format("person", extra, 3, 4, 9, 9))
    first = collect().boxes.iloc[0]
    assert (first["class_name"], first["x_min"], first["y_max"]) == ("person", 2, 9)


def test_what_is_missing_is_named(tmp_path, problem_of, progress):
    problem = problem_of("object_detection", "bed")
    with pytest.raises(DataError, match="nowhere is not a folder"):
        pascal_voc.collect(pascal_voc.Options(root=tmp_path / "nowhere"), problem, tmp_path, progress)
    photo(tmp_path / "a.jpg")
    with pytest.raises(DataError, match="has no XML file"):
        pascal_voc.collect(pascal_voc.Options(root=tmp_path), problem, tmp_path, progress)
    with pytest.raises(DataError, match="xmls is not a folder"):
        pascal_voc.collect(pascal_voc.Options(root=tmp_path, annotations="xmls"), problem, tmp_path, progress)
