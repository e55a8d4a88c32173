from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from pizzeria.drawing import PALETTE, colour, draw_boxes, place_labels

GREY = (128, 128, 128)


def rgb(shade: str) -> tuple[int, ...]:
    return tuple(int(shade[i : i + 2], 16) for i in (1, 3, 5))


def test_draws_on_a_copy_in_the_colour_of_the_class() -> None:
    photo = Image.new("RGB", (320, 240), GREY)
    out = draw_boxes(photo, [[40, 60, 200, 180]], ["sofa"], [0.87], classes=["bed", "sofa"])
    assert photo.getcolors() == [(320 * 240, GREY)]
    assert out.getpixel((40, 120)) == rgb(colour("sofa", ["bed", "sofa"])) == rgb(PALETTE[1])
    assert out.getpixel((120, 120)) == GREY


def test_the_label_lies_above_the_box_and_is_legible() -> None:
    photo = Image.new("RGB", (320, 240), GREY)
    named = np.asarray(draw_boxes(photo, [[40, 60, 200, 180]], ["bed"], [0.9]))
    above = named[44:58, 40:84]
    shade = np.array(rgb(colour("bed")))
    assert (above == shade).all(-1).mean() > 0.3
    ink = [pixel for pixel in np.unique(above.reshape(-1, 3), axis=0) if abs(int(pixel.sum()) - int(shade.sum())) > 200]
    assert ink, "letters stand out from their tag"


def test_a_label_stays_inside_the_photo_and_boxes_are_clipped() -> None:
    photo = Image.new("RGB", (200, 100), GREY)
    out = draw_boxes(photo, [[150, -20, 400, 300]], ["refrigerator"], [None])
    assert out.size == (200, 100)
    assert out.getpixel((199, 99)) == rgb(colour("refrigerator"))


def test_colours_are_stable_and_differ_within_the_classes_of_a_model() -> None:
    classes = [f"class {i}" for i in range(len(PALETTE))]
    assert len({colour(name, classes) for name in classes}) == len(classes)
    assert colour("bed") == colour("bed", ["sofa"])


def test_any_mode_and_no_box() -> None:
    assert draw_boxes(Image.new("RGBA", (20, 20)), [], [], []).mode == "RGB"
    assert draw_boxes(Image.new("L", (20, 20)), np.zeros((0, 4)), [], []).size == (20, 20)


def test_lengths_must_match() -> None:
    with pytest.raises(ValueError, match="1 boxes, 2 labels and 1 confidences"):
        draw_boxes(Image.new("RGB", (9, 9)), [[0, 0, 5, 5]], ["a", "b"], [0.5])


def test_labels_do_not_hide_one_another() -> None:
    boxes = [(20, 40, 120, 90), (22, 41, 120, 90), (24, 42, 118, 88)]
    places = place_labels(boxes, [(40, 12)] * 3, (160, 100))
    assert places[0] == (20, 28)
    for i, (x, y) in enumerate(places):
        assert 0 <= x <= 120
        assert 0 <= y <= 88
        for other_x, other_y in places[:i]:
            assert abs(x - other_x) >= 40 or abs(y - other_y) >= 12
