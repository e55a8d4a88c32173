"""The hashes are those of the `imagehash` package, bit for bit."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pizzeria.intake.hashes import dhash, phash

imagehash = pytest.importorskip("imagehash", reason="imagehash is not installed: perceptual hashes are not compared")


def same(image: Image.Image) -> bool:
    return (f"{phash(image):016x}", f"{dhash(image):016x}") == (
        str(imagehash.phash(image)),
        str(imagehash.dhash(image)),
    )


@pytest.mark.parametrize("seed", range(20))
def test_of_drawn_pictures(seed: int) -> None:
    random = np.random.default_rng(seed)
    small = Image.fromarray(random.integers(0, 255, (6, 8, 3), np.uint8))
    assert same(small.resize((200 + seed, 150), Image.Resampling.BICUBIC))
    assert same(Image.fromarray(random.integers(0, 255, (90, 70, 3), np.uint8)))


def test_of_real_photos(shared_data: Path) -> None:
    for path in sorted((shared_data / "listings" / "photos").glob("*.jpg"))[:40]:
        with Image.open(path) as image:
            assert same(image)


def test_a_photo_that_is_saved_anew_keeps_its_hash_and_another_has_another(shared_data: Path, tmp_path: Path) -> None:
    first, second = (Image.open(path) for path in sorted((shared_data / "listings" / "photos").glob("*.jpg"))[:2])
    first.resize((first.width // 2, first.height // 2)).save(tmp_path / "again.jpg", quality=60)
    with first, second, Image.open(tmp_path / "again.jpg") as again:
        for of in (phash, dhash):
            assert (of(first) ^ of(again)).bit_count() <= 4
            assert (of(first) ^ of(second)).bit_count() > 12
