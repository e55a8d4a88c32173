"""Files of labels in the true forms of their tools, and what is wrong with a malformed one, by its place."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from pizzeria.errors import DataError
from pizzeria.labels.reading import Read, read_file

CLASSES = ("bed", "sofa")
DETECTION, MULTI, SINGLE, NUMBER = (
    "object_detection",
    "multilabel_classification",
    "image_classification",
    "tabular_regression",
)

LABEL_STUDIO = {
    "id": 7,
    "annotations": [
        {
            "id": 3,
            "completed_by": 1,
            "result": [
                {
                    "original_width": 640,
                    "original_height": 480,
                    "image_rotation": 0,
                    "value": {
                        "x": 12.5,
                        "y": 25.0,
                        "width": 50.0,
                        "height": 37.5,
                        "rotation": 0,
                        "rectanglelabels": ["bed"],
                    },
                    "id": "Dx_aB1ISnG",
                    "from_name": "label",
                    "to_name": "image",
                    "type": "rectanglelabels",
                    "origin": "manual",
                }
            ],
            "was_cancelled": False,
            "ground_truth": False,
            "created_at": "2026-03-01T15:29:32.221564Z",
            "updated_at": "2026-03-02T15:29:32.221583Z",
            "draft_created_at": None,
            "lead_time": 9.321,
            "prediction": {},
            "result_count": 1,
            "unique_id": "5c0d7ea6-3d6f-4fb7-9a5b-6f6f4d9c1d11",
            "import_id": None,
            "last_action": None,
            "task": 7,
            "project": 1,
            "updated_by": 1,
            "parent_prediction": None,
            "parent_annotation": None,
            "last_created_by": None,
        }
    ],
    "file_upload": "9c2b1f00-kitchen.jpg",
    "drafts": [],
    "predictions": [],
    "data": {"image": "/data/upload/1/9c2b1f00-kitchen.jpg"},
    "meta": {},
    "created_at": "2026-03-01T15:28:59.934113Z",
    "updated_at": "2026-03-02T15:29:32.294121Z",
    "inner_id": 1,
    "total_annotations": 1,
    "cancelled_annotations": 0,
    "total_predictions": 0,
    "comment_count": 0,
    "unresolved_comment_count": 0,
    "last_comment_updated_at": None,
    "project": 1,
    "updated_by": 1,
    "comment_authors": [],
}
"""A task as Label Studio 1.x exports it as JSON."""

CVAT_COCO = {
    "licenses": [{"name": "", "id": 0, "url": ""}],
    "info": {"contributor": "", "date_created": "", "description": "", "url": "", "version": "", "year": ""},
    "categories": [{"id": 1, "name": "bed", "supercategory": ""}, {"id": 2, "name": "sofa", "supercategory": ""}],
    "images": [
        {
            "id": 1,
            "width": 640,
            "height": 480,
            "file_name": "photos/kitchen.jpg",
            "license": 0,
            "flickr_url": "",
            "coco_url": "",
            "date_captured": 0,
        },
        {"id": 2, "width": 640, "height": 480, "file_name": "hall.jpg", "license": 0},
    ],
    "annotations": [
        {
            "id": 1,
            "image_id": 1,
            "category_id": 2,
            "segmentation": [],
            "area": 3072.0,
            "bbox": [-0.4, 120.0, 64.4, 48.0],
            "iscrowd": 0,
            "attributes": {"occluded": False, "rotation": 0.0},
        }
    ],
}
"""As CVAT exports a task as COCO 1.0."""

CVAT_XML = """<?xml version="1.0" encoding="utf-8"?>
<annotations>
  <version>1.1</version>
  <meta>
    <task>
      <id>4</id>
      <name>kitchens</name>
      <size>3</size>
      <mode>annotation</mode>
      <labels>
        <label><name>bed</name><color>#fa3253</color><type>any</type><attributes></attributes></label>
        <label><name>sofa</name><color>#3d3df5</color><type>any</type><attributes></attributes></label>
      </labels>
    </task>
    <dumped>2026-03-02 09:15:00.123456+00:00</dumped>
  </meta>
  <image id="0" name="photos/kitchen.jpg" width="640" height="480">
    <box label="bed" source="manual" occluded="0" xtl="80.00" ytl="120.50" xbr="400.25" ybr="300.00" z_order="0">
    </box>
    <box label="sofa" source="manual" occluded="0" xtl="10" ytl="10" xbr="30" ybr="20" rotation="90.00" z_order="0">
      <attribute name="note">a turned one</attribute>
    </box>
  </image>
  <image id="1" name="hall.jpg" width="640" height="480">
  </image>
  <image id="2" name="tagged.jpg" width="640" height="480">
    <tag label="sofa" source="manual">
    </tag>
  </image>
