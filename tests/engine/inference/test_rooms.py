"""Rooms as a prior: Bayes' rule as written down, and no absence where nobody has looked."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from pizzeria.errors import BundleError
from pizzeria.inference.answers import PhotoAnswer
from pizzeria.inference.bundle import Bundle
from pizzeria.inference.contract import Contract, Limits
from pizzeria.inference.listing import verify
from pizzeria.inference.photos import decode
from pizzeria.inference.predictor import Predictor
from pizzeria.inference.rooms import RoomAnswer, Rooms, open_rooms

Make = Callable[..., Bundle]
ROOMS = ["kitchen", "bedroom", "bathroom"]
PRIOR = {"kitchen": {"tv": 0.1, "sofa": 0.02}, "bedroom": {"bed": 0.95, "tv": 0.6}}
PREVALENCE = {"bed": 0.3, "sofa": 0.2, "tv": 0.25}


def calibration(**changes: Any) -> dict[str, Any]:
    thresholds = {"bed": 0.5, "sofa": 0.5, "tv": 0.5}
    return {"method": "none", "thresholds": thresholds, "prevalence": PREVALENCE} | changes


@pytest.fixture
def amenities(make_bundle: Make) -> Bundle:
    """Says of a photo's red, green and blue that they are a bed, a sofa and a tv."""
    return make_bundle("multilabel_classification", "amenities", calibration=calibration())


@pytest.fixture
def rooms(make_bundle: Make, amenities: Bundle) -> Rooms:
    """Takes a photo's strongest colour for its room."""
    bundle = make_bundle("image_classification", "rooms", classes=ROOMS)
    return Rooms(Predictor(bundle, threads=1), PRIOR, amenities)


def sure_of(room: str, share: float = 1.0) -> RoomAnswer:
    rest = (1 - share) / 2
    return RoomAnswer(tuple(ROOMS), np.array([share if one == room else rest for one in ROOMS], np.float32))


def judge(amenities: Bundle, rooms: Rooms, declared: list[str], **photos: tuple[list[float], RoomAnswer]) -> Any:
    answers = {
        name: PhotoAnswer(amenities, 8, 8, np.array(probabilities, np.float32), {})
        for name, (probabilities, _) in photos.items()
    }
    found = verify(declared, answers, amenities, None, rooms, {name: room for name, (_, room) in photos.items()})
    return found["verdicts"]


def test_the_update_is_bayes_rule(rooms: Rooms) -> None:
    """Counted out: draw rooms, amenities and a noisy sign, and see how often the amenity is there."""
    rng = np.random.default_rng(0)
    count = 400_000
    share = {"kitchen": 0.1, "bedroom": 0.6, "bathroom": 0.25}  # of a tv; bathroom: the base rate itself
    weights = np.array([0.5, 0.2, 0.3])
    base = float(weights @ np.array(list(share.values())))
    room = rng.choice(3, size=count, p=weights)
    there = rng.uniform(size=count) < np.array(list(share.values()))[room]
    sign = rng.uniform(size=count) < np.where(there, 0.7, 0.2)
    alone = 0.7 * base / (0.7 * base + 0.2 * (1 - base))
    rooms._base["tv"] = base
    for i, name in enumerate(("kitchen", "bedroom")):
        seen = there[sign & (room == i)].mean()
        assert rooms.update("tv", alone, sure_of(name)) == pytest.approx(seen, abs=0.01)


def test_what_no_prior_mentions_stays(rooms: Rooms) -> None:
    for p in (0.0, 0.2, 1.0):
        assert rooms.update("sofa", p, sure_of("bathroom")) == pytest.approx(p)
    assert rooms.update("bed", 0.4, sure_of("kitchen")) == pytest.approx(0.4)
    assert rooms.update("bed", 0.4, sure_of("bedroom")) > 0.95
    halfway = rooms.update("bed", 0.4, sure_of("bedroom", 0.5))
    assert 0.4 < halfway < rooms.update("bed", 0.4, sure_of("bedroom"))


