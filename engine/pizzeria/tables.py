"""The tables that the `collect` stage leaves, and every later stage reads.

Image tasks have `images`, and one of the following for the truth: `boxes` (object detection), the column `label`
(image classification) or the column `labels` (multi-label); `listings` where photos belong to listings.
Tabular tasks have `rows`.

images      image_id (str), path (str, absolute or relative to the stage's folder), sha256, bytes (int), width and
            height (int, after EXIF rotation), readable (bool), problem (str, why it is not readable), then the source's
            own: listing_id (str), room, label (str), labels (list of str) ...
boxes       box_id (str), image_id (str), class_name (str), x_min, y_min, x_max, y_max (float, pixels of the
            EXIF-rotated image)
listings    listing_id (str), declared (list of str), then the source's own columns
rows        row_id (str), then the table's own columns
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

NAMES = ("images", "boxes", "listings", "rows")


@dataclass(frozen=True)
class Tables:
    """The tables of one dataset, as pandas frames; a table that the task has no use for is None."""

    images: pd.DataFrame | None = None
    boxes: pd.DataFrame | None = None
    listings: pd.DataFrame | None = None
    rows: pd.DataFrame | None = None

    def present(self) -> Iterator[tuple[str, pd.DataFrame]]:
        """Yield `(name, frame)` for each table that is there, in the order of `NAMES`."""
        for name in NAMES:
            frame = getattr(self, name)
            if frame is not None:
                yield name, frame


def write_tables(tables: Tables, folder: Path) -> None:
    """Write each table as `<name>.parquet` into `folder`."""
    for name, frame in tables.present():
        frame.to_parquet(folder / f"{name}.parquet", index=False)


def read_tables(folder: Path) -> Tables:
    """Read what `write_tables` wrote; relative photo paths come back absolute."""
    import pandas as pd

    found = {n: pd.read_parquet(folder / f"{n}.parquet") for n in NAMES if (folder / f"{n}.parquet").exists()}
    if "images" in found:
        found["images"]["path"] = [str(folder / path) for path in found["images"]["path"]]
    return Tables(**found)
