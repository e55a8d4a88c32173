"""The columns that the test split may be cut by: of photos, of their listings and boxes, or of rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from pizzeria.errors import DataError, nearest
from pizzeria.measuring.cuts import Cut, cut
from pizzeria.measuring.grouping import LISTING, key_column
from pizzeria.predictions import Predictions
from pizzeria.spec.criteria import OF_BOXES
from pizzeria.spec.slices import Slice
from pizzeria.spec.spec import Spec
from pizzeria.tables import Tables

if TYPE_CHECKING:
    import pandas as pd

OF_PHOTOS = ("room", "brightness", "object_size", "source")
"""What photos are cut by when a spec does not say."""
MOST_COLUMNS, FEW_VALUES = 4, 12
"""A table is cut by so many of its columns that have no more values than this, the fewest first."""


def known_columns(tables: Tables) -> list[str]:
    """Names of all columns that may be named."""
    if tables.images is None:
        return _row_columns(tables)
    found = [*tables.images, *(OF_BOXES if tables.boxes is not None else ())]
    if LISTING in tables.images and tables.listings is not None:
        found += list(tables.listings)
    return list(dict.fromkeys(map(str, found)))


def require(spec: Spec, tables: Tables) -> None:
    """Refuse slices of columns that the data do not have, and criteria on values that no photo or row has.

    Raises:
        DataError: names the key of the spec and the nearest right name.
    """
    known = known_columns(tables)
    asked = [(f"evaluation.slices[{i}]", one.column) for i, one in enumerate(_named(spec))]
    parts = [(f"problem.success[{i}].slice", one.part) for i, one in enumerate(spec.problem.success) if one.part]
    for where, column in [*asked, *((where, part[0]) for where, part in parts)]:
        if column not in known:
            raise DataError(f"{where}: the data have no column {column!r}", hint=nearest(column, known))
    edges = {one.column: one.edges for one in _named(spec) if one.edges}
    for column in edges.keys() - set(OF_BOXES):
        cut(column, _values(column, tables), edges[column])
    for where, (column, value) in parts:
        if column in OF_BOXES:
            continue  # thirds of what the boxes tell, or told by their edges
        values = _values(column, tables)
        names = cut(column, values, edges.get(column, ()), [value]).names
        if value not in names:
            hint = nearest(value, names)
            raise DataError(f"{where}: {column} is cut into no slice {value!r}", hint=hint)


def wanted(spec: Spec, tables: Tables, preprocessing: dict[str, Any]) -> list[Slice]:
    """The slices that the spec asks for, or sensible ones, and those of its criteria."""
    chosen = _named(spec)
    if spec.evaluation.slices is None:
        known = set(known_columns(tables))
        names = OF_PHOTOS if tables.images is not None else _few_valued(preprocessing)
        chosen = [Slice(column=name) for name in names if name in known]
    there = {one.column for one in chosen}
    asked = dict.fromkeys(one.part[0] for one in spec.problem.success if one.part)
    return [*chosen, *(Slice(column=name) for name in asked if name not in there)]


def cuts(slices: Sequence[Slice], spec: Spec, tables: Tables, truth: Predictions) -> list[Cut]:
    """Each of the slices, over the keys of the truth."""
    found = []
    for one in slices:
        keep = [part[1] for criterion in spec.problem.success if (part := criterion.part) and part[0] == one.column]
        if one.column in OF_BOXES:
            values = _of_boxes(one.column, tables, truth)
        else:
            values = _values(one.column, tables).reindex(list(truth.keys))
        found.append(cut(one.column, values, one.edges, keep))
    return found


def _named(spec: Spec) -> list[Slice]:
    return [Slice(column=one) if isinstance(one, str) else one for one in spec.evaluation.slices or ()]


def _row_columns(tables: Tables) -> list[str]:
    if tables.rows_file is None:
        return [] if tables.rows is None else list(map(str, tables.rows))
    import pyarrow.parquet as pq

    return list(map(str, pq.read_schema(tables.rows_file).names))


def _few_valued(preprocessing: dict[str, Any]) -> list[str]:
    """`source`, and categorical columns with few values, the fewest first."""
    sizes = {one["name"]: len(one["values"]) for one in preprocessing.get("categorical", ())}
    few = sorted((size, name) for name, size in sizes.items() if 1 < size <= FEW_VALUES)
    return list(dict.fromkeys(["source", *(name for _, name in few[:MOST_COLUMNS])]))


def _values(name: str, tables: Tables) -> pd.Series:
    """A column that is known, by key."""
    found = key_column(tables, name)
    if found is not None:
        return found
    assert tables.listings is not None
    listing = key_column(tables, LISTING)
    assert listing is not None
    of_listing = tables.listings.drop_duplicates(LISTING).set_index(LISTING)[name]
    joined: pd.Series = listing.map(of_listing)
    return joined


def _of_boxes(name: str, tables: Tables, truth: Predictions) -> pd.Series:
    """`objects`: true boxes in the photo. `object_size`: the share of the photo that they cover on average."""
    import pandas as pd

    assert tables.images is not None
    assert truth.boxes is not None
    counts = np.array([len(one.labels) for one in truth.boxes], np.int64)
    if name == "objects":
        return pd.Series(counts, index=list(truth.keys))
    photos = tables.images.set_index(tables.images["image_id"].astype(str))[["width", "height"]].prod(axis=1)
    areas = np.array([(one.xyxy[:, 2:] - one.xyxy[:, :2]).prod(axis=1).sum(dtype=float) for one in truth.boxes])
    whole = counts * photos.reindex(list(truth.keys)).to_numpy(float)
    share = np.divide(areas, whole, out=np.full(len(areas), np.nan), where=whole > 0)
    return pd.Series(share, index=list(truth.keys))
