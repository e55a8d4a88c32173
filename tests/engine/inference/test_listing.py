"""Verdicts on a listing: from the best photo, with evidence and a reason, and "not seen" never sold as "absent"."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pizzeria.errors import RequestError
from pizzeria.inference.answers import PhotoAnswer
from pizzeria.inference.bands import verdict_of
from pizzeria.inference.bundle import Bundle
from pizzeria.inference.bundle_files import FolderFiles
from pizzeria.inference.listing import check_declared, verify
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


def test_what_can_be_refused_is_refused_by_name() -> None:
    bundle = bundle_of([0.5, 0.5, 0.5])
    with pytest.raises(RequestError) as caught:
        verify(["bed", "soffa"], answers_of(bundle, a=[0.9, 0.1, 0.1]), bundle)
    error = caught.value
    assert (error.status, error.code, error.message, error.hint) == (
        422,
        "unknown_amenity",
        "'soffa' is no amenity",
        "did you mean sofa?",
    )
    with pytest.raises(RequestError, match=f"^'{'x' * 60}' is no amenity") as caught:
        check_declared(["x" * 10_000], CLASSES)
    assert caught.value.hint == "there is bed, sofa, tv"
    with pytest.raises(RequestError) as caught:
        verify(["bed"], {}, bundle)
    error = caught.value
    assert (error.status, error.code, error.message, error.hint) == (
        422,
        "no_photos",
        "the listing has no photo",
        "send at least one",
    )
    single = bundle_of([0.5, 0.5, 0.5], "image_classification")
    with pytest.raises(RequestError) as caught:
        verify(["bed"], answers_of(single, a=[0.9, 0.1, 0.1]), single)
    error = caught.value
    assert (error.status, error.code, error.message, error.hint) == (
        422,
        "no_presence",
        "a model for image_classification cannot verify listings",
        "use POST /predict",
    )


def test_verdicts_come_as_declared_and_the_rest_the_most_probable_first() -> None:
    bundle = bundle_of([0.5, 0.5, 0.5])
    answers = answers_of(bundle, a=[0.7123456789, 0.95, 0.8])
    found = verify(["tv", "bed", "tv"], answers, bundle)
    assert [one["amenity"] for one in found["verdicts"]] == ["tv", "bed"]
    assert [one["amenity"] for one in found["undeclared"]] == ["sofa"]
    assert [one["amenity"] for one in verify([], answers, bundle)["undeclared"]] == ["sofa", "tv", "bed"]
    assert verify([], answers, bundle)["undeclared"][2]["probability"] == 0.712346
    assert found["verdicts"][1]["probability"] == 0.712346
    assert found["verdicts"][0]["evidence"] == {"photo": "a", "prediction_id": None, "box": None}
    assert found["photos"] == [{"name": "a", "prediction_id": None, "width": 10, "height": 20}]
    assert (found["model"], set(found)) == ("sha", {"verdicts", "undeclared", "photos", "model"})


@pytest.mark.parametrize(
    ("probability", "name", "reason"),
    [
        (0.9949, "bed", "seen in a with 99 %"),
        (0.9999, "bed", "seen in a with 99 %"),
        (0.004, "bed", "hardly seen, under 1 % in a: too much to say that none shows it"),
        (0.006, "bed", "hardly seen, 1 % in a: too much to say that none shows it"),
        (0.149, "bed", "hardly seen, 15 % in a: too much to say that none shows it"),
        (0.15, "bed", "something like a bed in a with 15 %: too unsure"),
        (0.4, "espresso_maker", "something like an espresso maker in a with 40 %: too unsure"),
        (0.4, "Iron", "something like an Iron in a with 40 %: too unsure"),
    ],
)
def test_a_reason_says_where_and_how_sure(probability: float, name: str, reason: str) -> None:
    classes = [name, "tv"]
    description = {
        "name": "m",
        "task": "multilabel_classification",
        "classes": classes,
        "calibration": {
            "method": "none",
            "thresholds": dict.fromkeys(classes, 0.3),
            "bands": {one: [0.001, 0.9] for one in classes},
        },
    }
    bundle = Bundle("here", "sha", description, FolderFiles("here", {"x": Path("x")}), {})
    # As float64, as what is configured: a float32 of 0.15 would be a little more.
    answers = {"a": PhotoAnswer(bundle, 1, 1, np.array([probability, 0.0]), {})}
    assert verify([name], answers, bundle)["verdicts"][0]["reason"] == reason


def test_of_equal_photos_the_first_is_the_evidence_and_zero_is_no_evidence() -> None:
    bundle = bundle_of([0.5, 0.5, 0.5], bands={"bed": [0, 0], "sofa": [0, 1], "tv": [0.1, 0.6]})
    answers = answers_of(bundle, a=[0, 0.5, 0.6], b=[0, 0.5, 0.6])
    bed, sofa, tv = verify(CLASSES, answers, bundle)["verdicts"]
    assert (sofa["evidence"]["photo"], tv["evidence"]["photo"]) == ("a", "a")
    assert (bed["verdict"], bed["evidence"]) == ("uncertain", None), "a band that takes all in sees nothing in nothing"
    assert tv["verdict"] == "confirmed"


shares = st.floats(0, 1, width=32)


@settings(max_examples=60)
@given(
    photos=st.lists(st.tuples(shares, shares, shares), min_size=1, max_size=6),
    band=st.tuples(shares, shares).map(sorted),
    usual=st.integers(1, 5),
    declared=st.lists(st.sampled_from(CLASSES), max_size=4),
    chance=st.randoms(use_true_random=False),
)
def test_a_verdict_follows_from_the_best_photo_in_whatever_order_they_come(
    photos: list[tuple[float, ...]], band: list[float], usual: int, declared: list[str], chance: Any
) -> None:
    bundle = bundle_of([0.4, 0.4, 0.4], bands=dict.fromkeys(CLASSES, band), listing_photos=usual)
    named = {f"p{i}": list(one) for i, one in enumerate(photos)}
    found = verify(declared, answers_of(bundle, **named), bundle)
    best = {name: max(one[i] for one in photos) for i, name in enumerate(CLASSES)}
    rule = {name: verdict_of(name, p, len(photos), bundle.calibration) for name, p in best.items()}
    for one in found["verdicts"]:
        name, verdict = one["amenity"], one["verdict"]
        assert verdict == ("uncertain" if best[name] == 0 and rule[name] == "confirmed" else rule[name])
        assert (one["evidence"] is None) == (verdict == "not shown" or best[name] == 0)
        if one["evidence"]:
            assert named[one["evidence"]["photo"]][CLASSES.index(name)] == best[name]
    assert {one["amenity"] for one in found["undeclared"]} == {
        name for name in CLASSES if rule[name] == "confirmed" and name not in declared and best[name] > 0
    }
    names = list(named)
    chance.shuffle(names)
    again = verify(declared, answers_of(bundle, **{name: named[name] for name in names}), bundle)
    assert [one["verdict"] for one in again["verdicts"]] == [one["verdict"] for one in found["verdicts"]]
