"""Compares what a listing declares with what its photos show.

An amenity's probability is the highest among the listing's photos, moved by each photo's room where rooms are told
(`pizzeria.inference.rooms`); `pizzeria.inference.bands` makes a verdict of it. Two rules stand above the bands. Nothing
is confirmed that the photo alone, without its room, would call absent: a kitchen is no evidence of a stove. And an
amenity that is expected in certain rooms is `not shown` only when a photo shows one of them; without such a photo
nobody has looked where it would be.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pizzeria.errors import RequestError, nearest
from pizzeria.inference.answers import PhotoAnswer
from pizzeria.inference.bands import band_of, verdict_of, widest
from pizzeria.inference.bundle import Bundle
from pizzeria.inference.rooms import RoomAnswer, Rooms, shows

ABSENT = "no photo shows it; that does not mean that it is absent"


@dataclass(frozen=True)
class Told:
    """The photos of one listing, and what is said of them.

    Attributes:
        answers: By photo name.
        ids: Prediction id by photo name; empty where none are kept.
        rooms: The classifier of rooms, and its answer by photo name; None and empty without one.
    """

    answers: Mapping[str, PhotoAnswer]
    ids: Mapping[str, str]
    rooms: Rooms | None
    room_of: Mapping[str, RoomAnswer]

    def probability(self, index: int, name: str, photo: str) -> float:
        """That the photo shows the class, its room considered."""
        alone = float(self.answers[photo].probabilities[index])
        return alone if self.rooms is None else self.rooms.update(name, alone, self.room_of[photo])


@dataclass(frozen=True)
class Sight:
    """Where an amenity is seen best.

    Attributes:
        name: The amenity.
        photo: Name of the photo.
        probability: That it shows the amenity.
        alone: The same without regard to its room.
        box: As on the wire; None for models without boxes, and where there is no box.
        visible: Whether there is anything to show as evidence.
    """

    name: str
    photo: str
    probability: float
    alone: float
    box: Mapping[str, float] | None
    visible: bool


def verify(
    declared: Sequence[str],
    answers: Mapping[str, PhotoAnswer],
    bundle: Bundle,
    ids: Mapping[str, str] | None = None,
    rooms: Rooms | None = None,
    room_of: Mapping[str, RoomAnswer] | None = None,
) -> dict[str, Any]:
    """A verdict for each declared amenity, and what is seen but not declared.

    Args:
        declared: Amenities as the listing names them; must be classes of the model. Naming one twice counts once.
        answers: By photo name.
        bundle: Detection or multi-label.
        ids: Prediction id of each answer, by photo name.
        rooms: Where rooms are told: what to expect in them ...
        room_of: ... and the room of each photo, by its name.

    Returns:
        {"verdicts": [{"amenity", "verdict", "probability", "reason", "evidence"}], "undeclared": [{"amenity",
        "probability", "evidence"}], "photos": [{"name", "prediction_id", "width", "height", maybe "room": {"name",
        "probability"}}], "model": sha256}, where evidence is {"photo", "prediction_id", "box": {"x_min", "y_min",
        "x_max", "y_max", "confidence"} or null} or null. Verdicts come in the order of `declared`, undeclared ones
        with the most probable first, and photos in the order of `answers`.

    Raises:
        RequestError: 422; a declared amenity is no class, there is no photo, or the model does not judge presence.
    """
    if not bundle.judges_presence:
        raise RequestError(
            422, "no_presence", f"a model for {bundle.task} cannot verify listings", hint="use POST /predict"
        )
    if not answers:
        raise RequestError(422, "no_photos", "the listing has no photo", hint="send at least one")
    check_declared(declared, bundle.classes)
    told = Told(answers, ids or {}, rooms, room_of or {})
    sights = {name: _best(i, name, told) for i, name in enumerate(bundle.classes)}
    judged = {name: _judged(sight, told, bundle) for name, sight in sights.items()}
    undeclared = [
        {"amenity": name, "probability": round(sight.probability, 6), "evidence": _evidence(sight, told)}
        for name, sight in sorted(sights.items(), key=lambda item: -item[1].probability)
        if name not in declared and judged[name]["verdict"] == "confirmed"
    ]
    return {
        "verdicts": [judged[name] for name in dict.fromkeys(declared)],
        "undeclared": undeclared,
        "photos": [_photo(name, told) for name in answers],
        "model": bundle.sha256,
    }


def check_declared(declared: Sequence[str], classes: Sequence[str]) -> None:
    """Refuse amenities that the model does not know; worth doing before any photo costs time.

    Raises:
        RequestError: 422; names the nearest class.
    """
    for name in declared:
        if name not in classes:
            shown = name[:60]
            raise RequestError(422, "unknown_amenity", f"{shown!r} is no amenity", hint=nearest(shown, classes))


def _best(index: int, name: str, told: Told) -> Sight:
    photo = max(told.answers, key=lambda one: told.probability(index, name, one))
    answer = told.answers[photo]
    box = _box(index, answer)
    alone = float(answer.probabilities[index])
    visible = box is not None if answer.boxes is not None else alone > 0
    return Sight(name, photo, told.probability(index, name, photo), alone, box, visible)


def _box(index: int, answer: PhotoAnswer) -> dict[str, float] | None:
    """The class's surest box in a photo."""
    if answer.boxes is None:
        return None
    mine = np.flatnonzero(answer.boxes.labels == index)
    if not len(mine):
        return None
    at = int(mine[answer.boxes.scores[mine].argmax()])
    corners = zip(("x_min", "y_min", "x_max", "y_max"), answer.boxes.xyxy[at], strict=True)
    sure = round(float(answer.confidences()[at]), 6)
    return {corner: round(float(pixel), 2) for corner, pixel in corners} | {"confidence": sure}


