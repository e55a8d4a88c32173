"""What is asked of whom: the unsure, the drifted and the disagreeing first, near-equal photos once, with the reason."""

from __future__ import annotations

import csv
import io
import json
import xml.etree.ElementTree as ET
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from pizzeria.errors import DataError
from pizzeria.inference.bundle import open_bundle
from pizzeria.labels import add, queue
from pizzeria.labels.choosing import choose
from pizzeria.labels.worth import disagreement, drift, unsureness

from .conftest import Kitchen, open_kitchen, picture


def table(folder: Path) -> list[dict[str, str]]:
    with open(folder / "queue.csv", newline="") as stream:
        return list(csv.DictReader(stream))


def plain(brightness: int) -> bytes:
    stream = io.BytesIO()
    Image.new("RGB", (64, 48), (brightness,) * 3).save(stream, "PNG")
    return stream.getvalue()


def test_near_equal_photos_are_asked_once_and_the_photos_are_written(detection: Kitchen) -> None:
    for i in range(6):
        detection.photo(f"{i}.png", picture(i))
    detection.photo("again.png", picture(3))
    detection.photo("smaller.jpg", picture(3, (60, 40), "JPEG"))
    done = queue(detection.served, detection.folder / "out")
    rows = table(detection.folder / "out")
    assert done.asked == len(rows) == done.photos == 6
    assert done.alike == 2
    assert [int(row["rank"]) for row in rows] == list(range(1, len(rows) + 1))
    assert [float(row["worth"]) for row in rows] == sorted((float(row["worth"]) for row in rows), reverse=True)
    for row in rows:
        assert row["why"]
        assert row["classes"] == ""
        assert row["says"] in ("bed;sofa", "sofa")
        assert (detection.folder / "out" / row["photo"]).read_bytes() == detection.served.photo(row["prediction_id"])


def test_the_strange_come_before_the_usual_and_the_reason_names_what_is_strange(classification: Kitchen) -> None:
    for i in range(5):
        classification.photo(f"usual-{i}.png", picture(1000 + i))
    black = classification.photo("black.png", plain(2))
    queue(classification.served, classification.folder / "out", limit=2)
    rows = table(classification.folder / "out")
    assert len(rows) == 2
    assert rows[0]["prediction_id"] == black
    assert float(rows[0]["drifted"]) > 0.5
    assert " is usual" in rows[0]["why"]


def test_listings_that_say_otherwise_come_first(detection: Kitchen) -> None:
    shown = detection.photo("a.png", picture(1001), "L1")
    detection.photo("b.png", picture(1002), "L2")
    (detection.folder / "listings.csv").write_text("listing_id,declared\nL1,bed\nL2,sofa\nL3,bed\n")
    done = queue(detection.served, detection.folder / "out", listings=detection.folder / "listings.csv")
    found = {row["prediction_id"]: row for row in table(detection.folder / "out")}
    assert "shows sofa (55%), which listing L1 does not declare" in found.pop(shown)["why"]
    [other] = found.values()
    assert float(other["disagrees"]) == 0
    assert not done.notes
    (detection.folder / "listings.csv").write_text("listing_id,declares\nL1,bed\n")
    with pytest.raises(DataError, match="has no column 'declared'"):
        queue(detection.served, detection.folder / "other", listings=detection.folder / "listings.csv")


def test_an_amenity_that_is_declared_and_not_shown_asks_the_likeliest_photo(detection_bundle: Path) -> None:
    columns = {"p:bed": [0.1, 0.3], "pred:bed": [0, 0], "p:sofa": [0.9, 0.0], "pred:sofa": [1, 0]}
    frame = pd.DataFrame({"listing_id": ["7", "7"], **columns})
    scores, texts = disagreement(frame, open_bundle(detection_bundle), {"7": ("bed", "sofa"), "8": ("bed",)})
    assert scores.tolist() == [0.0, 0.65]
    assert texts[1] == "listing 7 declares bed, and none of its photos shows it"


def test_unsureness_is_the_way_to_the_threshold(detection_bundle: Path, classification_bundle: Path) -> None:
    frame = pd.DataFrame({"p:bed": [0.5, 1.0, 0.0], "p:sofa": [0.0, 1.0, 0.2]})
    scores, texts = unsureness(frame, open_bundle(detection_bundle))
    assert np.allclose(scores, [1.0, 0.0, 0.5])
    assert texts[0] == "unsure of bed: 50%, said to be there from 50%"
    scores, texts = unsureness(frame, open_bundle(classification_bundle))
    assert np.allclose(scores, [0.5, 1.0, 0.8])
    assert texts[0] == "bed 50% or sofa 0%"


def test_drift_by_embedding_needs_no_statistic() -> None:
    from pizzeria.inference.records import encode_embedding

    random = np.random.default_rng(0)
    usual = random.normal([1, 0, 0, 0], 0.05, (60, 4))
    reference = pd.DataFrame({"embedding": [encode_embedding(one) for one in usual]})
    ours = pd.DataFrame({"embedding": [encode_embedding(one) for one in ([1.0, 0, 0, 0], [0, 0, 1.0, 0])]})
    scores, texts = drift(ours, reference)
    assert scores[0] == 0
    assert scores[1] > 0.9
    assert texts[1] == "looks unlike all photos on which the model was tested"


def test_a_value_that_no_row_had_is_strange() -> None:
    reference = pd.DataFrame({"feature:day": ["mon", "tue"] * 15})
    scores, texts = drift(pd.DataFrame({"feature:day": ["mon", "sun"]}), reference)
    assert scores.tolist() == [0, 0.5]
    assert texts[1] == "day is 'sun', which is new"


