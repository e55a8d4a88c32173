from __future__ import annotations

import numpy as np
import pytest
from PIL import Image, ImageDraw

from pizzeria.inference.resize import resize
from pizzeria.inference.statistics import NAMES, image_statistics

LETTERBOX = {"kind": "photos", "size": [64, 64], "resize": "letterbox", "fill": 114}
CROP = {"kind": "photos", "size": [64, 64], "resize": "crop", "fill": 114}


@pytest.mark.parametrize("size", [(200, 100), (100, 200), (64, 64), (10, 7), (4000, 3000), (1, 1), (5000, 1)])
@pytest.mark.parametrize("how", [LETTERBOX, CROP])
def test_any_size_becomes_the_networks_and_boxes_come_back(size: tuple[int, int], how: dict[str, object]) -> None:
    pixels, geometry = resize(Image.new("RGB", size, "white"), how)
    assert (pixels.shape, pixels.dtype) == ((64, 64, 3), np.uint8)
    centre = np.array([[size[0] * 0.45, size[1] * 0.45, size[0] * 0.55, size[1] * 0.55]], np.float32)
    back = geometry.to_original(geometry.to_network(centre), *size)
    np.testing.assert_allclose(back, centre, rtol=1e-3, atol=1e-2)


def test_letterbox_lies_top_left_and_fills_the_rest() -> None:
    pixels, geometry = resize(Image.new("RGB", (200, 100), "white"), LETTERBOX)
    assert (pixels[:32] == 255).all()
    assert (pixels[32:] == 114).all()
    assert (geometry.offset_x, geometry.offset_y) == (0, 0)


def test_crop_keeps_the_centre() -> None:
    image = Image.new("RGB", (300, 100), "black")
    image.paste((255, 255, 255), (100, 0, 200, 100))
    pixels, geometry = resize(image, CROP)
    assert pixels[:, 2:-2].min() == 255
    assert geometry.to_network(np.array([[100, 0, 200, 100]])).round(3).tolist() == [[0, 0, 64, 64]]


def test_a_drawn_box_is_found_where_the_geometry_says() -> None:
    image = Image.new("RGB", (640, 360), "black")
    box = (100, 60, 300, 220)
    ImageDraw.Draw(image).rectangle((box[0], box[1], box[2] - 1, box[3] - 1), fill="white")
    pixels, geometry = resize(image, LETTERBOX)
    rows, columns = np.nonzero(pixels[:36, :, 0] > 127)
    found = np.array([[columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]], np.float32)
    np.testing.assert_allclose(geometry.to_original(found, 640, 360), [box], atol=10)  # one network pixel is 10


def test_boxes_are_clipped_to_the_photo() -> None:
    _, geometry = resize(Image.new("RGB", (200, 100)), LETTERBOX)
    assert geometry.to_original(np.array([[-5, -5, 70, 60]]), 200, 100).tolist() == [[0, 0, 200, 100]]


def statistics(image: Image.Image, how: dict[str, object] = LETTERBOX | {"size": [256, 256]}) -> dict[str, float]:
    return image_statistics(*resize(image, how), *image.size)


def test_statistics_tell_dark_blurred_cold_photos_from_others() -> None:
    rng = np.random.default_rng(0)
    sharp = Image.fromarray(rng.integers(0, 255, (240, 320, 3), np.uint8))
    plain = statistics(sharp)
    assert tuple(plain) == NAMES
    blurred = statistics(sharp.resize((20, 15)).resize((320, 240)))
    dark = statistics(sharp.point(lambda value: value // 4))
    cold = statistics(Image.new("RGB", (320, 240), (40, 80, 200)))
    assert blurred["sharpness"] < plain["sharpness"] - 2
    assert dark["brightness"] == pytest.approx(plain["brightness"] / 4, rel=0.05)
    assert cold["warmth"] == pytest.approx(-160 / 255, abs=1e-3)
    assert cold["contrast"] == cold["sharpness"] == cold["entropy"] == 0
    assert cold["aspect"] == pytest.approx(4 / 3, abs=1e-5)


@pytest.mark.parametrize("size", [(1, 1), (3000, 1), (1, 3000)])
def test_statistics_of_extreme_photos_are_finite(size: tuple[int, int]) -> None:
    assert all(np.isfinite(value) for value in statistics(Image.new("RGB", size, "red")).values())


def test_statistics_hardly_depend_on_the_size() -> None:
    image = Image.fromarray(np.random.default_rng(0).integers(0, 255, (60, 80, 3), np.uint8)).resize((1600, 1200))
    large, small = statistics(image), statistics(image.resize((400, 300), Image.Resampling.BOX))
    assert large == pytest.approx(small, rel=0.05, abs=0.01)


def test_statistics_leave_out_what_a_letterbox_fills_and_a_crop_cuts_off() -> None:
    half = Image.new("RGB", (400, 100), "white")
    assert statistics(half)["brightness"] == 1
    assert statistics(half.rotate(90, expand=True))["brightness"] == 1
    half.paste("black", (0, 0, 150, 100))
    assert statistics(half)["brightness"] == pytest.approx(1 - 150 / 400, abs=0.01)
    assert statistics(half, CROP)["brightness"] == pytest.approx(1, abs=0.01)
    assert statistics(half, CROP)["aspect"] == 4
