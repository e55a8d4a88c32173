"""Bands of verdicts: right often enough on listings that nobody fitted them on, and wide where little is known."""

from __future__ import annotations

import json

import numpy as np
import pytest
from scipy.stats import binomtest

from pizzeria.inference.bands import verdict_of, weighed
from pizzeria.predictions import Boxes, Predictions
from pizzeria.spec.problem import Problem
from pizzeria.spec.verification import Verdicts
from pizzeria_plugins.evaluators import bands, torchmetrics

CLASSES = ("bed", "sofa")
PROBLEM = Problem(
    need="n",
    owner="o",
    task="multilabel_classification",
    classes=CLASSES,
    success=({"metric": "f1", "at_least": 0},),
)
WANTED = Verdicts()


def market(listings: int, photos: int, seed: int) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Calibrated probabilities of photos, whether they show each class, and their listings; a bed is in half of them.

    Only one photo of a listing may show a class, as one room is photographed once.
    """
    rng = np.random.default_rng(seed)
    has = rng.uniform(size=(listings, 2)) < 0.5
    which = rng.integers(photos, size=(listings, 2))
    true = (np.arange(photos)[None, :, None] == which[:, None, :]) & has[:, None, :]
    logits = rng.normal(size=true.shape) * 1.2 + np.where(true, 3.0, -3.0)
    base = 0.5 / photos
    # The posterior under these two normals and this base rate: calibrated by construction.
    probabilities = 1 / (1 + np.exp(-(6 * logits / 1.44) - np.log(base / (1 - base))))
    names = [f"L{i}" for i in range(listings) for _ in range(photos)]
    return probabilities.reshape(-1, 2), true.reshape(-1, 2), names


def fitted(count: int, photos: int = 4, seed: int = 0, wanted: Verdicts = WANTED) -> dict[str, object]:
    thresholds = dict.fromkeys(CLASSES, 0.4)
    found = bands.fit(wanted, CLASSES, thresholds, *market(count, photos, seed))
    return {"method": "none", "thresholds": thresholds} | found


def test_verdicts_on_new_listings_are_as_right_as_was_asked() -> None:
    calibration = fitted(1500)
    assert calibration["band_notes"] == {}
    assert calibration["listing_photos"] == 4
    figures = bands.realised(calibration, CLASSES, *market(1500, 4, seed=1))
    assert figures["precision"] >= 0.88
    assert figures["omission"] <= 0.06
    assert figures["uncertain"] < figures["confirmed"] + figures["not_shown"]
    assert figures["confirmed"] + figures["uncertain"] + figures["not_shown"] == 2 * 1500
    assert figures["per_class"]["bed"]["confirmed"] > 300


def test_more_photos_do_not_bring_more_false_alarms() -> None:
    calibration = fitted(1500)
    few, many = (bands.realised(calibration, CLASSES, *market(600, photos, seed=2)) for photos in (4, 40))
    assert many["precision"] >= few["precision"] - 0.02
    probabilities, true, names = market(600, 40, seed=2)
    naive = calibration | {"listing_photos": 40.0}
    assert bands.realised(naive, CLASSES, probabilities, true, names)["precision"] <= many["precision"]


def test_a_stricter_target_widens_the_band() -> None:
    loose, strict = (fitted(1500, wanted=Verdicts(precision=p, omission=o)) for p, o in ((0.8, 0.1), (0.98, 0.01)))
    for name in CLASSES:
        assert strict["bands"][name][0] <= loose["bands"][name][0]
        assert strict["bands"][name][1] >= loose["bands"][name][1]
    assert strict["bands"] != loose["bands"]


def test_few_listings_fall_back_on_the_probability_and_say_so() -> None:
    calibration = fitted(12)
    for name in CLASSES:
        assert calibration["bands"][name] == [0.05 / 4, 0.9], "the omission is shared out among four photos"
        assert "do not bound the errors" in calibration["band_notes"][name]
    empty = bands.fit(WANTED, CLASSES, dict.fromkeys(CLASSES, 0.4), np.zeros((0, 2)), np.zeros((0, 2), bool), [])
    assert empty["bands"]["bed"] == [0.05, 0.9]
    assert empty["prevalence"] == {"bed": 0.5, "sofa": 0.5}
    json.dumps(empty, allow_nan=False)


def test_a_band_is_never_narrower_than_the_rule_without_one() -> None:
    """Even when all is told apart without an error, what is less likely than not is never confirmed."""
    count = 200
    true = np.arange(count)[:, None] % 2 == np.zeros(2)
    probabilities = np.where(true, 0.2, 0.1)
    found = bands.fit(
        WANTED, CLASSES, dict.fromkeys(CLASSES, 0.15), probabilities, true, [str(i) for i in range(count)]
    )
    assert found["bands"]["bed"] == [0.075, 0.5]


@pytest.mark.parametrize(("right", "count"), [(22, 22), (21, 21), (45, 47), (44, 47), (90, 100)])
def test_the_bound_is_clopper_and_pearsons(right: int, count: int) -> None:
    true = np.arange(count) < right
    bound = binomtest(right, count).proportion_ci(0.8, "exact").low  # two-sided 0.8 leaves 0.1 below
    found = bands.lowest_sure(np.full(count, 0.7), true, 0.9, 0.9)
    assert (found == 0.7) == (bound >= 0.9)
    missed = bands.highest_safe(np.full(count, 0.1), ~true, 0.1, 0.9)
    assert (missed == 0.1) == (bound >= 0.9)


def test_weighing_divides_the_odds() -> None:
    odds = lambda p: p / (1 - p)  # noqa: E731
    assert odds(weighed(0.95, 12, 3)) == pytest.approx(odds(0.95) / 4)
    assert weighed(0.95, 3, 3) == weighed(0.95, 1, 3) == 0.95
    assert weighed(1.0, 100, 1) == 1
    assert weighed(0.0, 100, 1) == 0


def test_a_bundle_without_bands_keeps_the_plain_rule() -> None:
    plain = {"thresholds": {"bed": 0.3}}
    assert [verdict_of("bed", p, 60, plain) for p in (0.6, 0.4, 0.2, 0.1)] == [
        "confirmed",
        "uncertain",
        "uncertain",
        "not shown",
    ]


def test_the_evaluator_fits_boxes_too() -> None:
    box = np.array([[0, 0, 9, 9]], np.float32)
    rng = np.random.default_rng(3)
    found, true = [], []
    for i in range(300):
        shown = i % 2 == 0
        score = np.array([rng.uniform(0.6, 0.95) if shown else rng.uniform(0.05, 0.3)], np.float32)
        found.append(Boxes(box, score, np.array([0])))
        true.append(Boxes(box, np.ones(1, np.float32), np.array([0])) if shown else Boxes.empty())
    keys = tuple(map(str, range(300)))
    scores, truth = Predictions(keys, boxes=tuple(found)), Predictions(keys, boxes=tuple(true))
    problem = PROBLEM.model_copy(update={"task": "object_detection"})
    calibration = torchmetrics.calibrate("isotonic", problem, scores, truth)
    listings = [str(i // 3) for i in range(300)]
    calibration |= torchmetrics.verdict_bands(WANTED, problem, scores, truth, calibration, listings)
    assert calibration["listing_photos"] == 3
    assert calibration["prevalence"]["bed"] == pytest.approx(0.5, abs=0.01)
    assert 0 < calibration["bands"]["bed"][0] <= calibration["bands"]["bed"][1] < 1
    figures = torchmetrics.verdict_figures(problem, scores, truth, calibration, listings)
    assert figures["per_class"]["bed"]["precision"] == 1
    assert figures["per_class"]["sofa"]["confirmed"] == 0
