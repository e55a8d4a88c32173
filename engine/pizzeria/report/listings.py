"""Listings of the test split: what they declare, what their photos show, and how often that verdict is right."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from pizzeria.report.measures import Tested
from pizzeria.report.photos import THUMB, Album
from pizzeria.report.run_folder import RunFolder

if TYPE_CHECKING:
    from pizzeria.inference.bundle import Bundle

SHOWN = 9
"""So many listings are shown; the table counts all."""
PHOTOS = 4
VERDICTS = ("confirmed", "uncertain", "not shown")


def section(run: RunFolder, test: Tested | None, album: Album) -> dict[str, Any] | None:
    """None without listings, or for a task that does not say what is present."""
    images, table = run.tables.images, run.tables.listings
    judges = run.task in ("object_detection", "multilabel_classification")
    if test is None or images is None or table is None or not judges or "listing_id" not in images:
        return None
    place = {key: row for row, key in enumerate(test.keys)}
    photos: dict[str, list[int]] = {}
    for key, listing in zip(images["image_id"].astype(str), images["listing_id"].astype(str), strict=True):
        if key in place:
            photos.setdefault(listing, []).append(place[key])
    bundle = _bundle(run, test)
    found = [
        _verified(
            test,
            bundle,
            str(entry["listing_id"]),
            [str(name) for name in entry["declared"]],
            photos[str(entry["listing_id"])],
        )
        for entry in table[["listing_id", "declared"]].to_dict("records")
        if str(entry["listing_id"]) in photos
    ]
    if not found:
        return None
    return {
        "count": len(found),
        "truth": _truth(found),
        "undeclared": _undeclared(found),
        "figures": _figures(run),
        "cards": [_card(test, album, one) for one in _telling(found)],
    }


def _bundle(run: RunFolder, test: Tested) -> Bundle:
    """Verdicts need the calibration alone; a run that stopped at the gate has no bundle."""
    from pizzeria.inference.bundle import Bundle
    from pizzeria.inference.bundle_files import FolderFiles

    calibration = {**test.calibration, "thresholds": dict(zip(test.classes, test.thresholds.tolist(), strict=True))}
    description = {"name": "", "task": run.task, "classes": test.classes, "calibration": calibration}
    return Bundle("test split", "", description, FolderFiles("test split", {}), {})


def _verified(test: Tested, bundle: Bundle, listing: str, declared: list[str], rows: list[int]) -> dict[str, Any]:
    """The verdict of `pizzeria.inference.listing`, as the service without rooms gives it, and what is truly there."""
    from pizzeria.inference.answers import PhotoAnswer
    from pizzeria.inference.listing import verify

    boxes = test.predictions.boxes
    answers = {
        test.keys[row]: PhotoAnswer(bundle, 0, 0, test.probabilities[row], {}, None if boxes is None else boxes[row])
        for row in rows
    }
    verdict = verify([name for name in declared if name in test.classes], answers, bundle)
    shown = test.true[rows].max(axis=0).tolist()
    return {
        "listing": listing,
        "rows": rows,
        "verdicts": verdict["verdicts"],
        "undeclared": verdict["undeclared"],
        "not_judged": [name for name in declared if name not in test.classes],
        "true": {name: bool(there) for name, there in zip(test.classes, shown, strict=True)},
    }


def _truth(found: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Declared amenities by verdict, those that the photos do show apart from those that they do not."""
    counts = {there: dict.fromkeys(VERDICTS, 0) for there in (True, False)}
    for one in found:
        for entry in one["verdicts"]:
            counts[one["true"][entry["amenity"]]][entry["verdict"]] += 1
    titles = {True: "Truly in a photo", False: "In no photo"}
    rights = {True: ("confirmed",), False: ("not shown",)}
    return [
        {
            "title": titles[there],
            "counts": [{"verdict": v, "count": n, "right": v in rights[there]} for v, n in by.items()],
            "total": sum(by.values()),
            "right": by["confirmed"] if there else by["uncertain"] + by["not shown"],
        }
        for there, by in counts.items()
    ]


def _figures(run: RunFolder) -> dict[str, Any] | None:
    """How right verdicts on all classes are, declared or not, beside what the spec asks; None for older runs."""
    figures = (run.json("evaluate", "metrics.json") or {}).get("verdicts")
    if not figures:
        return None
    wanted = (run.spec.get("evaluation") or {}).get("verdicts") or {}
    return {**figures, "wanted": {name: wanted.get(name) for name in ("precision", "omission")}}


def _undeclared(found: list[dict[str, Any]]) -> dict[str, int]:
    seen = [(one["true"][entry["amenity"]]) for one in found for entry in one["undeclared"]]
    return {"count": len(seen), "right": sum(seen)}


def _telling(found: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Spread over the listings, with those first in which anything is other than declared."""
    rows = np.unique(np.linspace(0, len(found) - 1, min(SHOWN * 2, len(found))).astype(int))
    spread = [found[int(row)] for row in rows]
    plain = [one for one in spread if all(entry["verdict"] == "confirmed" for entry in one["verdicts"])]
    return ([one for one in spread if one not in plain] + plain)[:SHOWN]


def _card(test: Tested, album: Album, one: dict[str, Any]) -> dict[str, Any]:
    groups = []
    for verdict, title, style in (
        ("confirmed", "Declared and confirmed", "confirmed"),
        ("uncertain", "Declared, uncertain", "uncertain"),
        ("not shown", "Declared, not shown", "missing"),
    ):
        entries = [entry for entry in one["verdicts"] if entry["verdict"] == verdict]
        groups.append((title, style, [_chip(album, entry) for entry in entries]))
    groups.append(("Seen but not declared", "extra", [_chip(album, entry) for entry in one["undeclared"]]))
    smalls = [album.small(test.keys[row], 2 * THUMB) for row in one["rows"][:PHOTOS]]
    return {
        "title": one["listing"],
        "photos": [small[0] for small in smalls if small is not None],
        "groups": [{"title": t, "style": style, "chips": chips} for t, style, chips in groups if chips],
        "not_judged": one["not_judged"],
    }


def _chip(album: Album, entry: dict[str, Any]) -> dict[str, Any]:
    """An amenity with its probability, why it was judged so and, cut out of its photo, what it was seen by."""
    evidence = entry["evidence"]
    uri, why = None, entry.get("reason", "")
    if evidence is not None:
        box = evidence["box"]
        corners = None if box is None else np.array([box[corner] for corner in ("x_min", "y_min", "x_max", "y_max")])
        uri, why = album.cut(evidence["photo"], corners), why or f"seen in {evidence['photo']}"
    return {"name": entry["amenity"], "probability": entry["probability"], "uri": uri, "why": why}
