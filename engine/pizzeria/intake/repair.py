"""Photos and boxes that cannot be used as they are: mended or set aside where `data.repair` says so.

What it says to refuse stays in the tables, and the built-in expectations of `validate` name it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from pizzeria.errors import DataError
from pizzeria.spec.data import Repair
from pizzeria.tables import Tables

if TYPE_CHECKING:
    import pandas as pd

CORNERS = ["x_min", "y_min", "x_max", "y_max"]
SLACK = 1.0
"""Pixels by which a box may reach out of its photo: annotations are rounded."""
_SHOWN = 5


def repair(tables: Tables, options: Repair) -> None:
    """Do what is wanted about photos that are not readable, and about their boxes.

    Raises:
        DataError: a box has a corner that is no number, and is not to be set aside.
    """
    if options.unreadable == "set_aside":
        set_aside_unreadable(tables)
    if tables.boxes is not None:
        assert tables.images is not None
        _repair_boxes(tables, options)


def set_aside_unreadable(tables: Tables) -> None:
    """Set aside the photos that are not readable, with their boxes and labels."""
    images, boxes, account = tables.images, tables.boxes, tables.account
    assert images is not None
    bad = ~images["readable"].astype(bool).to_numpy()
    if not bad.any():
        return
    lost = images[bad]
    for path, problem in zip(lost["path"], lost["problem"], strict=True):
        account.set_aside("images", f"not readable: {problem.partition(':')[0]}", f"{path}: {problem}")
    reason = "of a photo that is not readable"
    if "labels" in account.read:
        many = "labels" in images
        for i, row in lost.iterrows():
            count = len(row["labels"]) if many else 1
            if count:
                account.set_aside("labels", reason, str(images.at[i, "path"]), count)
    if boxes is not None:
        gone = boxes["image_id"].isin(set(lost["image_id"])).to_numpy()
        _set_aside(tables, boxes, gone, reason)
    tables.images = images[~bad].reset_index(drop=True)


def _repair_boxes(tables: Tables, options: Repair) -> None:
    boxes = tables.boxes
    assert boxes is not None
    odd = ~np.isfinite(boxes[CORNERS].to_numpy(np.float64)).all(axis=1)
    if odd.any() and options.degenerate == "refuse":
        named = ", ".join(boxes["box_id"].to_numpy()[odd][:_SHOWN])
        raise DataError(
            f"boxes with a corner that is no number: {named}",
            hint="mend them, or set data.repair.degenerate: set_aside",
        )
    boxes = _set_aside(tables, boxes, odd, "with a corner that is no number")
    boxes = _outside(tables, boxes, options.outside)
    xyxy = boxes[CORNERS].to_numpy(np.float64)
    flat = ((xyxy[:, 2:] - xyxy[:, :2]) < 1).any(axis=1)
    if options.degenerate == "set_aside":
        boxes = _set_aside(tables, boxes, flat, "less than a pixel wide or high")
    if options.duplicates == "set_aside":
        twice = boxes.duplicated(["image_id", "class_name", *CORNERS]).to_numpy()
        boxes = _set_aside(tables, boxes, twice, "standing twice: same photo, class and corners")
    tables.boxes = boxes


def _outside(tables: Tables, boxes: pd.DataFrame, what: str) -> pd.DataFrame:
    """Boxes of photos whose size is not known stay as they are."""
    if what == "refuse":
        return boxes
    limit = _limits(tables, boxes)
    xyxy = boxes[CORNERS].to_numpy(np.float64)
    out = np.asarray(((xyxy < -SLACK) | (xyxy > limit + SLACK)).any(axis=1))
    if what == "set_aside":
        return _set_aside(tables, boxes, out, "reaching out of the photo")
    boxes = boxes.copy()
    boxes[CORNERS] = np.clip(xyxy, np.where(np.isinf(limit), -np.inf, 0.0), limit)
    for box_id in boxes["box_id"].to_numpy()[out]:
        tables.account.handle("boxes", "reaching out of the photo, cut off at its border", str(box_id))
    return boxes


def _limits(tables: Tables, boxes: pd.DataFrame) -> NDArray[np.float64]:
    """[N, 4]: the greatest that each corner may be; infinite where the photo's size is not known."""
    assert tables.images is not None
    size = tables.images.drop_duplicates("image_id").set_index("image_id")[["width", "height"]].astype(float)
    size = size.where(size >= 1).reindex(boxes["image_id"])
    limit = size[["width", "height"] * 2].to_numpy(np.float64)
    return np.where(np.isnan(limit), np.inf, limit)


def _set_aside(tables: Tables, boxes: pd.DataFrame, gone: NDArray[np.bool_], reason: str) -> pd.DataFrame:
    for box_id in boxes["box_id"].to_numpy()[gone]:
        tables.account.set_aside("boxes", reason, str(box_id))
    tables.boxes = boxes[~gone].reset_index(drop=True)
    return tables.boxes
