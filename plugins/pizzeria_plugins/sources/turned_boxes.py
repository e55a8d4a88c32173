"""Boxes that were drawn on a photo before it was turned upright."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pizzeria.account import Account
from pizzeria.inference.photos import header_of

CORNERS = ("x_min", "y_min", "x_max", "y_max")


def fit_boxes(
    boxes: Sequence[dict[str, Any]], path: Path, said: tuple[int | None, int | None], account: Account
) -> None:
    """Turn the boxes of one photo where the annotations were plainly made before EXIF turned it.

    That is so where they give the photo's size with its sides exchanged. Any other size than the file's is counted: the
    boxes may not fit.

    Args:
        boxes: With `CORNERS`, in the pixels that the annotations speak of; changed in place.
        said: Width and height that the annotations give; None where they give none.
    """
    width, height, orientation = header_of(path)
    if None in said or not width or said == (width, height):
        return
    if orientation >= 5 and said == (height, width):
        for box in boxes:
            box.update(zip(CORNERS, turned([box[name] for name in CORNERS], orientation, height, width), strict=True))
        if boxes:
            account.handle("boxes", "turned with their photo, as EXIF says", str(path), len(boxes))
        return
    what = "of another size than the annotations say, so that their boxes may not fit"
    account.handle("images", what, f"{path} is {width} x {height}, not {said[0]} x {said[1]}")


def turned(
    corners: Sequence[float], orientation: int, width: float, height: float
) -> tuple[float, float, float, float]:
    """One box after EXIF's orientation was applied to its photo.

    Args:
        corners: x_min, y_min, x_max, y_max before.
        width, height: Of the photo before.

    Example:
        >>> turned((0, 0, 10, 20), 6, 100, 50)  # top left before, top right after a turn by 90 degrees to the right
        (30, 0, 50, 10)
    """
    x0, y0, x1, y1 = corners
    if orientation in (2, 3, 7, 8):  # mirrored from left to right, before or instead of a turn
        x0, x1 = width - x1, width - x0
    if orientation in (3, 4, 6, 7):
        y0, y1 = height - y1, height - y0
    return (y0, x0, y1, x1) if orientation >= 5 else (x0, y0, x1, y1)
