"""Which predictions are asked, so that of near-equal ones only the best is."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from pizzeria.labels.worth import Floats, embeddings, standardised

if TYPE_CHECKING:
    import pandas as pd

ALIKE = 0.02
"""Statistics of two photos, or numbers of two rows, that differ by less of their usual span are taken for equal ..."""
ALIKE_EMBEDDING = 0.01
"""... if their embeddings, where there are any, are also no further apart (cosine distance)."""
ALIKE_BITS = 6
"""Where the photos themselves are there: those of which each of the two hashes differs by so many bits at most."""

Looks = Callable[[int], tuple[int, int] | None]
"""Two perceptual hashes of the photo of a row; None where it is not there."""


def choose(
    predictions: pd.DataFrame, reference: pd.DataFrame, worth: Floats, limit: int, looks: Looks | None = None
) -> tuple[list[int], int]:
    """Rows of the predictions worth most, the best first, each unlike all before it.

    Args:
        predictions: [N] records.
        reference: Records of the data on which the model was tested, for the usual span of each feature.
        worth: float64 [N]; those with 0 are never asked.
        limit: So many at most.
        looks: Where photos are at hand.

    Returns:
        The rows, and how many near-equal ones were passed over on the way.
    """
    likeness = _Likeness(predictions, reference, looks)
    chosen: list[int] = []
    skipped = 0
    for i in np.argsort(-worth, kind="stable").tolist():
        if len(chosen) >= limit or worth[i] <= 0:
            break
        if likeness.is_new(i, chosen):
            chosen.append(i)
        else:
            skipped += 1
    return chosen, skipped


class _Likeness:
    """Compares a row with those that were chosen before it."""

    def __init__(self, predictions: pd.DataFrame, reference: pd.DataFrame, looks: Looks | None) -> None:
        _, self._features, _ = standardised(predictions, reference)
        self._unit = embeddings(predictions)
        self._texts = _texts(predictions)
        self._names = predictions["input_id"].fillna("").astype(str).tolist()
        self._measured = bool(self._features.shape[1]) or self._unit is not None
        self._looks = looks
        self._hashes: list[tuple[int, int]] = []
        self._taken: set[str] = set()

    def is_new(self, i: int, chosen: list[int]) -> bool:
        """Whether row `i` is unlike all chosen ones; it then counts as chosen."""
        look = None if self._looks is None else self._looks(i)
        if self._is_alike(i, chosen) or (look is not None and self._looks_alike(look)):
            return False
        self._taken.add(self._names[i])
        if look is not None:
            self._hashes.append(look)
        return True

    def _is_alike(self, i: int, chosen: list[int]) -> bool:
        if not self._measured:  # names alone: many phones call each photo the same
            return bool(self._names[i]) and self._names[i] in self._taken
        if not chosen:
            return False
        alike = np.ones(len(chosen), bool)
        if self._features.shape[1]:
            alike &= np.abs(self._features[chosen] - self._features[i]).max(axis=1) < ALIKE
        if self._unit is not None:
            alike &= 1 - self._unit[chosen] @ self._unit[i] < ALIKE_EMBEDDING
        return any(self._texts[chosen[k]] == self._texts[i] for k in np.flatnonzero(alike))

    def _looks_alike(self, look: tuple[int, int]) -> bool:
        return any(
            all((a ^ b).bit_count() <= ALIKE_BITS for a, b in zip(look, one, strict=True)) for one in self._hashes
        )


def _texts(predictions: pd.DataFrame) -> list[tuple[str, ...]]:
    """The features of each row that are no numbers."""
    import pandas as pd

    columns = [
        predictions[name].astype(str)
        for name in predictions
        if str(name).startswith("feature:") and not pd.api.types.is_numeric_dtype(predictions[name])
    ]
    return list(zip(*columns, strict=True)) if columns else [()] * len(predictions)
