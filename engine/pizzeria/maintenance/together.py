"""What belongs together among new examples and the champion's own rows: a listing, and photos that look alike."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pizzeria.maintenance.champion_rows import Lineage, column_of
from pizzeria.similarity import groups_of, near_pairs
from pizzeria.spec.spec import Spec

if TYPE_CHECKING:
    import pandas as pd

LISTING = "listing_id"
KNOWN = "the same photo as one of the data before"
TWICE = "the same photo as another labelled prediction, whose label is newer"


def linked(examples: pd.DataFrame, before: Lineage, spec: Spec) -> tuple[list[str], list[Any], dict[int, str]]:
    """How examples hang together.

    Args:
        examples: [N] of `kept`, by time.

    Returns:
        [N] the unit of each example, the same text for what belongs together; [N] the sides of the champion's own rows
        that it belongs to; and, by index of `examples`, those that bring nothing new, with the reason.
    """
    group = spec.data.split.group_by
    pairs: list[tuple[int, int]] = []
    sides: list[set[str]] = [set() for _ in range(len(examples))]
    twice: dict[int, str] = {}
    side_of = dict(zip(before.rows["own"], before.rows["was"], strict=True))
    photos = "photo_sha256" in examples
    named = _names(examples, group, photos)
    if named is not None:
        values, column = named
        pairs += _same(values)
        of_base = _sides_by_value(column_of(before.run, column), side_of)
        for i, value in enumerate(values):
            sides[i] |= of_base.get(value, set()) if value else set()
    if photos:
        _alike(examples, before, side_of, spec.data.leakage.distance, pairs, sides, twice)
    units = groups_of(len(examples), np.array(pairs, np.int64).reshape(-1, 2))
    ids = examples["prediction_id"].tolist()
    return [ids[unit] for unit in units.tolist()], [frozenset(one) for one in sides], twice


def _names(examples: pd.DataFrame, group: str | None, photos: bool) -> tuple[list[str], str] | None:
    """The group of each example, empty where it has none, and its column in the champion's tables."""
    if photos:
        return (examples["listing_id"].fillna("").astype(str).tolist(), LISTING)
    if group is not None and f"feature:{group}" in examples:
        return ["" if value is None or value != value else str(value) for value in examples[f"feature:{group}"]], group
    return None


def _same(values: list[str]) -> list[tuple[int, int]]:
    first: dict[str, int] = {}
    return [(first.setdefault(value, i), i) for i, value in enumerate(values) if value]


def _sides_by_value(column: pd.Series[Any], side_of: dict[str, str]) -> dict[str, set[str]]:
    """The sides of the champion's rows, by the value of a column; a source's prefix is no part of a listing's id."""
    out: dict[str, set[str]] = {}
    for key, value in column.dropna().items():
        side = side_of.get(str(key), "none")
        if side != "none":
            text = str(value)
            for name in {text, text.partition(":")[2] or text}:
                out.setdefault(name, set()).add(side)
    return out


def _alike(
    examples: pd.DataFrame,
    before: Lineage,
    side_of: dict[str, str],
    distance: int,
    pairs: list[tuple[int, int]],
    sides: list[set[str]],
    twice: dict[int, str],
) -> None:
    """Add what is the same photo, or looks alike."""
    by_sha = column_of(before.run, "sha256")
    base = [key for key in by_sha.index if side_of.get(key, "none") != "none"]
    known = {sha: key for key, sha in by_sha[base].items() if sha}
    # Of the examples in the champion's own tables under a version, none is meant here: `side_of` has base rows alone.
    newest: dict[str, int] = {}
    labelled = examples["labelled_at"].tolist()
    shas = examples["photo_sha256"].tolist()
    for i, sha in enumerate(shas):
        if sha in known:
            twice[int(examples.index[i])] = KNOWN
            continue
        other = newest.setdefault(sha, i)
        if other != i:
            older, newer = (other, i) if labelled[i] >= labelled[other] else (i, other)
            newest[sha] = newer
            twice[int(examples.index[older])] = TWICE
    hashes = _hashes(column_of(before.run, "phash")[base].tolist(), column_of(before.run, "dhash")[base].tolist())
    ours = _hashes(examples["phash"].tolist(), examples["dhash"].tolist())
    count = len(hashes)
    for one, other in near_pairs(np.concatenate([hashes, ours]), distance).tolist():
        if one >= count:
            pairs.append((one - count, other - count))
        elif other >= count:
            sides[other - count].add(side_of[base[one]])


def _hashes(phash: list[str], dhash: list[str]) -> NDArray[np.uint64]:
    rows = [(int(one or "0", 16), int(other or "0", 16)) for one, other in zip(phash, dhash, strict=True)]
    return np.array(rows, np.uint64).reshape(-1, 2)
