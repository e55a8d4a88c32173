from __future__ import annotations

from typing import ClassVar

import pytest
from PIL import Image

from pizzeria.conformance.sources import SourceSuite
from pizzeria.errors import DataError
from pizzeria_plugins.sources import yolo
from pizzeria_plugins.sources.yolo_yaml import read_yolo_yaml


def photo(path, size=(40, 30), orientation=1):
    path.parent.mkdir(parents=True, exist_ok=True)
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.new("RGB", size, (90, 40, 40)).save(path, exif=exif)


def write(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


class TestSuite(SourceSuite):
    plugin = yolo
    task = "object_detection"
    options: ClassVar = {"root": "data"}

    @classmethod
    def bring(cls, folder):
        photo(folder / "images/train/1.jpg")
        write(folder / "labels/train/1.txt", "0 0.5 0.5 0.5 0.5\n")
        write(folder / "data.yaml", "train: images/train\nnames: [bed]\n")
        return {"root": str(folder)}


@pytest.fixture
def root(tmp_path):
    """Four photos in Ultralytics' layout: labelled, background, unlabelled, and one of the validation split."""
    for name in ("train/1", "train/2", "train/3", "val/4"):
        photo(tmp_path / f"images/{name}.jpg")
    write(tmp_path / "labels/train/1.txt", "0 0.5 0.5 0.5 0.2\n\n1 0.25 0.5 0.1 0.2\n")
    write(tmp_path / "labels/train/2.txt", "")
    write(tmp_path / "labels/val/4.txt", "1 0.1 0.1 0.3 0.5 0.1 0.4\n")
    write(tmp_path / "data.yaml", "train: images/train\nval: images/val\ntest:\nnc: 2\nnames: [bed, no]\n")
    return tmp_path


@pytest.fixture
def collect(root, problem_of, progress):
    def go(**options):
        tables = yolo.collect(
            yolo.Options(**{"root": root, **options}), problem_of("object_detection", "bed"), root, progress
        )
        tables.account.check(tables.counts())
        return tables

    return go


def corners(tables):
    return tables.boxes[["x_min", "y_min", "x_max", "y_max"]].round(6).to_numpy().tolist()


def test_shares_become_pixels(collect):
    tables = collect()
    assert list(tables.images["image_id"]) == [f"images/{n}.jpg" for n in ("train/1", "train/2", "train/3", "val/4")]
    assert list(tables.images["split"]) == ["train"] * 3 + ["validation"]
    assert corners(tables) == [[10, 12, 30, 18], [8, 12, 12, 18], [4, 3, 12, 15]]
    assert list(tables.boxes["class_name"]) == ["bed", "no", "no"]
    assert list(tables.boxes["box_id"])[1] == "images/train/1.jpg#3"
    assert tables.classes == ("bed", "no")
    account = tables.account
    assert account.handled["images"]["without a label file: taken to show nothing"].examples == ["images/train/3.jpg"]
    assert account.handled["boxes"]["polygons became the boxes around them"].examples == ["labels/val/4.txt:1"]
    assert (account.read, account.aside) == ({"images": 4, "boxes": 3}, {})


def test_shares_are_of_the_upright_photo(root, collect):
    photo(root / "images/train/1.jpg", (40, 30), orientation=6)
    assert corners(collect())[0] == [7.5, 16, 22.5, 24]


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        ("2 0.5 0.5 0.5 0.2", "class 2 has no name"),
        ("-1 0.5 0.5 0.5 0.2", "-1 is no class number"),
        ("0.5 0.5 0.5 0.5 0.2", "0.5 is no class number"),
        ("0 0.5 0.5 0.5", "4 values; a box has 5"),
        ("0 0.5 0.5 0.5 0.5 0.9", "6 values; a box has 5"),
        ("0 0.5 nan 0.5 0.5", "'nan' is not a number"),
        ("0 0.5 1e400 0.5 0.5", "'1e400' is not a number"),
        ("bed 0.5 0.5 0.5 0.5", "'bed' is not a number"),
        ("0 120 80 40 30", "120 is no share"),
    ],
)
def test_a_faulty_line_is_refused_or_set_aside(root, collect, line, fault):
    write(root / "labels/train/1.txt", f"0 0.5 0.5 0.5 0.2\n{line}\n")
    with pytest.raises(DataError, match=r"labels/train/1\.txt:2: ") as caught:
        collect()
    assert fault in caught.value.message
    tables = collect(faulty_lines="set_aside")
    assert len(tables.boxes) == 2
    (example,) = tables.account.aside["boxes"]["on lines that are no box"].examples
    assert example.startswith(f"labels/train/1.txt:2: {fault}")


