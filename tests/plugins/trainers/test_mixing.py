"""Photos made of several: boxes follow pixels, the generator decides, uint8 stays."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pizzeria.predictions import Boxes
from pizzeria_plugins.trainers.mixing import mix_boxes, mix_classes, mosaic

COLOURS = np.array([(250, 0, 0), (0, 250, 0), (0, 0, 250), (250, 250, 0)], np.uint8)


def photos(seed: int) -> list[tuple[np.ndarray, Boxes]]:
    """Four black photos of 64 x 96 with one rectangle each, of the class's colour."""
    rng = np.random.default_rng(seed)
    made = []
    for number, colour in enumerate(COLOURS):
        width, height = rng.integers(16, 48, 2)
        x, y = rng.integers(0, 96 - width), rng.integers(0, 64 - height)
        image = np.zeros((64, 96, 3), np.uint8)
        image[y : y + height, x : x + width] = colour
        xyxy = np.array([[x, y, x + width, y + height]], np.float32)
        made.append((image, Boxes(xyxy, np.ones(1, np.float32), np.array([number]))))
    return made


@settings(max_examples=60)
@given(seed=st.integers(0, 10**6), size=st.sampled_from([(64, 96), (96, 64), (128, 128)]))
def test_boxes_of_a_mosaic_stay_on_what_they_show(seed: int, size: tuple[int, int]) -> None:
    image, boxes = mosaic(photos(seed), "flip", np.random.default_rng(seed), size)
    assert image.shape == (*size, 3)
    assert image.dtype == np.uint8
    assert boxes.xyxy.dtype == np.float32
    for (x0, y0, x1, y1), label in zip(boxes.xyxy, boxes.labels, strict=True):
        near = np.abs(image.astype(int) - COLOURS[label]).max(axis=2) < 110
        ys, xs = np.nonzero(near)
        assert max(abs(xs.min() - x0), abs(xs.max() + 1 - x1), abs(ys.min() - y0), abs(ys.max() + 1 - y1)) <= 2


def test_a_mosaic_shows_all_four_and_the_generator_decides_it() -> None:
    four = [(np.full((64, 64, 3), colour, np.uint8), Boxes.empty()) for colour in COLOURS]
    one, again, other = (mosaic(four, "none", np.random.default_rng(seed), (64, 64))[0] for seed in (1, 1, 2))
    assert np.array_equal(one, again)
    assert not np.array_equal(one, other)
    corners = one[[1, 1, -2, -2], [1, -2, 1, -2]]
    fill = (corners == 114).all(axis=1)
    assert np.array_equal(corners[~fill], COLOURS[~fill])
    assert {tuple(colour) for colour in COLOURS} <= {tuple(pixel) for pixel in one.reshape(-1, 3)}


def test_mixup_of_detection_shows_both_photos_and_keeps_both_photos_boxes() -> None:
    four = photos(0)
    mixed = mix_boxes(four, np.random.default_rng(0))
    assert [boxes.labels.tolist() for _, boxes in mixed] == [[0, 3], [1, 2], [2, 1], [3, 0]]
    for image, boxes in mixed:
        assert image.dtype == np.uint8
        for (x0, y0, x1, y1), label in zip(boxes.xyxy.astype(int), boxes.labels, strict=True):
            seen = image[y0:y1, x0:x1].min(axis=(0, 1))
            assert (seen[COLOURS[label] > 0] > 250 * 0.15).all()


@pytest.mark.parametrize("cut", [False, True])
@pytest.mark.parametrize("multilabel", [False, True])
def test_targets_are_shares_of_what_is_seen(cut: bool, multilabel: bool) -> None:
    images = np.stack([np.full((32, 48, 3), value, np.uint8) for value in (0, 100, 200)])
    targets = torch.tensor([0, 1, 2]) if not multilabel else torch.eye(3)
    shares = set()
    for seed in range(20):
        mixed, target = mix_classes(images, targets, 3, np.random.default_rng(seed), cut=cut)
        assert mixed.dtype == np.uint8
        assert target.dtype == torch.float32
        # The first is mixed with the last, 0 with 200, so its mean brightness is the share of the last one.
        assert mixed[0].mean() / 200 == pytest.approx(float(target[0, 2]), abs=0.01)
        assert torch.allclose(target.sum(dim=1), torch.ones(3))
        assert (mixed[1] == 100).all()
        assert target[1, 1] == pytest.approx(1)
        if cut:
            assert set(np.unique(mixed[0])) <= {0, 200}
        shares.add(round(float(target[0, 2]), 2))
    assert len(shares) > 10
    assert (images[0] == 0).all()
