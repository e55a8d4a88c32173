"""One photo: what it is, and that it is decoded as a person sees it."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pizzeria.inference.photos import decode
from pizzeria.intake.inspection import SERVED, Inspection, decoded, inspect
from pizzeria.intake.photos import handled

from .hostile import BROKEN, SIZE, USED, encoded, grey_16, picture, transparent, turned


def seen(data: bytes, max_megapixels: float = 100) -> Inspection:
    return inspect(data, sha256(data).hexdigest(), max_megapixels)


@pytest.mark.parametrize("name", USED)
def test_the_picture_stands_upright_in_its_own_colours(name: str, tmp_path: Path) -> None:
    data, done = USED[name]
    (tmp_path / name).write_bytes(data)
    found = seen(data)
    assert not found.problem
    assert (found.width, found.height) == SIZE
    assert tuple(handled(found)) == done
    pixels = np.asarray(decoded(tmp_path / name)).astype(int)
    assert np.abs(pixels - np.asarray(picture())).mean() < 4
    if found.format in SERVED:  # what training and serving make of it is the same
        np.testing.assert_array_equal(np.asarray(decode(data, max_megapixels=1).image), pixels)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_orientations(orientation: int, kind: str) -> None:
    found = seen(turned(orientation, kind))
    assert (found.orientation, found.width, found.height, found.problem) == (orientation, *SIZE, "")
    assert abs(int(found.dhash, 16) ^ int(seen(encoded(picture(), "PNG")).dhash, 16)).bit_count() <= 6


def test_16_bits_are_not_clipped(tmp_path: Path) -> None:
    for kind, data in (("PNG", grey_16()), ("TIFF", encoded(Image.open(_stream(grey_16())), "TIFF"))):
        (tmp_path / "ramp").write_bytes(data)
        ramp = np.asarray(decoded(tmp_path / "ramp"))[0, :, 0].astype(int)
        assert (ramp[0], ramp[-1]) == (0, 255)
        assert np.all(np.abs(np.diff(ramp) - 255 / 47) <= 1)
        found = seen(data)
        assert (found.depth, found.format) == (16, kind)
        assert found.measures["brightness"] == pytest.approx(0.5, abs=0.02)
        assert "of 16 bits for each colour, made 8" in tuple(handled(found))


def test_transparent_parts_lie_over_white(tmp_path: Path) -> None:
    (tmp_path / "logo.png").write_bytes(transparent())
    assert decoded(tmp_path / "logo.png").getpixel((30, 20)) == (255, 255, 255)
    assert tuple(handled(seen(transparent()))) == ("transparent, laid over white",)


@pytest.mark.parametrize("name", [name for name, (data, _) in BROKEN.items() if data is not None])
def test_what_is_no_photo_is_told(name: str) -> None:
    data, problem = BROKEN[name]
    assert data is not None
    found = seen(data)
    assert found.problem.startswith(problem)
    assert (found.bytes, found.phash, found.measures) == (len(data), "", {})
    assert not tuple(handled(found))


def test_measures_say_what_the_photo_looks_like() -> None:
    black, white = (seen(encoded(Image.new("L", (64, 64), value), "PNG")).measures for value in (0, 255))
    assert (black["dark_share"], black["bright_share"], black["brightness"]) == (1, 0, 0)
    assert (white["dark_share"], white["bright_share"], white["entropy"]) == (0, 1, 0)


def test_a_large_jpeg_has_the_measures_of_a_small_one() -> None:
    small = np.random.default_rng(0).normal(128, 90, (40, 60)).clip(0, 255).astype(np.uint8)
    noise = Image.fromarray(small).resize((1800, 1200), Image.Resampling.BICUBIC).convert("RGB")
    large, small = (seen(encoded(image, "JPEG", quality=90)) for image in (noise, noise.resize((600, 400))))
    assert (large.width, large.height) == (1800, 1200)
    assert (int(large.phash, 16) ^ int(small.phash, 16)).bit_count() <= 2
    for name in ("brightness", "contrast", "entropy"):
        assert large.measures[name] == pytest.approx(small.measures[name], abs=0.05)


def _stream(data: bytes):
    from io import BytesIO

    return BytesIO(data)
