"""Finds photos that look alike, by their perceptual hashes, without comparing each with each."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

BITS = 64
MOST = 32
"""A hash that has so many near ones is compared with others no more, unless they have fewer."""
_WINDOW = 2048
_LOOK_AGAIN = 32


def near_pairs(hashes: NDArray[np.uint64], distance: int, *, most: int = MOST) -> NDArray[np.int64]:
    """Pairs of rows that are near by every hash: at most `distance` bits apart in each column.

    Asking that all hashes agree is what keeps false alarms away: photos that share a coarse layout are near by one
    hash, and the same photo is near by all of them.

    How: two 64-bit hashes that are at most d bits apart have at least one of d + 1 bands of bits in common
    (pigeonholes). So only rows that share a band are compared; with two columns or more, a band of each of the first
    two. 100,000 hashes take 0.3 s at a distance of 4 where all pairs take 98 s (`tests/benchmarks/near_duplicates.py`).

    What is bounded, so that a hundred thousand blank photos do not make five billion pairs:

    - rows that are equal in all hashes are told by pairs with the first of them, and only that one stands for them in
      pairs with others. Whoever joins pairs into groups loses nothing by it;
    - two rows that each have `most` near ones already are compared no more;
    - of more than 2,048 different hashes that share their bands, each is compared with the 2,048 next to it in order.

    Args:
        hashes: uint64 [N, K]: N photos, K hashes of each.
        distance: 0 to 31, in bits.
        most: See above.

    Returns:
        int64 [M, 2], row numbers i < j, each pair once, in ascending order.

    Raises:
        ValueError: `hashes` is not a table of uint64, or `distance` is out of range.

    Example:
        >>> near_pairs(np.array([[0b0000], [0b0011], [0xFFFF]], np.uint64), 2).tolist()
        [[0, 1]]
    """
    hashes = np.asarray(hashes)
    if hashes.dtype != np.uint64 or hashes.ndim != 2 or not hashes.shape[1]:
        raise ValueError(f"hashes: uint64 [N, K] is needed, not {hashes.dtype} {list(hashes.shape)}")
    if not 0 <= distance < BITS // 2:
        raise ValueError(f"distance: 0 to {BITS // 2 - 1} bits, not {distance}")
    different, first, of = np.unique(hashes, axis=0, return_index=True, return_inverse=True)
    of = of.reshape(-1)
    row = np.arange(len(hashes), dtype=np.int64)
    others = row != first[of]
    found = [np.stack([first[of][others], row[others]], axis=1).astype(np.int64)]
    if distance and len(different) > 1:
        near = np.concatenate([np.empty((0, 2), np.int64), *_near(different, distance, most)])
        found.append(np.sort(first[near], axis=1).astype(np.int64))
    pairs = np.concatenate(found)
    return pairs[np.lexsort((pairs[:, 1], pairs[:, 0]))]


def groups_of(count: int, pairs: NDArray[np.int64]) -> NDArray[np.int64]:
    """The group of each of `count` rows when pairs are joined: the lowest row of the group; int64 [count].

    Example:
        >>> groups_of(5, np.array([[1, 3], [3, 4]])).tolist()
        [0, 1, 2, 1, 1]
    """
    parent = list(range(count))

    def root(row: int) -> int:
        while parent[row] != row:
            parent[row] = parent[parent[row]]
            row = parent[row]
        return row

    for one, other in pairs.tolist():
        low, high = sorted((root(one), root(other)))
        parent[high] = low
    return np.array([root(row) for row in range(count)], np.int64).reshape(count)


def bits_apart(one: NDArray[np.uint64], other: NDArray[np.uint64]) -> NDArray[np.int64]:
    """In how many bits two arrays of hashes differ, element by element.

    Example:
        >>> bits_apart(np.array([7], np.uint64), np.array([4], np.uint64)).tolist()
        [2]
    """
    return np.asarray(np.bitwise_count(one ^ other), np.int64)


def _bands(distance: int) -> list[np.uint64]:
    """Masks of `distance + 1` bands that together are all 64 bits."""
    edges = [round(i * BITS / (distance + 1)) for i in range(distance + 2)]
    return [np.uint64((1 << high) - (1 << low)) for low, high in pairwise(edges)]


def _near(hashes: NDArray[np.uint64], distance: int, most: int) -> Iterator[NDArray[np.int64]]:
    """Pairs of different hashes, int64 [m, 2] at a time; each pair comes from the first bands that it shares."""
    bands = _bands(distance)
    partners = np.zeros(len(hashes), np.int64)
    second = bands if hashes.shape[1] > 1 else [np.uint64(0)]
    for a, mask in enumerate(bands):
        for b, other in enumerate(second):
            key = _mixed(hashes[:, 0] & mask)
            if hashes.shape[1] > 1:
                key ^= _mixed(~(hashes[:, 1] & other))
            shared = ((bands[:a], 0), (bands[:b], 1))
            for i, j in _candidates(key, partners, most):
                near = (np.bitwise_count(hashes[i] ^ hashes[j]) <= distance).all(axis=1)
                i, j = i[near], j[near]
                for earlier, column in shared:
                    if column < hashes.shape[1]:
                        apart = hashes[i, column] ^ hashes[j, column]
                        new = np.ones(len(i), np.bool_)
                        for band in earlier:
                            new &= (apart & band) != 0
                        i, j = i[new], j[new]
                if len(i):
                    np.add.at(partners, i, 1)
                    np.add.at(partners, j, 1)
                    yield np.stack([i, j], axis=1)


def _mixed(values: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Spread over all 64 bits (splitmix64), so that two of them may be joined by xor; a clash costs a comparison."""
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.asarray(values ^ (values >> np.uint64(31)), np.uint64)


def _candidates(
    key: NDArray[np.uint64], partners: NDArray[np.int64], most: int
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Rows that share a key, as (i, j) with neighbours first; `partners` is filled by the caller meanwhile."""
    order = np.argsort(key, kind="stable")  # stable: the rows are sorted, so near ones stay close
    starts = np.flatnonzero(np.concatenate([[True], key[order][1:] != key[order][:-1]]))
    sizes = np.diff(np.concatenate([starts, [len(key)]]))
    of = np.repeat(np.arange(len(starts)), sizes)
    end = (starts + sizes)[of]
    places = np.flatnonzero((sizes > 1)[of])
    step = 0
    while len(places) and step < _WINDOW:
        step += 1
        places = places[places + step < end[places]]
        if step % _LOOK_AGAIN == 1:  # a bucket in which all have their fill is done
            hungry = np.bincount(of, weights=partners[order] < most) > 0
            places = places[hungry[of[places]]]
        i, j = order[places], order[places + step]
        open_ = (partners[i] < most) | (partners[j] < most)
        yield i[open_], j[open_]
