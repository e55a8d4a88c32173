"""Hostile data through the whole of intake: each kind handled as a person expects, and counted."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from pizzeria.errors import DataError
from pizzeria.inference.photos import decode
from pizzeria.intake.collection import facts
from pizzeria.intake.photos import COLUMNS
from pizzeria.progress import PlainProgress

from .conftest import aside, gather, handled, problem, sources, write_coco
from .hostile import BLUE_BOX, BROKEN, GREEN_BOX, SIZE, USED, picture

BOTH = problem("object_detection", "blue", "green")


def box(photo: str, name: str, corners: tuple[float, ...]) -> tuple[object, ...]:
    x0, y0, x1, y1 = corners
    return (photo, name, x0, y0, x1 - x0, y1 - y0)


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All hostile photos, each with a blue and a green block that are boxed as a person sees them."""
    root = tmp_path_factory.mktemp("hostile")
    photos = {name: data for name, (data, _) in (USED | BROKEN).items()}
    boxes = [box(name, what, where) for name in photos for what, where in (("blue", BLUE_BOX), ("green", GREEN_BOX))]
    write_coco(root, photos, boxes)
    return root


def test_hostile_photos_are_used_or_set_aside_and_every_one_is_counted(hostile: Path, tmp_path: Path) -> None:
    data = sources({"use": "coco", "root": str(hostile)}, repair={"unreadable": "set_aside"})
    tables = gather(data, BOTH, tmp_path / "out")
    account = tables.account
    assert account.read == {"images": len(USED) + len(BROKEN), "boxes": 2 * (len(USED) + len(BROKEN))}
    assert account.used("images") == len(tables.images) == len(USED)
    assert aside(account, "boxes") == {"of a photo that is not readable": 2 * len(BROKEN)}
    assert sum(aside(account, "images").values()) == len(BROKEN)
    assert aside(account, "images")["not readable: cannot be decoded"] == 5
    assert aside(account, "images")["not readable: is empty (0 bytes)"] == 1
    wanted: dict[str, int] = {}
    for _, done in USED.values():
        for what in done:
            wanted[what] = wanted.get(what, 0) + 1
    assert {what: count for what, count in handled(account, "images").items() if what in wanted} == wanted
    assert set(COLUMNS) <= set(tables.images.columns)
    assert set(zip(tables.images["width"], tables.images["height"], strict=True)) == {SIZE}
    assert facts(tables)["set_aside"] == {"images": len(BROKEN), "boxes": 2 * len(BROKEN)}


def test_boxes_lie_on_what_they_are_of_whatever_the_file_was(hostile: Path, tmp_path: Path) -> None:
    data = sources({"use": "coco", "root": str(hostile)}, repair={"unreadable": "set_aside"})
    tables = gather(data, BOTH, tmp_path / "out")
    paths = dict(zip(tables.images["image_id"], tables.images["path"], strict=True))
    channel = {"blue": 2, "green": 1}
    for row in tables.boxes.itertuples():
        pixels = np.asarray(decode(Path(paths[row.image_id]).read_bytes(), max_megapixels=1).image).astype(int)
        inside = pixels[int(row.y_min) : int(row.y_max), int(row.x_min) : int(row.x_max)].mean(axis=(0, 1))
        assert inside.argmax() == channel[row.class_name], row
    assert {Path(path).suffix for path in paths.values()} == {".jpg", ".png", ".webp"}


