"""Class names: a source's own become the problem's, and what is of no class of the problem is set aside."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from pizzeria.account import Account
from pizzeria.errors import require_known
from pizzeria.spec.problem import Problem
from pizzeria.tables import Tables

if TYPE_CHECKING:
    import pandas as pd

LISTS = ("declared", "in_photos")
"""Columns of the listings table that hold lists of classes."""


def names_of(value: Any) -> list[str]:
    """A cell with a list of names; an empty one may come as None.

    Example:
        >>> names_of(None), names_of(["bed"]), names_of("bed")
        ([], ['bed'], ['bed'])
    """
    if isinstance(value, str):
        return [value]
    return [] if value is None or isinstance(value, float) else [str(name) for name in value]


def known_classes(tables: Tables) -> list[str]:
    """All classes that a source knows, or has something of, in the order in which they come."""
    found: dict[str, None] = dict.fromkeys(tables.classes or ())
    if tables.boxes is not None:
        found |= dict.fromkeys(map(str, tables.boxes["class_name"].dropna().unique()))
    if tables.images is not None and "label" in tables.images:
        found |= dict.fromkeys(map(str, tables.images["label"].dropna().unique()))
    if tables.images is not None and "labels" in tables.images:
        found |= dict.fromkeys(name for names in tables.images["labels"] for name in names_of(names))
    return list(found)


def rename(tables: Tables, class_map: Mapping[str, str | None], source: str) -> list[str]:
    """Apply a source's class_map to its tables; what it leaves out is set aside.

    Args:
        source: Its name, for messages.

    Returns:
        The classes that the source knows, under their new names.

    Raises:
        DataError: a key of the map is no class of the source.
    """
    known = known_classes(tables)
    require_known(class_map, known, what="class", where=f"the source {source}, which data.class_map renames")
    if class_map:
        gone = {name for name, becomes in class_map.items() if becomes is None}

        def reason(name: str) -> str:
            return f"of class {name}, which class_map leaves out"

        _keep(tables, lambda name: name not in gone, reason, lambda name: class_map.get(name) or name)
        _keep_declared(tables, lambda name: name not in gone, "class_map leaves out", class_map)
    return list(dict.fromkeys(new for name in known if (new := class_map.get(name, name)) is not None))


def keep_problem_classes(tables: Tables, problem: Problem, known: Sequence[str], sources: str) -> None:
    """Set aside what is of no class of the problem.

    Args:
        known: All classes that the sources know.
        sources: Their names, for messages.

    Raises:
        DataError: no source knows a class of the problem.
    """
    require_known(problem.classes, known, what="class", where=sources)
    wanted = set(problem.classes)

    def reason(name: str) -> str:
        return f"of class {name}, which problem.classes does not name"

    _keep(tables, lambda name: name in wanted, reason, lambda name: name)
    _keep_declared(tables, lambda name: name in wanted, "problem.classes does not name", {})
    for frame, columns in ((tables.images, ("labels",)), (tables.listings, LISTS)):
        for column in columns:
            if frame is not None and column in frame:  # in the order of the problem
                cells = [set(names_of(cell)) for cell in frame[column]]
                frame[column] = [[name for name in problem.classes if name in cell] for cell in cells]


def labels_from_boxes(tables: Tables, problem: Problem) -> None:
    """For multi-label: a photo has the labels of its boxes, which then have done their work."""
    images, boxes = tables.images, tables.boxes
    if problem.task != "multilabel_classification" or images is None or boxes is None:
        return
    shown: dict[str, set[str]] = {}
    for image_id, name in zip(boxes["image_id"], boxes["class_name"], strict=True):
        shown.setdefault(image_id, set()).add(name)
    # Of several sources, some may bring labels and others boxes.
    given = [names_of(cell) for cell in images["labels"]] if "labels" in images else [[] for _ in range(len(images))]
    made = [
        [] if names else [name for name in problem.classes if name in shown.get(image_id, ())]
        for image_id, names in zip(images["image_id"], given, strict=True)
    ]
    images["labels"] = [names or new for names, new in zip(given, made, strict=True)]
    tables.account.add("labels", sum(map(len, made)))
    if len(boxes):
        tables.account.handle("boxes", "made labels of their photos", str(boxes["box_id"].iloc[0]), len(boxes))
    tables.account.check({"boxes": len(boxes)})
    tables.boxes = None


def _keep(
    tables: Tables, kept: Callable[[str], bool], reason: Callable[[str], str], becomes: Callable[[str], str]
) -> None:
    """Rename what is kept in every table, and set aside what is not."""
    account = tables.account
    if tables.boxes is not None:
        tables.boxes = _keep_rows(tables.boxes, "class_name", kept, reason, account, "boxes", "box_id")
        tables.boxes["class_name"] = [becomes(name) for name in tables.boxes["class_name"]]
    images = tables.images
    if images is not None and "label" in images:
        before = len(images)
        images = _keep_rows(images, "label", kept, reason, account, "images", "path")
        if "labels" in account.read and before > len(images):
            account.set_aside("labels", "of a photo that is set aside", "", before - len(images))
        images["label"] = [becomes(name) for name in images["label"]]
    if images is not None and "labels" in images:
        cells = []
        for path, cell in zip(images["path"], images["labels"], strict=True):
            names = names_of(cell)
            for name in names:
                if not kept(name):
                    account.set_aside("labels", reason(name), str(path))
            renamed = [becomes(name) for name in names if kept(name)]
            cells.append(list(dict.fromkeys(renamed)))
            if len(renamed) > len(cells[-1]):
                account.set_aside(
                    "labels", "of a class that the photo has already", str(path), len(renamed) - len(cells[-1])
                )
        images["labels"] = cells
    tables.images = images


def _keep_rows(
    frame: pd.DataFrame,
    column: str,
    kept: Callable[[str], bool],
    reason: Callable[[str], str],
    account: Account,
    unit: str,
    example: str,
) -> pd.DataFrame:
    found = frame[column]
    stays = np.array([isinstance(name, str) and kept(name) for name in found], bool)
    for name, stay, shown in zip(found, stays, frame[example], strict=True):
        if not stay:
            account.set_aside(unit, reason(name) if isinstance(name, str) else "without a class", str(shown))
    return frame[stays].reset_index(drop=True)


def _keep_declared(tables: Tables, kept: Callable[[str], bool], why: str, class_map: Mapping[str, str | None]) -> None:
    """What a listing declares: the listing stays, and what it says of other classes is left out."""
    listings = tables.listings
    for column in LISTS:
        if listings is None or column not in listings:
            continue
        cells = []
        for key, cell in zip(listings["listing_id"], listings[column], strict=True):
            names = names_of(cell)
            gone = [name for name in names if not kept(name)]
            if gone:
                what = f"{column} without the classes that {why}"
                tables.account.handle("listings", what, f"{key}: {', '.join(gone)}")
            cells.append(list(dict.fromkeys(class_map.get(name) or name for name in names if kept(name))))
        listings[column] = cells
