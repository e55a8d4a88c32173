"""Photos of the test split with true and found boxes, and the photos and mistakes that the evaluator found worst."""

from __future__ import annotations

from typing import Any

import numpy as np

from pizzeria.report import row_sides
from pizzeria.report.box_errors import KINDS
from pizzeria.report.measures import Tested
from pizzeria.report.photos import Album, Mark, Photo
from pizzeria.report.run_folder import RunFolder
from pizzeria.report.wording import number

EXAMPLES = 12
FIRST = 8
"""So many mistakes stand open; the others are folded away."""
COLUMNS = 8
"""So many columns of a table are shown beside a mistake."""


def examples(run: RunFolder, test: Tested | None, album: Album) -> dict[str, Any] | None:
    """Photos spread evenly over the test split; None for tables, and where no photo can be read."""
    if test is None or run.tables.images is None:
        return None
    boxes = test.predictions.boxes is not None
    cards: list[dict[str, Any]] = []
    for row in _spread(len(test.keys), EXAMPLES * 2):
        card = _boxes_card(test, album, row) if boxes else _class_card(run, test, album, row)
        if card is not None:
            cards.append(card)
        if len(cards) == EXAMPLES:
            break
    return {"cards": cards, "boxes": boxes} if cards else None


def mistakes(run: RunFolder, test: Tested | None, album: Album) -> dict[str, Any] | None:
    """`curves.worst_photos` and `curves.worst` of the evaluator: photos, or rows of the table; None without any."""
    curves = (run.json("evaluate", "metrics.json") or {}).get("curves") or {}
    found = curves.get("worst") or []
    if run.tables.images is None:
        return _mistaken_rows(run, found) if found else None
    worst = [card for one in curves.get("worst_photos") or [] if (card := _worst_card(one, test, album)) is not None]
    cards = [card for mistake in found if (card := _mistake_card(mistake, test, album)) is not None]
    if not cards and not worst:
        return None
    return {"worst": worst, "cards": cards[:FIRST], "more": cards[FIRST:], "rows": []}


def _spread(count: int, most: int) -> list[int]:
    """At most `most` row numbers, evenly spaced and in an order in which any beginning is spread as well."""
    rows = np.unique(np.linspace(0, count - 1, min(most, count)).astype(int))
    return [int(row) for row in (*rows[::2], *rows[1::2])]


def _boxes_card(test: Tested, album: Album, row: int) -> dict[str, Any] | None:
    small = album.small(test.keys[row])
    if small is None or test.truth.boxes is None:
        return None
    photo, scale = small
    (found, confidence), true = test.shown(row), test.truth.boxes[row]
    of, missed = test.right(row)
    marks = []
    for i, label in enumerate(true.labels):
        text = f"{test.classes[label]} missed" if i in missed else ""
        marks.append(album.mark(true.xyxy[i], scale, int(label), text, dashed=True))
    for i in np.argsort(confidence, kind="stable"):
        label = int(found.labels[i])
        marks.append(album.mark(found.xyxy[i], scale, label, f"{test.classes[label]} {confidence[i]:.2f}"))
    right, extra = int((of >= 0).sum()), int((of < 0).sum())
    words = [
        f"{count} {word}" for count, word in ((right, "right"), (len(missed), "missed"), (extra, "extra")) if count
    ]
    return _card(photo, marks, ", ".join(words) or "nothing there", good=not len(missed) and not extra)


def _class_card(run: RunFolder, test: Tested, album: Album, row: int) -> dict[str, Any] | None:
    small = album.small(test.keys[row])
    if small is None:
        return None
    if run.task == "image_classification":
        said, true = int(test.probabilities[row].argmax()), int(test.true[row].argmax())
        text = f"{test.classes[said]} {test.probabilities[row, said]:.2f}"
        return _card(small[0], [], text if said == true else f"{text}, is {test.classes[true]}", good=said == true)
    told, there = test.probabilities[row] >= test.thresholds, test.true[row]
    right = ", ".join(test.classes[i] for i in np.flatnonzero(told & there))
    words = [right] if right else []
    words += [f"missed {test.classes[i]}" for i in np.flatnonzero(there & ~told)]
    words += [f"extra {test.classes[i]}" for i in np.flatnonzero(told & ~there)]
    return _card(small[0], [], "; ".join(words) or "nothing there", good=bool((told == there).all()))


