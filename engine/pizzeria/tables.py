"""The tables that the `collect` stage leaves, and every later stage reads.

Image tasks have `images`, and one of the following for the truth: `boxes` (object detection), the column `label`
(image classification) or the column `labels` (multi-label); `listings` where photos belong to listings.
Tabular tasks have `rows`.

images      image_id (str), path (str, absolute or relative to the stage's folder), sha256, bytes (int), width and
            height (int, after EXIF rotation), readable (bool), problem (str, why it is not readable), what
            `pizzeria.intake.photos` measures, then the source's own: listing_id (str), room, label (str), labels
            (list of str), split (str) ...
boxes       box_id (str), image_id (str), class_name (str), x_min, y_min, x_max, y_max (float, pixels of the
            EXIF-rotated image)
listings    listing_id (str), declared (list of str), then the source's own columns
rows        row_id (str), then the table's own columns

Rows may be more than memory holds: `rows_file` is their Parquet file, which DuckDB and pyarrow read in pieces, and
`rows` reads all of it when it is first asked for. What must work for millions of rows reads the file.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pizzeria import atomic
from pizzeria.account import Account

if TYPE_CHECKING:
    import pandas as pd

NAMES = ("images", "boxes", "listings", "rows")
_ACCOUNT = "account.json"


class Tables:
    """The tables of one dataset; a table that the task has no use for is None.

    Args:
        rows: A frame, or the Parquet file that holds it.
        account: What became of everything that was read.
        classes: Names of classes that a source knows, where those are more than its boxes and labels have; not written.

    Attributes:
        rows_file: Where the rows lie, if they lie in a file.
    """

    def __init__(
        self,
        *,
        images: pd.DataFrame | None = None,
        boxes: pd.DataFrame | None = None,
        listings: pd.DataFrame | None = None,
        rows: pd.DataFrame | Path | None = None,
        account: Account | None = None,
        classes: Sequence[str] | None = None,
    ) -> None:
        self.images = images
        self.boxes = boxes
        self.listings = listings
        self.rows_file = rows if isinstance(rows, Path) else None
        self._rows = None if isinstance(rows, Path) else rows
        self.account = account if account is not None else Account()
        self.classes = None if classes is None else tuple(classes)

    @property
    def rows(self) -> pd.DataFrame | None:
        """All rows, in memory."""
        if self._rows is None and self.rows_file is not None:
            import pandas as pd

            self._rows = pd.read_parquet(self.rows_file)
        return self._rows

    def forget_rows(self) -> None:
        """Let go of rows in memory whose file was changed."""
        if self.rows_file is not None:
            self._rows = None

    def counts(self) -> dict[str, int]:
        """Rows of each table that is there; reads no data."""
        found = {name: getattr(self, name) for name in NAMES if name != "rows"}
        counts = {name: len(frame) for name, frame in found.items() if frame is not None}
        if self._rows is not None:
            counts["rows"] = len(self._rows)
        elif self.rows_file is not None:
            import pyarrow.parquet as pq

            counts["rows"] = int(pq.read_metadata(self.rows_file).num_rows)
        return counts

    def present(self) -> Iterator[tuple[str, pd.DataFrame]]:
        """Yield `(name, frame)` for each table that is there, in the order of `NAMES`."""
        for name in NAMES:
            frame = getattr(self, name)
            if frame is not None:
                yield name, frame


def write_tables(tables: Tables, folder: Path) -> None:
    """Write each table as `<name>.parquet` into `folder`, and the account; rows that lie there already stay."""
    for name in NAMES:
        path = folder / f"{name}.parquet"
        if name == "rows" and tables.rows_file is not None:
            if tables.rows_file != path:
                raise ValueError(f"rows lie in {tables.rows_file}, and not in {path}")
        elif (frame := getattr(tables, name)) is not None:
            frame.to_parquet(path, index=False)
    atomic.write_json(folder / _ACCOUNT, tables.account.plain())


def read_tables(folder: Path) -> Tables:
    """Read what `write_tables` wrote, rows when they are asked for; relative photo paths come back absolute."""
    import json

    import pandas as pd

    found: dict[str, Any] = {
        name: pd.read_parquet(folder / f"{name}.parquet")
        for name in ("images", "boxes", "listings")
        if (folder / f"{name}.parquet").exists()
    }
    if "images" in found:
        found["images"]["path"] = [str(folder / path) for path in found["images"]["path"]]
    rows, account = folder / "rows.parquet", folder / _ACCOUNT
    return Tables(
        **found,
        rows=rows if rows.exists() else None,
        account=Account.of(json.loads(account.read_text())) if account.exists() else None,
    )
