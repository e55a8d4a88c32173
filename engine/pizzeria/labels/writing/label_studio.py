"""Label Studio: tasks, with the champion's predictions for a labeller to correct, and the labelling interface."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any
from urllib.parse import quote
from xml.sax.saxutils import quoteattr  # nosec B406  # it writes, and parses nothing

from pizzeria.labels.writing.drawn import Drawn

BOXES, WHOLE = "label", "choice"
_TO = "image"
_LOCAL = "/data/local-files/?d="


def interface(task: str, classes: Sequence[str]) -> str:
    """The labelling interface: rectangles for detection, choices for the other tasks.

    Example:
        >>> print(interface("image_classification", ["bed"]))
        <View>
          <Image name="image" value="$image"/>
          <Choices name="choice" toName="image" choice="single">
            <Choice value="bed"/>
          </Choices>
        </View>
    """
    if task == "object_detection":
        tag, item, more = f"RectangleLabels name={BOXES!r}".replace("'", '"'), "Label", ""
    else:
        single = "single" if task == "image_classification" else "multiple"
        tag, item, more = f'Choices name="{WHOLE}"', "Choice", f' choice="{single}"'
    lines = [f"    <{item} value={quoteattr(name)}/>" for name in classes]
    return "\n".join(
        [
            "<View>",
            f'  <Image name="{_TO}" value="${_TO}"/>',
            f'  <{tag} toName="{_TO}"{more}>',
            *lines,
            f"  </{tag.partition(' ')[0]}>",
            "</View>",
        ]
    )


def tasks(photos: Iterable[Drawn], model: str, *, predicted: bool) -> list[dict[str, Any]]:
    """Tasks to be imported. Photos are named as files of Label Studio's local storage.

    Args:
        photos: With what the champion says, where it was asked.
        model: Its sha256.
        predicted: Whether it was.
    """
    out: list[dict[str, Any]] = []
    for one in photos:
        task: dict[str, Any] = {"data": {_TO: f"{_LOCAL}{quote(one.path)}", **one.about}}
        if predicted:
            results = [_box(one, i, box) for i, box in enumerate(one.boxes)]
            if one.classes:
                results.append(_choices(one))
            scores = [box["score"] for box in one.boxes if "score" in box] + [
                score for score in one.classes.values() if score is not None
            ]
            prediction: dict[str, Any] = {"model_version": model[:12], "result": results}
            if scores:
                prediction["score"] = round(min(scores), 6)
            task["predictions"] = [prediction]
        out.append(task)
    return out


def _box(one: Drawn, number: int, box: Any) -> dict[str, Any]:
    width, height = one.photo.width, one.photo.height
    found: dict[str, Any] = {
        "id": f"box{number}",
        "type": "rectanglelabels",
        "from_name": BOXES,
        "to_name": _TO,
        "original_width": width,
        "original_height": height,
        "image_rotation": 0,
        "value": {
            "x": 100 * box["x_min"] / width,
            "y": 100 * box["y_min"] / height,
            "width": 100 * (box["x_max"] - box["x_min"]) / width,
            "height": 100 * (box["y_max"] - box["y_min"]) / height,
            "rotation": 0,
            "rectanglelabels": [box["class"]],
        },
    }
    return found | ({"score": box["score"]} if "score" in box else {})


def _choices(one: Drawn) -> dict[str, Any]:
    return {
        "id": "whole",
        "type": "choices",
        "from_name": WHOLE,
        "to_name": _TO,
        "value": {"choices": list(one.classes)},
    }