def _worst_card(found: dict[str, Any], test: Tested | None, album: Album) -> dict[str, Any] | None:
    """A photo with all its true boxes, dashed, and all that were told, each wrong one with what is wrong with it."""
    small, key = album.small(str(found.get("key"))), found.get("key")
    if small is None or test is None or test.truth.boxes is None or key not in test.keys:
        return None
    (photo, scale), true = small, test.truth.boxes[test.keys.index(key)]
    missed = {tuple(one["box"]): f"{one['class']} missed" for one in found["missed"]}
    marks = []
    for xyxy, label in zip(true.xyxy, true.labels, strict=True):
        text = missed.get(tuple(round(float(v), 2) for v in xyxy), "")
        marks.append(album.mark(xyxy, scale, int(label), text, dashed=True))
    for one in reversed(found["found"]):
        text = f"{one['class']} {one['score']:.2f}"
        text += f": {KINDS[one['kind']][0]}" if one["kind"] in KINDS else ""
        marks.append(album.mark(np.asarray(one["box"], np.float32), scale, test.classes.index(one["class"]), text))
    words = ", ".join(f"{count} {KINDS[kind][0]}" for kind, count in found["errors"].items() if kind in KINDS)
    return _card(photo, marks, words, good=False)


def _mistake_card(mistake: dict[str, Any], test: Tested | None, album: Album) -> dict[str, Any] | None:
    small = album.small(str(mistake.get("key")))
    if small is None:
        return None
    return _card(small[0], _mistake_marks(mistake, small[1], test, album), _mistake_words(mistake), good=False)


def _mistake_words(mistake: dict[str, Any]) -> str:
    name, kind = str(mistake.get("class") or mistake.get("pred")), mistake.get("kind")
    sure = number(mistake.get("score", mistake.get("probability")), 2)
    if kind == "missed":
        return f"{name} overlooked ({sure})"
    if kind in ("localisation", "duplicate"):
        return f"{name} {sure}, {KINDS[kind][0]}"
    if kind == "both":
        return f"{name} {sure}, neither class nor place is right"
    if mistake.get("true") is not None:
        return f"said {name} {sure}, is {mistake['true']}"
    return f"{name} {sure}, not there"


def _mistake_marks(mistake: dict[str, Any], scale: float, test: Tested | None, album: Album) -> list[Mark]:
    """The mistaken box and, dashed, the true boxes of its class and of the one that it should have been; a missed one
    is its own true box."""
    box, name = mistake.get("box"), str(mistake.get("class"))
    if box is None or test is None or test.truth.boxes is None or name not in test.classes:
        return []
    label, missed = test.classes.index(name), mistake.get("kind") == "missed"
    own = np.asarray(box, np.float32)
    if missed:
        return [album.mark(own, scale, label, f"{name} missed", dashed=True)]
    marks = []
    if mistake["key"] in test.keys:
        true = test.truth.boxes[test.keys.index(mistake["key"])]
        shown = [label, *(test.classes.index(name) for name in [mistake.get("true")] if name in test.classes)]
        marks = [
            album.mark(xyxy, scale, int(one), dashed=True)
            for xyxy, one in zip(true.xyxy, true.labels, strict=True)
            if one in shown
        ]
    return [*marks, album.mark(own, scale, label, f"{name} {number(mistake.get('score'), 2)}")]


def _mistaken_rows(run: RunFolder, found: list[dict[str, Any]]) -> dict[str, Any]:
    columns = [name for name in row_sides.columns(run) if name not in ("row_id", run.problem.get("target"))][:COLUMNS]
    values = row_sides.looked_up(run, [str(entry.get("key")) for entry in found], columns)
    rows = []
    for entry in found:
        said, true, key = entry.get("pred"), entry.get("true"), str(entry.get("key"))
        numeric = isinstance(said, int | float) and isinstance(true, int | float)
        off = number(abs(float(said) - float(true))) if numeric else number(entry.get("probability"), 2)  # type: ignore[arg-type]
        others = [number(value) for value in values.get(key, [None] * len(columns))]
        rows.append({"key": key, "said": number(said), "true": number(true), "off": off, "values": others})
    numeric = run.task == "tabular_regression"
    return {"cards": [], "more": [], "rows": rows, "columns": columns, "numeric": numeric}


def _card(photo: Photo, marks: list[Mark], words: str, *, good: bool) -> dict[str, Any]:
    return {"photo": photo, "marks": marks, "words": words, "good": good}
