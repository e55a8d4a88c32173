"""Labels of files: kept once, joined to their predictions, and refused as a whole where one of them is at fault."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from pizzeria.errors import DataError, NotFoundError
from pizzeria.labels import add, open_served

from .conftest import Kitchen, picture
from .test_reading import CVAT_COCO, CVAT_XML, LABEL_STUDIO


def written(folder: Path, name: str, content: object) -> Path:
    (folder / name).write_text(content if isinstance(content, str) else json.dumps(content))
    return folder / name


def test_a_file_twice_is_once_and_a_change_is_told(classification: Kitchen) -> None:
    one, other = classification.photo("a.png", picture(1)), classification.photo("b.png", picture(2))
    file = written(classification.folder, "labels.csv", f"prediction_id,class\n{one},bed\n{other},sofa\n")
    assert add(classification.served, file).counts == (2, 0, 0)
    assert add(classification.served, file).counts == (0, 0, 2)
    assert len(classification.served.labels()) == 2
    file = written(classification.folder, "labels.csv", f"prediction_id,class\n{one},sofa\n{other},sofa\n")
    assert add(classification.served, file).counts == (0, 1, 1)
    assert classification.served.predictions()["true"].tolist() == ["sofa", "sofa"]
    assert [(label.source, label.at[:2]) for label in classification.served.labels()] == [("labels.csv", "20")] * 3


def test_a_label_may_come_before_its_prediction(classification: Kitchen) -> None:
    file = written(classification.folder, "labels.csv", "input_id,class\nlate.png,sofa\n")
    done = add(classification.served, file)
    assert (done.counts.new, done.unknown) == (1, 1)
    classification.photo("other.png", picture(1))
    assert "true" not in classification.served.predictions()
    classification.photo("late.png", picture(2))
    assert classification.served.predictions()["true"].tolist()[1] == "sofa"
    assert add(classification.served, file).unknown == 0


@pytest.mark.parametrize(
    ("name", "content", "shown"),
    [
        ("export.json", [LABEL_STUDIO], [1, 0]),
        ("instances_default.json", CVAT_COCO, [0, 1]),
        ("annotations.xml", CVAT_XML, [1, 1]),
    ],
)
def test_exports_of_tools_are_joined_by_the_name_of_the_photo(
    detection: Kitchen, name: str, content: object, shown: list[int]
) -> None:
    detection.photo("kitchen.jpg", picture(1))
    file = written(detection.folder, name, content)
    done = add(detection.served, file)
    assert done.counts.new >= 1
    assert detection.served.predictions()[["true:bed", "true:sofa"]].iloc[0].tolist() == shown
    assert add(detection.served, file).counts == (0, 0, sum(done.counts))


def test_photos_without_a_box_are_passed_over_unless_they_are_said_to_show_nothing(detection: Kitchen) -> None:
    detection.photo("hall.jpg", picture(1))
    file = written(detection.folder, "coco.json", CVAT_COCO)
    assert add(detection.served, file).empty == 1
    assert detection.served.predictions().filter(like="true").empty
    done = add(detection.served, file, empty=True)
    assert (done.counts, done.empty) == ((1, 0, 1), 0)
    assert detection.served.predictions()[["true:bed", "true:sofa"]].iloc[0].tolist() == [0, 0]


def test_one_fault_and_nothing_is_added_and_each_is_told_by_its_place(classification: Kitchen) -> None:
    name = classification.photo("a.png", picture(1))
    lines = ["prediction_id,class", f"{name},bed", f"{name},sofas", "7,", *[f"{i},moat" for i in range(20)]]
    file = written(classification.folder, "labels.csv", "\n".join(lines))
    with pytest.raises(DataError) as caught:
        add(classification.served, file)
    assert "21 labels in" in caught.value.message
    assert f"{file}:3: class: there is no class 'sofas' (did you mean sofa?)" in caught.value.message
    assert "and 11 more" in caught.value.message
    assert classification.served.labels() == []


def test_two_lines_that_contradict_each_other_are_a_fault(classification: Kitchen) -> None:
    file = written(classification.folder, "labels.csv", "input_id,class\na,bed\nb,bed\na,sofa\n")
    with pytest.raises(DataError, match=r"csv:4: a has another label than in .*csv:2"):
        add(classification.served, file)
    file = written(classification.folder, "labels.csv", "input_id,class\na,bed\na,bed\n")
    assert add(classification.served, file).counts == (1, 0, 1)


def test_values_of_rows(rows: Kitchen) -> None:
    ids = rows.rows([{"rooms": 1, "beds": 1}, {"rooms": 2, "beds": 1}])
    file = written(rows.folder, "labels.csv", f"prediction_id,value\n{ids[0]},150\n{ids[1]},99.5\n")
    assert add(rows.served, file).counts == (2, 0, 0)
    assert rows.served.predictions()["true"].tolist() == [150.0, 99.5]


def test_input_ids_that_the_log_leaves_out_are_no_names(classification: Kitchen) -> None:
    spec = classification.store.run("amenities").folder / "spec.yaml"
    content = yaml.safe_load(spec.read_text())
    content["serving"]["log"]["redact"] = ["input_id"]
    spec.write_text(yaml.safe_dump(content))
    file = written(classification.folder, "labels.csv", "input_id,class\nAnna.png,bed\n")
    with pytest.raises(DataError, match="the log keeps no input ids"):
        add(classification.served, file)


def test_a_spec_without_a_log_has_nothing_to_label(classification: Kitchen) -> None:
    spec = classification.store.run("amenities").folder / "spec.yaml"
    spec.write_text(yaml.safe_dump(yaml.safe_load(spec.read_text()) | {"serving": {"log": None}}))
    with pytest.raises(NotFoundError, match="keeps no predictions"):
        open_served("amenities", classification.store)
