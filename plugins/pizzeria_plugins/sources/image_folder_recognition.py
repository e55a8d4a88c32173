"""Whether a path holds photos by class: in a folder for each, or by a CSV of labels."""

from __future__ import annotations

import csv
import re
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from pizzeria.contracts import Recognised
from pizzeria_plugins.sources.folder_glance import Glance, glance, head
from pizzeria_plugins.sources.labels_file import columns_in
from pizzeria_plugins.sources.photo_listing import SPLITS, is_photo, leads_out

_MOST = 200_000
_NO_CLASS = frozenset({"images", "photos", "labels", "annotations", "jpegimages", "masks", "imagesets"})
_SPLITS = frozenset(SPLITS)


def recognise(path: Path) -> Recognised | None:
    """Photos with a CSV of labels, a folder for each class, or photos of which nothing is said (certainty 0.1)."""
    if path.is_file():
        return _of_csv(glance(path.parent), path.name) if path.suffix.lower() in (".csv", ".tsv", ".txt") else None
    seen = glance(path)
    if not seen.photos:
        return None
    for name in seen.ending(".csv", ".tsv"):
        if name.count("/") <= 1 and (answer := _of_csv(seen, name)):
            return answer
    return _of_folders(seen)


def _of_folders(seen: Glance) -> Recognised:
    tops: dict[str, int] = {}
    for name in seen.photos:
        parts = PurePosixPath(name).parts
        tops[parts[0] if len(parts) > 1 else ""] = tops.get(parts[0] if len(parts) > 1 else "", 0) + 1
    loose = tops.pop("", 0)
    classes = [name for name in tops if name.lower() not in _NO_CLASS]
    if len(classes) >= 2 and not loose and {name.lower() for name in classes} <= _SPLITS:
        return _of_split_folders(seen, classes)
    if len(classes) >= 2 and len(classes) == len(tops):
        certainty = 0.8 if not loose else 0.5
        return Recognised(
            "one folder of photos for each class", {"root": str(seen.root)}, "image_classification", certainty
        )
    return Recognised("photos without labels", {"root": str(seen.root)}, None, 0.1)


def _of_split_folders(seen: Glance, splits: list[str]) -> Recognised:
    """train/bed/1.jpg: the folder for training has the classes; the source reads one such folder."""
    train = next((name for name in splits if SPLITS[name.lower()] == "train"), sorted(splits)[0])
    inside = {PurePosixPath(name).parts[1] for name in seen.photos if name.startswith(f"{train}/")}
    if len([name for name in inside if not is_photo(name)]) < 2:
        return Recognised("photos without labels", {"root": str(seen.root)}, None, 0.1)
    others = ", ".join(name for name in sorted(splits) if name != train)
    what = f"one folder of photos for each class, in {train} alone (`data.also` joins {others})"
    return Recognised(what, {"root": str(seen.root / train)}, "image_classification", 0.7)


def _of_csv(seen: Glance, name: str) -> Recognised | None:
    """A CSV whose first photos are there."""
    start = head(seen.root / name, _MOST)
    text = start.decode("utf-8-sig", "replace")
    lines = text.splitlines()
    found = columns_in(lines[0]) if lines else None
    if found is None:
        return None
    delimiter, file_column, label_column = found
    if len(start) == _MOST:
        lines.pop()
    rows = list(csv.DictReader(lines, delimiter=delimiter))[:5000]
    files = [(row.get(file_column) or "").strip().replace("\\", "/") for row in rows]
    if not files or any(leads_out(file) for file in files):
        return None
    near = PurePosixPath(name).parent.as_posix()
    roots = [below for below in dict.fromkeys((".", near, *seen.folders)) if _are_there(seen.root / below, files)]
    if not roots:
        return None
    options: dict[str, Any] = {"root": str(seen.root / roots[0]), "labels": str(seen.root / name)}
    columns = [column for column in rows[0] if column]
    cells = [row.get(label_column) or "" for row in rows]
    several = len(set(files)) < len(files) or any(not cell.strip() or re.search(r"[;|]", cell) for cell in cells)
    task = "multilabel_classification" if several else "image_classification"
    return Recognised("photos with a CSV of labels", options, task, 0.9, _split(columns))


def _are_there(root: Path, files: list[str]) -> bool:
    return any((root / file).is_file() for file in files[:5])


def _split(columns: list[str]) -> Mapping[str, Any]:
    if "split" in columns:
        return {"column": "split"}
    return {"group_by": "listing_id"} if "listing_id" in columns else {}
