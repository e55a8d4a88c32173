"""Average precision of weighted photos against pycocotools itself, on crowded photos with boxes of all sizes."""

from __future__ import annotations

import numpy as np
import pytest

from pizzeria.measuring.box_matching import match
from pizzeria.measuring.box_precision import METRICS, figure
from pizzeria.predictions import Boxes
from pizzeria_plugins.evaluators.average_precision import average_precision
from pizzeria_plugins.evaluators.detection import of_boxes

CLASSES = 3


def crowded(photos: int, seed: int, extra: int = 3, digits: int = 7) -> tuple[list[Boxes], list[Boxes]]:
    """True boxes of 8 to 200 pixels that overlap each other, and found ones around them."""
    chance = np.random.default_rng(seed)
    found, true = [], []
    for _ in range(photos):
        count = int(chance.integers(0, 9))
        corner = chance.uniform(0, 120, (count, 2))
        size = np.exp(chance.uniform(np.log(8), np.log(200), (count, 2)))
        xyxy = np.concatenate([corner, corner + size], axis=1).astype(np.float32)
        labels = chance.integers(0, CLASSES, count)
        true.append(Boxes(xyxy, np.ones(count, np.float32), labels))
        moved = np.repeat(xyxy, extra, axis=0) + chance.normal(0, 3, (extra * count, 4)).astype(np.float32)
        scores = chance.uniform(0.1, 1, extra * count).round(digits).astype(np.float32)
        said = np.where(chance.random(extra * count) < 0.8, np.repeat(labels, extra), chance.integers(0, CLASSES))
        order = np.argsort(-scores, kind="stable")
        found.append(Boxes(moved[order], scores[order], said[order]).with_area())
    return found, true


@pytest.mark.parametrize("seed", range(3))
def test_all_twelve_figures_of_photos_that_really_stand_so_often(seed: int) -> None:
    found, true = crowded(30, seed)
    classes = match(found, true, CLASSES)
    rows = [np.arange(30), *np.sort(np.random.default_rng(seed).integers(0, 30, (3, 30)))]
    weights = np.stack([np.bincount(one, minlength=30) for one in rows]).astype(np.float64)
    figures = {metric: figure(metric, classes, weights) for metric in METRICS}
    for draw, drawn in enumerate(rows):
        wanted = of_boxes(average_precision([found[i] for i in drawn], [true[i] for i in drawn], CLASSES))
        assert set(wanted) == set(METRICS)
        for metric, values in wanted.items():
            assert figures[metric][draw] == pytest.approx(values, abs=1e-12, nan_ok=True), metric


def test_equal_scores_stand_in_the_order_of_pycocotools() -> None:
    found, true = crowded(40, 7, digits=1)
    wanted = of_boxes(average_precision(found, true, CLASSES))
    for metric in METRICS:
        assert figure(metric, match(found, true, CLASSES), np.ones((1, 40)))[0] == pytest.approx(wanted[metric])


def test_some_photos_alone_need_no_second_match() -> None:
    found, true = crowded(30, 5)
    photos = np.array([3, 4, 8, 21])
    apart = match([found[i] for i in photos], [true[i] for i in photos], CLASSES)
    for metric in METRICS:
        part = figure(metric, tuple(one.of(photos) for one in match(found, true, CLASSES)), np.ones((1, 4)))
        assert part == pytest.approx(figure(metric, apart, np.ones((1, 4))), nan_ok=True)


def test_nothing_found_is_zero_and_nothing_true_is_not_a_number() -> None:
    box = Boxes(np.array([[0, 0, 9, 9]], np.float32), np.ones(1, np.float32), np.zeros(1, np.int64))
    assert figure("map", match([Boxes.empty()], [box], 1), np.ones((1, 1))).tolist() == [[0.0]]
    assert np.isnan(figure("map", match([box], [Boxes.empty()], 1), np.ones((1, 1)))).all()
    assert figure("map_50", match([box], [box], 1), np.array([[2.0], [1.0]])) == pytest.approx(1.0)
    assert np.isnan(figure("map_50", match([box], [box], 1), np.zeros((1, 1)))).all()
