"""Ground truth that comes later: what a label says, by task, and which label holds where there are several.

| task | a label has |
|---|---|
| object detection | `boxes`: [{class, x_min, y_min, x_max, y_max}], and/or `classes`: those that the photo shows |
| multi-label classification | `classes` |
| classification | `class` |
| regression | `value` |

A label is of a prediction (`prediction_id`), or of all predictions of an input (`input_id`). Labels are only ever
added. The latest holds, by the time at which it was said and not by that at which it came, so that the order in which
labels and predictions come makes no difference.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Literal, NamedTuple

from pizzeria.errors import RequestError, nearest

By = Literal["prediction_id", "input_id"]
Key = tuple[str, str]
"""By what a label is known, and its name."""

FORMS: Mapping[str, tuple[str, ...]] = {
    "object_detection": ("boxes", "classes"),
    "multilabel_classification": ("classes",),
    "image_classification": ("class",),
    "tabular_classification": ("class",),
    "tabular_regression": ("value",),
}
"""By task, the keys of a label's truth."""
CORNERS = ("x_min", "y_min", "x_max", "y_max")
MAX_BOXES = 1000
"""Boxes in one label."""
_LARGEST = 1e6
_SHOWN = 60


@dataclass(frozen=True)
class Label:
    """What somebody said of a prediction, or of an input.

    Attributes:
        by: What `name` is.
        name: A prediction id, or an input id.
        truth: As canonical JSON, of `check_truth`: two labels say the same just where these are equal.
        at: When it was said, `moment` of it; empty for the time at which it comes.
        source: Who said it, or what file; may be empty.
    """

    by: By
    name: str
    truth: str
    at: str = ""
    source: str = ""

    @property
    def key(self) -> Key:
        return self.by, self.name

    @property
    def rank(self) -> tuple[str, str, str]:
        """The label of the highest rank holds. Only labels of the very same moment are told apart by what they say."""
        return self.at, self.truth, self.source

    def says(self) -> dict[str, Any]:
        """The truth as it was checked."""
        found: dict[str, Any] = json.loads(self.truth)
        return found


class LabelCounts(NamedTuple):
    """What became of some labels: `new` where nothing was known, `changed` where something else holds now, and `same`
    where what holds is as before."""

    new: int = 0
    changed: int = 0
    same: int = 0


def check_truth(found: Mapping[str, Any], task: str, classes: Sequence[str]) -> str:
    """The canonical JSON of what a label says.

    Args:
        found: The label's keys but for its name, time and source.
        task: Of the model.
        classes: Of the model; empty for regression.

    Raises:
        RequestError: 422; the message begins with the place in the label, such as `boxes[2].class: `.

    Example:
        >>> check_truth({"classes": ["sofa", "bed", "sofa"]}, "multilabel_classification", ["bed", "sofa"])
        '{"classes":["bed","sofa"]}'
    """
    forms = FORMS[task]
    wanted = " or ".join(forms) if len(forms) > 1 else forms[0]
    for key in found:
        if key not in forms:
            hint = f"a label for {task.replace('_', ' ')} has {wanted}"
            raise RequestError(422, "unknown_form", f"there is no key {_short(key)}", hint=hint)
    if not found:
        hint = f"a label for {task.replace('_', ' ')} has {wanted}"
        raise RequestError(422, "no_truth", "the label says nothing", hint=hint)
    if task == "tabular_regression":
        return _dump({"value": _number("value", found["value"])})
    if "class" in forms:
        return _dump({"class": _class("class", found["class"], classes)})
    said: dict[str, Any] = {}
    if "boxes" in found:
        said["boxes"] = _boxes(found["boxes"], classes)
    drawn = {box["class"] for box in said.get("boxes", ())}
    shown = _classes(found["classes"], classes) if "classes" in found else drawn
    if drawn - shown:
        name = sorted(drawn - shown)[0]
        raise RequestError(
            422, "contradiction", f"classes: {name!r} is not among them, and has a box", hint="leave classes out"
        )
    said["classes"] = [name for name in classes if name in shown]
    return _dump(said)


def true_columns(truth: Mapping[str, Any], classes: Iterable[str]) -> dict[str, Any]:
    """`true:<class>` of each class, or `true`, as in `pizzeria.inference.records`.

    Example:
        >>> true_columns({"classes": ["bed"]}, ["bed", "tv"]), true_columns({"value": 3.5}, [])
        ({'true:bed': 1, 'true:tv': 0}, {'true': 3.5})
    """
    if "classes" in truth:
        shown = set(truth["classes"])
        return {f"true:{name}": int(name in shown) for name in classes}
    return {"true": truth["class"] if "class" in truth else truth["value"]}


def latest(labels: Iterable[Label]) -> dict[Key, Label]:
    """The label that holds, of each prediction or input."""
    out: dict[Key, Label] = {}
    for label in labels:
        stood = out.get(label.key)
        if stood is None or label.rank > stood.rank:
            out[label.key] = label
    return out


def holding(found: Mapping[Key, Label], prediction_id: Any, input_id: Any) -> Label | None:
    """The label that holds for one prediction, of itself and of its input; None where there is none.

    Args:
        found: From `latest`.
    """
    own = found.get(("prediction_id", prediction_id))
    general = found.get(("input_id", input_id)) if input_id else None
    if own is None or general is None:
        return own or general
    return max(own, general, key=lambda label: label.rank)


