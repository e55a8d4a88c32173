"""How both features plugins name rows in errors, and look up their splits."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from pizzeria.datasets import SPLITS
from pizzeria.errors import DataError

if TYPE_CHECKING:
    import pandas as pd

_SHOWN = 5


def listed(found: Sequence[object]) -> str:
    """The first five, and how many more there are.

    Example:
        >>> listed("abcdefg")
        'a; b; c; d; e; and 2 more'
    """
    more = [f"and {len(found) - _SHOWN} more"] if len(found) > _SHOWN else []
    return "; ".join([*map(str, found[:_SHOWN]), *more])


def splits_of(keys: pd.Series[str], splits: pd.Series[str]) -> list[str]:
    """The split of each key, in the order of the keys.

    Raises:
        DataError: a key is in no split, or a split is none of train, validation and test.
    """
    found = keys.map(splits)
    odd = keys[~found.isin(SPLITS)]
    if len(odd):
        raise DataError(
            f"in none of the splits {', '.join(SPLITS)}: {listed(odd.tolist())}", hint="split the data again"
        )
    return list(found)
