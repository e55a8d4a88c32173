from __future__ import annotations

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
    tables = image_folder.collect(image_folder.Options(root=str(root), **options), problem, root, progress)
    tables.account.check(tables.counts())
    if "labels" in tables.images:
        tables.account.check({"labels": sum(map(len, tables.images["labels"]))})
    return tables


def aside(tables):
    return {unit: {why: tally.count for why, tally in of.items()} for unit, of in tables.account.aside.items()}


def test_one_folder_for_each_class(root, problem_of, progress):
    Image.new("RGB", (40, 30)).save(root / "loose.png")
    (root / "bathroom/.hidden.jpg").write_bytes(b"")
    (root / "garage/scan").write_bytes((root / "garage/0.JPG").read_bytes())
    tables = _collect(root, problem_of("image_classification", "kitchen", "bathroom"), progress)
    assert list(tables.images["label"]) == ["bathroom"] * 2 + ["garage"] * 2 + ["kitchen"] * 3
    assert list(tables.images["image_id"][:2]) == ["bathroom/0.JPG", "bathroom/1.JPG"]
    assert aside(tables)["images"] == {
        "a hidden file": 1,
        "beside the class folders, not in one": 1,
        "no photo, by its name and its first bytes": 2,
    }


def test_limit_per_class(root, problem_of, progress):
    tables = _collect(root, problem_of("image_classification", "kitchen", "bathroom"), progress, limit_per_class=1)
    assert list(tables.images["image_id"]) == ["bathroom/0.JPG", "garage/0.JPG", "kitchen/0.JPG"]
    assert aside(tables)["images"]["beyond data.limit_per_class"] == 3


def test_labels_from_a_csv(root, problem_of, progress):
    problem = problem_of("multilabel_classification", "sink", "stove")
    tables = _collect(root, problem, progress, labels=str(root / "labels.csv"))
    assert [list(names) for names in tables.images["labels"]] == [["stove", "sink"], ["sink"], ["sauna"], []]
    assert aside(tables)["images"]["not named in labels.csv"] == 2
    tables = _collect(root, problem, progress, labels="labels.csv", limit_per_class=1)
    assert list(tables.images["image_id"]) == ["kitchen/0.JPG", "kitchen/2.JPG", "bathroom/0.JPG"]
    assert aside(tables)["labels"] == {"of a photo beyond data.limit_per_class": 1}


def test_a_csv_as_spreadsheets_write_it(root, problem_of, progress):
    text = "File;Labels;split\nkitchen\\0.JPG;Spüle|Fenêtre, Bett;train\nbathroom/0.JPG;Spüle;test\n"
    (root / "labels.csv").write_bytes(text.encode("cp1252"))
    tables = _collect(root, problem_of("multilabel_classification", "Spüle"), progress, labels="labels.csv")
    assert [list(names) for names in tables.images["labels"]] == [["Spüle", "Fenêtre", "Bett"], ["Spüle"]]
    assert list(tables.images["split"]) == ["train", "test"]
    assert tables.account.handled["labels"]["read from labels.csv as cp1252"].count == 2
    assert tables.account.handled["images"]["named with backslashes"].count == 1


def test_encodings(root, problem_of, progress):
    for encoding, option in (("utf-16", None), ("utf-8-sig", None), ("shift_jis", None), ("koi8-r", "koi8-r")):
        name = "кровать" if option else "寝室テーブル"
        text = "file,labels\n" + "".join(f"kitchen/{i}.JPG,{name}; {name}2\n" for i in range(3))
        (root / "labels.csv").write_bytes(text.encode(encoding))
        tables = _collect(
            root, problem_of("multilabel_classification", name), progress, labels="labels.csv", encoding=option
        )
        assert list(tables.images["labels"][2]) == [name, f"{name}2"]
    with pytest.raises(DataError, match=r"labels\.csv cannot be read as ascii"):
        _collect(root, problem_of("multilabel_classification", name), progress, labels="labels.csv", encoding="ascii")


def test_a_photo_on_several_lines_has_all_their_labels(root, problem_of, progress):
    (root / "labels.csv").write_text("file,label\nkitchen/0.JPG,sink\nkitchen/0.JPG,stove\nbathroom/gone.JPG,sink\n")
    tables = _collect(root, problem_of("multilabel_classification", "sink"), progress, labels="labels.csv")
    assert [list(names) for names in tables.images["labels"]] == [["sink", "stove"], ["sink"]]
    assert next(iter(tables.account.handled["images"].values())).count == 1
    with pytest.raises(DataError, match=r"labels\.csv:3: kitchen/0\.JPG stands twice, as sink and stove"):
        _collect(root, problem_of("image_classification", "sink", "stove"), progress, labels="labels.csv")


def test_faults_are_named(root, problem_of, progress):
    rooms = problem_of("image_classification", "kitchen", "bathroom")
    with pytest.raises(DataError, match="is not a folder"):
        _collect(root / "nowhere", rooms, progress)
    with pytest.raises(DataError, match="need a CSV of labels"):
        _collect(root, problem_of("multilabel_classification", "sink"), progress)
    (root / "empty").mkdir()
    with pytest.raises(DataError, match="empty has no photo"):
        _collect(root / "empty", rooms, progress)
    with pytest.raises(DataError, match=r"labels\.csv:2: kitchen/0\.JPG has 2 labels"):
        _collect(root, problem_of("image_classification", "sink", "stove"), progress, labels=str(root / "labels.csv"))
    (root / "more.csv").write_text("file,labels\nkitchen/0.JPG,sink,stove\n")
    with pytest.raises(DataError, match=r"more\.csv:2: has another number of cells"):
        _collect(root, problem_of("multilabel_classification", "sink"), progress, labels="more.csv")
    (root / "out.csv").write_text("file,labels\n../x.jpg,sink\n")
    with pytest.raises(DataError, match=r"out\.csv:2: file '\.\./x\.jpg' is not a path below"):
        _collect(root, problem_of("multilabel_classification", "sink"), progress, labels=str(root / "out.csv"))


def test_inputs(root):
    assert list(image_folder.inputs(image_folder.Options(root=str(root)))) == [root]
    inside = image_folder.Options(root=str(root / "kitchen"), labels=str(root / "labels.csv"))
    assert list(image_folder.inputs(inside)) == [root / "kitchen", root / "labels.csv"]
    assert list(image_folder.inputs(image_folder.Options(root=str(root), labels="labels.csv"))) == [root]


def test_the_real_rooms(problem_of, progress, shared_data):
    problem = problem_of("image_classification", "bathroom", "kitchen")
    options = image_folder.Options(root=str(shared_data / "rooms"), limit_per_class=8)
    tables = image_folder.collect(options, problem, shared_data, progress)
    assert len(tables.images) == 48
    tables.account.check(tables.counts())
