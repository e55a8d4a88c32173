"""Compares what a listing declares with what its photos show."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pizzeria.errors import RequestError, nearest
from pizzeria.inference.answers import PhotoAnswer
from pizzeria.inference.bundle import Bundle

VERDICTS = ("confirmed", "uncertain", "not shown")
MORE_LIKELY_THAN_NOT = 0.5


def verify(declared: Sequence[str], answers: Mapping[str, PhotoAnswer], bundle: Bundle) -> dict[str, Any]:
    """A verdict for each declared amenity, and what is seen but not declared.

    An amenity's probability is the highest among the listing's photos, and that photo is the evidence. With the class's
    threshold t it is `not shown` below t / 2, `confirmed` from t if also more likely than not, else `uncertain`.

    Args:
        declared: Amenities as the listing names them; must be classes of the model. Naming one twice counts once.
        answers: By photo name.
        bundle: Detection or multi-label.

    Returns:
        {"verdicts": [{"amenity", "verdict", "probability", "evidence": photo name or null}],
        "undeclared": [{"amenity", "probability", "evidence"}], "photos": count, "model": sha256}. Verdicts come in the
        order of `declared`, undeclared ones with the most probable first.

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
    best = {name: _best(i, answers) for i, name in enumerate(bundle.classes)}
    verdicts = [
        _told(name, *best[name]) | {"verdict": _verdict(name, best[name][0], bundle)}
        for name in dict.fromkeys(declared)
    ]
    undeclared = [
        _told(name, *found)
        for name, found in sorted(best.items(), key=lambda item: -item[1][0])
        if name not in declared and _verdict(name, found[0], bundle) == "confirmed"
    ]
    return {"verdicts": verdicts, "undeclared": undeclared, "photos": len(answers), "model": bundle.sha256}


def check_declared(declared: Sequence[str], classes: Sequence[str]) -> None:
    """Refuse amenities that the model does not know; worth doing before any photo costs time.

    Raises:
        RequestError: 422; names the nearest class.
    """
    for name in declared:
        if name not in classes:
            shown = name[:60]
            raise RequestError(422, "unknown_amenity", f"{shown!r} is no amenity", hint=nearest(shown, classes))


def _best(index: int, answers: Mapping[str, PhotoAnswer]) -> tuple[float, str | None]:
    photo = max(answers, key=lambda name: float(answers[name].probabilities[index]))
    probability = float(answers[photo].probabilities[index])
    return probability, photo if probability > 0 else None


def _verdict(name: str, probability: float, bundle: Bundle) -> str:
    threshold = bundle.thresholds[name]
    if probability >= max(threshold, MORE_LIKELY_THAN_NOT):
        return "confirmed"
    return "uncertain" if probability >= threshold / 2 else "not shown"


def _told(name: str, probability: float, evidence: str | None) -> dict[str, Any]:
    return {"amenity": name, "probability": round(probability, 6), "evidence": evidence}
