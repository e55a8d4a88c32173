"""Verdicts on a listing: from the best photo, and never confirmed when less likely than not."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from pizzeria.errors import RequestError
from pizzeria.inference.answers import PhotoAnswer
from pizzeria.inference.bundle import Bundle
from pizzeria.inference.bundle_files import FolderFiles
from pizzeria.inference.listing import verify

CLASSES = ["bed", "sofa", "tv"]


def _answers(thresholds: list[float], **photos: list[float]) -> tuple[dict[str, PhotoAnswer], Bundle]:
    description = {
        "name": "m",
        "task": "multilabel_classification",
        "classes": CLASSES,
        "calibration": {"method": "none", "thresholds": dict(zip(CLASSES, thresholds, strict=True))},
    }
    bundle = Bundle("here", "sha", description, FolderFiles("here", {"x": Path("x")}), {})
    answers = {name: PhotoAnswer(bundle, 10, 10, np.array(p, np.float32), {}) for name, p in photos.items()}
    return answers, bundle


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
def test_verdicts(threshold: float, probability: float, verdict: str) -> None:
    answers, bundle = _answers([threshold, 0.5, 0.5], a=[probability, 0.1, 0.1], b=[0.01, 0.9, 0.45])
    found = verify(["bed"], answers, bundle)
    [bed] = found["verdicts"]
    assert bed == {"amenity": "bed", "verdict": verdict, "probability": pytest.approx(probability), "evidence": "a"}
    assert [one["amenity"] for one in found["undeclared"]] == ["sofa"]
    assert found["undeclared"][0]["evidence"] == "b"


def test_unknown_amenities_are_refused_with_the_nearest() -> None:
    answers, bundle = _answers([0.5, 0.5, 0.5], a=[0.9, 0.1, 0.1])
    with pytest.raises(RequestError) as caught:
        verify(["soffa"], answers, bundle)
    assert (caught.value.status, caught.value.hint) == (422, "did you mean sofa?")
