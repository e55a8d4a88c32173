"""What the sources of photos make of a path: each its own format, and the surest of them the right one."""

from __future__ import annotations

import json

import pytest
from PIL import Image

from pizzeria_plugins.sources import coco, image_folder, open_images, pascal_voc, yolo

SOURCES = {
    "coco": coco,
    "image_folder": image_folder,
    "open_images": open_images,
    "pascal_voc": pascal_voc,
    "yolo": yolo,
}


def surest(path):
    """The surest answer, as `pizzeria init` takes it: the source's name, and what it says."""
    answers = [(name, source.recognise(path)) for name, source in SOURCES.items()]
    found = [(name, answer) for name, answer in answers if answer is not None]
    return max(found, key=lambda one: one[1].certainty) if found else (None, None)


def photos(root, *names):
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (8, 6)).save(root / name)


def coco_json(path, *names, **extra):
    path.parent.mkdir(parents=True, exist_ok=True)
    images = [{"id": i, "file_name": name, **extra} for i, name in enumerate(names)]
    boxes = [{"id": 1, "image_id": 0, "category_id": 1, "bbox": [1, 1, 3, 3]}]
    path.write_text(json.dumps({"images": images, "annotations": boxes, "categories": [{"id": 1, "name": "bed"}]}))


def reads(name, answer, problem_of, progress, folder):
    """What the source brings by the options that it proposed itself."""
    source = SOURCES[name]
    return source.collect(source.Options(**answer.options), problem_of(answer.task, "bed", "tv"), folder, progress)


def test_a_coco_json_and_its_folder(tmp_path, problem_of, progress):
    photos(tmp_path, "photos/1.jpg", "photos/2.jpg")
    coco_json(tmp_path / "annotations.json", "photos/1.jpg", "photos/2.jpg")
    for path in (tmp_path, tmp_path / "annotations.json"):
        name, answer = surest(path)
        assert (name, answer.task, answer.options) == ("coco", "object_detection", {"root": str(tmp_path)})
    assert len(reads(name, answer, problem_of, progress, tmp_path).images) == 2


def test_coco_as_it_is_downloaded(tmp_path, problem_of, progress):
    photos(tmp_path, "train2017/1.jpg", "val2017/2.jpg")
    coco_json(tmp_path / "annotations/instances_val2017.json", "2.jpg")
    coco_json(tmp_path / "annotations/instances_train2017.json", "1.jpg")
    (tmp_path / "annotations/captions.json").write_text('{"images": [], "annotations": [{"caption": "a bed"}]}')
    for path in (tmp_path, tmp_path / "annotations/instances_train2017.json"):
        name, answer = surest(path)
        assert name == "coco"
        assert answer.options == {
            "root": str(tmp_path),
            "annotations": "annotations/instances_train2017.json",
            "photos": "train2017",
        }
        assert len(reads(name, answer, problem_of, progress, tmp_path).images) == 1
    assert "alone (`data.also` joins annotations/instances_val2017.json" in surest(tmp_path)[1].format


def test_listings_of_a_coco_folder(tmp_path):
    photos(tmp_path, "1.jpg")
    coco_json(tmp_path / "annotations.json", "1.jpg", listing_id=4)
    (tmp_path / "declared.csv").write_text("listing_id,declared\n4,bed\n")
    answer = coco.recognise(tmp_path)
    assert answer.options == {"root": str(tmp_path), "listings": "declared.csv"}
    assert answer.split == {"group_by": "listing_id"}


def test_a_folder_for_each_class(tmp_path, problem_of, progress):
    photos(tmp_path, "bed/1.jpg", "bed/2.jpg", "tv/1.jpg")
    name, answer = surest(tmp_path)
    assert (name, answer.task, answer.certainty) == ("image_folder", "image_classification", 0.8)
    assert sorted(reads(name, answer, problem_of, progress, tmp_path).images["label"]) == ["bed", "bed", "tv"]
    photos(tmp_path, "loose.jpg")
    assert surest(tmp_path)[1].certainty == 0.5


def test_folders_of_classes_within_splits(tmp_path):
    photos(tmp_path, "train/bed/1.jpg", "train/tv/1.jpg", "val/bed/1.jpg")
    answer = image_folder.recognise(tmp_path)
    assert (answer.options, answer.certainty) == ({"root": str(tmp_path / "train")}, 0.7)
    assert "in train alone (`data.also` joins val)" in answer.format