</annotations>
"""


def read(path: Path, content: Any, task: str = DETECTION) -> Read:
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return read_file(path, task, CLASSES)


def refused(path: Path, content: Any, task: str = DETECTION) -> DataError:
    with pytest.raises(DataError) as caught:
        read(path, content, task)
    return caught.value


def test_label_studio_gives_pixels_of_the_photo_and_who_said_it_when(tmp_path: Path) -> None:
    found = read(tmp_path / "export.json", [LABEL_STUDIO])
    [said] = found.said
    assert said.truth == {"boxes": [{"class": "bed", "x_min": 80.0, "y_min": 120.0, "x_max": 400.0, "y_max": 300.0}]}
    assert ("input_id", "kitchen.jpg") in said.keys
    assert (said.at, said.source) == ("2026-03-02T15:29:32.221583+00:00", "Label Studio, user 1")


def test_label_studio_names_of_tasks_that_were_queued(tmp_path: Path) -> None:
    data = {"image": "/data/local-files/?d=photos/019ab3a5.jpg", "prediction_id": "019ab3a5", "why": "unsure of bed"}
    [said] = read(tmp_path / "export.json", [{**LABEL_STUDIO, "data": data, "file_upload": None}]).said
    assert said.keys[0] == ("prediction_id", "019ab3a5")
    assert ("input_id", "photos/019ab3a5.jpg") in said.keys


def test_label_studio_tasks_without_an_annotation_are_not_labelled_and_one_without_a_box_shows_nothing(
    tmp_path: Path,
) -> None:
    skipped = {**LABEL_STUDIO["annotations"][0], "was_cancelled": True}
    nothing = {**LABEL_STUDIO["annotations"][0], "result": []}
    tasks = [{**LABEL_STUDIO, "annotations": each} for each in ([], [skipped], [nothing])]
    found = read(tmp_path / "export.json", tasks)
    assert [said.truth for said in found.said] == [{"boxes": []}]
    assert found.empty == []
    assert found.notes == ["2 tasks have no annotation yet"]


def test_label_studio_the_truth_comes_before_later_annotations(tmp_path: Path) -> None:
    first = LABEL_STUDIO["annotations"][0]
    later = {**first, "updated_at": "2026-04-01T00:00:00Z", "result": []}
    assert read(tmp_path / "a.json", [{**LABEL_STUDIO, "annotations": [first, later]}]).said[0].truth == {"boxes": []}
    true = {**first, "ground_truth": True}
    assert read(tmp_path / "b.json", [{**LABEL_STUDIO, "annotations": [true, later]}]).said[0].truth["boxes"]


def test_label_studio_choices(tmp_path: Path) -> None:
    choice = {"value": {"choices": ["sofa"]}, "id": "x", "from_name": "choice", "to_name": "image", "type": "choices"}
    task = {**LABEL_STUDIO, "annotations": [{**LABEL_STUDIO["annotations"][0], "result": [choice]}]}
    assert read(tmp_path / "a.json", [task], SINGLE).said[0].truth == {"class": "sofa"}
    assert read(tmp_path / "a.json", [task], MULTI).said[0].truth == {"classes": ["sofa"]}


def test_label_studio_faults_name_the_place(tmp_path: Path) -> None:
    import copy

    task = copy.deepcopy(LABEL_STUDIO)
    region = task["annotations"][0]["result"][0]  # type: ignore[index]
    path = tmp_path / "export.json"
    region["type"] = "polygonlabels"
    assert refused(path, [task]).message.startswith(f"{path}: tasks[0].annotations[0].result[0] is of the type")
    region["type"] = "rectanglelabels"
    region["value"]["x"] = "left"
    assert "x is 'left'" in refused(path, [task]).message
    assert "JSON-MIN" in refused(path, [{"image": "a.jpg", "label": []}]).hint
    assert f"{path}:1: column" in refused(path, "[{").message


def test_coco_of_cvat(tmp_path: Path) -> None:
    found = read(tmp_path / "instances_default.json", CVAT_COCO)
    [said] = found.said
    assert said.truth == {"boxes": [{"class": "sofa", "x_min": 0.0, "y_min": 120.0, "x_max": 64.0, "y_max": 168.0}]}
    assert ("input_id", "kitchen.jpg") in said.keys
    assert [one.where.rpartition(" ")[2] for one in found.empty] == ["'hall.jpg'"], "nobody may have looked at it"
    assert read(tmp_path / "a.json", CVAT_COCO, MULTI).said[0].truth == {"classes": ["sofa"]}
    assert "no label for tabular_regression" in refused(tmp_path / "a.json", CVAT_COCO, NUMBER).message


def test_coco_faults_name_the_entry(tmp_path: Path) -> None:
    path = tmp_path / "coco.json"
    annotation = CVAT_COCO["annotations"][0]
    for change, told in (
        ({"image_id": 9}, "annotations[0]: there is no image 9"),
        ({"category_id": 9}, "annotations[0]: there is no category 9"),
        ({"bbox": [1, 2, 3]}, "annotations[0]: bbox is [1, 2, 3]"),
    ):
        assert told in refused(path, {**CVAT_COCO, "annotations": [{**annotation, **change}]}).message
    assert "images[0] has no file_name" in refused(path, {**CVAT_COCO, "images": [{"id": 1}]}).message


def test_cvat_for_images(tmp_path: Path) -> None:
    found = read(tmp_path / "annotations.xml", CVAT_XML)
    kitchen, tagged = found.said
    bed, sofa = kitchen.truth["boxes"]
    assert bed == {"class": "bed", "x_min": 80.0, "y_min": 120.5, "x_max": 400.25, "y_max": 300.0}
    assert {key: round(value, 6) for key, value in sofa.items() if key != "class"} == {
        "x_min": 15.0,
        "y_min": 5.0,
        "x_max": 25.0,
        "y_max": 25.0,
    }, "a quarter turn about its middle"
    assert tagged.truth == {"classes": ["sofa"]}
    assert kitchen.where == f"{tmp_path}/annotations.xml:17"
    assert len(found.empty) == 1


def test_cvat_tags_are_classes_of_photos(tmp_path: Path) -> None:
    text = CVAT_XML.replace("<box", "<ignored").replace("</box>", "</ignored>")
    assert [one.truth for one in read(tmp_path / "a.xml", text, SINGLE).said] == [{"class": "sofa"}]


def test_cvat_faults_name_the_line_and_hostile_xml_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "annotations.xml"
    assert f"{path}:18: xtl is 'left'" in refused(path, CVAT_XML.replace('xtl="80.00"', 'xtl="left"')).message
    polygon = CVAT_XML.replace('<box label="bed"', '<polygon label="bed"').replace("</box>", "</polygon>", 1)
    assert f"{path}:18: a polygon" in refused(path, polygon).message
    assert f"{path}:" in refused(path, CVAT_XML[:900]).message
    bomb = '<?xml version="1.0"?><!DOCTYPE a [<!ENTITY b "bed">]><annotations>&b;</annotations>'
    assert "document type" in refused(path, bomb).message
    assert "<html>" in refused(path, "<html></html>").message
    outside = '<?xml version="1.0"?><!DOCTYPE a SYSTEM "http://127.0.0.1:9/a.dtd"><annotations/>'
    assert "document type" in refused(path, outside).message


def test_tables_of_each_form(tmp_path: Path) -> None:
    path = tmp_path / "labels.csv"
    found = read(path, "prediction_id,class,at\n01,bed,2026-05-01T12:00:00Z\n02,,\n", SINGLE)
    assert [(one.keys, one.truth, one.where) for one in found.said] == [
        ((("prediction_id", "01"),), {"class": "bed"}, f"{path}:2")
    ]
    assert len(found.empty) == 1
    text = "input_id,classes\na.jpg,bed; sofa\nb.jpg,-\nc.jpg,\n"
    assert [one.truth["classes"] for one in read(path, text, MULTI).said] == [["bed", "sofa"], []]
    assert [one.truth for one in read(path, "prediction_id,value\n1/0,3.5\n", NUMBER).said] == [{"value": 3.5}]
    assert [one.truth for one in read(path, "input_id,true\na,7\n", NUMBER).said] == [{"value": 7.0}]
    text = "input_id,true:bed,true:sofa\na,1,0\nb,,\n"
    assert [one.truth for one in read(path, text, DETECTION).said] == [{"classes": ["bed"]}]
    box = {"class": "bed", "x_min": 1, "y_min": 2, "x_max": 3, "y_max": 4}
    lines = "\n".join(json.dumps({"prediction_id": "01", "boxes": boxes}) for boxes in ([box], []))
    assert [one.truth for one in read(tmp_path / "l.jsonl", lines).said] == [{"boxes": [box]}, {"boxes": []}]
    pd.DataFrame({"input_id": ["a", "b"], "class": [1, None]}).to_parquet(tmp_path / "l.parquet")
    assert [one.truth for one in read_file(tmp_path / "l.parquet", SINGLE, ("0", "1")).said] == [{"class": "1"}]


@pytest.mark.parametrize(
    ("name", "content", "task", "told"),
    [
        ("a.csv", "photo,class\na,bed\n", SINGLE, "has no column prediction_id or input_id"),
        ("a.csv", "prediction_id,class\n,bed\n", SINGLE, ":2: neither prediction_id nor input_id"),
        ("a.csv", "prediction_id,value\n01/0,3.5\n02/0,high\n", NUMBER, ":3: value is 'high'"),
        ("a.csv", "prediction_id,class,at\n01,bed,noon\n", SINGLE, ":2: at is 'noon'"),
        ("a.csv", "prediction_id,true:bed\n01,1\n", MULTI, ":2: there is no column true:sofa"),
        ("a.csv", "prediction_id,true:bed,true:sofa\n01,1,\n", MULTI, ":2: true:sofa is ''"),
        ("a.csv", "prediction_id,boxes\n01,[{\n", DETECTION, ":2: boxes is no JSON"),
        ("a.csv", "prediction_id,class\n01,bed,sofa\n", SINGLE, ":2: more fields than columns"),
        ("a.jsonl", '{"prediction_id": "1", "class": "bed"}\n{', SINGLE, ":2: not JSON"),
        ("a.jsonl", "[]", SINGLE, ":1: no JSON object"),
        ("a.zip", "PK", SINGLE, "is an archive"),
        ("a.txt", "bed", SINGLE, "no file of labels"),
        ("a.json", "{}", SINGLE, "neither COCO nor"),
    ],
)
def test_faults_of_tables_name_the_line(tmp_path: Path, name: str, content: str, task: str, told: str) -> None:
    assert told in refused(tmp_path / name, content, task).message
