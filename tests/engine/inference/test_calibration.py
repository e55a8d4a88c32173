from __future__ import annotations

import numpy as np
import pytest

from pizzeria.inference.calibration import calibrate, calibrate_boxes
from pizzeria.predictions import Boxes

CLASSES = ["bed", "tv"]
MAPS = {"bed": {"x": [0.0, 0.5, 1.0], "y": [0.0, 0.8, 1.0]}, "tv": {"x": [0.2, 0.4], "y": [0.1, 0.3]}}


def test_isotonic_presence_interpolates_each_class_and_holds_the_ends() -> None:
    calibration = {"method": "isotonic", "maps": MAPS, "thresholds": {"bed": 0.5, "tv": 0.2}}
    out = calibrate(calibration, np.array([[0.25, 0.3], [1.0, 0.9], [0.0, 0.0]], np.float32), CLASSES)
    assert out.dtype == np.float32
    np.testing.assert_allclose(out, [[0.4, 0.2], [1.0, 0.3], [0.0, 0.1]], atol=1e-6)


def test_isotonic_single_label_is_normalised_and_survives_all_zero() -> None:
    maps = {"bed": {"x": [0.5, 1.0], "y": [0.0, 1.0]}, "tv": {"x": [0.5, 1.0], "y": [0.0, 0.5]}}
    out = calibrate({"method": "isotonic", "maps": maps}, np.array([[0.4, 0.5], [0.9, 0.1]], np.float32), CLASSES)
    np.testing.assert_allclose(out, [[0.4, 0.5], [1.0, 0.0]], atol=1e-6)


def test_temperature_presence_works_on_the_logit_of_each_class() -> None:
    calibration = {"method": "temperature", "temperatures": {"bed": 2.0, "tv": 1.0}, "thresholds": {"bed": 0, "tv": 0}}
    out = calibrate(calibration, np.array([[0.9, 0.9], [0.0, 1.0]]), CLASSES)
    assert out[0, 0] == pytest.approx(0.75, abs=1e-5)  # logit(0.9) / 2 = log 3
    assert out[0, 1] == pytest.approx(0.9, abs=1e-5)
    assert np.isfinite(out).all()


def test_temperature_single_label_softens_and_sums_to_one() -> None:
    out = calibrate({"method": "temperature", "temperature": 2.0}, np.array([[0.9, 0.1], [1.0, 0.0]]), CLASSES)
    np.testing.assert_allclose(out.sum(axis=1), 1, atol=1e-6)
    assert out[0, 0] == pytest.approx(0.75, abs=1e-5)


def test_none_changes_nothing_and_unknown_methods_are_refused() -> None:
    scores = np.array([[0.3, 0.7]], np.float32)
    assert (calibrate({"method": "none"}, scores, CLASSES) == scores).all()
    with pytest.raises(ValueError, match="isotonic, temperature and none"):
        calibrate({"method": "platt"}, scores, CLASSES)


def test_no_photos_and_no_boxes_are_fine() -> None:
    calibration = {"method": "isotonic", "maps": MAPS, "thresholds": {"bed": 0.5, "tv": 0.5}}
    assert calibrate(calibration, np.zeros((0, 2)), CLASSES).shape == (0, 2)
    assert calibrate_boxes(calibration, Boxes.empty(), CLASSES).shape == (0,)


def test_a_box_gets_its_own_class_map() -> None:
    boxes = Boxes(np.zeros((2, 4), np.float32), np.array([0.5, 0.3], np.float32), np.array([0, 1]))
    calibration = {"method": "isotonic", "maps": MAPS, "thresholds": {"bed": 0.5, "tv": 0.5}}
    np.testing.assert_allclose(calibrate_boxes(calibration, boxes, CLASSES), [0.8, 0.2], atol=1e-6)
