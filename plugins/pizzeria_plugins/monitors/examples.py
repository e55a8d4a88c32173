"""Which predictions of a chunk show its drift best, and which rows of the reference are the usual ones.

Both are for people: an alarm shows photos from the drifted chunk beside those that the model knows.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from pizzeria_plugins.monitors.schema import Read, Schema

if TYPE_CHECKING:
    import pandas as pd

SHOWN = 5
"""So many predictions, and so many rows of the reference."""
BINS = 10
"""A number falls into a tenth of the reference's, or outside of its range."""
FURTHEST = 10.0
"""Standard deviations from the median that still count: beyond it a photo is no more telling."""


@dataclass(frozen=True)
class Shape:
    """How the reference lies in one column.

    Attributes:
        edges: [B] inner edges and the ends of the bins of a number; None for a category.
        shares: Of the reference in each bin, or category.
        median: Of a number.
        deviation: Of a number; 1 where it is 0.
    """

    edges: NDArray[np.float64] | None
    shares: NDArray[np.float64]
    median: float = 0.0
    deviation: float = 1.0

    def places(self, values: NDArray[np.float64]) -> NDArray[np.int64]:
        """[N] bin or category of each value; -1 where it is missing."""
        known = ~np.isnan(values)
        places = np.full(len(values), -1, np.int64)
        if self.edges is None:
            places[known] = values[known].astype(np.int64)
        else:
            places[known] = np.searchsorted(self.edges, values[known], side="left")
        return places


@dataclass(frozen=True)
class Examples:
    """Fitted on the reference.

    Attributes:
        shapes: By column.
        rows: M.
        usual: `input_id`s of the reference's most usual rows, at most one of a listing.
    """

    shapes: Mapping[str, Shape]
    rows: int
    usual: tuple[str, ...]

    def furthest(self, chunk: pd.DataFrame, read: Read, columns: Sequence[str]) -> list[str]:
        """`prediction_id`s of the rows that show best how these columns drifted; none where records have no id.

        A row counts by how much commoner its values are in the chunk than in the reference: the sum over the columns
        of log(share in the chunk / share in the reference) of its bin; at a tie the one further from the median does.
        At most one of a listing.

        Args:
            chunk: [N] records.
            read: The same as numbers.
        """
        if "prediction_id" not in chunk or not columns:
            return []
        score, far = np.zeros(read.rows), np.zeros(read.rows)
        for name in columns:
            shape, values = self.shapes[name], read.values[name]
            places = shape.places(values)
            known = places >= 0
            counts = np.bincount(places[known], minlength=len(shape.shares))
            before = np.zeros(len(counts))
            before[: len(shape.shares)] = shape.shares
            least = 1 / (2 * self.rows)  # half a row: what the reference never had is not infinitely rare
            share = counts / max(int(known.sum()), 1)
            score[known] += np.log(np.maximum(share, least) / np.maximum(before, least))[places[known]]
            if shape.edges is not None:
                strayed = np.abs(values[known] - shape.median) / shape.deviation
                far[known] += np.minimum(strayed, FURTHEST)
        order = np.lexsort((-far, -score))
        return _one_each(chunk, "prediction_id", order)


def fit(reference: pd.DataFrame, schema: Schema, numbers: Read) -> Examples:
    """Learn how the reference lies, and which of its rows are usual.

    A row is usual when its inputs are near their medians, and its categories common: the mean over the inputs of
    min(|value - median| / deviation, 10), or of minus the log of the category's share.

    Args:
        reference: [M] records.
        numbers: The same as `schema` reads them.
    """
    shapes = {column.name: _shape(numbers.values[column.name], column.categorical) for column in schema.columns}
    strange = np.zeros(numbers.rows)
    for column in schema.inputs:
        shape, values = shapes[column.name], numbers.values[column.name]
        known = ~np.isnan(values)
        if shape.edges is None:
            cost = -np.log(np.maximum(shape.shares, 1e-9))[shape.places(values)[known]]
        else:
            cost = np.minimum(np.abs(values[known] - shape.median) / shape.deviation, FURTHEST)
        strange[known] += cost
        strange[~known] += FURTHEST / 2
    usual = _one_each(reference, "input_id", np.argsort(strange, kind="stable"))
    return Examples(shapes, numbers.rows, tuple(usual))


def _shape(values: NDArray[np.float64], categorical: bool) -> Shape:
    known = values[~np.isnan(values)]
    if categorical:
        return Shape(None, np.bincount(known.astype(np.int64)) / max(len(known), 1))
    edges = np.unique(np.quantile(known, np.linspace(0, 1, BINS + 1)))
    counts = np.bincount(np.searchsorted(edges, known, side="left"), minlength=len(edges) + 1)
    deviation = float(known.std())
    positive = deviation if math.isfinite(deviation) and deviation > 0 else 1.0
    return Shape(edges, counts / len(known), float(np.median(known)), positive)


def _one_each(frame: pd.DataFrame, name: str, order: NDArray[np.int64]) -> list[str]:
    """The first few names in that order, of different listings; empty where there are none."""
    if name not in frame:
        return []
    ids = frame[name]
    listings = frame.get("listing_id")
    found: list[str] = []
    seen: set[str] = set()
    for row in order[: 50 * SHOWN]:
        text = ids.iloc[row]
        if not isinstance(text, str) or not text:
            continue
        listing = "" if listings is None or not isinstance(listings.iloc[row], str) else listings.iloc[row]
        if listing and listing in seen:
            continue
        seen.add(listing)
        found.append(text)
        if len(found) == SHOWN:
            break
    return found
