"""Labels of Label Studio, exported as JSON: boxes in per cent of the photo, and choices.

Of several annotations of a task the one that is marked as ground truth counts, otherwise the one that was changed last.
A task without an annotation was not labelled; one whose annotation has no region shows nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import isfinite
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from pizzeria.errors import DataError
from pizzeria.inference.truth import FORMS, Key, read_moment
from pizzeria.labels.reading.said import Read, Said, box_in, photo_keys, turned

_PER_CENT = ("x", "y", "width", "height")


def read(path: Path, found: list[Any], task: str) -> Read:
    """One label for each task that was annotated.

    Raises:
        DataError: the file is no such export, or a region is none that the task knows; says where.
    """
    out = Read()
    for i, one in enumerate(found):
        where = f"{path}: tasks[{i}]"
        if not isinstance(one, dict) or not isinstance(one.get("data"), dict):
            raise DataError(f"{where} is no task of Label Studio", hint="export as JSON, not as JSON-MIN or CSV")
        keys = _keys(where, one)
        annotation = _chosen(where, one)
        if annotation is None:
            out.empty.append(Said(where, keys, {}))
            continue
        number, chosen = annotation
        where = f"{where}.annotations[{number}]"
        out.said.append(Said(where, keys, _truth(where, chosen, task), _at(chosen), _who(chosen)))
    unlabelled = len(out.empty)
    if unlabelled:
        out.notes.append(f"{unlabelled} tasks have no annotation yet")
        out.empty = []
    return out


def _keys(where: str, one: Mapping[str, Any]) -> tuple[Key, ...]:
    data = one["data"]
    found: list[Key] = [(key, str(data[key])) for key in ("prediction_id", "input_id") if data.get(key)]
    for value in (one.get("file_upload"), *data.values()):
        if isinstance(value, str) and value and "." in value:
            address = urlsplit(value)
            inner = parse_qs(address.query).get("d", [""])[0]  # /data/local-files/?d=photos/a.jpg
            found += photo_keys(unquote(inner or address.path or value))
    if not found:
        raise DataError(f"{where}: nothing in `data` names a photo or a prediction", hint="import the tasks of `queue`")
    return tuple(dict.fromkeys(found))


def _chosen(where: str, one: Mapping[str, Any]) -> tuple[int, Mapping[str, Any]] | None:
    annotations = one.get("annotations", [])
    if not isinstance(annotations, list) or not all(isinstance(each, dict) for each in annotations):
        raise DataError(f"{where}: annotations is no list of objects", hint="export as JSON")
    kept = [(i, each) for i, each in enumerate(annotations) if not each.get("was_cancelled")]
    return max(kept, key=lambda pair: (bool(pair[1].get("ground_truth")), _at(pair[1]), pair[0]), default=None)


def _at(annotation: Mapping[str, Any]) -> str:
    for key in ("updated_at", "created_at"):
        try:
            return read_moment(str(annotation[key]))
        except (KeyError, ValueError, OverflowError):
            continue
    return ""


def _who(annotation: Mapping[str, Any]) -> str:
    by = annotation.get("completed_by")
    if isinstance(by, dict):
        by = by.get("email") or by.get("id")
    return "Label Studio" if by is None else f"Label Studio, user {by}"


def _truth(where: str, annotation: Mapping[str, Any], task: str) -> dict[str, Any]:
    results = annotation.get("result", [])
    if not isinstance(results, list) or not all(isinstance(one, dict) for one in results):
        raise DataError(f"{where}: result is no list of objects", hint="export as JSON")
    boxes: list[dict[str, Any]] = []
    choices: list[str] = []
    numbers: list[float] = []
    for i, one in enumerate(results):
        at = f"{where}.result[{i}]"
        value = one.get("value")
        if not isinstance(value, dict):
            raise DataError(f"{at} has no value")
        match one.get("type"):
            case "rectanglelabels":
                boxes.append(_box(at, one, value))
            case "choices":
                choices += [str(name) for name in value.get("choices", [])]
            case "number":
                numbers.append(_number(at, value, "number"))
            case "rectangle" | "textarea" | "relation" | None:
                continue  # the shape alone, which comes with its labels; or a remark
            case other:
                hint = "draw rectangles (RectangleLabels), or ask for Choices"
                raise DataError(f"{at} is of the type {other!r}, which is no label for {task}", hint=hint)
    forms = FORMS[task]
    if forms == ("value",):
        return {"value": numbers[-1]} if numbers else _nothing(where, "number")
    if forms == ("class",):
        if len(choices) != 1:
            return _nothing(where, "choice") if not choices else _several(where, choices)
        return {"class": choices[0]}
    if "boxes" in forms and (boxes or not choices):
        return {"boxes": boxes, **({"classes": [*choices, *(box["class"] for box in boxes)]} if choices else {})}
    return {"classes": [*choices, *(box["class"] for box in boxes)]}


def _box(where: str, region: Mapping[str, Any], value: Mapping[str, Any]) -> dict[str, Any]:
    labels = value.get("rectanglelabels")
    if not isinstance(labels, list) or len(labels) != 1:
        raise DataError(f"{where}: a box has {len(labels or [])} labels", hint="give each box one")
    if region.get("image_rotation"):
        turn = region["image_rotation"]
        raise DataError(f"{where}: the photo was turned by {turn} degrees", hint="label it as it came")
    width, height = (_number(where, region, f"original_{side}") for side in ("width", "height"))
    x, y, w, h = (_number(where, value, key) / 100 for key in _PER_CENT)
    rotation = _number(where, value, "rotation") if value.get("rotation") else 0.0
    corners = turned(x * width, y * height, w * width, h * height, rotation, about="corner")
    return {"class": labels[0], **box_in(*corners, size=(width, height))}


def _number(where: str, value: Mapping[str, Any], key: str) -> float:
    found = value.get(key)
    if isinstance(found, bool) or not isinstance(found, int | float) or not isfinite(found):
        raise DataError(f"{where}: {key} is {found!r}", hint="export as JSON, which has it as a number")
    return float(found)


def _nothing(where: str, what: str) -> dict[str, Any]:
    raise DataError(f"{where} has no {what}", hint="answer it, or skip the task")


def _several(where: str, choices: list[str]) -> dict[str, Any]:
    raise DataError(f"{where} has {len(choices)} choices: {', '.join(choices)}", hint="a photo has one class here")
