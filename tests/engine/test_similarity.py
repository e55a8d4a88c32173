"""Near pairs: the same as by comparing each with each, and bounded where all are alike."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pizzeria.similarity import bits_apart, groups_of, near_pairs


def _by_force(hashes: np.ndarray, distance: int) -> list[list[int]]:
    return [
        [i, j]
        for i in range(len(hashes))
        for j in range(i + 1, len(hashes))
        if (bits_apart(hashes[i], hashes[j]) <= distance).all()
    ]


@st.composite
def _photos(draw: st.DrawFn) -> np.ndarray:
    """A few hashes, and others that lie a few bits beside them."""
    columns = draw(st.integers(1, 3))
    seed = draw(st.integers(0, 2**32 - 1))
    random = np.random.default_rng(seed)
    centres = random.integers(0, 2**64, (draw(st.integers(1, 4)), columns), np.uint64, endpoint=False)
    hashes = centres[random.integers(0, len(centres), draw(st.integers(0, 40)))]
    for _ in range(draw(st.integers(0, 8))):
        hashes = hashes ^ (np.uint64(1) << random.integers(0, 64, hashes.shape, np.uint64))
    return hashes


@settings(max_examples=100)
@given(_photos(), st.integers(0, 12))
def test_the_same_as_by_comparing_each_with_each(hashes: np.ndarray, distance: int) -> None:
    found, force = near_pairs(hashes, distance, most=10**6), _by_force(hashes, distance)
    if len(np.unique(hashes, axis=0)) == len(hashes):
        assert found.tolist() == force
    assert {tuple(pair) for pair in found.tolist()} <= {tuple(pair) for pair in force}
    every = np.array(force, np.int64).reshape(-1, 2)
    assert groups_of(len(hashes), found).tolist() == groups_of(len(hashes), every).tolist()


def test_every_hash_has_to_agree() -> None:
    hashes = np.array([[0, 0], [1, 2**40 - 1], [3, 1]], np.uint64)
    assert near_pairs(hashes, 2).tolist() == [[0, 2]]
    assert near_pairs(hashes[:, :1], 2).tolist() == [[0, 1], [0, 2], [1, 2]]


def test_many_that_are_alike_make_few_pairs() -> None:
    equal = near_pairs(np.zeros((100_000, 2), np.uint64), 6)
    assert len(equal) == 99_999
    assert not equal[:, 0].any()
    # A ball of 2,081 different hashes that are all within four bits of each other.
    one = [np.uint64(1) << np.uint64(i) for i in range(64)]
    ball = np.array([[0], *([a] for a in one), *([a | b] for i, a in enumerate(one) for b in one[:i])], np.uint64)
    near = near_pairs(ball, 4)
    assert len(near) < 64 * len(ball)
    assert not groups_of(len(ball), near).any()


def test_nothing_and_nonsense() -> None:
    assert near_pairs(np.empty((0, 2), np.uint64), 4).shape == (0, 2)
    assert near_pairs(np.zeros((1, 2), np.uint64), 4).shape == (0, 2)
    with pytest.raises(ValueError, match="0 to 31 bits, not 40"):
        near_pairs(np.zeros((1, 2), np.uint64), 40)
    with pytest.raises(ValueError, match="not int64"):
        near_pairs(np.zeros((1, 2), np.int64), 4)  # type: ignore[arg-type]