def test_unreadable_photos_stay_to_be_refused_by_name(
    hostile: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tables = gather(sources({"use": "coco", "root": str(hostile)}), BOTH, tmp_path / "out", PlainProgress())
    said = capsys.readouterr().err
    assert all(f"not readable: {hostile / name} {problem}" in said for name, (_, problem) in BROKEN.items())
    bad = tables.images[~tables.images["readable"]].set_index("image_id")
    assert {name: bad.at[name, "problem"].startswith(BROKEN[name][1]) for name in bad.index} == dict.fromkeys(
        BROKEN, True
    )
    assert bad["phash"].isna().all()
    assert not aside(tables.account, "images")


def test_boxes_that_cannot_be_used(tmp_path: Path) -> None:
    photos = {"a.png": USED["plain.png"][0], "b.png": USED["palette.png"][0]}
    boxes = [
        ("a.png", "bed", 1, 1, 10, 10),
        ("a.png", "bed", 1, 1, 10, 10),  # twice
        ("a.png", "tv", 1, 1, 10, 10),  # another class: no duplicate
        ("a.png", "bed", 40, 20, 30, 30),  # reaches out
        ("a.png", "bed", 60, 60, 9, 9),  # lies outside
        ("a.png", "bed", 5, 5, 0.4, 9),  # a line
        ("a.png", "bed", 20, 20, -9, 9),  # corners exchanged
        ("a.png", "bed", 0, 0, 48.7, 32.6),  # rounded: no fault
        ("a.png", "dog", 1, 1, 9, 9),  # no class of the problem
    ]
    write_coco(tmp_path / "data", photos, boxes)
    source = {"use": "coco", "root": str(tmp_path / "data")}
    of = problem("object_detection", "bed", "tv")
    left = gather(sources(source), of, tmp_path / "refuse")
    assert len(left.boxes) == 8
    mended = {"outside": "clip", "degenerate": "set_aside", "duplicates": "set_aside"}
    tables = gather(sources(source, repair=mended), of, tmp_path / "mend")
    assert aside(tables.account, "boxes") == {
        "of class dog, which problem.classes does not name": 1,
        "less than a pixel wide or high": 3,
        "standing twice: same photo, class and corners": 1,
    }
    assert handled(tables.account, "boxes") == {"reaching out of the photo, cut off at its border": 2}
    assert handled(tables.account, "images") == {"of a palette, made RGB": 1, "without a box": 1}
    assert tables.boxes[["x_max", "y_max"]].max().tolist() == [48, 32]
    gone = gather(sources(source, repair={"outside": "set_aside"}), of, tmp_path / "gone")
    assert aside(gone.account, "boxes")["reaching out of the photo"] == 2
    assert list(gone.account.aside["boxes"]["reaching out of the photo"].examples) == ["3", "4"]


def test_labels_of_other_classes_and_of_no_class(tmp_path: Path) -> None:
    root = tmp_path / "data"
    root.mkdir()
    for name in ("a", "b", "c", "d"):
        picture().rotate(90 * ord(name)).save(root / f"{name}.png")
    (root / "labels.csv").write_text("file,labels\na.png,couch; settee; tv\nb.png,dog\nc.png,\nd.png,bed\n")
    merged = {"couch": "sofa", "settee": "sofa", "tv": None}
    source = {"use": "image_folder", "root": str(root), "labels": "labels.csv", "class_map": merged}
    tables = gather(sources(source), problem("multilabel_classification", "bed", "sofa"), tmp_path / "out")
    assert [list(names) for names in tables.images["labels"]] == [["sofa"], [], [], ["bed"]]
    assert aside(tables.account, "labels") == {
        "of class tv, which class_map leaves out": 1,
        "of a class that the photo has already": 1,
        "of class dog, which problem.classes does not name": 1,
    }
    assert handled(tables.account, "images")["without a label"] == 2


def test_photos_of_other_classes_are_set_aside_where_each_has_one(tmp_path: Path) -> None:
    root = tmp_path / "data"
    for number, name in enumerate(("kitchen", "bath", "kitchen", "garage")):
        (root / name).mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (8, 8), (number, 0, 0)).save(root / name / f"{number}.png")
    source = {"use": "image_folder", "root": str(root), "class_map": {"bath": "bathroom"}}
    tables = gather(sources(source), problem("image_classification", "kitchen", "bathroom"), tmp_path / "out")
    assert sorted(tables.images["label"]) == ["bathroom", "kitchen", "kitchen"]
    assert aside(tables.account, "images") == {"of class garage, which problem.classes does not name": 1}
    none = problem("image_classification", "kitchen", "attic")
    with pytest.raises(DataError, match="no class 'attic' in the source 'image_folder'"):
        gather(sources(source), none, tmp_path / "none")
    (root / "kitchen/0.png").write_bytes(b"")
    of = problem("image_classification", "kitchen", "bathroom")
    tables = gather(sources(source, repair={"unreadable": "set_aside"}), of, tmp_path / "2")
    assert aside(tables.account, "images")["not readable: is empty (0 bytes)"] == 1


