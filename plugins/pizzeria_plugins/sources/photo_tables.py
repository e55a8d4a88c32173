"""Makes the tables of photos with boxes, as all sources of boxes bring them."""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from pizzeria.account import Account
from pizzeria.contracts import Progress
from pizzeria.inference.photos import header_of
from pizzeria.tables import Tables
from pizzeria_plugins.sources.turned_boxes import CORNERS

BEYOND_LIMIT = "beyond data.limit"
_WORKERS = min(8, (os.cpu_count() or 1) + 1)


def photo_tables(
    images: list[dict[str, Any]],
    boxes: list[dict[str, Any]] | None,
    account: Account,
    classes: Sequence[str] | None = None,
    box_columns: Sequence[str] = (),
) -> Tables:
    """Tables of photos with boxes.

    Args:
        images: With `image_id`, `path` (absolute), and `split` (None where it has none).
        boxes: With `box_id`, `image_id`, `class_name`, the corners and `box_columns`; None where they are not read.
        classes: All that the data know.
    """
    import pandas as pd

    if not any(image.get("split") for image in images):
        images = [{name: value for name, value in image.items() if name != "split"} for image in images]
    columns = ["box_id", "image_id", "class_name", *CORNERS, *box_columns]
    frame = None if boxes is None else pd.DataFrame(boxes, columns=columns)
    if frame is not None:
        frame = frame.astype(dict.fromkeys(CORNERS, "float64"))
    return Tables(images=pd.DataFrame(images), boxes=frame, account=account, classes=classes)


def headers_of(paths: Sequence[Path], progress: Progress) -> list[tuple[int, int, int]]:
    """Of each photo: width and height once it stands upright, and EXIF's orientation; (0, 0, 1) where it tells none."""
    pool = ThreadPoolExecutor(_WORKERS)
    try:
        pending = [pool.submit(header_of, path) for path in paths]
        return [answer.result() for answer in progress.track(pending, "reading sizes of photos")]
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def enlarge(boxes: list[dict[str, Any]], paths: dict[str, Path], progress: Progress) -> None:
    """Corners that are shares of their photo become pixels, in place.

    Args:
        paths: Each photo's file, by its image_id.
    """
    names = sorted({box["image_id"] for box in boxes})
    sizes = dict(zip(names, headers_of([paths[name] for name in names], progress), strict=True))
    for box in boxes:
        width, height, _ = sizes[box["image_id"]]
        for corner, side in zip(CORNERS, (width, height, width, height), strict=True):
            box[corner] *= side