def _judged(sight: Sight, told: Told, bundle: Bundle) -> dict[str, Any]:
    low, _ = band_of(sight.name, bundle.calibration)
    seen = sight.visible and sight.alone >= low
    verdict, reason = _verdict(sight, seen, told, bundle)
    return {
        "amenity": sight.name,
        "verdict": verdict,
        "probability": round(sight.probability, 6),
        "reason": reason,
        "evidence": _evidence(sight, told) if seen and verdict != "not shown" else None,
    }


def _verdict(sight: Sight, seen: bool, told: Told, bundle: Bundle) -> tuple[str, str]:
    """The verdict, and why in a short sentence; `seen` says whether the photo alone gives reason to think of it."""
    name, count, calibration = sight.name, len(told.answers), bundle.calibration
    verdict = verdict_of(name, sight.probability, count, calibration)
    percent = _percent(sight.probability)
    share = f"{sight.photo} with {percent}"
    if verdict == "confirmed" and seen:
        return verdict, f"seen in {share}"
    if verdict == "not shown":
        unseen = _rooms_unseen(name, told)
        if not unseen:
            return verdict, ABSENT
        rooms = " or ".join(_with_article(room) for room in unseen)
        return "uncertain", f"no photo of {rooms}, where {_with_article(name)} would be"
    if not seen:
        return "uncertain", "no photo shows it clearly, but too likely to say that none shows it"
    if sight.probability < widest(calibration["thresholds"][name])[0]:
        return "uncertain", f"hardly seen, {percent} in {sight.photo}: too much to say that none shows it"
    _, high = band_of(name, calibration)
    among = f" among {count} photos" if sight.probability >= high else ""
    return "uncertain", f"something like {_with_article(name)} in {share}: too unsure{among}"


def _rooms_unseen(name: str, told: Told) -> tuple[str, ...]:
    """Rooms in which the amenity is expected, where no photo shows any of them; empty where one does."""
    wanted = () if told.rooms is None else told.rooms.where(name)
    seen = any(shows(told.room_of[photo], room) for photo in told.answers for room in wanted)
    return () if seen else wanted


def _evidence(sight: Sight, told: Told) -> dict[str, Any]:
    return {"photo": sight.photo, "prediction_id": told.ids.get(sight.photo), "box": sight.box}


def _photo(name: str, told: Told) -> dict[str, Any]:
    answer = told.answers[name]
    out = {"name": name, "prediction_id": told.ids.get(name), "width": answer.width, "height": answer.height}
    return out | ({"room": told.room_of[name].wire()} if name in told.room_of else {})


def _percent(probability: float) -> str:
    """Whole percent; never 0 or 100, which no probability is.

    Example:
        >>> _percent(0.9996), _percent(0.41), _percent(0.001)
        ('99 %', '41 %', 'under 1 %')
    """
    whole = round(100 * probability)
    return f"{min(whole, 99)} %" if whole >= 1 else "under 1 %"


def _with_article(name: str) -> str:
    """
    Example:
        >>> _with_article("oven"), _with_article("living_room")
        ('an oven', 'a living room')
    """
    words = name.replace("_", " ")
    return f"{'an' if words[:1].lower() in tuple('aeiou') else 'a'} {words}"
