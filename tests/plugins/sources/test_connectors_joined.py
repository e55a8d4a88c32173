"""Three formats as one dataset, with class maps, through intake; and what docs/data/connectors.md shows."""

from __future__ import annotations

import re

import pytest
import yaml as pyyaml
from PIL import Image

from pizzeria import registry
from pizzeria.conformance.asking import Quiet
from pizzeria.intake.collection import collect
from pizzeria.spec.data import Data, Repair, Source
from pizzeria.spec.problem import Problem

HEADER = "ImageID,LabelName,XMin,XMax,YMin,YMax"
CHAIR = "<bndbox><xmin>11</xmin><ymin>1</ymin><xmax>30</xmax><ymax>30</ymax></bndbox>"


@pytest.fixture
def folders(tmp_path):
    """In each format a good photo with a couch, called in its own way, and one of zero bytes."""
    for shade, (name, inside) in enumerate((("voc", "JPEGImages"), ("yolo", "images"), ("oi", "photos"))):
        photos = tmp_path / name / inside
        photos.mkdir(parents=True)
        Image.radial_gradient("L").rotate(40 * shade).save(photos / "good.png")
        (photos / "empty.png").write_bytes(b"")
    (tmp_path / "voc/Annotations").mkdir()
    (tmp_path / "yolo/labels").mkdir()
    for stem in ("good", "empty"):
        (tmp_path / f"voc/Annotations/{stem}.xml").write_text(
            f"<annotation><object><name>sofa</name>{CHAIR}</object><object><name>dog</name>{CHAIR}</object></annotation>"
        )
        (tmp_path / f"yolo/labels/{stem}.txt").write_text("0 0.5 0.5 0.2 0.2\n1 0.5 0.5 0.3 0.3\n")
    (tmp_path / "yolo/classes.txt").write_text("settee\nbed\n")
    (tmp_path / "oi/boxes.csv").write_text(f"{HEADER}\ngood,/m/1,0,1,0,1\nempty,/m/1,0,1,0,1\n")
    (tmp_path / "oi/class-descriptions.csv").write_text("/m/1,Couch\n")
    return tmp_path


def joined(folders, task, **repair):
    wanted = (
        (Data, "pascal_voc", "voc", {"dog": None}),
        (Source, "yolo", "yolo", {"settee": "sofa"}),
        (Source, "open_images", "oi", {"Couch": "sofa"}),
    )
    first, *others = (
        kind(use=use, class_map=names, options=registry.load("sources", use).Options(root=folders / name))
        for kind, use, name, names in wanted
    )
    data = first.model_copy(update={"also": tuple(others), "repair": Repair(**repair)})
    problem = Problem.model_construct(task=task, classes=("sofa", "bed"), target=None)
    out = folders / "out"
    out.mkdir()
    return collect(data, problem, out, 100, Quiet())


def test_boxes_of_three_formats(folders):
    tables = joined(folders, "object_detection", unreadable="set_aside")
    assert sorted(tables.images["image_id"]) == ["open_images:good", "pascal_voc:good.png", "yolo:images/good.png"]
    assert sorted(tables.boxes["class_name"]) == ["bed", "sofa", "sofa", "sofa"]
    assert tables.boxes["box_id"].is_unique
    assert {"difficult", "group_of"} <= set(tables.boxes)
    account = tables.account
    assert (account.read["images"], account.of_aside("images")) == (6, 3)
    assert (account.read["boxes"], account.of_aside("boxes")) == (10, 6)


def test_labels_of_three_formats(folders):
    tables = joined(folders, "multilabel_classification", unreadable="set_aside")
    assert [list(names) for names in tables.images["labels"]] == [["sofa"], ["sofa", "bed"], ["sofa"]]
    assert tables.boxes is None


def test_the_docs_show_options_that_exist(pytestconfig):
    text = (pytestconfig.rootpath / "docs/data/connectors.md").read_text()
    blocks = re.findall(r"```yaml\n(.*?)```", text, re.DOTALL)
    assert len(blocks) == 5
    for block in blocks:
        data = pyyaml.safe_load(block)["data"]
        own = {name: data.pop(name) for name in list(data) if name in Data.model_fields}
        assert Data(**own).use == own["use"]
        options = registry.load("sources", own["use"]).Options
        options(**data)
        section = text.split(block)[1].split("\n## ")[0]
        for name in re.findall(r"^\| ((?:`\w+`,? ?)+)\|", section, re.MULTILINE):
            assert set(re.findall(r"\w+", name)) <= set(options.model_fields)
