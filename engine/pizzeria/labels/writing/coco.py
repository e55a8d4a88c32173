"""COCO: photos, their boxes and the classes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from pizzeria.inference.truth import CORNERS
from pizzeria.labels.writing.drawn import Drawn


def coco(photos: Iterable[Drawn], classes: Sequence[str]) -> dict[str, Any]:
    """The content of a COCO file; boxes in pixels of the upright photo, with `score` where they have one."""
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    number = {name: i for i, name in enumerate(classes, start=1)}
    for image_id, one in enumerate(photos, start=1):
        size = {"width": one.photo.width, "height": one.photo.height}
        images.append({"id": image_id, "file_name": one.path, **size, **one.about})
        for box in one.boxes:
            left, top, right, bottom = (float(box[corner]) for corner in CORNERS)
            extent = [left, top, round(right - left, 2), round(bottom - top, 2)]
            annotation = {
                "id": len(annotations) + 1,
                "image_id": image_id,
                "category_id": number[box["class"]],
                "bbox": extent,
                "area": round(extent[2] * extent[3], 2),
                "segmentation": [],
                "iscrowd": 0,
            }
            annotations.append(annotation | ({"score": box["score"]} if "score" in box else {}))
    return {
        "info": {"description": "written by Pizzeria"},
        "licenses": [],
        "images": images,
        "annotations": annotations,
        "categories": [{"id": i, "name": name, "supercategory": ""} for name, i in number.items()],
    }