def test_absence_needs_a_photo_of_the_room(amenities: Bundle, rooms: Rooms) -> None:
    nothing = [0.01, 0.01, 0.01]
    [bed, sofa] = judge(amenities, rooms, ["bed", "sofa"], a=(nothing, sure_of("bathroom")))
    assert (bed["verdict"], bed["evidence"]) == ("uncertain", None)
    assert bed["reason"] == "no photo of a bedroom, where a bed would be"
    assert sofa["verdict"] == "not shown", "a sofa is expected in no room, so any photo will do"
    [bed] = judge(amenities, rooms, ["bed"], a=(nothing, sure_of("bathroom")), b=(nothing, sure_of("bedroom", 0.9)))
    assert bed["verdict"] == "not shown" or bed["probability"] > 0.05
    rare = [0.0005, 0.01, 0.01]
    [bed] = judge(amenities, rooms, ["bed"], a=(rare, sure_of("bathroom")), b=(rare, sure_of("bedroom", 0.9)))
    assert bed["verdict"] == "not shown"


def test_a_room_alone_confirms_nothing(amenities: Bundle, rooms: Rooms) -> None:
    assert rooms.update("bed", 0.2, sure_of("bedroom")) > 0.9
    [bed] = judge(amenities, rooms, ["bed"], a=([0.2, 0, 0], sure_of("bedroom")))
    assert (bed["verdict"], bed["reason"]) == (
        "uncertain",
        "no photo shows it clearly, but too likely to say that none shows it",
    )
    [bed] = judge(amenities, rooms, ["bed"], a=([0.4, 0, 0], sure_of("bedroom")))
    assert bed["verdict"] == "confirmed"


def test_the_room_can_take_a_verdict_back(amenities: Bundle, rooms: Rooms) -> None:
    photo = [0.0, 0.8, 0.0]
    assert judge(amenities, rooms, ["sofa"], a=(photo, sure_of("bathroom")))[0]["verdict"] == "confirmed"
    assert judge(amenities, rooms, ["sofa"], a=(photo, sure_of("kitchen")))[0]["verdict"] != "confirmed"


@pytest.mark.parametrize(
    ("prior", "message", "hint"),
    [
        ({"kitchn": {"bed": 0.5}}, "knows no room 'kitchn'", "did you mean kitchen?"),
        ({"kitchen": {"sofaa": 0.5}}, "knows no 'sofaa'", "did you mean sofa?"),
    ],
)
def test_unknown_names_are_refused(
    rooms: Rooms, amenities: Bundle, prior: dict[str, dict[str, float]], message: str, hint: str
) -> None:
    with pytest.raises(BundleError, match=message) as caught:
        Rooms(rooms.predictor, prior, amenities)
    assert caught.value.hint == hint


def test_only_a_fitting_bundle_tells_rooms(make_bundle: Make, amenities: Bundle, rooms: Rooms) -> None:
    with pytest.raises(BundleError, match="cannot tell rooms apart"):
        Rooms(Predictor(amenities, threads=1), PRIOR, amenities)
    old = make_bundle("multilabel_classification", "old")
    with pytest.raises(BundleError, match="how frequent"):
        Rooms(rooms.predictor, PRIOR, old)


def test_a_changed_byte_in_the_rooms_bundle_is_refused(make_bundle: Make, amenities: Bundle, tmp_path: Any) -> None:
    make_bundle("image_classification", "told", classes=ROOMS)
    assert open_rooms(tmp_path / "told", PRIOR, amenities, threads=1).where("bed") == ("bedroom",)
    path = tmp_path / "told" / "model.onnx"
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(bytes(data))
    with pytest.raises(BundleError, match=r"model\.onnx was changed"):
        open_rooms(tmp_path / "told", PRIOR, amenities, threads=1)


def test_the_service_tells_each_photos_room(amenities: Bundle, rooms: Rooms, jpeg: Callable[..., bytes]) -> None:
    contract = Contract(Predictor(amenities, threads=1), Limits(), rooms=rooms)
    photo = jpeg("blue")
    parts = (
        b'--b\r\nContent-Disposition: form-data; name="photos"; filename="a.jpg"\r\n\r\n' + photo + b"\r\n"
        b'--b\r\nContent-Disposition: form-data; name="declared"\r\n\r\nbed\r\n--b--\r\n'
    )
    reply = contract.answer("POST", "/verify", {"Content-Type": "multipart/form-data; boundary=b"}, parts)
    found = json.loads(reply.body)
    [told] = found["photos"]
    room = rooms.tell(decode(photo, max_megapixels=1, preprocessing=rooms.preprocessing))
    assert told["room"] == {"name": "bathroom", "probability": pytest.approx(room.probability, abs=1e-6)}
    assert (told["width"], told["height"], told["prediction_id"]) == (128, 96, reply.records[0]["prediction_id"])
    assert found["verdicts"][0]["reason"] == "no photo of a bedroom, where a bed would be"
