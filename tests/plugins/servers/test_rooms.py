"""A service with a classifier of rooms: each photo's room is told, and a prior that fits no bundle is refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from PIL import Image

from pizzeria.inference.bundle import draft_bundle, open_bundle, write_bundle
from pizzeria.inference.predictor import Predictor
from pizzeria.inference.sample import answer_sample
from pizzeria.spec.verification import Verification

pytestmark = pytest.mark.slow
DARK_IS_A_KITCHEN = {"kitchen": {"sofa": 0.02}, "bedroom": {"bed": 0.9, "sofa": 0.2}}


def picture(level: int) -> bytes:
    stream = BytesIO()
    Image.fromarray(np.full((48, 64, 3), level, np.uint8)).save(stream, "JPEG")
    return stream.getvalue()


def rewritten(bundle: Path, folder: Path, **changes: Any) -> Path:
    """The same model with another description."""
    opened = open_bundle(bundle)
    folder.mkdir()
    (folder / "model.onnx").write_bytes(opened.read("model.onnx"))
    onnx.checker.check_model(folder / "model.onnx")
    described = {**opened.description, **changes}
    sample = opened.sample_request()
    answer = answer_sample(Predictor(draft_bundle(described, folder / "model.onnx"), 1), sample)
    write_bundle(folder / "bundle", described, folder / "model.onnx", sample, answer)
    return folder / "bundle"


@pytest.fixture
def amenities(detection_bundle: Path, tmp_path: Path) -> Path:
    """Knows how frequent its classes are. The brighter a photo, the surer a bed; a sofa is always 0.55."""
    calibration = {**open_bundle(detection_bundle).calibration, "prevalence": {"bed": 0.4, "sofa": 0.4}}
    return rewritten(detection_bundle, tmp_path / "amenities", calibration=calibration)


@pytest.fixture
def rooms(classification_bundle: Path, tmp_path: Path) -> Path:
    return rewritten(classification_bundle, tmp_path / "rooms", name="rooms", classes=["kitchen", "bedroom"])


def test_the_answer_names_rooms_and_rests_on_them(start: Callable[..., Any], amenities: Path, rooms: Path) -> None:
    running = start(amenities, verification=Verification(rooms=str(rooms), prior=DARK_IS_A_KITCHEN))
    with running.client as client:
        dark = client.post(
            "/verify",
            files=[("photos", ("dark.jpg", picture(20), "image/jpeg"))],
            data={"declared": json.dumps(["bed", "sofa"])},
        )
        assert dark.status_code == 200, dark.text
        [photo] = dark.json()["photos"]
        assert photo["room"]["name"] == "kitchen"
        assert photo["room"]["probability"] > 0.8
        bed, sofa = dark.json()["verdicts"]
        assert (bed["verdict"], bed["reason"]) == ("uncertain", "no photo of a bedroom, where a bed would be")
        assert sofa["probability"] < 0.3, "0.55 by the photo alone, and sofas are rare in kitchens"
        bright = client.post(
            "/verify", files=[("photos", ("bright.jpg", picture(250), "image/jpeg"))], data={"declared": "bed"}
        )
        assert bright.json()["photos"][0]["room"]["name"] == "bedroom"
        assert bright.json()["verdicts"][0]["verdict"] == "confirmed"


def test_a_room_that_the_bundle_does_not_know_stops_the_start(
    start: Callable[..., Any], amenities: Path, rooms: Path
) -> None:
    with pytest.raises(AssertionError, match="knows no room 'kitchn'"):
        start(amenities, verification=Verification(rooms=str(rooms), prior={"kitchn": {"bed": 0.9}}))