def test_rows_are_ranked_by_what_is_unusual_and_equal_ones_asked_once(rows: Kitchen) -> None:
    rows.rows([{"rooms": 2, "beds": 1}, {"rooms": 90, "beds": 1}, {"rooms": 90, "beds": 1}, {"rooms": 7, "beds": None}])
    done = queue(rows.served, rows.folder / "out")
    found = table(rows.folder / "out")
    assert [row["rooms"] for row in found] == ["90.0", "7.0"]
    assert found[0]["why"] == "rooms is 90, where 0 to 4 is usual"
    assert found[0]["value"] == ""
    assert done.alike == 1
    assert "no probability" in done.notes[0]


def test_what_has_a_label_is_not_asked(classification: Kitchen) -> None:
    for i in range(4):
        classification.photo(f"{i}.png", picture(i))
    out = classification.folder / "out"
    queue(classification.served, out, limit=2)
    rows = table(out)
    lines = [f"{row['prediction_id']},bed" for row in rows]
    (out / "done.csv").write_text("\n".join(["prediction_id,class", *lines]))
    assert add(classification.served, out / "done.csv").counts == (2, 0, 0)
    again = queue(classification.served, classification.folder / "again")
    assert again.labelled == 2
    assert not {row["prediction_id"] for row in rows} & {
        row["prediction_id"] for row in table(classification.folder / "again")
    }


def test_without_photos_it_is_a_table_and_says_so(classification: Kitchen, tmp_path: Path) -> None:
    spec = classification.store.run("amenities").folder / "spec.yaml"
    spec.write_text(spec.read_text().partition("\n")[2].replace("photos: true", "photos: false"))
    classification.photo("sub/a.png", picture(1))
    classification.photo("../b.png", picture(2))
    done = queue(classification.served, tmp_path / "out")
    assert done.photos == 0
    assert "no photo is written" in done.notes[0]
    with pytest.raises(DataError, match="needs photos"):
        queue(classification.served, tmp_path / "other", form="label_studio")
    folder = tmp_path / "photos" / "sub"
    folder.mkdir(parents=True)
    (folder / "a.png").write_bytes(picture(1))
    (tmp_path / "b.png").write_bytes(picture(2))
    done = queue(classification.served, tmp_path / "third", photos=tmp_path / "photos")
    assert done.photos == 1, "a name never leads out of the folder"
    assert "1 photos are not there" in done.notes[0]


def test_files_for_the_tools(detection: Kitchen) -> None:
    ids = [detection.photo(f"{i}.png", picture(i)) for i in range(2)]
    done = queue(detection.served, detection.folder / "coco", form="coco")
    coco = json.loads(done.files[1].read_text())
    assert {one["prediction_id"] for one in coco["images"]} == set(ids)
    assert [(one["width"], one["height"]) for one in coco["images"]] == [(96, 64)] * 2
    assert [one["name"] for one in coco["categories"]] == ["bed", "sofa"]
    assert all((detection.folder / "coco" / one["file_name"]).is_file() for one in coco["images"])
    done = queue(detection.served, detection.folder / "ls", form="label_studio")
    tasks = json.loads(done.files[1].read_text())
    assert tasks[0]["data"]["image"] == f"/data/local-files/?d=photos/{tasks[0]['data']['prediction_id']}.png"
    interface = ET.fromstring(done.files[2].read_text())
    assert [one.get("value") for one in interface.iter("Label")] == ["bed", "sofa"]


def test_nothing_to_ask_is_said(detection: Kitchen) -> None:
    with pytest.raises(DataError, match=r"no prediction of .* is in the log"):
        queue(detection.served, detection.folder / "out")
    detection.photo("a.png", picture(1))
    (detection.folder / "taken").mkdir()
    (detection.folder / "taken" / "file").write_text("")
    with pytest.raises(DataError, match="is taken"):
        queue(detection.served, detection.folder / "taken")


def test_a_name_never_becomes_a_formula(classification: Kitchen) -> None:
    classification.photo("%3Dcmd", picture(1))
    queue(classification.served, classification.folder / "out")
    assert table(classification.folder / "out")[0]["input_id"] == "'=cmd"


def test_of_records_without_statistics_each_name_is_asked_once() -> None:
    frame = pd.DataFrame({"input_id": ["a", "a", "b"]})
    assert choose(frame, frame, np.array([0.5, 0.9, 0.1]), 5) == ([1, 2], 1)


def test_copies_of_real_photos_are_asked_once(detection_bundle: Path, shared_data: Path, tmp_path: Path) -> None:
    listings = sorted((shared_data / "listings").rglob("*.jpg"))
    kitchen = open_kitchen(tmp_path, detection_bundle, [path.read_bytes() for path in listings[100:160]], photos=True)
    copies = []
    for i, path in enumerate(listings[:12]):
        kitchen.photo(path.name, path.read_bytes())
        image = Image.open(path).convert("RGB")
        stream = io.BytesIO()
        image.resize((int(image.width * 0.7), int(image.height * 0.7))).save(stream, "JPEG", quality=70)
        copies.append(kitchen.photo(f"copy-{i}.jpg", stream.getvalue()))
    done = queue(kitchen.served, tmp_path / "out")
    assert done.alike == len(copies)
    assert done.asked == 12
    # One of each pair is asked, whichever.
    originals = {kitchen.ids[f"copy-{i}.jpg"]: kitchen.ids[path.name] for i, path in enumerate(listings[:12])}
    assert {originals.get(row["prediction_id"], row["prediction_id"]) for row in table(tmp_path / "out")} == set(
        originals.values()
    )
