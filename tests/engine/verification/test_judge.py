"""One bundle and one listing at a time: what is judged, what is not, and what decides it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pizzeria.errors import DataError
from pizzeria.inference.bundle import draft_bundle, open_bundle, write_bundle
from pizzeria.inference.predictor import Predictor
from pizzeria.inference.sample import answer_sample
from pizzeria.spec.stages import Serving
from pizzeria.spec.verification import Verification
from pizzeria.verification import Judge, Listing, verify_listings
from pizzeria.verification.judge import Seen

ROOMS = ["kitchen", "bedroom", "bathroom"]
PRIOR = {"bedroom": {"bed": 0.9}}
PREVALENCE = dict.fromkeys(("bed", "sofa", "tv"), 0.3)


class Told:
    """A progress that keeps what it is told."""

    def __init__(self) -> None:
        self.updates: list[tuple[str, int, int]] = []

    def update(self, label: str, done: int, total: int, **figures: float) -> None:
        self.updates.append((label, done, total))


@pytest.fixture
def rooms_bundle(bundle: Path, tmp_path: Path) -> Path:
    """The same network, which takes a photo's strongest colour for its room."""
    made = open_bundle(bundle)
    description = {key: value for key, value in made.description.items() if key != "format"}
    description |= {
        "name": "rooms",
        "task": "image_classification",
        "classes": ROOMS,
        "calibration": {"method": "none"},
    }
    model = tmp_path / "rooms.onnx"
    model.write_bytes(made.read("model.onnx"))
    request = ("request.jpg", (tmp_path / "red.jpg").read_bytes())
    golden = answer_sample(Predictor(draft_bundle(description, model), 1), request)
    write_bundle(tmp_path / "rooms", description, model, request, golden)
    return tmp_path / "rooms"


@pytest.fixture(autouse=True)
def photos(tmp_path: Path) -> Path:
    """red.jpg, green.jpg, blue.jpg, which show a bed, a sofa and a tv, dark.jpg, and one that is none."""
    from PIL import Image

    for name, colour in {"red": (230, 0, 0), "green": (0, 230, 0), "blue": (0, 0, 230), "dark": (0, 0, 0)}.items():
        Image.new("RGB", (48, 32), colour).save(tmp_path / f"{name}.jpg", quality=95)
    (tmp_path / "none.jpg").write_bytes(b"not a photo")
    Image.new("RGB", (48, 32), (230, 0, 0)).save(tmp_path / "red.png")
    return tmp_path


def judged(judge: Judge, listing: Listing) -> dict[str, Any]:
    return judge.judge(listing, [judge.look(path) for path in listing.photos])


def test_what_a_listing_declares_is_held_against_its_photos(bundle: Path, photos: Path) -> None:
    judge = Judge(bundle, Serving())
    one = Listing("L1", ("tv", "jacuzzi", "bed", "pool", "jacuzzi"), (photos / "red.jpg", photos / "dark.jpg"))
    found = judged(judge, one)
    assert [(said["amenity"], said["verdict"]) for said in found["verdicts"]] == [
        ("tv", "not shown"),
        ("bed", "confirmed"),
    ]
    assert found["verdicts"][1]["evidence"] == {"photo": "red.jpg", "prediction_id": None, "box": None}
    assert [photo["name"] for photo in found["photos"]] == ["red.jpg", "dark.jpg"]
    assert found["not_judged"] == ["jacuzzi", "pool"]
    assert (found["listing_id"], found["unreadable"], found["fault"]) == ("L1", {}, "")
    assert found["model"] == open_bundle(bundle).sha256
    assert [said["amenity"] for said in judged(judge, Listing("L2", (), one.photos))["undeclared"]] == ["bed"]


def test_photos_that_cannot_be_read_are_told_and_the_rest_is_judged(bundle: Path, photos: Path) -> None:
    judge = Judge(bundle, Serving())
    paths = tuple(photos / name for name in ("none.jpg", "absent.jpg", "red.jpg"))
    found = judged(judge, Listing("L1", ("bed",), paths))
    assert found["verdicts"][0]["verdict"] == "confirmed"
    assert found["unreadable"]["absent.jpg"] == "it cannot be read: No such file or directory"
    assert list(found["unreadable"]) == ["none.jpg", "absent.jpg"]
    assert found["unreadable"]["none.jpg"]
    nothing = judged(judge, Listing("L2", ("bed", "pool", "bed"), paths[:2]))
    assert nothing == {
        "listing_id": "L2",
        "verdicts": [],
        "undeclared": [],
        "photos": [],
        "model": judge.bundle.sha256,
        "not_judged": ["bed", "pool"],
        "unreadable": found["unreadable"],
        "fault": "none of its photos can be read",
    }
    assert judged(judge, Listing("L3", ("bed",), (), "it has no photo"))["fault"] == "it has no photo"
    assert judged(judge, Listing("L4", ("bed",), paths, "of two minds"))["fault"] == "of two minds"


