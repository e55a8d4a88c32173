"""Reads a COCO JSON file, and says exactly what is wrong with a malformed one."""

from __future__ import annotations

import json
from math import isfinite
from pathlib import Path
from typing import Any, NamedTuple

from pizzeria.errors import DataError
from pizzeria_plugins.sources.photo_listing import leads_out


class CocoFile(NamedTuple):
    """What a COCO file says.

    Attributes:
        images: as in the file, with `id` as text.
        boxes: rows of the `boxes` table, with `score` (None where there is none) and `crowd`.
        categories: name by the file's category id.
    """

    images: list[dict[str, Any]]
    boxes: list[dict[str, Any]]
    categories: dict[Any, str]


def read_coco(path: Path) -> CocoFile:
    """Read and check the parts that matter; boxes with no extent are left to the expectations.

    Raises:
        DataError: with the file, and the line or the entry that is wrong.
    """
    data = _json(path)
    if not isinstance(data, dict):
        raise DataError(f"{path} is not a COCO file: it holds a {type(data).__name__}, not an object")
    for name in ("images", "annotations", "categories"):
        entries = data.get(name)
        if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
            raise DataError(
                f"{path}: {name!r} is not a list of objects", hint="COCO has images, annotations, categories"
            )
    categories = _categories(path, data["categories"])
    images = _images(path, data["images"])
    known = {image["id"] for image in images}
    boxes = [
        _box(f"{path}: annotations[{i}]", i, entry, known, categories) for i, entry in enumerate(data["annotations"])
    ]
    return CocoFile(images, boxes, categories)


def _json(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8-sig"))
    except FileNotFoundError as error:
        raise DataError(f"{path} is not there", hint="set data.root and data.annotations") from error
    except json.JSONDecodeError as error:
        raise DataError(f"{path}:{error.lineno}: column {error.colno}: not JSON: {error.msg}") from error
    except RecursionError as error:
        raise DataError(f"{path} is nested too deeply to be a COCO file") from error
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path} cannot be read: {error}") from error


def _categories(path: Path, entries: list[dict[str, Any]]) -> dict[Any, str]:
    out: dict[Any, str] = {}
    for i, entry in enumerate(entries):
        key, name = entry.get("id"), entry.get("name")
        if not isinstance(key, int | str) or not isinstance(name, str):
            raise DataError(f"{path}: categories[{i}] needs an id and a name, has {entry}")
        if key in out or name in out.values():
            raise DataError(f"{path}: categories[{i}] repeats id {key!r} or name {name!r}")
        out[key] = name
    return out


def _images(path: Path, entries: list[dict[str, Any]]) -> list[dict[str, Any]]:
    out: list[dict[str, Any]] = []
    seen: set[str] = set()
    for i, entry in enumerate(entries):
        where, key, name = f"{path}: images[{i}]", entry.get("id"), entry.get("file_name")
        if not isinstance(key, int | str) or not isinstance(name, str) or not name:
            raise DataError(f"{where} needs an id and a file_name, has id {key!r} and file_name {name!r}")
        if leads_out(name):
            raise DataError(f"{where}: file_name {name!r} leads out of the photos' folder")
        if str(key) in seen:
            raise DataError(f"{where}: id {key!r} stands twice")
        seen.add(str(key))
        out.append({**entry, "id": str(key)})
    if not out:
        raise DataError(f"{path} has no images")
    return out


def _box(
    where: str, number: int, entry: dict[str, Any], images: set[str], categories: dict[Any, str]
) -> dict[str, Any]:
    image, category, extent, score = (entry.get(name) for name in ("image_id", "category_id", "bbox", "score"))
    if str(image) not in images:
        raise DataError(f"{where}: there is no image {image!r}")
    if not isinstance(category, int | str) or category not in categories:
        raise DataError(f"{where}: there is no category {category!r}")
    if not isinstance(extent, list) or len(extent) != 4 or not all(_number(value) for value in extent):
        raise DataError(f"{where}: bbox is {extent!r}", hint="bbox is [x, y, width, height] in pixels")
    if score is not None and not _number(score):
        raise DataError(f"{where}: score is {score!r}, not a number")
    x, y, width, height = map(float, extent)
    return {
        "box_id": str(entry.get("id", f"annotation-{number}")),
        "image_id": str(image),
        "class_name": categories[category],
        "x_min": x,
        "y_min": y,
        "x_max": x + width,
        "y_max": y + height,
        "score": None if score is None else float(score),
        "crowd": bool(entry.get("iscrowd", 0)),
    }


def _number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and isfinite(value)
