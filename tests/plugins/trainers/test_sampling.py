"""Which rows an epoch takes: rare classes more often, and never by chance alone."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from synthetic import write_photos

from pizzeria.datasets import open_dataset
from pizzeria_plugins.trainers.plan import EpochBatches
from pizzeria_plugins.trainers.sampling import draw, row_weights


def labelled(targets: Any) -> Any:
    return SimpleNamespace(targets=np.asarray(targets))


def test_balanced_draws_each_class_as_often_as_the_others() -> None:
    targets = np.repeat([0, 1, 2], [80, 15, 5])
    rows = np.arange(100)
    weights = row_weights(labelled(targets), rows, "balanced", 0.1)
    drawn = [draw(rows, weights, np.random.default_rng(epoch)) for epoch in range(30)]
    assert all(len(found) == 100 for found in drawn)
    for found in drawn:
        assert np.bincount(targets[found]).tolist() == pytest.approx([100 / 3] * 3, abs=5)
    # Over the epochs, each row of the common class has its turn.
    assert set(np.concatenate(drawn)) == set(range(100))


def test_repeat_factors_are_those_of_lvis() -> None:
    present = np.zeros((100, 3), np.float32)
    present[:50, 0] = 1
    present[:4, 1] = 1
    present[50, 2] = 1
    weights = row_weights(labelled(present), np.arange(100), "repeat_factor", 0.16)
    assert weights[:4].tolist() == [2.0] * 4  # sqrt(0.16 / 0.04)
    assert weights[50] == pytest.approx(4)  # sqrt(0.16 / 0.01)
    assert set(weights[4:50]) | set(weights[51:]) == {1.0}


def test_boxes_say_which_classes_a_photo_has(tmp_path: Path) -> None:
    write_photos(tmp_path / "f", "object_detection")
    data = open_dataset(tmp_path / "f")
    rows = data.rows("train")
    weights = row_weights(data, rows, "repeat_factor", 1.0)
    shares = [np.mean([c in data.boxes[row].labels for row in rows]) for c in range(3)]
    for row, weight in zip(rows, weights, strict=True):
        assert weight == pytest.approx(max(shares[c] ** -0.5 for c in data.boxes[row].labels))
    assert row_weights(data, rows, "even", 1.0) is None


def test_each_row_comes_as_often_as_its_weight_rounded_up_or_down() -> None:
    rng = np.random.default_rng(0)
    for seed in range(50):
        rows, weights = np.arange(7, 47), rng.exponential(1, 40) + 0.01
        counts = np.bincount(draw(rows, weights, np.random.default_rng(seed)), minlength=47)[7:]
        wanted = weights * 40 / weights.sum()
        assert ((counts >= np.floor(wanted)) & (counts <= np.ceil(wanted))).all()


def test_seed_and_epoch_decide_the_order() -> None:
    rows, weights = np.arange(40), np.linspace(1, 3, 40)
    first, again, other = (
        np.concatenate([plan.rows for plan in EpochBatches(rows, 8, 5, epoch, weights)]) for epoch in (2, 2, 3)
    )
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)
