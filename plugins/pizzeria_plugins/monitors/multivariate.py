"""Whether columns still go together as they did: NannyML's PCA reconstruction error of the inputs.

It alone raises an alert, so its limits are wide: beyond what held-out halves of the reference show, and beyond what the
reference's own chunks do, where it is long enough to be cut.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pizzeria.spec.monitoring import DriftThreshold
from pizzeria_plugins.monitors import drift_figures, noise
from pizzeria_plugins.monitors.chunks import LEAST_REFERENCE_CHUNKS, Part
from pizzeria_plugins.monitors.instruments import Context, Judgement, Known, Reading
from pizzeria_plugins.monitors.schema import Column, Read, Schema
from pizzeria_plugins.monitors.together import judge_together

if TYPE_CHECKING:
    import pandas as pd

MOSTLY = 0.5
"""A column that the reference has in fewer rows takes no part."""
SHARE = 0.65
"""NannyML keeps as many components as explain this share of the variance."""
SUBJECT = "reconstruction error"
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Plane:
    """A PCA of standardised columns; categories count by how frequent they are.

    Attributes:
        fills: [K] what is set for a missing value: the mean, or the most frequent category.
        frequencies: By column, [categories] share of each; None for numbers.
        mean: [K] of the filled columns.
        scale: [K] their standard deviations.
        components: [C, K] orthonormal.
    """

    fills: Floats
    frequencies: tuple[Floats | None, ...]
    mean: Floats
    scale: Floats
    components: Floats

    def errors(self, table: Floats) -> Floats:
        """[N] Euclidean distances of rows from the plane.

        Args:
            table: [N, K] numbers, and numbers of categories.
        """
        scaled = (_filled(table, self.fills, self.frequencies) - self.mean) / self.scale
        left = scaled - scaled @ self.components.T @ self.components
        errors: Floats = np.linalg.norm(left, axis=1)
        return errors


@dataclass
class Reconstruction:
    """The instrument.

    A reading has `value`, its sampling error, `low` and `high` spreads of what is healthy, and the columns that the
    chunk lacks: `missing`.
    """

    name = "reconstruction"

    rule: DriftThreshold
    schema: Schema
    columns: tuple[Column, ...]
    plane: Plane
    table: Floats
    """[M, K] of the reference."""
    own: Floats
    """[M] errors of the reference."""
    groups: list[NDArray[np.int64]]
    resamples: int
    seed: int
    size: int | None
    settings: dict[str, Any]
    truth: bool = False
    _healthy: dict[int, dict[str, Any]] = field(default_factory=dict, repr=False)

    def wants(self, column: str) -> bool:
        return any(column == one.source for one in self.columns)

    def measure(self, chunk: pd.DataFrame, part: Part) -> Reading:
        read = self.schema.read(chunk)
        missing = [one.name for one in self.columns if one.name not in read.values
                   or np.isnan(read.values[one.name]).all()]  # fmt: skip
        if missing:
            # NannyML fills them with the reference's mean, and would call that healthy.
            return {"value": None, "missing": missing}
        errors = self.plane.errors(table_of(self.columns, read))
        deviation = float(errors.std(ddof=1)) if len(errors) > 1 else math.nan
        error = deviation / math.sqrt(len(errors))
        return {
            "value": float(errors.mean()),
            "error": error if math.isfinite(error) else None,
            "missing": [],
            **self.healthy(len(errors)),
        }

    def healthy(self, rows: int) -> dict[str, Any]:
        """Mean and deviation of what held-out halves show (`drawn`) and of the reference's own chunks (`own`)."""
        size = rows if rows == self.size else noise.step(rows)
        if size not in self._healthy:
            count = len(self.own) // size
            own = None
            mean = float(self.own.mean())
            if count >= LEAST_REFERENCE_CHUNKS:
                edges = [i * size for i in range(count)]
                means = np.add.reduceat(self.own, edges) / np.diff([*edges, len(self.own)])
                own, mean = [float(means.mean()), float(means.std())], float(means.mean())
            drawn = self._drawn(noise.sample_size(rows))
            self._healthy[size] = {"drawn": drawn, "own": own, "mean": mean}
        return self._healthy[size]

    def keep(self, size: int, found: dict[str, Any]) -> None:
        """Take what was worked out before for chunks of that size."""
        self._healthy[size] = found

    def _drawn(self, rows: int) -> list[float]:
        """Mean and deviation of the error of `rows` rows of one half of the reference, by a PCA of the other half.

        The halves share no group: a PCA reconstructs the rows that it was fitted on too well. It keeps as many
        components as that of the whole reference.
        """
        rng = np.random.default_rng(self.seed)
        components = len(self.plane.components)
        errors = []
        for _ in range(self.resamples):
            order = rng.permutation(len(self.groups))
            learnt, held_out = (
                [self.groups[i] for i in half[: noise.LARGEST_SAMPLE]] for half in np.array_split(order, 2)
            )
            if not learnt or not held_out:
                continue
            left = self.table[np.concatenate(learnt)[: noise.LARGEST_SAMPLE]]
            if len(left) <= components or np.isnan(left).all(axis=0).any():
                continue
            right = self.table[noise.draw(held_out, rows, rng)]
            known = tuple(one.known if one.categorical else None for one in self.columns)
            errors.append(float(fit_plane(left, known, components).errors(right).mean()))
        return [float(np.mean(errors)), float(np.std(errors))] if errors else []

    def judge(self, known: Known) -> Judgement:
        def words(part: Part, value: float, text: str) -> str:
            return f"columns no longer go together as in the reference in {part}: error {value:.2f}, {text}"

        found = judge_together(known, self.name, SUBJECT, "PCA", self.bounds, words)
        return replace(found, figures=self._figures(known.of(self.name)))

    def bounds(self, reading: Reading) -> tuple[float, float]:
        """Between which a chunk is healthy.

        The real PCA saw all of the reference: healthy chunks lie between its error there and that of the halves.
        """
        spreads = [spread for spread in (reading["drawn"], reading["own"]) if spread]
        if not spreads:
            return 0.0, math.inf
        deviations = self.rule.deviations
        lows = [mean - deviations * deviation for mean, deviation in spreads]
        if reading["drawn"]:
            lows.append(reading["mean"] - deviations * reading["drawn"][1])
        return max(min(lows), 0.0), max(mean + deviations * deviation for mean, deviation in spreads)

    def _figures(self, readings: Sequence[tuple[Part, Reading]]) -> dict[str, Any]:
        known = [(part.name, reading) for part, reading in readings if reading["value"] is not None]
        known = known[-drift_figures.LATEST :]
        if not known:
            return {}
        lows, highs = zip(*(self.bounds(reading) for _, reading in known), strict=True)
        title = "Drift: do columns still go together? Reconstruction error"
        chunks, values = [name for name, _ in known], [reading["value"] for _, reading in known]
        return {title: drift_figures.line(chunks, values, lows, highs, name="reconstruction error")}


