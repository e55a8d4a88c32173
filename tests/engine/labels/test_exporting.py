"""Suggestions go out and come back corrected, and labelled photos are data that a source reads."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from pizzeria.conformance.asking import Quiet
from pizzeria.errors import DataError
from pizzeria.labels import add, export, queue, suggest
from pizzeria.spec.problem import Problem
from pizzeria_plugins.sources import coco, image_folder, table

from .conftest import Kitchen, picture

BOX = {"class": "bed", "x_min": 4.0, "y_min": 6.5, "x_max": 40.0, "y_max": 30.25}


def problem(kitchen: Kitchen) -> Problem:
    return kitchen.served.spec.problem


def label(kitchen: Kitchen, **truths: Any) -> None:
    lines = [json.dumps({"input_id": name.replace("_", "."), **truth}) for name, truth in truths.items()]
    (kitchen.folder / "labels.jsonl").write_text("\n".join(lines))
    add(kitchen.served, kitchen.folder / "labels.jsonl")


def test_label_studio_round_trip(detection: Kitchen) -> None:
    name = detection.photo("a.png", picture(1))
    out = detection.folder / "out"
    queue(detection.served, out, form="label_studio")
    done = suggest(detection.served, out, Quiet(), form="label_studio")
    [task] = json.loads(done.file.read_text())
    [prediction] = task["predictions"]
    assert done.things == len(prediction["result"]) >= 1
    assert prediction["model_version"] == detection.served.bundle.sha256[:12]
    result = next(one for one in prediction["result"] if one["value"]["rectanglelabels"] == ["sofa"])
    assert (result["original_width"], result["original_height"]) == (96, 64)
    # What Label Studio gives back once somebody has moved the box a little: the same, as an annotation.
    result["value"]["x"] += 1
    annotation = {"id": 1, "completed_by": 2, "result": [result], "updated_at": "2026-05-01T12:00:00Z"}
    exported = {**task, "id": 1, "annotations": [annotation], "predictions": []}
    (out / "export.json").write_text(json.dumps([exported]))
    assert add(detection.served, out / "export.json").counts == (1, 0, 0)
    [kept] = detection.served.labels()
    assert kept.key == ("prediction_id", name)
    [box] = kept.says()["boxes"]
    assert box["class"] == "sofa"
    [said] = suggest(detection.served, out, Quiet(), form="coco").file.parent.glob("annotations.json")
    drawn = [one["bbox"] for one in json.loads(said.read_text())["annotations"] if one["category_id"] == 2]
    x, y, width, height = drawn[0]
    corners = [box[key] for key in ("x_min", "y_min", "x_max", "y_max")]
    assert corners == pytest.approx([x + 0.96, y, min(x + 0.96 + width, 96), y + height], abs=0.02)


def test_coco_round_trip(detection: Kitchen) -> None:
    name = detection.photo("a.png", picture(1))
    out = detection.folder / "out"
    queue(detection.served, out, form="coco")
    done = suggest(detection.served, out, Quiet(), form="coco", min_confidence=0.01)
    content = json.loads(done.file.read_text())
    assert done.things == len(content["annotations"]) == 2
    assert set(content["annotations"][0]) >= {"bbox", "area", "segmentation", "iscrowd", "score"}
    content["annotations"] = [one | {"attributes": {"rotation": 0.0}} for one in content["annotations"]]
    for image in content["images"]:  # what CVAT leaves of it
        del image["prediction_id"], image["why"]
    (out / "instances_default.json").write_text(json.dumps(content))
    assert add(detection.served, out / "instances_default.json").counts == (1, 0, 0)
    assert detection.served.labels()[0].key == ("prediction_id", name)
    assert detection.served.predictions()[["true:bed", "true:sofa"]].iloc[0].tolist() == [1, 1]


def test_suggestions_for_classes_and_rows(classification: Kitchen) -> None:
    classification.photo("a.png", picture(1))
    out = classification.folder / "out"
    queue(classification.served, out)
    [task] = json.loads(suggest(classification.served, out, Quiet(), form="label_studio").file.read_text())
    [result] = task["predictions"][0]["result"]
    assert result["type"] == "choices"
    assert len(result["value"]["choices"]) == 1
    with pytest.raises(DataError, match="has no boxes"):
        suggest(classification.served, out, Quiet(), form="coco")
    done = suggest(classification.served, out, Quiet(), form="csv")
    with open(done.file, newline="") as stream:
        [row] = csv.DictReader(stream)
    assert row["class"] == row["says"] == result["value"]["choices"][0]
    assert add(classification.served, done.file).counts == (1, 0, 0)


def test_a_photo_that_cannot_be_answered_is_told(detection: Kitchen) -> None:
    (detection.folder / "photos").mkdir()
    (detection.folder / "photos" / "a.png").write_bytes(picture(1))
    (detection.folder / "photos" / "b.png").write_bytes(picture(1)[:100])
    done = suggest(detection.served, detection.folder / "photos", Quiet(), form="coco")
    assert done.asked == 1
    assert list(done.failed) == ["b.png"]
    (detection.folder / "empty").mkdir()
    with pytest.raises(DataError, match="no photo in"):
        suggest(detection.served, detection.folder / "empty", Quiet(), form="coco")


def test_labelled_photos_are_data_of_the_source_coco(detection: Kitchen) -> None:
    first = detection.photo("a.png", picture(1), "L1")
    detection.photo("b.png", picture(2))
    detection.photo("again.png", picture(1))
    detection.photo("c.png", picture(3))
    detection.photo("unlabelled.png", picture(4))
    label(
        detection,
        a_png={"boxes": [BOX]},
        b_png={"boxes": [], "at": "2026-05-01T12:00:00Z"},
        again_png={"boxes": [BOX | {"x_max": 500}], "at": "2026-05-01T12:00:00Z"},
        c_png={"classes": ["bed"]},
    )
    out = detection.folder / "new"
    done = export(detection.served, out, Quiet())
    assert (done.examples, done.things, done.without_boxes, done.twice) == (2, 1, 1, 1), "the later label of one photo"
    assert done.snippet == f"{{use: coco, root: {out}}}"
    tables = coco.collect(coco.Options(root=out), problem(detection), detection.folder, Quiet())
    assert tables.images is not None
    assert tables.boxes is not None
    assert sorted(Path(path).name for path in tables.images["path"]) == sorted(
        p.name for p in (out / "photos").iterdir()
    )
    corners = tables.boxes[["class_name", "x_min", "y_min", "x_max", "y_max"]].iloc[0].tolist()
    assert corners == list(BOX.values())
    assert (out / "photos" / f"{first}.png").is_file()


def test_a_spec_takes_it_as_a_further_source(detection: Kitchen) -> None:
    from pizzeria.loading import load_resolved

    detection.photo("a.png", picture(1))
    label(detection, a_png={"boxes": [BOX]})
    done = export(detection.served, detection.folder / "new", Quiet())
    spec = detection.store.run("amenities").folder / "spec.yaml"
    text = (
        spec.read_text()
        .partition("\n")[2]
        .replace("data:\n  use: rooms\n", f"data:\n  use: rooms\n  also: [{done.snippet}]\n")
    )
    spec.write_text(text)
    [further] = load_resolved(spec).data.also
    assert further.use == "coco"


def test_labelled_photos_of_a_class_are_data_of_the_image_folder(classification: Kitchen) -> None:
    for i in range(2):
        classification.photo(f"{i}.png", picture(i))
    label(classification, **{"0_png": {"class": "bed"}, "1_png": {"class": "sofa"}})
    out = classification.folder / "new"
    done = export(classification.served, out, Quiet())
    options = image_folder.Options(root=out, labels=out / "labels.csv")
    tables = image_folder.collect(options, problem(classification), classification.folder, Quiet())
    assert tables.images is not None
    assert sorted(tables.images["label"]) == ["bed", "sofa"]
    assert done.snippet == f"{{use: image_folder, root: {out}, labels: {out}/labels.csv}}"


def test_labelled_rows_are_data_of_the_source_table(rows: Kitchen) -> None:
    ids = rows.rows([{"rooms": 1, "beds": 1}, {"rooms": 2, "beds": None}, {"rooms": 3, "beds": 1}])
    (rows.folder / "labels.csv").write_text(f"prediction_id,value\n{ids[0]},150\n{ids[1]},99.5\n")
    add(rows.served, rows.folder / "labels.csv")
    done = export(rows.served, rows.folder / "new", Quiet())
    tables = table.collect(table.Options(path=done.file), problem(rows), rows.folder, Quiet())
    assert tables.rows is not None
    assert tables.rows["price"].tolist() == [150.0, 99.5]
    assert tables.rows["rooms"].tolist() == [1, 2]
    assert tables.rows["row_id"].tolist() == ids[:2]


def test_what_cannot_be_learnt_from_is_said(detection: Kitchen) -> None:
    detection.photo("a.png", picture(1))
    with pytest.raises(DataError, match="no prediction in the log has a label"):
        export(detection.served, detection.folder / "new", Quiet())
    label(detection, a_png={"classes": ["bed"]})
    with pytest.raises(DataError, match="1 name classes alone"):
        export(detection.served, detection.folder / "new", Quiet())


def test_boxes_fit_a_photo_that_was_turned(detection: Kitchen) -> None:
    """Boxes are of the upright photo, whose sides the file has the other way round."""
    image = Image.new("RGB", (90, 60), "white")
    tags = Image.Exif()
    tags[0x0112] = 6
    stream = io.BytesIO()
    image.save(stream, "JPEG", exif=tags)
    detection.photo("a.jpg", stream.getvalue())
    label(detection, a_jpg={"boxes": [BOX | {"y_max": 85.0}]})
    export(detection.served, detection.folder / "new", Quiet())
    content = json.loads((detection.folder / "new" / "annotations.json").read_text())
    assert (content["images"][0]["width"], content["images"][0]["height"]) == (60, 90)
    assert content["annotations"][0]["bbox"] == [4.0, 6.5, 36.0, 78.5]
