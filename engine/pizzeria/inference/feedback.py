"""What the body of `POST /feedback` carries, read and checked: the truth of predictions that were answered before."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from pizzeria.clock import utcnow
from pizzeria.errors import RequestError
from pizzeria.inference.requests import read_json
from pizzeria.inference.truth import FORMS, By, Label, check_truth, read_moment

MAX_LABELS = 1000
"""Labels in one request."""
SOURCE = "feedback"
"""What the source of each label begins with that came this way."""
_LONGEST = 200
_AHEAD = timedelta(minutes=5)
"""Clocks differ by so much at most; a label of a later time would hold against all that is said until then."""
_NAMES: tuple[By, By] = ("prediction_id", "input_id")
_ABOUT = (*_NAMES, "at", "source")
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}(/(0|[1-9][0-9]{0,8}))?")
_TIME = re.compile(r"\d{4}-\d\d-\d\dT[0-9:.]{5,15}(Z|[+-]\d\d:\d\d)")


def read_labels(body: bytes, task: str, classes: Sequence[str], *, by_input: bool = True) -> list[Label]:
    """The labels of a request: one object, a list of them, or {"labels": that list}.

    Args:
        body: JSON.
        task: Of the model.
        classes: Of the model.
        by_input: Whether the log keeps the input ids by which predictions could be found.

    Raises:
        RequestError: 400 no JSON; 413 too many; 422 anything else, named as labels[0].class.

    Example:
        >>> sent = b'{"prediction_id": "019ab3a5-6a2e-7c41-9d3f-0b5f4c8e7a12", "class": "bed"}'
        >>> [label.truth for label in read_labels(sent, "image_classification", ["bed", "sofa"])]
        ['{"class":"bed"}']
    """
    found = read_json(body)
    if isinstance(found, dict) and "labels" in found:
        if len(found) > 1:
            odd = next(key for key in found if key != "labels")
            raise RequestError(422, "wrong_label", f"there is no key {odd[:60]!r}", hint='send {"labels": [...]}')
        found = found["labels"]
    elif isinstance(found, dict):
        found = [found]
    if not isinstance(found, list):
        raise RequestError(422, "wrong_label", "the labels are no list", hint='send {"labels": [{...}]}')
    if not found:
        raise RequestError(422, "no_labels", "there is no label", hint="send at least one")
    if len(found) > MAX_LABELS:
        message = f"there are {len(found)} labels"
        raise RequestError(413, "too_many_labels", message, hint=f"send {MAX_LABELS} at most")
    return [_label(f"labels[{i}]", one, task, classes, by_input) for i, one in enumerate(found)]


def _label(where: str, found: Any, task: str, classes: Sequence[str], by_input: bool) -> Label:
    if not isinstance(found, dict):
        keys = ", ".join(("prediction_id", *FORMS[task]))
        raise RequestError(422, "wrong_label", f"{where}: no object", hint=f"a label has {keys}")
    by, name = _name(where, found, task, by_input)
    at = _time(where, found)
    # Whoever reaches the service may say anything here: he must not pass for one of the sources that are trusted.
    said = _text(f"{where}.source", found.get("source", ""))
    source = f"{SOURCE}: {said}"[:_LONGEST] if said else SOURCE
    try:
        truth = check_truth({key: value for key, value in found.items() if key not in _ABOUT}, task, classes)
    except RequestError as error:
        joint = "." if error.code not in ("unknown_form", "no_truth") else ": "
        raise RequestError(error.status, error.code, f"{where}{joint}{error.message}", hint=error.hint) from None
    return Label(by, name, truth, at, source)


def _name(where: str, found: Mapping[str, Any], task: str, by_input: bool) -> tuple[By, str]:
    given = [key for key in _NAMES if key in found]
    if len(given) != 1:
        said = "both prediction_id and input_id" if given else "neither prediction_id nor input_id"
        hint = "send the prediction_id of the answer, or the input_id that was sent with the request"
        raise RequestError(422, "bad_id", f"{where}: {said}", hint=hint)
    by = given[0]
    name = found[by]
    if by == "input_id":
        if not by_input:
            hint = "send the prediction_id of the answer"
            raise RequestError(422, "bad_id", f"{where}.input_id: this service keeps no input ids", hint=hint)
        text = _text(f"{where}.input_id", name)
        if not text:
            raise RequestError(422, "bad_id", f"{where}.input_id: it is empty", hint="send the name of the input")
        return by, text
    rows = task.startswith("tabular")
    like = "019ab3a5-6a2e-7c41-9d3f-0b5f4c8e7a12" + ("/0" if rows else "")
    if not isinstance(name, str) or not _UUID.fullmatch(name):
        shown = repr(name)[:60].encode("utf-8", "replace").decode()
        raise RequestError(422, "bad_id", f"{where}.prediction_id: found {shown}", hint=f"such as {like}")
    if ("/" in name) != rows:
        said = "it names no row" if rows else "it names a row, and photos have none"
        raise RequestError(422, "bad_id", f"{where}.prediction_id: {said}", hint=f"such as {like}")
    return by, name


def _time(where: str, found: Mapping[str, Any]) -> str:
    at = found.get("at")
    if at is None:
        return ""
    try:
        if not isinstance(at, str) or not _TIME.fullmatch(at):
            raise ValueError
        moment = read_moment(at)
    except (ValueError, OverflowError):
        hint = "ISO 8601 with its zone, such as 2026-05-01T12:00:00Z; or leave it out"
        raise RequestError(422, "wrong_label", f"{where}.at: no time", hint=hint) from None
    if datetime.fromisoformat(moment) > utcnow() + _AHEAD:
        raise RequestError(422, "wrong_label", f"{where}.at: {at} is yet to come", hint="leave it out")
    return moment


def _text(where: str, found: Any) -> str:
    """A client's text, cut short; without half a character or NUL, which no log takes."""
    if not isinstance(found, str):
        raise RequestError(422, "wrong_label", f"{where}: no text", hint="send a text")
    return found[:_LONGEST].encode("utf-8", "replace").decode().replace("\x00", "\ufffd")
