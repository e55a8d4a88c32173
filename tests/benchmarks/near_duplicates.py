"""Seconds to find the near-duplicates of many photos by their hashes, against comparing each with each.

    python tests/benchmarks/near_duplicates.py [--photos 100000] [--distance 4] [--force 20000]

Hashes are random, as those of different photos nearly are; one photo in a hundred is a near-duplicate of another.
Comparing each with each is timed on `--force` photos and its time is scaled by the number of pairs.
"""

from __future__ import annotations

import argparse
import time

import numpy as np

from pizzeria.similarity import groups_of, near_pairs

STEP = 256


def photos(count: int, distance: int, seed: int = 0) -> np.ndarray:
    """uint64 [count, 2], the last hundredth each near one of the others."""
    random = np.random.default_rng(seed)
    hashes = random.integers(0, 2**64, (count, 2), np.uint64, endpoint=False)
    near = count // 100
    copies = hashes[random.choice(count - near, near, replace=False)]
    for _ in range(distance):
        copies = copies ^ (np.uint64(1) << random.integers(0, 64, copies.shape, np.uint64))
    hashes[-near:] = copies
    return hashes


def by_force(hashes: np.ndarray, distance: int) -> np.ndarray:
    """All pairs, some rows against all others at a time."""
    found = []
    for start in range(0, len(hashes), STEP):
        near = (np.bitwise_count(hashes[start : start + STEP, None] ^ hashes[None, start:]) <= distance).all(axis=2)
        i, j = np.nonzero(near)
        found.append(np.stack([i, j], axis=1)[j > i] + start)
    return np.concatenate(found)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--photos", type=int, default=100_000)
    parser.add_argument("--distance", type=int, default=4)
    parser.add_argument("--force", type=int, default=20_000)
    given = parser.parse_args()
    hashes = photos(given.photos, given.distance)
    clock = time.perf_counter()
    pairs = near_pairs(hashes, given.distance)
    index_s = time.perf_counter() - clock
    part = hashes[-given.force :]
    clock = time.perf_counter()
    forced = by_force(part, given.distance)
    force_s = (time.perf_counter() - clock) * (len(hashes) / len(part)) ** 2
    assert np.array_equal(near_pairs(part, given.distance), forced[np.lexsort((forced[:, 1], forced[:, 0]))])
    print(f"{given.photos} photos, two hashes, distance {given.distance}: {len(pairs)} pairs")
    print(f"  index      {index_s:8.1f} s")
    print(f"  all pairs  {force_s:8.1f} s (measured on {len(part)}, scaled), {force_s / index_s:.0f} times as long")
    for name, alike in (("equal", hashes[:1].repeat(given.photos, axis=0)), ("nearly equal", _cloud(given.photos))):
        clock = time.perf_counter()
        pairs = near_pairs(alike, given.distance)
        groups = len(np.unique(groups_of(len(alike), pairs)))
        print(f"  all {name}: {time.perf_counter() - clock:.1f} s, {len(pairs)} pairs, {groups} groups")


def _cloud(count: int) -> np.ndarray:
    """As of blank photos with some noise: every hash one or two bits from the same one."""
    random = np.random.default_rng(1)
    hashes = np.zeros((count, 2), np.uint64)
    for _ in range(2):
        hashes ^= np.uint64(1) << random.integers(0, 64, hashes.shape, np.uint64)
    return hashes


if __name__ == "__main__":
    main()
