"""A photo's embedding as a few numbers whose drift can be measured like that of any column.

Of hundreds of dimensions hardly one means anything alone, and one by one they would alarm by chance. Tests of single
numbers after a projection fitted on the reference find shifts best (Rabanser, Günnemann and Lipton 2019, "Failing
Loudly: An Empirical Study of Methods for Detecting Dataset Shift"). So each photo gets

- `embedding direction 1` to `3`: its place along the directions in which the reference varies most;
- `embedding distance`: the cosine distance to the reference's mean, which tells how unlike the usual photo it is;
- `embedding residual`: the share of its length that those directions cannot make up, which grows with what is new.

A PCA makes up the photos that it was fitted on too well. So the reference's own numbers come from PCAs of four fifths
of its listings each, turned towards that of the whole (orthogonal Procrustes).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pizzeria.inference.records import decode_embedding
from pizzeria_plugins.monitors import noise

if TYPE_CHECKING:
    import pandas as pd

COLUMN = "embedding"
KEPT = 16
"""Directions that a photo is made up of again."""
SHOWN = 3
"""Of these, those that are compared one by one."""
FOLDS = 5
LEAST = 50
"""Fewer reference photos than this span no space that others could be measured in."""

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Projection:
    """What is made of an embedding.

    Attributes:
        mean: [E] of the reference.
        directions: [K, E] orthonormal, the most varying first.
    """

    mean: Floats
    directions: Floats

    @property
    def names(self) -> tuple[str, ...]:
        shown = min(SHOWN, len(self.directions))
        return (*(f"embedding direction {i + 1}" for i in range(shown)), "embedding distance", "embedding residual")

    def values(self, frame: pd.DataFrame) -> dict[str, Floats]:
        """[N] of each name; NaN for records without an embedding, or with one of another length.

        Args:
            frame: [N] records.
        """
        return self.project(decode(frame[COLUMN], len(self.mean)))

    def project(self, embeddings: Floats) -> dict[str, Floats]:
        """The same from embeddings, float [N, E], NaN where there is none."""
        centred = embeddings - self.mean
        along = centred @ self.directions.T
        left = centred - along @ self.directions
        with np.errstate(invalid="ignore", divide="ignore"):
            norms = np.linalg.norm(embeddings, axis=1)
            cosine = embeddings @ self.mean / (norms * np.linalg.norm(self.mean))
            residual = np.linalg.norm(left, axis=1) / np.linalg.norm(centred, axis=1)
        shown = [along[:, i] for i in range(min(SHOWN, len(self.directions)))]
        return dict(zip(self.names, [*shown, 1 - cosine, residual], strict=True))


def fit(reference: pd.DataFrame) -> tuple[Projection | None, dict[str, Floats]]:
    """The projection and the reference's own numbers, [M] each; None and nothing where there are too few embeddings.

    Args:
        reference: [M] records.
    """
    if COLUMN not in reference:
        return None, {}
    texts = reference[COLUMN]
    lengths = [len(decode_embedding(text)) for text in texts.dropna().head(1)]
    if not lengths:
        return None, {}
    embeddings = decode(texts, lengths[0])
    known: NDArray[np.bool_] = np.asarray(np.isfinite(embeddings).all(axis=1))
    if known.sum() < LEAST:
        return None, {}
    kept = min(KEPT, int(known.sum()) // 4, embeddings.shape[1])
    whole = _pca(embeddings[known], kept)
    values = {name: np.full(len(reference), np.nan) for name in whole.names}
    order = np.random.default_rng(0).permutation(len(groups := noise.groups(reference)))
    for fold in np.array_split(order, FOLDS):
        held_out = np.concatenate([groups[i] for i in fold])
        learnt = known.copy()
        learnt[held_out] = False
        part = _pca(embeddings[learnt], kept)
        turned = Projection(part.mean, _turned(part.directions, whole.directions))
        for name, found in turned.project(embeddings[held_out]).items():
            values[name][held_out] = found
    return whole, values


def decode(texts: Sequence[Any] | pd.Series[Any], length: int) -> Floats:
    """Embeddings of `length` as float64 [N, E]; NaN where there is none, or no such one."""
    out = np.full((len(texts), length), np.nan)
    for row, text in enumerate(texts):
        if isinstance(text, str):
            try:
                found = decode_embedding(text)
            except ValueError:
                continue
            if len(found) == length:
                out[row] = found
    return out


def _pca(embeddings: Floats, kept: int) -> Projection:
    mean = embeddings.mean(axis=0)
    centred = embeddings - mean
    # Of the smaller Gram matrix: thousands of photos by hundreds of dimensions take a moment.
    gram = centred.T @ centred if len(centred) >= centred.shape[1] else centred @ centred.T
    vectors = np.linalg.eigh(gram)[1][:, ::-1][:, :kept]
    if len(centred) < centred.shape[1]:
        vectors = centred.T @ vectors
        vectors /= np.linalg.norm(vectors, axis=0)
    return Projection(mean, vectors.T)


def _turned(directions: Floats, towards: Floats) -> Floats:
    """The same space with axes as near as can be to those of `towards`: Schönemann (1966), as scipy has it."""
    left, _, right = np.linalg.svd(towards @ directions.T)
    turned: Floats = (left @ right) @ directions
    return turned
