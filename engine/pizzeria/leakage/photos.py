"""Photos that are equal, or look alike, on two sides."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pizzeria.leakage.finding import SHOWN, Finding, Pair
from pizzeria.similarity import bits_apart
from pizzeria.splitting.look_alikes import HASHES, alike, equal

if TYPE_CHECKING:
    import pandas as pd

_HINT = (
    "keep them on one side with data.split.group_near_duplicates: true, set copies aside, or allow it with a reason "
    "under data.leakage.allow"
)


def photo_leaks(
    images: pd.DataFrame, splits: pd.Series[str], distance: int, group: str | None
) -> tuple[list[Finding], dict[str, int]]:
    """Equal photos and look-alikes across sides.

    Args:
        images: Photos that have a side.
        splits: By image_id.
        distance: In bits, see `pizzeria.similarity`.
        group: The column that says what photos belong to, for the report.

    Returns:
        What was found, and how many such pairs are on one side, where they do no harm.
    """
    images = images.reset_index(drop=True)
    sides = images["image_id"].astype(str).map(splits).to_numpy()
    same = equal(images)
    near = alike(images, distance)
    # Equal files look alike as well, but are told once.
    twins = images["sha256"].to_numpy()
    near = near[twins[near[:, 0]] != twins[near[:, 1]]]
    found, harmless = [], {}
    for what, pairs in (("exact", same), ("near_duplicates", near)):
        across = pairs[sides[pairs[:, 0]] != sides[pairs[:, 1]]]
        harmless[what] = len(pairs) - len(across)
        if len(across):
            found.append(_finding(what, across, images, sides, group, distance))
    return found, harmless


def _finding(
    what: Any, pairs: NDArray[np.int64], images: pd.DataFrame, sides: NDArray[Any], group: str | None, distance: int
) -> Finding:
    keys = images["image_id"].astype(str).tolist()
    groups = [""] * len(keys)
    if group is not None:
        groups = [f"{group.removesuffix('_id')} {value}" for value in images[group]]
    notes = [""] * len(pairs)
    if what == "near_duplicates":
        bits = np.stack([_bits(images, pairs, name) for name in HASHES], axis=1)
        order = np.argsort(bits.max(axis=1), kind="stable")
        pairs, bits = pairs[order], bits[order]
        notes = [", ".join(f"{n} bits by {h}" for n, h in zip(row, HASHES, strict=True)) for row in bits.tolist()]
    shown = tuple(
        Pair((keys[i], keys[j]), (str(sides[i]), str(sides[j])), (groups[i], groups[j]), note)
        for (i, j), note in zip(pairs[:SHOWN].tolist(), notes, strict=False)
    )
    told = {
        "exact": f"{len(pairs)} pairs of photos are the same file on two sides of the split",
        "near_duplicates": f"{len(pairs)} pairs of photos look alike (at most {distance} bits apart by every hash) on "
        "two sides of the split",
    }
    return Finding(what, None, len(pairs), told[what], _HINT, shown)


def _bits(images: pd.DataFrame, pairs: NDArray[np.int64], name: str) -> NDArray[np.int64]:
    one, other = (np.array([int(t, 16) for t in images[name].iloc[pairs[:, k]].astype(str)], np.uint64) for k in (0, 1))
    return bits_apart(one, other)