def test_labels_without_a_photo_are_counted(root, collect):
    write(root / "labels/train/9.txt", "0 0.5 0.5 0.5 0.2\n0 0.5 0.5 0.5 0.3\n")
    assert collect().account.aside["boxes"]["of photos that are not there"].count == 2


def test_what_file_managers_and_notebooks_leave_is_passed_over(root, collect):
    photo(root / "images/train/._1.jpg")
    (root / "labels/train/._1.txt").write_bytes(b"\0\x05\x16\x07\0Mac OS X")
    write(root / "labels/.ipynb_checkpoints/1.txt", "no numbers")
    tables = collect()
    assert len(tables.images) == 4
    assert tables.account.aside["images"]["a hidden file"].examples == ["images/train/._1.jpg"]


def test_photos_in_no_split_and_beyond_the_limit_are_counted(root, collect):
    photo(root / "images/spare/5.jpg")
    aside = collect(limit=2).account.aside["images"]
    assert {reason: tally.count for reason, tally in aside.items()} == {
        "in no split of data.yaml": 1,
        "beyond data.limit": 2,
    }


def test_lists_of_photos(root, collect):
    write(root / "lists/train.txt", "./../images/train/1.jpg\nimages/train/2.jpg\nimages\\train\\gone.jpg\n\n")
    write(root / "lists/test.txt", "images/val/4.jpg\nimages/val/4.jpg\n")
    write(root / "data.yaml", "path: .\ntrain: [lists/train.txt]\ntest: lists/test.txt\nnames: {0: bed, 1: tv}\n")
    tables = collect()
    assert dict(zip(tables.images["image_id"], tables.images["split"], strict=True)) == {
        "images/train/1.jpg": "train",
        "images/train/2.jpg": "train",
        "images/train/gone.jpg": "train",
        "images/val/4.jpg": "test",
    }
    assert tables.account.aside["images"]["listed twice for test"].count == 1
    for line, message in (
        ("/etc/passwd.jpg", "leads out of data.root"),
        ("../../../1.jpg", "leads out of data.root"),
        ("notes.md", "is no photo"),
    ):
        write(root / "lists/train.txt", f"images/train/1.jpg\n{line}\n")
        with pytest.raises(DataError, match=r"train\.txt:2: .* " + message):
            collect()


def test_paths_of_other_machines(root, collect):
    write(root / "data.yaml", "path: ../datasets/beds\ntrain: ../images/train\nval: ../images/val\nnames: [bed, tv]\n")
    assert len(collect().images) == 4
    write(root / "data.yaml", "train: /etc\nnames: [bed, tv]\n")
    with pytest.raises(DataError, match=r"data\.yaml:1: /etc leads out of data\.root"):
        collect()
    write(root / "data.yaml", "names: [bed, tv]\ntrain: photos\n")
    with pytest.raises(DataError, match=r"data\.yaml:2: photos is not there"):
        collect()


def test_one_photo_has_one_split(root, collect):
    write(root / "data.yaml", "train: images/train\nval: images/train\nnames: [bed, tv]\n")
    tables = collect()
    assert list(tables.images["split"]) == ["train"] * 3
    assert tables.account.handled["images"]["of train and validation alike: taken for train"].count == 3
    write(root / "data.yaml", "train: images\nval: images/val\nnames: [bed, tv]\n")
    with pytest.raises(DataError, match=r"images/val/4\.jpg belongs to train and to validation"):
        collect()


