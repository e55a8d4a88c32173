"""What belongs together and is drawn together, and single columns of the tables, by key."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from pizzeria.spec.spec import Spec
from pizzeria.tables import Tables

if TYPE_CHECKING:
    import pandas as pd

LISTING = "listing_id"


def groups(tables: Tables, keys: Sequence[str], spec: Spec) -> tuple[list[str] | None, str]:
    """The group of each key, and what it is called: the listing of a photo, or what `data.split.group_by` names.

    Returns:
        None and `photo` or `row` where each key stands alone.
    """
    column = spec.data.split.group_by
    if tables.images is not None:
        column = column if column in tables.images else LISTING
    unit = "row" if tables.images is None else "photo"
    found = None if column is None else key_column(tables, column)
    if found is None:
        return None, unit
    found = found[found.notna()]
    name_of = dict(zip(found.index, found.astype(str), strict=True))
    named = [f"group {name_of[key]}" if key in name_of else f"{unit} {key}" for key in keys]
    return named, "listing" if column == LISTING else str(column)


def key_column(tables: Tables, name: str) -> pd.Series | None:
    """One column of the photos or the rows, by image_id or row_id as text; None where there is none of that name.

    Of rows that lie in a file, this column alone is read.
    """
    if tables.images is not None:
        return _by_key(tables.images, "image_id", name)
    if tables.rows_file is None:
        return None if tables.rows is None else _by_key(tables.rows, "row_id", name)
    import pyarrow.parquet as pq

    if name not in pq.read_schema(tables.rows_file).names:
        return None
    return _by_key(pq.read_table(tables.rows_file, columns=list({"row_id", name})).to_pandas(), "row_id", name)


def _by_key(table: pd.DataFrame, key: str, name: str) -> pd.Series | None:
    if name not in table:
        return None
    found: pd.Series = table[name].set_axis(table[key].astype(str))
    return found
