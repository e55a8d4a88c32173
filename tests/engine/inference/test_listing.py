"""Verdicts on a listing: from the best photo, with evidence and a reason, and "not seen" never sold as "absent"."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pizzeria.errors import RequestError
from pizzeria.inference.answers import PhotoAnswer
from pizzeria.inference.bundle import Bundle
from pizzeria.inference.bundle_files import FolderFiles
from pizzeria.inference.listing import verify
from pizzeria.predictions import Boxes

CLASSES = ["bed", "sofa", "tv"]


def bundle_of(thresholds: list[float], task: str = "multilabel_classification", **calibration: Any) -> Bundle:
    description = {
        "name": "m",
        "task": task,
        "classes": CLASSES,
        "calibration": {
            "method": "none",
            "thresholds": dict(zip(CLASSES, thresholds, strict=True)),
            **calibration,
        },
    }
    return Bundle("here", "sha", description, FolderFiles("here", {"x": Path("x")}), {})


def answers_of(bundle: Bundle, **photos: list[float]) -> dict[str, PhotoAnswer]:
    return {name: PhotoAnswer(bundle, 10, 20, np.array(p, np.float32), {}) for name, p in photos.items()}


@pytest.mark.parametrize(
    ("threshold", "probability", "verdict"),
    [
        (0.3, 0.6, "confirmed"),
        (0.3, 0.4, "uncertain"),  # above the threshold, but less likely than not
        (0.3, 0.2, "uncertain"),
        (0.3, 0.1, "not shown"),
        (0.8, 0.9, "confirmed"),
        (0.8, 0.7, "uncertain"),
        (0.8, 0.3, "not shown"),
    ],
)
def test_verdicts_of_a_bundle_without_bands(threshold: float, probability: float, verdict: str) -> None:
    bundle = bundle_of([threshold, 0.5, 0.5])
    answers = answers_of(bundle, a=[probability, 0.1, 0.1], b=[0.01, 0.9, 0.45])
    found = verify(["bed"], answers, bundle, {"a": "1", "b": "2"})
    [bed] = found["verdicts"]
    assert (bed["amenity"], bed["verdict"], bed["probability"]) == ("bed", verdict, pytest.approx(probability))
    assert bed["evidence"] == (None if verdict == "not shown" else {"photo": "a", "prediction_id": "1", "box": None})
    evidence = {"photo": "b", "prediction_id": "2", "box": None}
    assert found["undeclared"] == [{"amenity": "sofa", "probability": pytest.approx(0.9), "evidence": evidence}]
    assert found["photos"] == [
        {"name": "a", "prediction_id": "1", "width": 10, "height": 20},
        {"name": "b", "prediction_id": "2", "width": 10, "height": 20},
    ]


def test_the_band_decides_and_the_reason_says_why() -> None:
    bands = {"bed": [0.1, 0.8], "sofa": [0.1, 0.8], "tv": [0.1, 0.8]}
    bundle = bundle_of([0.3, 0.3, 0.3], bands=bands, listing_photos=2)
    answers = answers_of(bundle, one=[0.81, 0.05, 0.0], two=[0.2, 0.09, 0.41])
    verdicts = {one["amenity"]: one for one in verify(CLASSES, answers, bundle)["verdicts"]}
    assert {name: one["verdict"] for name, one in verdicts.items()} == {
        "bed": "confirmed",
        "sofa": "not shown",
        "tv": "uncertain",
    }
    assert verdicts["bed"]["reason"] == "seen in one with 81 %"
    assert verdicts["sofa"]["reason"] == "no photo shows it; that does not mean that it is absent"
    assert verdicts["tv"]["reason"] == "something like a tv in two with 41 %: too unsure"
    assert verdicts["sofa"]["evidence"] is None
    [hint] = verify(["tv"], answers_of(bundle, one=[0, 0, 0.12]), bundle)["verdicts"]
    assert hint["reason"] == "hardly seen, 12 % in one: too much to say that none shows it"


def test_among_many_photos_more_evidence_is_needed() -> None:
    bundle = bundle_of([0.3, 0.3, 0.3], bands={name: [0.1, 0.8] for name in CLASSES}, listing_photos=2)
    others = {f"p{i}": [0.01, 0.01, 0.01] for i in range(19)}
    unsure, sure = (answers_of(bundle, best=[p, 0.01, 0.01], **others) for p in (0.85, 0.99))
    [verdict] = verify(["bed"], unsure, bundle)["verdicts"]
    assert verdict["verdict"] == "uncertain"
    assert verdict["reason"] == "something like a bed in best with 85 %: too unsure among 20 photos"
    assert verify(["bed"], sure, bundle)["verdicts"][0]["verdict"] == "confirmed"
    assert verify([], unsure, bundle)["undeclared"] == []


def test_the_surest_box_is_the_evidence() -> None:
    bundle = bundle_of([0.5, 0.5, 0.5], "object_detection")
    xyxy = np.array([[1, 2, 3, 4], [5, 6, 7.126, 8], [0, 0, 9, 9]], np.float32)
    boxes = Boxes(xyxy, np.array([0.7, 0.9, 0.95], np.float32), np.array([0, 0, 1]))
    answers = {
        "empty": PhotoAnswer(bundle, 10, 20, np.array([0.05, 0.02, 0.3], np.float32), {}, Boxes.empty()),
        "room": PhotoAnswer(bundle, 10, 20, np.array([0.9, 0.95, 0.2], np.float32), {}, boxes),
    }
    bed, tv = verify(["bed", "tv"], answers, bundle, {"room": "id-2"})["verdicts"]
    box = {"x_min": 5.0, "y_min": 6.0, "x_max": 7.13, "y_max": 8.0, "confidence": pytest.approx(0.9)}
    assert bed["evidence"] == {"photo": "room", "prediction_id": "id-2", "box": box}
    # Too likely to be called absent, but there is no box that could be shown for it.
    assert (tv["verdict"], tv["evidence"]) == ("uncertain", None)
    assert tv["reason"] == "no photo shows it clearly, but too likely to say that none shows it"


def test_nothing_is_confirmed_without_a_box() -> None:
    bundle = bundle_of([0.5, 0.5, 0.5], "object_detection")
    answers = {"a": PhotoAnswer(bundle, 1, 1, np.array([0.9, 0, 0], np.float32), {}, Boxes.empty())}
    [bed] = verify(["bed"], answers, bundle)["verdicts"]
    assert (bed["verdict"], bed["evidence"]) == ("uncertain", None)


def test_unknown_amenities_are_refused_with_the_nearest() -> None:
    bundle = bundle_of([0.5, 0.5, 0.5])
    with pytest.raises(RequestError) as caught:
        verify(["soffa"], answers_of(bundle, a=[0.9, 0.1, 0.1]), bundle)
    assert (caught.value.status, caught.value.hint) == (422, "did you mean sofa?")
