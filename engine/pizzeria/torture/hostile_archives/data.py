"""Data whose labels lead out of the folder, or whose text is a bomb."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from pizzeria.torture.hostile_archives import Attack

_OUT = (
    "../../../etc/passwd",
    "/etc/passwd",
    "a/../../../x.jpg",
    "C:\\x.jpg",
    "..\\x.jpg",
    "a\0.jpg",
    "\\\\s\\x.jpg",
    "",
)
_CATEGORIES = [{"id": 1, "name": "bed"}]
_BILLION = (
    '<?xml version="1.0"?><!DOCTYPE a [<!ENTITY b "lol">'
    + "".join(f'<!ENTITY b{i} "{("&b" + (str(i - 1) if i else "") + ";") * 10}">' for i in range(10))
    + "]><annotation><filename>&b9;</filename></annotation>"
)
_OUTER = '<!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/passwd">]><annotation><filename>&b;</filename></annotation>'


def _source(folder: Path, use: str, **options: Any) -> Path:
    """What the door `collect` takes: a folder with the source's name and its options."""
    (folder / "source.json").write_text(json.dumps({"use": use, "options": options}))
    return folder


def _labels(name: str) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        (folder / "labels.csv").write_text(f'file,labels\n"{name}",bed\n')
        return _source(folder, "image_folder", root=str(folder), labels=str(folder / "labels.csv"))

    return make


def _coco(content: str) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        (folder / "annotations.json").write_text(content)
        return _source(folder, "coco", root=str(folder))

    return make


def _coco_named(name: str) -> str:
    box = {"id": 1, "image_id": 1, "category_id": 1, "bbox": [1, 1, 5, 5]}
    image = {"id": 1, "file_name": name, "width": 9, "height": 9}
    return json.dumps({"images": [image], "annotations": [box], "categories": _CATEGORIES})


def _voc(content: str) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        (folder / "Annotations").mkdir()
        (folder / "JPEGImages").mkdir()
        (folder / "Annotations" / "1.xml").write_text(content)
        return _source(folder, "pascal_voc", root=str(folder))

    return make


def _voc_named(name: str) -> str:
    size = "<size><width>9</width><height>9</height><depth>3</depth></size>"
    box = "<bndbox><xmin>1</xmin><ymin>1</ymin><xmax>5</xmax><ymax>5</ymax></bndbox>"
    return f"<annotation><filename>{name}</filename>{size}<object><name>bed</name>{box}</object></annotation>"


def _yolo(content: str) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        (folder / "images").mkdir()
        (folder / "data.yaml").write_text(content)
        return _source(folder, "yolo", root=str(folder))

    return make


def _gz(folder: Path) -> Path:
    with gzip.open(folder / "rows.csv.gz", "wb", 1) as stream:
        stream.write(b"row_id,size,answer\n")
        piece = b"r1,1.0,yes\n" * 100_000
        for _ in range(2_000):
            stream.write(piece)
    return _source(folder, "table", path=str(folder / "rows.csv.gz"))


def attacks() -> Iterator[Attack]:
    for name in _OUT:
        yield Attack("collect", f"COCO file_name {name!r}", _coco(_coco_named(name)))
        yield Attack("collect", f"labels.csv with file {name!r}", _labels(name))
        if "\0" not in name:
            yield Attack("collect", f"VOC filename {name!r}", _voc(_voc_named(name)), taken=not name)
    for name in ("../../..", "/etc", "/"):
        yield Attack("collect", f"YOLO train: {name}", _yolo(f"names: [bed]\ntrain: {name}\nval: images\n"))
    yield Attack("collect", "COCO nested 100,000 deep", _coco('{"images": ' + "[" * 100_000))
    yield Attack("collect", "COCO with a number of 100,000 digits", _coco('{"images": ' + "9" * 100_000 + "}"))
    yield Attack("collect", "COCO that is a list", _coco("[]"))
    endless = _coco_named("a.jpg").replace("[1, 1, 5, 5]", "[1, 1, Infinity, NaN]")
    yield Attack("collect", "COCO with a box of infinity", _coco(endless))
    yield Attack("collect", "VOC, a billion laughs", _voc(_BILLION))
    yield Attack("collect", "VOC that names /etc/passwd as an entity", _voc(_OUTER))
    yield Attack("collect", "VOC nested 200,000 deep", _voc("<a>" * 200_000))
    levels = zip("abcdefgh", "bcdefghi", strict=True)
    bomb = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(f"{b}: &{b} [{','.join([f'*{a}'] * 9)}]\n" for a, b in levels)
    yield Attack("collect", "YOLO, an alias bomb", _yolo(bomb + "names: *i\ntrain: images\nval: images\n"))
    yield Attack("collect", "YOLO nested 100,000 deep", _yolo("names: " + "[" * 100_000))
    yield Attack("collect", "CSV that is a gzip bomb of 2.2 GB", _gz, heavy=True)
