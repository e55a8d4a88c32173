"""How the data shall be split: as they say themselves, by time, by group, or so that rare classes are on each side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from pizzeria.proposal.columns import Column
from pizzeria.proposal.framing import Framing

if TYPE_CHECKING:
    import pandas as pd

_RARE = 300
_GROUPS = 12
_OWN = ("image_id", "box_id", "row_id", "prediction_id")


def of_photos(images: pd.DataFrame, framing: Framing, given: Mapping[str, Any]) -> tuple[dict[str, Any], str]:
    """`data.split` for photos, and why.

    Args:
        given: What the source says of a split that the data bring.
    """
    if "column" in given:
        return dict(given), "the data bring their own"
    if given:
        return {**given, **_stratified(framing)}, "as the data are grouped"
    for name in images.columns:
        if str(name).endswith("_id") and name not in _OWN and images[name].notna().all():
            groups = images[name].nunique()
            if _GROUPS <= groups < len(images):
                text = f"{groups:,} different; photos of one stay on one side"
                return {"group_by": str(name)} | _stratified(framing), text
    return _stratified(framing), "each class has its share on each side" if _stratified(framing) else ""


def of_rows(columns: Sequence[Column], framing: Framing) -> tuple[dict[str, Any], str]:
    """`data.split` for rows, and why."""
    by_name = {column.name.lower(): column for column in columns}
    if "split" in by_name and set(by_name["split"].counts) & {"train", "test"}:
        return {"column": by_name["split"].name}, "the data bring their own"
    times = [column for column in columns if column.kind == "time" and not column.missing and column.distinct > 30]
    if times:
        newest = max(times, key=lambda column: column.distinct)
        return {"order_by": newest.name}, "train on the past, test on what came after"
    for column in columns:
        known = column.name.lower().endswith("_id") and column.name != framing.target and not column.missing
        if known and _GROUPS <= column.distinct < 0.9 * column.rows:
            return {"group_by": column.name}, f"{column.distinct:,} different; rows of one stay on one side"
    return _stratified(framing), "each class has its share on each side" if _stratified(framing) else ""


def _stratified(framing: Framing) -> dict[str, Any]:
    rare = framing.counts and min(framing.counts.values()) < _RARE
    return {"stratify_by": "classes"} if rare else {}