def sift(known: Iterable[Label], labels: Iterable[Label], now: datetime) -> tuple[list[Label], LabelCounts]:
    """Which of some labels are to be written, each with its time, and what they change.

    A label that says at which time it was said is written unless it is there already. One that does not was said just
    now; it is written unless it says what holds already.

    Args:
        known: All labels that are there of the same predictions and inputs.
        labels: That come now.
        now: With a time zone.

    Example:
        >>> label = Label("prediction_id", "01", '{"class":"bed"}')
        >>> written, counts = sift([], [label, label], datetime(2026, 5, 1, tzinfo=UTC))
        >>> [one.at for one in written], counts
        (['2026-05-01T00:00:00.000000+00:00'], LabelCounts(new=1, changed=0, same=1))
    """
    there = set(known)
    current = latest(there)
    out: list[Label] = []
    new = changed = same = 0
    for said in labels:
        stood, label = current.get(said.key), said
        if not said.at:
            if stood is not None and stood.truth == said.truth:
                same += 1
                continue
            label = replace(said, at=_after(stood, now))
        if label in there:
            same += 1
            continue
        there.add(label)
        out.append(label)
        if stood is None:
            new += 1
        elif label.rank > stood.rank and label.truth != stood.truth:
            changed += 1
        else:
            same += 1
        if stood is None or label.rank > stood.rank:
            current[label.key] = label
    return out, LabelCounts(new, changed, same)


def moment(at: datetime) -> str:
    """A time with its zone, as labels carry it: such texts sort as the times do.

    Example:
        >>> moment(datetime.fromisoformat("2026-05-01T14:00:00+02:00"))
        '2026-05-01T12:00:00.000000+00:00'
    """
    return at.astimezone(UTC).isoformat(timespec="microseconds")


def read_moment(text: str) -> str:
    """A time in ISO 8601, taken as UTC where it names no zone, as `moment` of it.

    Raises:
        ValueError: it is none.
    """
    found = datetime.fromisoformat(text)
    return moment(found if found.tzinfo is not None else found.replace(tzinfo=UTC))


def _after(stood: Label | None, now: datetime) -> str:
    """What is said now holds, also where another machine's clock is ahead."""
    at = moment(now)
    if stood is None or stood.at < at:
        return at
    try:
        return moment(datetime.fromisoformat(stood.at) + timedelta(microseconds=1))
    except OverflowError:
        return stood.at


def _boxes(found: Any, classes: Sequence[str]) -> list[dict[str, Any]]:
    if not isinstance(found, list):
        raise RequestError(422, "wrong_label", "boxes: no list", hint="send a list of {class, x_min, y_min, ...}")
    if len(found) > MAX_BOXES:
        raise RequestError(413, "too_many_boxes", f"boxes: there are {len(found)}", hint=f"send {MAX_BOXES} at most")
    out = {_dump(box): box for box in (_box(f"boxes[{i}]", one, classes) for i, one in enumerate(found))}
    return [out[text] for text in sorted(out)]


def _box(where: str, found: Any, classes: Sequence[str]) -> dict[str, Any]:
    wanted = ("class", *CORNERS)
    if not isinstance(found, dict):
        raise RequestError(422, "wrong_label", f"{where}: no object", hint=f"a box has {', '.join(wanted)}")
    for key in (*found, *wanted):
        if key not in wanted:
            raise RequestError(422, "wrong_label", f"{where}: there is no key {_short(key)}", hint=nearest(key, wanted))
        if key not in found:
            raise RequestError(422, "wrong_label", f"{where}: {key} is missing", hint=f"a box has {', '.join(wanted)}")
    box: dict[str, Any] = {"class": _class(f"{where}.class", found["class"], classes)}
    box |= {key: round(_number(f"{where}.{key}", found[key]), 2) for key in CORNERS}
    if min(box["x_min"], box["y_min"]) < 0 or max(box["x_max"], box["y_max"]) > _LARGEST:
        hint = "corners are pixels of the upright photo"
        raise RequestError(422, "wrong_box", f"{where}: it reaches out of any photo", hint=hint)
    if box["x_max"] <= box["x_min"] or box["y_max"] <= box["y_min"]:
        hint = "x_min < x_max and y_min < y_max, in pixels of the upright photo"
        raise RequestError(422, "wrong_box", f"{where}: it has no area", hint=hint)
    return box


def _classes(found: Any, classes: Sequence[str]) -> set[str]:
    if not isinstance(found, list):
        raise RequestError(422, "wrong_label", "classes: no list", hint='send a list of texts, such as ["bed"]')
    return {_class(f"classes[{i}]", name, classes) for i, name in enumerate(found)}


def _class(where: str, found: Any, classes: Sequence[str]) -> str:
    if not isinstance(found, str):
        raise RequestError(422, "wrong_label", f"{where}: no text", hint=f"one of {', '.join(classes)}"[:300])
    if found not in classes:
        hint = nearest(_plain(found), classes)
        raise RequestError(422, "unknown_class", f"{where}: there is no class {_short(found)}", hint=hint)
    return found


def _number(where: str, found: Any) -> float:
    if isinstance(found, bool) or not isinstance(found, int | float):
        raise RequestError(422, "wrong_label", f"{where}: no number", hint="send a number")
    try:
        number = float(found)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise RequestError(422, "wrong_label", f"{where}: it is too large", hint="send a finite number")
    return number


def _short(text: object) -> str:
    return repr(_plain(str(text)))


def _plain(text: str) -> str:
    return text[:_SHOWN].encode("utf-8", "replace").decode()


def _dump(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=True)
