"""How much each logged prediction is worth a label, and why.

| score, 0 to 1 | of |
|---|---|
| `unsure` | how near a probability is to the threshold of its class, or how near the two likeliest classes are |
| `drifted` | how far the input is from all that the model was tested on, by its embedding or its statistics |
| `disagrees` | an amenity that the listing declares and no photo shows, or one that is shown and not declared |

Together they make 1 - (1 - 0.6 unsure) (1 - 0.6 drifted) (1 - 0.6 disagrees): each reason alone counts alike, and a
prediction with two good ones comes before one with a single reason.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pizzeria.inference.bundle import Bundle
from pizzeria.inference.records import decode_embedding

if TYPE_CHECKING:
    import pandas as pd

Floats = NDArray[np.float64]
USUAL = 0.95
"""The share of the tested data that counts as usual."""
_OF_ONE = 0.6
"""What one reason alone can make of the whole."""
_NEW_VALUE = 0.5
_BLOCK = 2048
_LEAST_REFERENCE = 20


@dataclass(frozen=True)
class Worth:
    """What labels of N predictions are worth.

    Attributes:
        unsure, drifted, disagrees: float64 [N], in [0, 1].
        why: [N] sentences, the weightiest first.
    """

    unsure: Floats
    drifted: Floats
    disagrees: Floats
    why: tuple[tuple[str, ...], ...]

    @property
    def total(self) -> Floats:
        """float64 [N]."""
        left = np.ones_like(self.unsure)
        for scores in (self.unsure, self.drifted, self.disagrees):
            left *= 1 - _OF_ONE * scores
        return 1 - left


def judge(
    predictions: pd.DataFrame, reference: pd.DataFrame, bundle: Bundle, declared: Mapping[str, Sequence[str]]
) -> Worth:
    """Score predictions.

    Args:
        predictions: [N] records.
        reference: Records of the data on which the model was tested.
        bundle: The model.
        declared: What each listing declares, by its id; empty where that is not known.
    """
    unsure, said = unsureness(predictions, bundle)
    drifted, strange = drift(predictions, reference)
    disagrees, against = disagreement(predictions, bundle, declared)
    parts = list(zip((unsure, drifted, disagrees), (said, strange, against), strict=True))
    why = []
    for i in range(len(predictions)):
        found = sorted(((scores[i], texts[i]) for scores, texts in parts if scores[i] > 0), reverse=True)
        why.append(tuple(text for _, text in found if text))
    return Worth(unsure, drifted, disagrees, tuple(why))


def unsureness(predictions: pd.DataFrame, bundle: Bundle) -> tuple[Floats, list[str]]:
    """Scores [N] and what they rest on; zeros for a model that tells no probabilities.

    A probability counts by its distance from the threshold, as a share of the way to 0 or 1.
    """
    count, classes = len(predictions), [name for name in bundle.classes if f"p:{name}" in predictions]
    if not classes or not count:
        return np.zeros(count), [""] * count
    p = np.nan_to_num(predictions[[f"p:{name}" for name in classes]].to_numpy(np.float64))
    if bundle.judges_presence:
        limits = np.clip([bundle.thresholds[name] for name in classes], 1e-3, 1 - 1e-3)
        near = 1 - np.abs(p - limits) / np.where(p >= limits, 1 - limits, limits)
        best = near.argmax(axis=1)
        texts = [
            f"unsure of {classes[j]}: {p[i, j]:.0%}, said to be there from {limits[j]:.0%}" for i, j in enumerate(best)
        ]
        return np.clip(near[np.arange(count), best], 0, 1), texts
    if len(classes) < 2:
        return np.zeros(count), [""] * count
    order = np.argsort(-p, axis=1)[:, :2]
    first, second = (np.take_along_axis(p, order[:, [k]], axis=1)[:, 0] for k in (0, 1))
    texts = [
        f"{classes[a]} {x:.0%} or {classes[b]} {y:.0%}"
        for (a, b), x, y in zip(order.tolist(), first, second, strict=True)
    ]
    return np.clip(1 - (first - second), 0, 1), texts


def drift(predictions: pd.DataFrame, reference: pd.DataFrame) -> tuple[Floats, list[str]]:
    """Scores [N] and what they rest on: 0 within what is usual for the tested data, 1/2 at twice that distance."""
    scores, texts = _strange_values(predictions, reference)
    far = _far(predictions, reference)
    if far is not None:
        for i in np.flatnonzero(far > scores):
            scores[i], texts[i] = far[i], "looks unlike all photos on which the model was tested"
    return scores, texts


def disagreement(
    predictions: pd.DataFrame, bundle: Bundle, declared: Mapping[str, Sequence[str]]
) -> tuple[Floats, list[str]]:
    """Scores [N] and what they rest on.

    Of an amenity that is declared and not said to be in any photo, the photo that shows it likeliest is worth asking.
    """
    count = len(predictions)
    scores, texts = np.zeros(count), [""] * count
    classes = [name for name in bundle.classes if f"p:{name}" in predictions and f"pred:{name}" in predictions]
    if not bundle.judges_presence or not declared or not classes:
        return scores, texts
    p = np.nan_to_num(predictions[[f"p:{name}" for name in classes]].to_numpy(np.float64))
    said = predictions[[f"pred:{name}" for name in classes]].to_numpy(np.float64) == 1
    rows: dict[str, list[int]] = {}
    for i, listing in enumerate(predictions["listing_id"].fillna("").astype(str)):
        if listing in declared:
            rows.setdefault(listing, []).append(i)

    def note(i: int, score: float, text: str) -> None:
        scores[i] = max(scores[i], score)
        texts[i] = f"{texts[i]}; {text}" if texts[i] else text

    for listing, own in rows.items():
        wanted = set(declared[listing])
        for j, name in enumerate(classes):
            best = max(own, key=lambda i: p[i, j])
            if name in wanted and not said[own, j].any():
                note(best, 0.5 + p[best, j] / 2, f"listing {listing} declares {name}, and none of its photos shows it")
            elif name not in wanted and said[own, j].any():
                note(best, p[best, j], f"shows {name} ({p[best, j]:.0%}), which listing {listing} does not declare")
    return scores, texts


def standardised(frame: pd.DataFrame, reference: pd.DataFrame) -> tuple[list[str], Floats, Floats]:
    """Numeric features of both, in units of the reference's spread around its median; NaN becomes 0.

    Returns:
        Names [F] without `feature:`, float64 [N, F] and float64 [M, F].
    """
    import pandas as pd

    names = [
        name
        for name in frame
        if str(name).startswith("feature:") and name in reference and pd.api.types.is_numeric_dtype(reference[name])
    ]
    ours = np.column_stack([_numbers(frame[name]) for name in names]) if names else np.zeros((len(frame), 0))
    theirs = np.column_stack([_numbers(reference[name]) for name in names]) if names else np.zeros((len(reference), 0))
    if not names or not len(reference):
        return [], np.zeros((len(frame), 0)), np.zeros((len(reference), 0))
    low, middle, high = _quantiles(theirs)
    spread = np.where(high > low, high - low, np.maximum(np.nan_to_num(np.nanstd(theirs, axis=0)), 1e-9))
    short = [str(name).removeprefix("feature:") for name in names]
    return short, np.nan_to_num((ours - middle) / spread), np.nan_to_num((theirs - middle) / spread)


def embeddings(frame: pd.DataFrame) -> NDArray[np.float32] | None:
    """float32 [N, E] of unit length; None where some record has none."""
    texts = frame["embedding"].tolist() if "embedding" in frame else []
    if not texts or any(not isinstance(text, str) or len(text) != len(texts[0]) for text in texts):
        return None
    found = np.stack([decode_embedding(text) for text in texts])
    unit: NDArray[np.float32] = found / np.maximum(np.linalg.norm(found, axis=1, keepdims=True), 1e-9)
    return unit


def _strange_values(predictions: pd.DataFrame, reference: pd.DataFrame) -> tuple[Floats, list[str]]:
    count = len(predictions)
    scores, texts = np.zeros(count), [""] * count
    names, ours, theirs = standardised(predictions, reference)
    if names and len(theirs) >= _LEAST_REFERENCE:
        usual = max(float(np.quantile(np.abs(theirs).max(axis=1), USUAL)), 1e-9)
        worst = np.abs(ours).argmax(axis=1)
        scores = np.clip(1 - usual / np.maximum(np.abs(ours).max(axis=1), 1e-9), 0, 1)
        edges = {name: np.nanquantile(_numbers(reference[f"feature:{name}"]), [0.05, 0.95]) for name in names}
        for i in np.flatnonzero(scores > 0):
            name = names[worst[i]]
            low, high = edges[name]
            value = float(predictions[f"feature:{name}"].iloc[int(i)])
            texts[i] = f"{name} is {value:.3g}, where {low:.3g} to {high:.3g} is usual"
    for name in predictions:
        short = str(name).removeprefix("feature:")
        if short == name or short in names or name not in reference:
            continue
        known = set(reference[name].dropna().astype(str))
        for i in np.flatnonzero(predictions[name].notna() & ~predictions[name].astype(str).isin(known)):
            if scores[i] < _NEW_VALUE:
                scores[i], texts[i] = _NEW_VALUE, f"{short} is {str(predictions[name].iloc[i])[:40]!r}, which is new"
    return scores, texts


def _far(predictions: pd.DataFrame, reference: pd.DataFrame) -> Floats | None:
    """By the cosine distance from the nearest photo of the reference, against the same among the reference's own."""
    ours, theirs = embeddings(predictions), embeddings(reference)
    if ours is None or theirs is None or ours.shape[1] != theirs.shape[1] or len(theirs) < _LEAST_REFERENCE:
        return None
    among = np.concatenate(
        [
            np.partition(1 - theirs[at : at + _BLOCK] @ theirs.T, 1, axis=1)[:, 1]  # the nearest is each one itself
            for at in range(0, len(theirs), _BLOCK)
        ]
    )
    nearest = np.concatenate(
        [(1 - ours[at : at + _BLOCK] @ theirs.T).min(axis=1) for at in range(0, len(ours), _BLOCK)]
    )
    usual = max(float(np.quantile(among, USUAL)), 1e-6)
    return np.clip(1 - usual / np.maximum(nearest.astype(np.float64), 1e-9), 0, 1)


def _numbers(column: pd.Series[Any]) -> Floats:
    import pandas as pd

    return pd.to_numeric(column, errors="coerce").to_numpy(np.float64)


def _quantiles(values: Floats) -> tuple[Floats, Floats, Floats]:
    """5 %, the middle and 95 % of each column; zeros for one without a number."""
    filled = np.where(np.isnan(values).all(axis=0), 0.0, values)
    low, middle, high = np.nanquantile(filled, [0.05, 0.5, 0.95], axis=0)
    return low, middle, high