def test_the_layout_of_roboflow_and_poses(tmp_path, problem_of, progress):
    for split in ("train", "valid", "test"):
        photo(tmp_path / f"{split}/images/{split}.jpg")
        write(tmp_path / f"{split}/labels/{split}.txt", "0 0.5 0.5 0.5 0.2 0.1 0.1 2\n")
    write(
        tmp_path / "data.yaml",
        "train: ../train/images\nval: ../valid/images\ntest: ../test/images\nkpt_shape: [1, 3]\nnames: [person]\n",
    )
    found = yolo.recognise(tmp_path)
    tables = yolo.collect(yolo.Options(**found.options), problem_of("object_detection", "person"), tmp_path, progress)
    assert list(tables.images["split"]) == ["test", "train", "validation"]
    assert corners(tables) == [[10, 12, 30, 18]] * 3
    assert tables.account.handled["boxes"]["keypoints were left out"].count == 3


def test_without_a_yaml(root, collect):
    (root / "data.yaml").unlink()
    photo(root / "preview.png")
    photo(root / "images/other.png")
    with pytest.raises(DataError, match="does not say what its classes are called"):
        collect()
    assert list(collect(names=("bed", "sofa")).boxes["class_name"]) == ["bed", "sofa", "sofa"]
    write(root / "labels/classes.txt", "bed\ntv\n\n")
    tables = collect()
    assert list(tables.boxes["class_name"]) == ["bed", "tv", "tv"]
    assert list(tables.images["split"]) == ["train"] * 3 + ["validation"]
    assert set(tables.account.aside["images"]) == {
        "in no folder called images, where others are",
        "in no folder of a split, where others are",
    }
    write(root / "labels/classes.txt", "bed\ntv\nbed\n")
    with pytest.raises(DataError, match=r"classes\.txt:3: bed stands twice"):
        collect()


def test_labels_beside_photos(tmp_path, problem_of, progress):
    photo(tmp_path / "obj/1.jpg")
    write(tmp_path / "obj/1.txt", "0 0.5 0.5 1 1\n")
    write(tmp_path / "obj.names", "bed\n")
    found = yolo.recognise(tmp_path)
    assert (found.certainty, found.split) == (0.9, {})
    tables = yolo.collect(yolo.Options(**found.options), problem_of("object_detection", "bed"), tmp_path, progress)
    assert corners(tables) == [[0, 0, 40, 30]]
    assert "split" not in tables.images


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: ]", r"data\.yaml:1: not YAML"),
        ("- a", "is not a data.yaml"),
        ("names: [bed]\nnames: [tv]", r"data\.yaml:2: names stands twice"),
        ("names: [bed, [tv]]", r"data\.yaml:1: names holds a list"),
        ("names:\n  0: bed\n  one: tv", r"data\.yaml:3: names: 'one' is no class number"),
        ("names:\n- bed\n- bed", r"data\.yaml:3: names: 1: bed stands twice"),
        ("names: [bed]\nnc: 3", r"data\.yaml:2: nc is 3, but 1 classes are named"),
        ("names: [bed]\npath: [a, b]", r"data\.yaml:2: path is a list"),
        ("names: [bed]", "names no photos"),
        ("names: [bed]\ntrain: data.yaml", r"data\.yaml:2: data\.yaml is neither a folder nor a \.txt"),
        ("a: " + "[" * 1_000_000, "nested too deeply"),
        ("- " * 100_000, "nested too deeply"),
    ],
)
def test_a_malformed_yaml_is_refused_with_its_line(root, collect, text, message):
    write(root / "data.yaml", text)
    with pytest.raises(DataError, match=message):
        collect()


def test_yaml_is_read_as_it_stands(tmp_path):
    bomb = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
        f"{name}: &{name} [*{before}, *{before}, *{before}, *{before}, *{before}, *{before}, *{before}]\n"
        for before, name in zip("abcdefgh", "bcdefghi", strict=True)
    )
    write(tmp_path / "data.yaml", bomb + "names: {0: no, 2: 012}\ntrain: !!python/name:os.system x\n")
    assert read_yolo_yaml(tmp_path / "data.yaml").names == {0: "no", 2: "012"}


def test_what_is_not_there_is_named(root, collect):
    with pytest.raises(DataError, match="nowhere is not a folder"):
        collect(root=root / "nowhere")
    with pytest.raises(DataError, match=r"data\.yaml is not a folder") as caught:
        collect(root=root / "data.yaml")
    assert "root is the folder of data.yaml" in caught.value.hint
    with pytest.raises(DataError, match=r"none\.yaml cannot be read"):
        collect(data="none.yaml")
