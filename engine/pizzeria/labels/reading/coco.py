"""Labels as COCO: of CVAT (COCO 1.0), Label Studio, or any other tool."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from math import isfinite
from pathlib import Path
from typing import Any

from pizzeria.errors import DataError
from pizzeria.inference.truth import FORMS
from pizzeria.labels.reading.said import Read, Said, box_in, photo_keys


def read(path: Path, found: Mapping[str, Any], task: str) -> Read:
    """One label for each image with annotations; images without one are `empty`.

    Raises:
        DataError: something is not as COCO has it, or the task has no boxes and no classes; says where.
    """
    if "classes" not in FORMS[task]:
        raise DataError(f"{path} is COCO, whose boxes are no label for {task}", hint="give a CSV with prediction_id")
    for name in ("images", "annotations", "categories"):
        if not isinstance(found.get(name), list) or not all(isinstance(one, dict) for one in found[name]):
            raise DataError(f"{path}: {name} is no list of objects", hint="COCO has images, annotations, categories")
    categories = {one.get("id"): one.get("name") for one in found["categories"]}
    boxes: dict[Any, list[dict[str, Any]]] = defaultdict(list)
    images = {one.get("id"): one for one in found["images"]}
    out = Read()
    crowds = 0
    for i, one in enumerate(found["annotations"]):
        where = f"{path}: annotations[{i}]"
        image, category = one.get("image_id"), one.get("category_id")
        if image not in images:
            raise DataError(f"{where}: there is no image {image!r}")
        if category not in categories:
            raise DataError(f"{where}: there is no category {category!r}")
        if one.get("iscrowd"):
            crowds += 1
            continue
        boxes[image].append({"class": categories[category], **_corners(where, one.get("bbox"), images[image])})
    if crowds:
        out.notes.append(f"{crowds} regions of crowds are passed over")
    for i, image in enumerate(found["images"]):
        name = image.get("file_name")
        if not isinstance(name, str) or not name:
            raise DataError(f"{path}: images[{i}] has no file_name")
        own = boxes.get(image.get("id"), [])
        said = Said(f"{path}: image {name!r}", photo_keys(name), _truth(own, task))
        (out.said if own else out.empty).append(said)
    return out


def _truth(boxes: list[dict[str, Any]], task: str) -> dict[str, Any]:
    if task == "object_detection":
        return {"boxes": boxes}
    return {"classes": [box["class"] for box in boxes]}


def _corners(where: str, extent: Any, image: Mapping[str, Any]) -> dict[str, float]:
    if not isinstance(extent, list) or len(extent) != 4 or not all(map(_is_number, extent)):
        raise DataError(f"{where}: bbox is {extent!r}", hint="bbox is [x, y, width, height] in pixels")
    x, y, width, height = extent
    size = [
        image.get(side) if _is_number(image.get(side)) and image.get(side) else None for side in ("width", "height")
    ]
    return box_in(x, y, x + width, y + height, size)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and isfinite(value)