@dataclass
class TooFew:
    """Says that there is nothing to go together."""

    name = "reconstruction"

    settings: dict[str, Any] = field(default_factory=dict)
    truth: bool = False

    def wants(self, column: str) -> bool:
        return False

    def measure(self, chunk: pd.DataFrame, part: Part) -> Reading:
        return {}

    def judge(self, known: Known) -> Judgement:
        return Judgement(undecided=("fewer than two input columns vary in the reference: no multivariate drift",))


def fit(context: Context) -> Reconstruction | TooFew | None:
    """The instrument; None when the spec does not ask for it."""
    if "reconstruction" not in context.monitoring.drift.multivariate:
        return None
    columns = varying(context)
    if len(columns) < 2:
        return TooFew()
    table = table_of(columns, context.numbers)
    plane = fit_plane(table, tuple(one.known if one.categorical else None for one in columns), SHARE)
    options, size = context.options, context.monitoring.chunk.size
    settings = {"resamples": options.resamples, "seed": options.seed, "size": size}
    groups = noise.groups(context.reference)
    instrument = Reconstruction(
        context.monitoring.drift, context.schema, columns, plane, table, plane.errors(table), groups,
        options.resamples, options.seed, size, settings,
    )  # fmt: skip
    if size is not None:
        instrument.keep(size, context.remember(["reconstruction", settings], lambda: instrument.healthy(size)))
    return instrument


def varying(context: Context) -> tuple[Column, ...]:
    """Inputs that vary in the reference, and that most of its rows have."""
    found = []
    for column in context.schema.inputs:
        values = context.numbers.values[column.name]
        known = values[~np.isnan(values)]
        if len(known) >= MOSTLY * len(values) and len(np.unique(known)) > 1:
            found.append(column)
    return tuple(found)


def fit_plane(table: Floats, known: Sequence[Sequence[str] | None], components: float) -> Plane:
    """NannyML's PCA: missing values filled, categories by their frequency, standardised.

    Args:
        table: [M, K] numbers, and numbers of categories; NaN where missing.
        known: By column, its categories; None for numbers.
        components: So many, or as many as explain this share of the variance.
    """
    from sklearn.decomposition import PCA

    fills = np.empty(table.shape[1])
    frequencies: list[Floats | None] = []
    for k, categories in enumerate(known):
        values = table[:, k][~np.isnan(table[:, k])]
        if categories is None:
            fills[k] = values.mean()
            frequencies.append(None)
            continue
        counts = np.bincount(values.astype(np.int64), minlength=len(categories)).astype(np.float64)
        fills[k] = float(counts.argmax())
        counts[counts.argmax()] += len(table) - len(values)
        frequencies.append(counts / len(table))
    filled = _filled(table, fills, frequencies)
    mean, scale = filled.mean(axis=0), filled.std(axis=0)
    scale = np.where(scale > 0, scale, 1.0)
    pca = PCA(n_components=components, random_state=16).fit((filled - mean) / scale)
    return Plane(fills, tuple(frequencies), mean, scale, pca.components_)


def _filled(table: Floats, fills: Floats, frequencies: Sequence[Floats | None]) -> Floats:
    """[N, K] without gaps, categories as their frequency. One that the reference lacks counts as missing."""
    out = np.empty_like(table)
    for k, frequency in enumerate(frequencies):
        column = table[:, k]
        if frequency is None:
            out[:, k] = np.where(np.isnan(column), fills[k], column)
        else:
            gap = np.isnan(column) | (column >= len(frequency))
            out[:, k] = frequency[np.where(gap, fills[k], column).astype(np.int64)]
    return out


def table_of(columns: Sequence[Column], read: Read) -> Floats:
    return np.column_stack([read.values[column.name] for column in columns])
