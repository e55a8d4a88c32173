"""The same boxes, written in each format and read back: real ones, and any that hypothesis thinks of."""

from __future__ import annotations

import json
from pathlib import Path
from typing import NamedTuple
from xml.sax.saxutils import escape

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from pizzeria.conformance.asking import Quiet
from pizzeria.spec.problem import Problem
from pizzeria_plugins.sources import coco, open_images, pascal_voc, yolo

PROBLEM = Problem.model_construct(task="object_detection", classes=(), target=None)
HEADER = "ImageID,Source,LabelName,Confidence,XMin,XMax,YMin,YMax"


class Photo(NamedTuple):
    """A photo with its boxes: (class, x_min, y_min, x_max, y_max) in pixels."""

    stem: str
    size: tuple[int, int]
    boxes: list[tuple[str, float, float, float, float]]


def write_voc(root: Path, photos: list[Photo], classes: list[str]) -> None:
    (root / "Annotations").mkdir()
    (root / "JPEGImages").mkdir()
    for photo in photos:
        objects = "".join(
            f"<object>\n<name>{escape(name)}</name>\n<bndbox><xmin>{x0 + 1!r}</xmin><ymin>{y0 + 1!r}</ymin>"
            f"<xmax>{x1!r}</xmax><ymax>{y1!r}</ymax></bndbox>\n</object>\n"
            for name, x0, y0, x1, y1 in photo.boxes
        )
        size = f"<size><width>{photo.size[0]}</width><height>{photo.size[1]}</height></size>"
        (root / f"Annotations/{photo.stem}.xml").write_text(
            f"<annotation><filename>{photo.stem}.jpg</filename>{size}\n{objects}</annotation>", "utf-8"
        )


def write_yolo(root: Path, photos: list[Photo], classes: list[str]) -> None:
    (root / "images").mkdir()
    (root / "labels").mkdir()
    for photo in photos:
        width, height = photo.size
        lines = [
            f"{classes.index(name)} {(x0 + x1) / 2 / width!r} {(y0 + y1) / 2 / height!r} "
            f"{(x1 - x0) / width!r} {(y1 - y0) / height!r}\n"
            for name, x0, y0, x1, y1 in photo.boxes
        ]
        (root / f"labels/{photo.stem}.txt").write_text("".join(lines))
    # JSON is YAML.
    (root / "data.yaml").write_text(f"train: images\nnames: {json.dumps(classes, ensure_ascii=False)}\n", "utf-8")


def write_open_images(root: Path, photos: list[Photo], classes: list[str]) -> None:
    (root / "photos").mkdir()
    rows = [
        f"{photo.stem},x,/m/{classes.index(name)},1,{x0 / photo.size[0]!r},{x1 / photo.size[0]!r},"
        f"{y0 / photo.size[1]!r},{y1 / photo.size[1]!r}"
        for photo in photos
        for name, x0, y0, x1, y1 in photo.boxes
    ]
    (root / "boxes.csv").write_text("\n".join([HEADER, *rows]) + "\n")
    names = ['/m/{},"{}"'.format(at, name.replace('"', '""')) for at, name in enumerate(classes)]
    (root / "class-descriptions.csv").write_text("\n".join(names) + "\n", "utf-8")


FORMATS = {
    "pascal_voc": (pascal_voc, write_voc, "JPEGImages"),
    "yolo": (yolo, write_yolo, "images"),
    "open_images": (open_images, write_open_images, "photos"),
}


def read(source, root: Path):
    tables = source.collect(source.Options(root=root), PROBLEM, root, Quiet())
    tables.account.check(tables.counts())
    found = {Path(name).stem: [] for name in tables.images["image_id"]}
    for box in tables.boxes.to_dict("records"):
        found[Path(box["image_id"]).stem].append(
            (box["class_name"], *(box[c] for c in ("x_min", "y_min", "x_max", "y_max")))
        )
    return tables, found


def assert_alike(found, photos: list[Photo]) -> None:
    assert found.keys() == {photo.stem for photo in photos}
    for photo in photos:
        assert [box[0] for box in found[photo.stem]] == [box[0] for box in photo.boxes]
        for one, other in zip(found[photo.stem], photo.boxes, strict=True):
            assert one[1:] == pytest.approx(other[1:], abs=1e-6)


