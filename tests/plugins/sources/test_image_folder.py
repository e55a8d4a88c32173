from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from pizzeria.errors import DataError
from pizzeria_plugins.sources import image_folder


@pytest.fixture
def root(tmp_path):
    for room, count in (("kitchen", 3), ("bathroom", 2), ("garage", 1)):
        (tmp_path / room).mkdir()
        for i in range(count):
            Image.new("RGB", (40, 30), (i * 50, 0, 0)).save(tmp_path / room / f"{i}.JPG", "JPEG")
    (tmp_path / "kitchen/notes.txt").write_text("not a photo")
    (tmp_path / "labels.csv").write_text(
        "file,labels\nkitchen/0.JPG,stove; sink\nkitchen/1.JPG,sink\nkitchen/2.JPG,sauna\nbathroom/0.JPG,\n"
    )
    return tmp_path


def _collect(root, problem, progress, **options):
    return image_folder.collect(image_folder.Options(root=root, **options), problem, root, progress)


def test_one_folder_for_each_class(root, problem_of, progress):
    tables = _collect(root, problem_of("image_classification", "kitchen", "bathroom"), progress)
    assert list(tables.images["label"]) == ["kitchen"] * 3 + ["bathroom"] * 2
    assert list(tables.images["image_id"][:2]) == ["kitchen/0.JPG", "kitchen/1.JPG"]
    assert tables.images["readable"].all()
    assert (tables.images["width"] == 40).all()
    assert progress.lines == ["left out 1 folders of no class: garage"]


def test_limit_per_class(root, problem_of, progress):
    tables = _collect(root, problem_of("image_classification", "kitchen", "bathroom"), progress, limit_per_class=1)
    assert list(tables.images["image_id"]) == ["kitchen/0.JPG", "bathroom/0.JPG"]


def test_labels_from_a_csv(root, problem_of, progress):
    problem = problem_of("multilabel_classification", "sink", "stove")
    images = _collect(root, problem, progress, labels=root / "labels.csv").images
    assert [list(names) for names in images["labels"]] == [["sink", "stove"], ["sink"], [], []]
    assert progress.lines == ["left out 1 labels of classes that problem.classes does not name"]
    images = _collect(root, problem, progress, labels=root / "labels.csv", limit_per_class=1).images
    assert list(images["image_id"]) == ["kitchen/0.JPG", "kitchen/2.JPG"]


def test_faults_are_named(root, problem_of, progress):
    rooms = problem_of("image_classification", "kitchen", "bathrom")
    with pytest.raises(DataError, match="no class folder 'bathrom'") as caught:
        _collect(root, rooms, progress)
    assert "did you mean 'bathroom'" in caught.value.hint
    with pytest.raises(DataError, match="is not a folder"):
        _collect(root / "nowhere", rooms, progress)
    with pytest.raises(DataError, match="need a CSV of labels"):
        _collect(root, problem_of("multilabel_classification", "sink"), progress)
    (root / "empty").mkdir()
    with pytest.raises(DataError, match="empty has no photo"):
        _collect(root, problem_of("image_classification", "kitchen", "empty"), progress)
    with pytest.raises(DataError, match=r"labels\.csv:2: kitchen/0\.JPG has 2 labels"):
        _collect(root, problem_of("image_classification", "sink", "stove"), progress, labels=root / "labels.csv")
    (root / "out.csv").write_text("file,labels\n../x.jpg,sink\n")
    with pytest.raises(DataError, match=r"out\.csv:2: file '\.\./x\.jpg' is not a path below"):
        _collect(root, problem_of("multilabel_classification", "sink"), progress, labels=root / "out.csv")


def test_inputs(root):
    assert list(image_folder.inputs(image_folder.Options(root=root))) == [root]
    options = image_folder.Options(root=root, labels=root / "labels.csv")
    assert list(image_folder.inputs(options)) == [root, root / "labels.csv"]


def test_the_real_rooms(problem_of, progress):
    root = Path(__file__).resolve().parents[4] / "shared/data/rooms"
    if not root.exists():
        pytest.skip("../shared/data/rooms is absent: the real photos of rooms are not at hand")
    names = ("bathroom", "kitchen")
    images = _collect(root, problem_of("image_classification", *names), progress, limit_per_class=8).images
    assert len(images) == 16
    assert images["readable"].all()
