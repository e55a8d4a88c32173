"""Groups of photos that are equal or look alike, for `data.split.group_near_duplicates` and for the leakage check."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from pizzeria.errors import DataError
from pizzeria.similarity import groups_of, near_pairs

if TYPE_CHECKING:
    import pandas as pd

HASHES = ("phash", "dhash")


def hashes_of(images: pd.DataFrame) -> tuple[NDArray[np.int64], NDArray[np.uint64]]:
    """Row numbers of the photos that have hashes, and uint64 [N, 2]: those hashes.

    Raises:
        DataError: the photos were never looked at.
    """
    missing = [name for name in HASHES if name not in images]
    if missing:
        raise DataError(f"the photos have no {' and no '.join(missing)}", hint="collect the data again")
    rows = np.flatnonzero(images[list(HASHES)].notna().all(axis=1).to_numpy())
    texts = [images[name].iloc[rows].astype(str).tolist() for name in HASHES]
    return rows, np.array([[int(t, 16) for t in column] for column in texts], np.uint64).T.reshape(len(rows), 2)


def alike(images: pd.DataFrame, distance: int) -> NDArray[np.int64]:
    """int64 [M, 2]: pairs of rows that look alike (see `pizzeria.similarity.near_pairs`)."""
    rows, hashes = hashes_of(images)
    return np.asarray(rows[near_pairs(hashes, distance)], np.int64).reshape(-1, 2)


def equal(images: pd.DataFrame) -> NDArray[np.int64]:
    """int64 [M, 2]: photos whose files are the same byte for byte, each with the first of them."""
    first: dict[str, int] = {}
    pairs = []
    for row, sha in enumerate(images["sha256"].tolist()):
        if isinstance(sha, str):
            one = first.setdefault(sha, row)
            if one != row:
                pairs.append((one, row))
    return np.array(pairs, np.int64).reshape(-1, 2)


def joined_groups(images: pd.DataFrame, group_by: str | None, distance: int) -> list[str]:
    """The name of each photo's group: of those that were joined, the first by name, whatever the order of the files."""
    import pandas as pd

    own = images[group_by or "image_id"].astype(str)
    codes, _ = pd.factorize(own)
    order = np.argsort(codes, kind="stable")
    same = order[1:] != order[:-1]
    same &= codes[order][1:] == codes[order][:-1]
    neighbours = np.stack([order[:-1][same], order[1:][same]], axis=1)
    pairs = np.concatenate([neighbours, alike(images, distance), equal(images)])
    groups = pd.Series(groups_of(len(images), pairs))
    return list(own.groupby(groups.to_numpy()).transform("min"))
