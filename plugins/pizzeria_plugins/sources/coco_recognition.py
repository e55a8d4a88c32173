"""Whether a path holds COCO boxes: by how a JSON begins and ends, since it may have gigabytes."""

from __future__ import annotations

import csv
import json
import os
import re
from pathlib import Path, PurePosixPath
from typing import Any

from pizzeria.contracts import Recognised
from pizzeria_plugins.sources.folder_glance import Glance, glance, head
from pizzeria_plugins.sources.photo_listing import leads_out

_MOST = 200_000
_LISTS = re.compile(rb'"(images|annotations|categories)"\s*:\s*\[')
_FILE_NAME = re.compile(rb'"file_name"\s*:\s*("(?:[^"\\]|\\.){1,1000}")')


def recognise(path: Path) -> Recognised | None:
    """A COCO JSON of boxes, or a folder with one; of several, the one for training."""
    if path.is_file():
        if path.suffix.lower() != ".json" or not _is_coco(path):
            return None
        # The JSON may lie in a folder `annotations` beside those of the photos.
        return next((answer for root in (path.parent, path.parent.parent) if (answer := _of(glance(root), path))), None)
    seen = glance(path)
    files = [path / name for name in seen.ending(".json") if name.count("/") <= 2 and _is_coco(path / name)]
    if not files:
        return None
    files.sort(key=lambda file: ("train" not in str(file.relative_to(path)).lower(), str(file)))
    answer = _of(seen, files[0])
    others = ", ".join(str(file.relative_to(path)) for file in files[1:4])
    if answer is None or not others:
        return answer
    what = f"{answer.format} in {files[0].relative_to(path)} alone (`data.also` joins {others})"
    return Recognised(what, answer.options, answer.task, answer.certainty, answer.split)


def _of(seen: Glance, file: Path) -> Recognised | None:
    """The options that read a JSON, with the photos' folder by the first name in it; None where no photo is below."""
    start = head(file, _MOST)
    root = seen.root
    options: dict[str, Any] = {"root": str(root)}
    annotations = file.relative_to(root).as_posix()
    if annotations != "annotations.json":
        options["annotations"] = annotations
    found = _FILE_NAME.search(start)
    name = json.loads(found[1].decode("utf-8", "replace")) if found is not None else ""
    if name and not leads_out(name):
        near = PurePosixPath(annotations).parent.as_posix()
        for below in (".", near, *seen.folders):
            if (root / below / name).is_file():
                if below != ".":
                    options["photos"] = below
                break
        else:
            return None
    split: dict[str, Any] = {}
    if b'"listing_id"' in start:
        split = {"group_by": "listing_id"}
        listings = next((name for name in seen.ending(".csv") if "/" not in name and _is_listings(root / name)), None)
        if listings is not None:
            options["listings"] = listings
    return Recognised("COCO boxes", options, "object_detection", 0.95, split)


def _is_coco(path: Path) -> bool:
    start = head(path, _MOST)
    if not start.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"{"):
        return False
    both = start + _tail(path)
    lists = {found.decode() for found in _LISTS.findall(both)}
    if b'"category_id"' in both and b'"bbox"' in both:
        lists.add("annotations")
    return "images" in lists and len(lists) >= 2 and (b'"bbox"' in both or "categories" in lists)


def _tail(path: Path) -> bytes:
    try:
        with open(path, "rb") as stream:
            size = stream.seek(0, os.SEEK_END)
            stream.seek(max(0, size - _MOST))
            return stream.read(_MOST)
    except OSError:
        return b""


def _is_listings(path: Path) -> bool:
    first = head(path, 4000).decode("utf-8-sig", "replace").splitlines()[:1]
    return any({"listing_id", "declared"} <= {cell.strip() for cell in row} for row in csv.reader(first))
