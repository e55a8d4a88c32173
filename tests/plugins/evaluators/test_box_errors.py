"""Kinds of errors and what they cost, against the authors' own package."""

from __future__ import annotations

import numpy as np
import pytest

from pizzeria.predictions import Boxes
from pizzeria_plugins.evaluators.box_errors import KINDS, costs, of_photo

NAMES = {"Cls": "class", "Loc": "localisation", "Both": "both", "Dupe": "duplicate", "Bkg": "background"}
NAMES |= {"Miss": "missed"}


def drawn(seed: int, photos: int, classes: int, boxes: int) -> tuple[list[Boxes], list[Boxes]]:
    """Photos with all kinds of errors: moved, renamed, doubled, invented and left-out boxes; empty ones, too."""
    rng = np.random.default_rng(seed)
    found, true = [], []
    for _ in range(photos):
        count = rng.integers(0, boxes)
        corner, size = rng.uniform(0, 200, (count, 2)), rng.uniform(10, 120, (count, 2))
        xyxy, labels = np.concatenate([corner, corner + size], axis=1), rng.integers(0, classes, count)
        again = rng.integers(0, max(count, 1), rng.integers(0, 3 * boxes) if count else 0)
        shift = rng.normal(0, 1, (len(again), 4)) * rng.choice([1, 12, 40], (len(again), 1))
        said = np.where(rng.uniform(size=len(again)) < 0.3, rng.integers(0, classes, len(again)), labels[again])
        clutter = rng.uniform(0, 250, (rng.integers(0, 5), 2))
        moved = np.concatenate([xyxy[again] + shift, np.concatenate([clutter, clutter + 50], axis=1)])
        moved[:, 2:] = np.maximum(moved[:, 2:], moved[:, :2] + 1)
        said = np.concatenate([said, rng.integers(0, classes, len(clutter))])
        scores = np.sort(rng.uniform(size=len(said)))[::-1]
        found.append(Boxes(moved.astype(np.float32), scores.astype(np.float32), said))
        true.append(Boxes(xyxy.astype(np.float32), np.ones(count, np.float32), labels))
    return found, true


def told_by_the_authors(found: list[Boxes], true: list[Boxes], threshold: float) -> dict[str, dict[str, float]]:
    from tidecv import TIDE
    from tidecv.data import Data

    def of(boxes: Boxes) -> list[tuple[int, list[float], float]]:
        wide = boxes.xyxy.astype(float)
        sized = np.concatenate([wide[:, :2], wide[:, 2:] - wide[:, :2]], axis=1)
        return list(zip(boxes.labels.tolist(), sized.tolist(), boxes.scores.tolist(), strict=True))

    truth, said = Data("true"), Data("found")
    for number, (one, other) in enumerate(zip(found, true, strict=True)):
        truth.add_image(number, str(number))
        for label, box, _ in of(other):
            truth.add_ground_truth(number, label, box)
        for label, box, score in of(one):
            said.add_detection(number, label, score, box)
    tide = TIDE(pos_threshold=threshold)
    run = tide.evaluate(truth, said, mode=TIDE.BOX)
    counts = {error.short_name: count for error, count in run.count_errors().items()}
    cost = tide.get_main_errors()["found"]
    return {NAMES[name]: {"count": counts[name], "cost": cost[name] / 100} for name in NAMES}


@pytest.mark.parametrize(
    ("seed", "photos", "classes", "boxes"),
    [(0, 60, 3, 6), (1, 60, 1, 6), (2, 40, 8, 12), (3, 5, 30, 3), (4, 20, 2, 60)],
)
@pytest.mark.parametrize("threshold", [0.5, 0.75])
def test_kinds_and_costs_are_those_of_tide(seed: int, photos: int, classes: int, boxes: int, threshold: float) -> None:
    found, true = drawn(seed, photos, classes, boxes)
    judged = [of_photo(one, other, threshold) for one, other in zip(found, true, strict=True)]
    ours = costs(judged, found, true, classes)
    theirs = told_by_the_authors(found, true, threshold)
    assert ours.keys() == theirs.keys()
    for name in KINDS:
        assert ours[name]["count"] == theirs[name]["count"], name
        assert ours[name]["cost"] == pytest.approx(theirs[name]["cost"], abs=1e-9), name
    if photos == 60 and classes == 3:
        assert all(ours[name]["count"] and ours[name]["cost"] for name in KINDS)


def boxes(*entries: tuple[list[float], float, int]) -> Boxes:
    xyxy, scores, labels = zip(*entries, strict=True) if entries else ([], [], [])
    return Boxes(np.array(xyxy, np.float32).reshape(-1, 4), np.array(scores, np.float32), np.array(labels, np.int64))


def test_each_kind_by_itself() -> None:
    true = boxes(([0, 0, 100, 100], 1, 0), ([200, 0, 300, 100], 1, 1), ([400, 0, 500, 100], 1, 2))
    found = boxes(
        ([0, 0, 100, 98], 0.9, 0),  # right
        ([0, 0, 100, 90], 0.8, 0),  # the same again
        ([200, 0, 300, 99], 0.7, 0),  # a sofa taken for a bed
        ([440, 0, 560, 100], 0.6, 2),  # half beside it
        ([240, 0, 360, 100], 0.5, 2),  # neither class nor place
        ([700, 0, 800, 100], 0.4, 1),  # nothing there
    )
    judged = of_photo(found, true)
    assert [KINDS[kind] if kind >= 0 else "right" for kind in judged.kind] == [
        "right",
        "duplicate",
        "class",
        "localisation",
        "both",
        "background",
    ]
    assert judged.of.tolist() == [0, 0, 1, 2, 1, -1]
    assert judged.cures.tolist() == [False, False, True, True, False, False]
    assert judged.taken.tolist() == [True, False, False]
    assert not judged.missed.any()
    assert of_photo(boxes(), true).missed.all()
    assert (of_photo(found, boxes()).kind == KINDS.index("background")).all()


def test_nothing_at_all_costs_nothing() -> None:
    assert {tuple(one.values()) for one in costs([], [], [], 3).values()} == {(0, 0.0)}