def test_photos_of_the_same_name_are_kept_apart(bundle: Path, photos: Path) -> None:
    for i, name in enumerate(("red", "dark", "none", "red")):
        (photos / str(i)).mkdir()
        (photos / str(i) / "a.jpg").write_bytes((photos / f"{name}.jpg").read_bytes())
    found = judged(Judge(bundle, Serving()), Listing("L", ("bed",), tuple(photos / str(i) / "a.jpg" for i in range(4))))
    assert [photo["name"] for photo in found["photos"]] == ["a.jpg", "a.jpg (2)", "a.jpg (4)"]
    assert list(found["unreadable"]) == ["a.jpg (3)"]


def test_limits_and_formats_are_those_of_the_service(bundle: Path, photos: Path) -> None:
    assert isinstance(Judge(bundle, Serving()).look(photos / "red.png"), Seen)
    said = Judge(bundle, Serving(formats=("jpeg", "webp"))).look(photos / "red.png")
    assert isinstance(said, str)
    assert "PNG" in said
    assert isinstance(Judge(bundle, Serving(formats=("jpeg",))).look(photos / "red.jpg"), Seen)
    assert isinstance(Judge(bundle, Serving(max_megapixels=0.001)).look(photos / "red.jpg"), str)


def test_rooms_are_asked_where_the_spec_names_them(
    make_bundle: Callable[..., Path], rooms_bundle: Path, photos: Path
) -> None:
    bundle = make_bundle("amenities", prevalence=PREVALENCE)
    told = Serving(verification=Verification(rooms=str(rooms_bundle), prior=PRIOR))
    with_rooms, without = Judge(bundle, told), Judge(bundle, Serving())
    seen = with_rooms.look(photos / "green.jpg")
    assert isinstance(seen, Seen)
    assert seen.room is not None
    assert seen.room.name == "bedroom"
    assert int(seen.answer.probabilities.argmax()) == 1, "a sofa, of the photo itself"
    plain = without.look(photos / "green.jpg")
    assert isinstance(plain, Seen)
    assert plain.room is None
    one = Listing("L", ("bed",), (photos / "blue.jpg", photos / "none.jpg"))
    found = judged(with_rooms, one)
    assert found["verdicts"][0]["reason"] == "no photo of a bedroom, where a bed would be"
    assert found["photos"][0]["room"]["name"] == "bathroom"
    assert judged(without, one)["verdicts"][0]["verdict"] == "not shown"
    assert "room" not in judged(without, one)["photos"][0]


def test_its_identity_is_all_that_decides_a_verdict(
    make_bundle: Callable[..., Path], rooms_bundle: Path, bundle: Path
) -> None:
    told = Verification(rooms=str(rooms_bundle), prior=PRIOR)
    known = make_bundle("amenities", prevalence=PREVALENCE)
    assert Judge(known, Serving(verification=told, formats=("webp", "jpeg"), max_megapixels=7)).identity() == {
        "bundle": open_bundle(known).sha256,
        "rooms": open_bundle(rooms_bundle).sha256,
        "prior": PRIOR,
        "max_megapixels": 7,
        "formats": ["JPEG", "WebP"],
    }
    assert Judge(bundle, Serving()).identity()["rooms"] is None


def test_a_model_that_says_not_what_a_photo_shows_is_refused(rooms_bundle: Path) -> None:
    with pytest.raises(DataError) as caught:
        Judge(rooms_bundle, Serving())
    assert caught.value.message == "listings cannot be verified with a model for image_classification"
    assert caught.value.hint == "object_detection and multilabel_classification say what a photo shows"


@pytest.mark.parametrize("start", [0, 1, 37, 40])
def test_listings_come_in_their_order_from_where_it_begins(bundle: Path, photos: Path, start: int) -> None:
    names = ("red", "green", "blue", "dark")
    listings = [Listing(f"L{i}", ("bed",), (photos / f"{names[i % 4]}.jpg",) * (i % 3)) for i in range(40)]
    judge, told = Judge(bundle, Serving()), Told()
    found = list(verify_listings(judge, listings, told, start))  # type: ignore[arg-type]
    assert found == [judged(judge, one) for one in listings[start:]]
    assert told.updates == [("verifying", done, 40) for done in range(start + 1, 41)]


def test_whoever_stops_asking_leaves_no_thread(bundle: Path, photos: Path) -> None:
    import threading

    listings = [Listing(f"L{i}", ("bed",), (photos / "red.jpg",)) for i in range(60)]
    going = verify_listings(Judge(bundle, Serving()), listings, Told())  # type: ignore[arg-type]
    assert next(going)["listing_id"] == "L0"
    assert any(thread.name.startswith("verify") for thread in threading.enumerate())
    going.close()
    assert not any(thread.name.startswith("verify") for thread in threading.enumerate())
