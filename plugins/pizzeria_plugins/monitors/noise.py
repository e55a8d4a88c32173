"""How far healthy chunks stray from the reference by chance alone.

A distance between two samples of one and the same traffic is not 0: with 60 photos a Jensen-Shannon distance of 0.25
is common. So the same NannyML calculators are run on many pairs drawn from the reference itself, a pretended reference
and a pretended chunk of the same sizes as the real ones, and a column counts as drifted only beyond what such pairs
show. Photos of one listing look alike and are drawn together.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pizzeria_plugins.monitors.chunks import Part, chunker

if TYPE_CHECKING:
    import pandas as pd

    from pizzeria_plugins.monitors.columns import Columns

DEVIATIONS = 3.0
"""NannyML's own rule: alert beyond three standard deviations from the mean."""
LARGEST_SAMPLE = 1000
"""Most rows of a pretended sample: with more, chance plays no part next to any sensible threshold, and takes long."""
STEP = 1.5
"""Chunk sizes are rounded down to a power of this, so that chunks by period share their pretended pairs."""

Groups = list[NDArray[np.int64]]


def groups(reference: pd.DataFrame) -> Groups:
    """Row numbers that belong together: the photos of a listing, or each row for itself."""
    if "listing_id" not in reference or not reference["listing_id"].fillna("").astype(str).str.len().any():
        return [np.array([row]) for row in range(len(reference))]
    return [np.asarray(rows) for rows in reference.groupby("listing_id", sort=True, dropna=False).indices.values()]


def sample_size(rows: int) -> int:
    """The chunk size that stands for `rows`: never more, so that the noise is never underestimated.

    Example:
        >>> [sample_size(rows) for rows in (30, 60, 500, 100_000)]
        [25, 57, 437, 1000]
    """
    return min(step(rows), LARGEST_SAMPLE)


def step(rows: int) -> int:
    """The size down to which `rows` are rounded, so that chunks of about one size share what was worked out."""
    return int(STEP ** math.floor(math.log(max(rows, 2), STEP)))


def draw(among: Groups, size: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """`size` row numbers, whole groups at a time, with replacement."""
    return np.concatenate([among[i] for i in rng.integers(len(among), size=size)])[:size]


def distances(
    nml: Any,
    methods: Mapping[str, tuple[str, str]],
    columns: Columns,
    among: Groups,
    rows: int,
    resamples: int,
    rng: np.random.Generator,
) -> dict[str, NDArray[np.float64]]:
    """By column, [resamples] distances between two samples of the reference, of its own size and of `rows`.

    Args:
        methods: By column, NannyML's method and feature type.
    """
    from nannyml.drift.univariate import FeatureType, MethodFactory
    from nannyml.thresholds import ConstantThreshold

    size = min(len(columns.reference), LARGEST_SAMPLE)
    # A distance knows no names: categories as numbers are compared faster.
    codes = {name: columns.reference[name].factorize()[0] for name in columns.categories}
    table = columns.reference.assign(**{name: np.where(code < 0, np.nan, code) for name, code in codes.items()})
    found: dict[str, NDArray[np.float64]] = {name: np.full(resamples, np.nan) for name in methods}
    for i in range(resamples):
        reference = table.iloc[draw(among, size, rng)].reset_index(drop=True)
        chunk = table.iloc[draw(among, rows, rng)].reset_index(drop=True)
        for name, (method, kind) in methods.items():
            if not (reference[name].notna().any() and chunk[name].notna().any()):
                continue
            fitted = MethodFactory.create(
                method, FeatureType(kind), chunker=chunker(nml, []), threshold=ConstantThreshold(upper=1.0)
            ).fit(reference[name])
            found[name][i] = fitted.calculate(chunk[name])
    return found


def reconstruction_errors(
    nml: Any,
    columns: Columns,
    names: Sequence[str],
    components: int,
    among: Groups,
    rows: int,
    resamples: int,
    rng: np.random.Generator,
) -> NDArray[np.float64]:
    """[resamples] mean reconstruction errors of `rows` rows from one half of the reference, by a PCA of the other half.

    The halves share no group: a PCA reconstructs the rows that it was fitted on too well. It keeps as many `components`
    as the PCA of the whole reference.
    """
    errors = np.full(resamples, np.nan)
    for i in range(resamples):
        order = rng.permutation(len(among))
        fitted_on, held_out = ([among[j] for j in half[:LARGEST_SAMPLE]] for half in np.array_split(order, 2))
        if not fitted_on or not held_out:
            continue
        left = columns.reference.iloc[np.concatenate(fitted_on)[:LARGEST_SAMPLE]].reset_index(drop=True)
        right = columns.reference.iloc[draw(held_out, rows, rng)].reset_index(drop=True)
        if len(left) <= components:
            continue
        whole = [Part("", 0, len(left))], [Part("", 0, len(right))]
        result = reconstruct(nml, left, right, names, *whole, components).result
        errors[i] = float(result.data[("reconstruction_error", "value")].iloc[-1])
    return errors


def reconstruct(
    nml: Any,
    reference: pd.DataFrame,
    analysis: pd.DataFrame,
    names: Sequence[str],
    reference_parts: Sequence[Part],
    parts: Sequence[Part],
    components: int | float = 0.65,
) -> Any:
    """NannyML's calculator of the PCA reconstruction error, fitted on the reference; its `result` has all parts.

    It cannot take a category that the reference lacks: that counts as missing, which it fills.

    Args:
        components: So many, or as many as explain this share of the variance (NannyML's default).
    """
    words = [name for name in names if reference[name].dtype == object]
    analysis = analysis.assign(**{n: analysis[n].where(analysis[n].isin(reference[n].dropna())) for n in words})
    offset = len(reference)
    moved = [Part(part.name, part.first + offset, part.stop + offset) for part in parts]
    calculator = nml.DataReconstructionDriftCalculator(
        column_names=list(names), n_components=components, chunker=chunker(nml, [*reference_parts, *moved])
    ).fit(reference)
    calculator.calculate(analysis.set_axis(range(offset, offset + len(analysis))))
    return calculator


def upper(values: NDArray[np.float64]) -> float:
    """NannyML's threshold over a sample of values, ignoring NaN; NaN when all are."""
    return float(np.nanmean(values) + DEVIATIONS * np.nanstd(values)) if np.isfinite(values).any() else math.nan


def lower(values: NDArray[np.float64]) -> float:
    """The same below the mean."""
    return float(np.nanmean(values) - DEVIATIONS * np.nanstd(values)) if np.isfinite(values).any() else math.nan
