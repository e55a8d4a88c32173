import numpy as np
import pytest

from pizzeria.predictions import Boxes
from pizzeria_plugins.trainers.augmentation import augment, usable


def photo() -> tuple[np.ndarray, Boxes]:
    image = np.zeros((64, 96, 3), np.uint8)
    image[20:40, 30:60] = 255
    return image, Boxes(np.array([[30, 20, 60, 40]], np.float32), np.ones(1, np.float32), np.array([2]))


@pytest.mark.parametrize("level", ["none", "flip", "standard"])
def test_boxes_stay_on_what_they_show(level: str) -> None:
    changed = 0
    for seed in range(40):
        image, boxes = photo()
        after, moved = augment(image, boxes, level, np.random.default_rng(seed))
        assert after.shape == image.shape
        assert after.dtype == np.uint8
        changed += not np.array_equal(after, image)
        for x0, y0, x1, y1 in moved.xyxy:
            ys, xs = np.nonzero(after.min(axis=2) > 160)
            assert abs(xs.min() - x0) <= 2
            assert abs(xs.max() + 1 - x1) <= 2
            assert abs(ys.min() - y0) <= 2
            assert abs(ys.max() + 1 - y1) <= 2
    assert changed >= {"none": 0, "flip": 5, "standard": 40}[level]
    assert level != "none" or changed == 0


def test_the_seed_decides() -> None:
    image, boxes = photo()
    once, again = (augment(image, boxes, "standard", np.random.default_rng(3)) for _ in range(2))
    assert np.array_equal(once[0], again[0])
    assert np.array_equal(once[1].xyxy, again[1].xyxy)


def test_thin_boxes_are_not_learnt_from() -> None:
    xyxy = np.array([[0, 0, 10, 1], [0, 0, 10, 10]], np.float32)
    kept = usable(Boxes(xyxy, np.ones(2, np.float32), np.array([0, 1])))
    assert kept.labels.tolist() == [1]
    assert len(usable(Boxes.empty()).labels) == 0
