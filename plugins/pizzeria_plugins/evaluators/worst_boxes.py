"""Where a detector was furthest from the truth: the worst mistakes one by one, and the worst photos."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

from pizzeria.predictions import Boxes
from pizzeria_plugins.evaluators.box_errors import KINDS
from pizzeria_plugins.evaluators.told_boxes import Told


def mistakes(photos: Sequence[Told], classes: Sequence[str], limit: int) -> list[dict[str, Any]]:
    """The surest wrong boxes and the least seen true ones, in turn.

    Returns:
        `{key, kind, class, score, box}`: `kind` is one of `pizzeria_plugins.evaluators.box_errors.KINDS`, `box` is xyxy
        in pixels of the original, and `score` the confidence (of a missed box: the highest that a box gave it). Where
        there is a true box that a wrong one should have been, `true` names its class.
    """
    false, missed = [], []
    for one in photos:
        key = {"key": one.key}
        false += [key | _told(one, at, classes) for at in np.flatnonzero(~one.errors.right)]
        missed += [key | _missed(one, at, classes) for at in np.flatnonzero(one.errors.missed)]
    false.sort(key=lambda mistake: -mistake["score"])
    missed.sort(key=lambda mistake: (mistake["score"], -_area(mistake["box"])))
    turns = [entry for pair in zip(false, missed, strict=False) for entry in pair]
    rest = false[len(missed) :] or missed[len(false) :]
    return (turns + rest)[:limit]


def photos_with_most(photos: Sequence[Told], classes: Sequence[str], limit: int) -> list[dict[str, Any]]:
    """The photos whose mistakes weigh most: each wrong box its confidence, each missed one what it lacked of certainty.

    Returns:
        `{key, weight, errors, found, missed}`: `errors` {kind: count}, `found` the boxes told, as in `mistakes` without
        the key and with `kind` null for a right one, and `missed` the true boxes that are not among them.
    """
    weighed = [(float(_weight(one)), number) for number, one in enumerate(photos)]
    out = []
    for weight, number in sorted(((w, n) for w, n in weighed if w > 0), key=lambda pair: (-pair[0], pair[1]))[:limit]:
        one = photos[number]
        found = [_told(one, at, classes) for at in range(len(one.errors.kind))]
        missed = [_missed(one, at, classes) for at in np.flatnonzero(one.errors.missed)]
        counts = Counter(entry["kind"] for entry in (*found, *missed) if entry["kind"])
        out.append(
            {
                "key": one.key,
                "weight": round(weight, 4),
                "errors": {kind: counts[kind] for kind in KINDS if counts[kind]},
                "found": found,
                "missed": missed,
            }
        )
    return out


def _weight(one: Told) -> float:
    errors = one.errors
    return one.boxes.scores[errors.order][~errors.right].sum() + (1 - one.seen[errors.missed]).sum()


def _told(one: Told, at: int, classes: Sequence[str]) -> dict[str, Any]:
    kind, of = int(one.errors.kind[at]), int(one.errors.of[at])
    box = int(one.errors.order[at])
    name = KINDS[kind] if kind >= 0 else None
    mistake = _entry(name, classes, one.boxes, box, float(one.boxes.scores[box]))
    return mistake | ({"true": classes[one.true.labels[of]]} if of >= 0 and name is not None else {})


def _missed(one: Told, at: int, classes: Sequence[str]) -> dict[str, Any]:
    return _entry("missed", classes, one.true, at, float(one.seen[at]))


def _entry(kind: str | None, classes: Sequence[str], boxes: Boxes, at: int, score: float) -> dict[str, Any]:
    corners = [round(float(pixel), 2) for pixel in boxes.xyxy[at]]
    return {"kind": kind, "class": classes[boxes.labels[at]], "score": score, "box": corners}


def _area(box: Sequence[float]) -> float:
    return (box[2] - box[0]) * (box[3] - box[1])
