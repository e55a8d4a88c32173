from __future__ import annotations

from io import BytesIO

import numpy as np
import pytest
from PIL import Image
from pydantic import ValidationError

from pizzeria.tables import read_tables, write_tables
from pizzeria_plugins.room_renderer import CLASSES
from pizzeria_plugins.room_renderer.listing import LEAST_VISIBLE, render_listings
from pizzeria_plugins.sources import rooms


def test_tables_say_what_the_photos_are(tmp_path, problem_of, progress):
    options = rooms.Options(listings=4, seed=2)
    tables = rooms.collect(options, problem_of("object_detection", *CLASSES), tmp_path, progress)
    write_tables(tables, tmp_path)
    tables = read_tables(tmp_path)
    assert len(tables.images) == 12
    assert tables.images["image_id"].is_unique
    assert tables.boxes["box_id"].is_unique
    for row in tables.images.itertuples():
        with Image.open(row.path) as image:
            assert image.format == "JPEG"
            tables.images.loc[row.Index, ["width", "height"]] = image.size
    merged = tables.boxes.merge(tables.images, on="image_id")
    tables.account.check({"images": 12, "boxes": len(tables.boxes), "listings": 4})
    assert len(merged) == len(tables.boxes) > 12
    assert (merged["x_min"] >= 0).all()
    assert (merged["y_min"] >= 0).all()
    assert (merged["x_max"] <= merged["width"]).all()
    assert (merged["y_max"] <= merged["height"]).all()
    assert (merged["x_max"] - merged["x_min"] >= 7).all()
    assert (merged["visible"] >= LEAST_VISIBLE - 1e-4).all()
    shown = {key: sorted(set(names)) for key, names in merged.groupby("listing_id")["class_name"]}
    for row in tables.listings.itertuples():
        assert sorted(row.in_photos) == shown[row.listing_id]


def test_a_listing_is_the_same_whatever_the_number_of_listings():
    few = list(render_listings(3, seed=5))
    tail = list(render_listings(1, seed=5, first=2))
    assert few[2] == tail[0]
    assert few[2] != next(iter(render_listings(1, seed=6, first=2)))
    assert few[0] != few[1]


def test_all_classes_come_whatever_the_problem_asks_for(tmp_path, problem_of, progress):
    options = rooms.Options(listings=2)
    tables = rooms.collect(options, problem_of("multilabel_classification", "bed"), tmp_path, progress)
    assert tables.classes == CLASSES
    assert len(set(tables.boxes["class_name"])) > 3


def test_declarations_are_false_and_missing_as_often_as_asked():
    declared = false = shown = missing = 0
    for listing in render_listings(40, seed=1, photos_per_listing=2, false_declarations=0.2, missing_declarations=0.15):
        there = set(listing.in_photos)
        declared += len(listing.declared)
        false += len(set(listing.declared) - there)
        shown += len(there)
        missing += len(there - set(listing.declared))
    assert false / declared == pytest.approx(0.2, abs=0.05)
    assert missing / shown == pytest.approx(0.15, abs=0.06)


def test_honest_owners_declare_what_is_there():
    for listing in render_listings(3, false_declarations=0, missing_declarations=0):
        assert listing.declared == listing.in_photos


def test_every_class_is_common_and_every_box_shows_something():
    counts = dict.fromkeys(CLASSES, 0)
    for listing in render_listings(16, seed=3, photos_per_listing=5):
        for photo in listing.photos:
            for name in photo.shows:
                counts[name] += 1
            image = np.asarray(Image.open(BytesIO(photo.jpeg)).convert("L"), np.float32)
            for box in photo.boxes:
                x0, y0, x1, y1 = (round(v) for v in box.box)
                assert image[y0:y1, x0:x1].std() > 1
    assert min(counts.values()) >= 8, counts


def _photos(shift):
    listings = list(render_listings(3, seed=4, shift=shift))
    images = [np.asarray(Image.open(BytesIO(p.jpeg)).convert("L"), np.float32) for one in listings for p in one.photos]
    return listings, images


def test_shifts_change_the_photos_and_not_the_homes():
    plain, images = _photos("none")
    dark, dark_images = _photos("dark")
    blurred, blurred_images = _photos("blur")
    boxes = [photo.boxes for one in plain for photo in one.photos]
    assert boxes == [photo.boxes for one in dark for photo in one.photos]
    assert boxes == [photo.boxes for one in blurred for photo in one.photos]
    brightness = np.mean([i.mean() for i in images])
    assert np.mean([i.mean() for i in dark_images]) < 0.55 * brightness
    sharpness = [np.mean([np.abs(np.diff(i, axis=1)).mean() for i in some]) for some in (images, blurred_images)]
    assert sharpness[1] < 0.8 * sharpness[0]


def test_new_styles_and_all_shifts_give_other_photos():
    names = {
        shift: [p.jpeg for one in render_listings(2, shift=shift) for p in one.photos]
        for shift in ("none", "styles", "all")
    }
    assert not set(names["none"]) & set(names["styles"])
    assert not set(names["styles"]) & set(names["all"])


@pytest.mark.parametrize("wrong", [{"shift": "fog"}, {"listings": 0}, {"false_declarations": 1.0}, {"lisings": 3}])
def test_wrong_options_are_refused(wrong):
    with pytest.raises(ValidationError):
        rooms.Options(**wrong)


def test_a_generator_has_no_inputs():
    assert list(rooms.inputs(rooms.Options())) == []