def test_boxes_make_labels_for_multilabel(tmp_path: Path) -> None:
    photos = {"a.png": USED["plain.png"][0], "b.png": USED["palette.png"][0]}
    boxes = [("a.png", "tv", 1, 1, 9, 9), ("a.png", "bed", 1, 1, 9, 9), ("a.png", "bed", 2, 2, 9, 9)]
    write_coco(tmp_path / "data", photos, boxes)
    source = {"use": "coco", "root": str(tmp_path / "data")}
    tables = gather(sources(source), problem("multilabel_classification", "bed", "tv"), tmp_path / "out")
    assert [list(names) for names in tables.images["labels"]] == [["bed", "tv"], []]
    assert tables.boxes is None
    assert handled(tables.account, "boxes") == {"made labels of their photos": 3}
    assert tables.account.read["labels"] == 2


def test_a_class_map_is_held_to_what_the_source_has(tmp_path: Path) -> None:
    write_coco(tmp_path / "data", {"a.png": USED["plain.png"][0]}, [("a.png", "couch", 1, 1, 9, 9)], classes=["lamp"])
    source = {"use": "coco", "root": str(tmp_path / "data"), "class_map": {"coach": "sofa"}}
    with pytest.raises(DataError, match="no class 'coach' in the source 'coco', which data") as caught:
        gather(sources(source), problem("object_detection", "sofa"), tmp_path / "out")
    assert "did you mean 'couch' for 'coach'?" in caught.value.hint
    source["class_map"] = {"couch": "sofa"}
    with pytest.raises(DataError, match="no class 'sofaa' in the source 'coco'") as caught:
        gather(sources(source), problem("object_detection", "sofaa", "lamp"), tmp_path / "out2")
    assert "there are: sofa, lamp" in caught.value.hint
    # a class that the data know, but have nothing of, is for the checks to judge
    assert len(gather(sources(source), problem("object_detection", "sofa", "lamp"), tmp_path / "out3").boxes) == 1


def test_the_same_content_under_two_names_is_counted_and_the_same_file_under_two_ids_refused(tmp_path: Path) -> None:
    data = USED["plain.png"][0]
    write_coco(tmp_path / "data", {"a.png": data, "b.png": data}, [("a.png", "bed", 1, 1, 9, 9)])
    source = {"use": "coco", "root": str(tmp_path / "data")}
    tables = gather(sources(source), problem("object_detection", "bed"), tmp_path / "out")
    assert tables.account.handled["images"]["of the same content as another"].examples == ["b.png and a.png"]
    text = (tmp_path / "data/annotations.json").read_text()
    (tmp_path / "data/annotations.json").write_text(text.replace('"file_name": "b.png"', '"file_name": "a.png"'))
    with pytest.raises(DataError, match=r"'a.png', 'b.png' are the same file, .*a\.png"):
        gather(sources(source), problem("object_detection", "bed"), tmp_path / "out2")


def test_links_to_one_content_are_photos_of_the_same_content(tmp_path: Path) -> None:
    (tmp_path / "blob").write_bytes(USED["plain.png"][0])
    for name in ("bath", "kitchen"):
        (tmp_path / "data" / name).mkdir(parents=True)
        (tmp_path / "data" / name / "1.png").symlink_to(tmp_path / "blob")
    source = {"use": "image_folder", "root": str(tmp_path / "data")}
    tables = gather(sources(source), problem("image_classification", "bath", "kitchen"), tmp_path / "out")
    assert handled(tables.account, "images") == {"of the same content as another": 1}


def test_boxes_that_share_an_id_are_told_apart(tmp_path: Path) -> None:
    write_coco(
        tmp_path / "data",
        {"a.png": USED["plain.png"][0]},
        [("a.png", "bed", 1, 1, 9, 9), ("a.png", "bed", 9, 9, 9, 9), ("a.png", "bed", 5, 5, 9, 9)],
    )
    file = tmp_path / "data/annotations.json"
    file.write_text(file.read_text().replace('"annotations": [{"id": 0', '"annotations": [{"id": 1'))
    source = {"use": "coco", "root": str(tmp_path / "data")}
    tables = gather(sources(source), problem("object_detection", "bed"), tmp_path / "out")
    assert list(tables.boxes["box_id"]) == ["1", "1-2", "2"]
    assert handled(tables.account, "boxes") == {"with the id of another box, which got one of its own": 1}


