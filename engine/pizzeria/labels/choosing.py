"""Which predictions are asked, so that of near-equal ones only the best is."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from pizzeria.labels.worth import Floats, embeddings, standardised

if TYPE_CHECKING:
    import pandas as pd

ALIKE = 0.02
"""Statistics of two photos, or numbers of two rows, that differ by less of their usual span are taken for equal ..."""
ALIKE_EMBEDDING = 0.01
"""... if their embeddings, where there are any, are also no further apart (cosine distance)."""


def choose(predictions: pd.DataFrame, reference: pd.DataFrame, worth: Floats, limit: int) -> tuple[list[int], int]:
    """Rows of the predictions worth most, the best first, each unlike all before it.

    Args:
        predictions: [N] records.
        reference: Records of the data on which the model was tested, for the usual span of each feature.
        worth: float64 [N]; those with 0 are never asked.
        limit: So many at most.

    Returns:
        The rows, and how many near-equal ones were passed over on the way.
    """
    _, features, _ = standardised(predictions, reference)
    unit = embeddings(predictions)
    texts = _texts(predictions)
    names = predictions["input_id"].fillna("").astype(str).tolist()
    chosen: list[int] = []
    taken: set[str] = set()
    skipped = 0
    for i in np.argsort(-worth, kind="stable").tolist():
        if len(chosen) >= limit or worth[i] <= 0:
            break
        measured = bool(features.shape[1]) or unit is not None
        if not measured and names[i] and names[i] in taken:  # names alone: many phones call each photo the same
            skipped += 1
            continue
        if chosen and measured:
            alike = np.ones(len(chosen), bool)
            if features.shape[1]:
                alike &= np.abs(features[chosen] - features[i]).max(axis=1) < ALIKE
            if unit is not None:
                alike &= 1 - unit[chosen] @ unit[i] < ALIKE_EMBEDDING
            if any(texts[chosen[k]] == texts[i] for k in np.flatnonzero(alike)):
                skipped += 1
                continue
        chosen.append(i)
        taken.add(names[i])
    return chosen, skipped


def _texts(predictions: pd.DataFrame) -> list[tuple[str, ...]]:
    """The features of each row that are no numbers."""
    import pandas as pd

    columns = [
        predictions[name].astype(str)
        for name in predictions
        if str(name).startswith("feature:") and not pd.api.types.is_numeric_dtype(predictions[name])
    ]
    return list(zip(*columns, strict=True)) if columns else [()] * len(predictions)