@pytest.mark.parametrize(
    ("text", "task", "split"),
    [
        ("file,label\n1.jpg,bed\n2.jpg,tv\n", "image_classification", {}),
        ("file;labels;listing_id\n1.jpg;bed|tv;4\n2.jpg;;5\n", "multilabel_classification", {"group_by": "listing_id"}),
        ("path\tclass\tsplit\n1.jpg\tbed\ttrain\n1.jpg\ttv\ttrain\n", "multilabel_classification", {"column": "split"}),
    ],
)
def test_photos_with_a_csv(tmp_path, problem_of, progress, text, task, split):
    photos(tmp_path, "photos/1.jpg", "photos/2.jpg")
    (tmp_path / "photos.csv").write_text(text)
    for path in (tmp_path, tmp_path / "photos.csv"):
        name, answer = surest(path)
        assert (name, answer.task, answer.split) == ("image_folder", task, split)
        assert answer.options == {"root": str(tmp_path / "photos"), "labels": str(tmp_path / "photos.csv")}
    assert len(reads(name, answer, problem_of, progress, tmp_path).images) >= 1


def test_photos_and_nothing_else_have_no_task(tmp_path):
    photos(tmp_path, "1.jpg", "more/2.jpg")
    name, answer = surest(tmp_path)
    assert (name, answer.task, answer.certainty) == ("image_folder", None, 0.1)
    assert answer.format == "photos without labels"


def test_yolo(tmp_path):
    photos(tmp_path, "images/train/1.jpg", "images/val/2.jpg")
    (tmp_path / "labels/train").mkdir(parents=True)
    (tmp_path / "labels/train/1.txt").write_text("0 0.5 0.5 0.2 0.2\n")
    name, answer = surest(tmp_path)
    assert (name, answer.certainty, answer.split) == ("yolo", 0.7, {"column": "split"})
    (tmp_path / "classes.txt").write_text("bed\n")
    assert surest(tmp_path)[1].certainty == 0.9
    (tmp_path / "beds.yaml").write_text("train: images/train\nval: images/val\nnames: [bed]\n")
    for path in (tmp_path, tmp_path / "beds.yaml"):
        name, answer = surest(path)
        assert (name, answer.options) == ("yolo", {"root": str(tmp_path), "data": "beds.yaml"})


def test_pascal_voc(tmp_path):
    photos(tmp_path, "VOC2007/JPEGImages/1.jpg", "VOC2007/SegmentationClass/1.png")
    (tmp_path / "VOC2007/Annotations").mkdir()
    (tmp_path / "VOC2007/Annotations/1.xml").write_text("<annotation></annotation>")
    (tmp_path / "VOC2007/ImageSets/Main").mkdir(parents=True)
    for path in (tmp_path, tmp_path / "VOC2007"):
        name, answer = surest(path)
        assert (name, answer.options) == ("pascal_voc", {"root": str(tmp_path / "VOC2007")})
        assert (answer.certainty, answer.split) == (0.95, {"column": "split"})


def test_open_images(tmp_path):
    photos(tmp_path, "a/1.jpg", "b/2.jpg")
    (tmp_path / "labels.csv").write_text("ImageID,Source,LabelName,Confidence\n1,verification,/m/1,1\n")
    name, answer = surest(tmp_path)
    assert (name, answer.task) == ("open_images", "multilabel_classification")
    (tmp_path / "boxes.csv").write_text("ImageID,LabelName,XMin,XMax,YMin,YMax\n1,/m/1,0,1,0,1\n")
    name, answer = surest(tmp_path)
    assert (name, answer.task, answer.options) == ("open_images", "object_detection", {"root": str(tmp_path)})


def test_nothing_is_raised_for_what_nobody_knows(tmp_path):
    (tmp_path / "a.json").write_text('{"images": [')
    (tmp_path / "b.json").write_bytes(b'\xff{"images": [{"file_name": "\\ud800"}], "categories": [')
    (tmp_path / "c.json").write_text('{"images": [{"file_name": "../../etc/passwd"}], "categories": []}')
    (tmp_path / "d.csv").write_bytes(b"file,label\n\xff\xfe\0,x\n")
    (tmp_path / "e.csv").write_text('file,label\n"1.jpg')
    (tmp_path / "f.yaml").write_text("names: [\ntrain: x\n")
    (tmp_path / "g.xml").write_text("<annotation")
    (tmp_path / "h.txt").write_text("\n")
    (tmp_path / "loop").symlink_to(tmp_path)
    for path in (tmp_path, *tmp_path.iterdir(), tmp_path / "nowhere"):
        for name, source in SOURCES.items():
            answer = source.recognise(path)
            known = (("yolo", "f.yaml"), ("coco", "c.json"), ("coco", tmp_path.name), ("coco", "loop"))
            assert answer is None or (name, path.name) in known


def test_the_real_listings_and_rooms(shared_data):
    assert surest(shared_data / "listings")[0] == "coco"
    assert surest(shared_data / "listings/annotations.json")[1].options["listings"] == "listings.csv"
    assert surest(shared_data / "rooms")[1].task == "image_classification"