def test_columns_of_a_source_do_not_hide_what_was_seen(tmp_path: Path) -> None:
    write_coco(
        tmp_path / "data",
        {"a.png": USED["plain.png"][0]},
        [("a.png", "bed", 1, 1, 9, 9)],
        **{"a.png": {"format": "raw"}},
    )
    tables = gather(
        sources({"use": "coco", "root": str(tmp_path / "data")}), problem("object_detection", "bed"), tmp_path / "out"
    )
    assert (tables.images["format"][0], tables.images["own_format"][0]) == ("PNG", "raw")


FORGETFUL = """
import pandas as pd
from pizzeria.account import Account
from pizzeria.spec.section import Options as PluginOptions
from pizzeria.tables import Tables

TASKS = frozenset({"tabular_regression"})


class Options(PluginOptions):
    pass


def inputs(options):
    return ()


def collect(options, problem, folder, progress):
    return Tables(rows=pd.DataFrame({"row_id": ["0", "1"], "price": [1.0, 2.0]}), account=Account(ACCOUNT))
"""


@pytest.mark.parametrize(("said", "read"), [("{'rows': 3}", 3), ("", 0)])
def test_a_source_that_forgets_something_is_named(working_folder: Path, said: str, read: int) -> None:
    folder = working_folder / "plugins" / "sources"
    folder.mkdir(parents=True)
    name = f"forgets_{read}"
    (folder / f"{name}.py").write_text(FORGETFUL.replace("ACCOUNT", said))
    message = f"the source '{name}': the account of the rows does not balance: {read} read, 0 set aside, but 2 used"
    with pytest.raises(DataError, match=message):
        gather(sources({"use": name}), problem("tabular_regression", target="price"), working_folder / "out")


CORNER = st.sampled_from([-5.0, 0.0, 3.5, 20.0, 47.0, 60.0])
EXTENT = st.sampled_from([-4.0, 0.0, 0.5, 6.0, 30.0])
NAMES = st.sampled_from(["bed", "couch", "settee", "tv", "dog"])


@given(
    photos=st.lists(st.sampled_from([*USED, *BROKEN]), min_size=1, max_size=5, unique=True),
    boxes=st.lists(st.tuples(st.integers(0, 4), NAMES, CORNER, CORNER, EXTENT, EXTENT), max_size=12),
    repair=st.fixed_dictionaries(
        {
            "unreadable": st.sampled_from(["refuse", "set_aside"]),
            "outside": st.sampled_from(["refuse", "clip", "set_aside"]),
            "degenerate": st.sampled_from(["refuse", "set_aside"]),
            "duplicates": st.sampled_from(["refuse", "set_aside"]),
        }
    ),
    limits=st.lists(st.none() | st.integers(1, 4), min_size=1, max_size=2),
    task=st.sampled_from(["object_detection", "multilabel_classification"]),
)
@settings(max_examples=25)
def test_any_mixture_balances(tmp_path_factory, photos, boxes, repair, limits, task) -> None:
    folder = tmp_path_factory.mktemp("mixture")
    content = {name: (USED | BROKEN)[name][0] for name in photos}
    placed = [(photos[i % len(photos)], *rest) for i, *rest in boxes]
    write_coco(folder / "data", content, placed, classes=["bed", "couch", "settee", "tv", "dog"])
    class_map = {"couch": "sofa", "settee": "sofa", "tv": None}
    one = {"use": "coco", "root": str(folder / "data"), "class_map": class_map}
    of = problem(task, "bed", "sofa")
    try:
        # It holds the account against the tables; the same data come once or twice, perhaps not all of them.
        tables = gather(sources(*[one | {"limit": limit} for limit in limits], repair=repair), of, folder / "out")
    except DataError as error:
        if " brought no" in error.message:  # all that there was, was set aside
            return
        raise
    account = tables.account
    assert account.read == account.read | {"images": len(limits) * len(photos), "boxes": len(limits) * len(boxes)}
    assert account.read["images"] == len(tables.images) + account.of_aside("images")
    assert tables.images["image_id"].is_unique
    if task == "object_detection":
        assert account.used("boxes") == len(tables.boxes)
        assert set(tables.boxes["class_name"]) <= {"bed", "sofa"}
    else:
        assert account.used("labels") == sum(map(len, tables.images["labels"]))
