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
from pizzeria.inference.rooms import RoomAnswer, Rooms, open_rooms, shows

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


def test_what_a_room_says_is_known_exactly(rooms: Rooms) -> None:
    """Odds by hand: a tv in 0.25 of all photos, in 0.6 of bedrooms and 0.1 of kitchens."""
    ratio = (0.6 / 0.4) / (0.25 / 0.75)
    alone = 0.3 / 0.7
    assert rooms.update("tv", 0.3, sure_of("bedroom")) == pytest.approx(alone * ratio / (1 + alone * ratio))
    mixed = 0.5 * 0.6 + 0.25 * 0.1 + 0.25 * 0.25  # half a bedroom, a quarter each of a kitchen and of who knows
    ratio = (mixed / (1 - mixed)) / (0.25 / 0.75)
    halfway = rooms.update("tv", 0.3, sure_of("bedroom", 0.5))
    assert halfway == pytest.approx(alone * ratio / (1 + alone * ratio), abs=1e-6)
    assert rooms.update("tv", 0.0, sure_of("bedroom")) == 0
    assert rooms.update("tv", 1.0, sure_of("kitchen")) == pytest.approx(1)


@pytest.mark.parametrize(("prior", "kept"), [(1.0, 0.999), (0.0, 0.001)])
def test_no_room_makes_a_thing_certain(rooms: Rooms, amenities: Bundle, prior: float, kept: float) -> None:
    sure = Rooms(rooms.predictor, {"bedroom": {"bed": prior}}, amenities)
    ratio = kept / (1 - kept) / (0.3 / 0.7)
    assert sure.update("bed", 0.5, sure_of("bedroom")) == pytest.approx(ratio / (1 + ratio))
    assert 0 < sure.update("bed", 0.5, sure_of("bedroom")) < 1
    assert sure.update("bed", 0.5, sure_of("kitchen")) == pytest.approx(0.5)


def test_rooms_in_which_a_thing_is_expected_are_those_where_most_photos_show_it(
    rooms: Rooms, amenities: Bundle
) -> None:
    prior = {"kitchen": {"tv": 0.5}, "bedroom": {"tv": 0.49, "bed": 0.9}, "bathroom": {"tv": 0.51}}
    told = Rooms(rooms.predictor, prior, amenities)
    assert told.where("tv") == ("kitchen", "bathroom")
    assert (told.where("bed"), told.where("sofa")) == (("bedroom",), ())
    assert [shows(sure_of("kitchen", share), "kitchen") for share in (0.5, 0.49)] == [True, False]
    assert not shows(sure_of("kitchen"), "bathroom")


def test_the_most_probable_room_is_told() -> None:
    room = RoomAnswer(tuple(ROOMS), np.array([0.2, 0.7123456789, 0.0876543], np.float32))
    assert (room.name, room.probability) == ("bedroom", pytest.approx(0.71234568))
    assert room.wire() == {"name": "bedroom", "probability": 0.712346}


def test_several_rooms_are_named_where_one_of_them_must_be_seen(rooms: Rooms, amenities: Bundle) -> None:
    told = Rooms(rooms.predictor, {"bedroom": {"tv": 0.6}, "kitchen": {"tv": 0.5}}, amenities)
    nothing = [0.0, 0.0, 0.0]
    [tv] = judge(amenities, told, ["tv"], a=(nothing, sure_of("bathroom")))
    assert tv["reason"] == "no photo of a bedroom or a kitchen, where a tv would be"
    [tv] = judge(amenities, told, ["tv"], a=(nothing, sure_of("bathroom")), b=(nothing, sure_of("kitchen")))
    assert (tv["verdict"], tv["evidence"]) == ("not shown", None)


def test_the_best_photo_is_the_one_that_is_best_with_its_room(amenities: Bundle, rooms: Rooms) -> None:
    photos = {"a": ([0.5, 0.0, 0.0], sure_of("kitchen")), "b": ([0.4, 0.0, 0.0], sure_of("bedroom"))}
    [bed] = judge(amenities, rooms, ["bed"], **photos)
    assert (bed["verdict"], bed["evidence"]["photo"]) == ("confirmed", "b")
    assert bed["probability"] == pytest.approx(rooms.update("bed", 0.4, sure_of("bedroom")), abs=1e-6)


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
        ({"kitchn": {"bed": 0.5}}, r"^serving\.verification\.prior: .*rooms knows no room 'kitchn'$", "kitchen"),
        ({"kitchen": {"sofaa": 0.5}}, r"^serving\.verification\.prior\.kitchen: .*amenities knows no 'sofaa'$", "sofa"),
    ],
)
def test_unknown_names_are_refused(
    rooms: Rooms, amenities: Bundle, prior: dict[str, dict[str, float]], message: str, hint: str
) -> None:
    with pytest.raises(BundleError, match=message) as caught:
        Rooms(rooms.predictor, prior, amenities)
    assert caught.value.hint == f"did you mean {hint}?"


def test_only_a_fitting_bundle_tells_rooms(make_bundle: Make, amenities: Bundle, rooms: Rooms) -> None:
    with pytest.raises(
        BundleError, match=r"amenities is a model for multilabel_classification and cannot tell rooms apart$"
    ) as caught:
        Rooms(Predictor(amenities, threads=1), PRIOR, amenities)
    assert caught.value.hint == "serving.verification.rooms takes a bundle for image_classification"
    old = make_bundle("multilabel_classification", "old")
    with pytest.raises(
        BundleError, match=r"old does not say how frequent 'tv' is, so no room can change it$"
    ) as caught:
        Rooms(rooms.predictor, PRIOR, old)
    assert caught.value.hint == "pack it again with this version of Pizzeria"
    assert Rooms(rooms.predictor, {}, old).update("tv", 0.3, sure_of("kitchen")) == 0.3, "no prior, nothing to lack"


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