@pytest.mark.parametrize("name", FORMATS)
def test_real_boxes_come_back(name, shared_data, tmp_path):
    listings = shared_data / "listings"
    tables = coco.collect(coco.Options(root=listings, limit=60), PROBLEM, tmp_path, Quiet())
    sizes = {}
    for path in tables.images["path"]:
        with Image.open(path) as image:
            sizes[Path(path).stem] = image.size
    of = {key: Path(path).stem for key, path in zip(tables.images["image_id"], tables.images["path"], strict=True)}
    boxes = {stem: [] for stem in sizes}
    for box in tables.boxes.to_dict("records"):
        boxes[of[box["image_id"]]].append((box["class_name"], *(box[c] for c in ("x_min", "y_min", "x_max", "y_max"))))
    photos = [Photo(stem, sizes[stem], boxes[stem]) for stem in sizes]
    source, write, folder = FORMATS[name]
    write(tmp_path, photos, sorted({box["class_name"] for box in tables.boxes.to_dict("records")}))
    for path in tables.images["path"]:
        (tmp_path / folder / Path(path).name).symlink_to(path)
    read_back, found = read(source, tmp_path)
    assert_alike(found, photos)
    assert len(read_back.boxes) == len(tables.boxes) > 100
    assert source.recognise(tmp_path).options == {"root": str(tmp_path)}


_WORDS = st.text(st.characters(codec="utf-8", categories=("L", "N", "P", "S", "Zs")), min_size=1, max_size=12)
_CLASSES = st.lists(_WORDS.map(lambda word: " ".join(word.split())).filter(bool), min_size=1, max_size=5, unique=True)


@st.composite
def data_sets(draw):
    classes = draw(_CLASSES)
    photos = []
    for stem in draw(st.lists(st.from_regex(r"[a-z0-9_]{1,6}", fullmatch=True), min_size=1, max_size=3, unique=True)):
        width, height = draw(st.integers(1, 60)), draw(st.integers(1, 60))
        boxes = []
        for _ in range(draw(st.integers(0, 4))):
            xs = sorted(draw(st.floats(0, width, allow_subnormal=False)) for _ in range(2))
            ys = sorted(draw(st.floats(0, height, allow_subnormal=False)) for _ in range(2))
            boxes.append((draw(st.sampled_from(classes)), xs[0], ys[0], xs[1], ys[1]))
        photos.append(Photo(stem, (width, height), boxes))
    return classes, photos


@settings(max_examples=40)
@given(name=st.sampled_from(sorted(FORMATS)), data=data_sets())
def test_any_boxes_come_back(name, data, tmp_path_factory):
    root = tmp_path_factory.mktemp("data")
    classes, photos = data
    source, write, folder = FORMATS[name]
    write(root, photos, classes)
    for photo in photos:
        Image.new("RGB", photo.size).save(root / folder / f"{photo.stem}.jpg")
    tables, found = read(source, root)
    assert_alike(found, photos)
    assert tables.account.read["boxes" if any(p.boxes for p in photos) else "images"] == (
        sum(len(photo.boxes) for photo in photos) or len(photos)
    )


@settings(max_examples=60)
@given(
    text=st.lists(st.lists(st.sampled_from(["0", "1", "7", "-1", "0.5", "1.2", "nan", "x", "1e9", ".3"]), max_size=8))
)
def test_every_line_of_labels_is_accounted_for(text, tmp_path_factory):
    root = tmp_path_factory.mktemp("data")
    write_yolo(root, [Photo("a", (10, 10), [])], ["bed", "tv"])
    Image.new("RGB", (10, 10)).save(root / "images/a.jpg")
    (root / "labels/a.txt").write_text("\n".join(" ".join(line) for line in text))
    tables = yolo.collect(yolo.Options(root=root, faulty_lines="set_aside"), PROBLEM, root, Quiet())
    tables.account.check(tables.counts())
    assert tables.account.read.get("boxes", 0) == sum(bool(line) for line in text)
    assert tables.boxes[["x_min", "y_min", "x_max", "y_max"]].notna().all(axis=None)
