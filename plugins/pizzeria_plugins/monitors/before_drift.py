"""Until the instruments take over: drift column by column, and of all columns together."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pizzeria.contracts import Finding
from pizzeria.spec.monitoring import DriftThreshold
from pizzeria_plugins.monitors import noise
from pizzeria_plugins.monitors.chunks import Part, chunker
from pizzeria_plugins.monitors.columns import Columns

METHODS = {
    "jensen_shannon": ("jensen_shannon", "jensen_shannon"),
    "hellinger": ("hellinger", "hellinger"),
    "kolmogorov_smirnov": ("kolmogorov_smirnov", "l_infinity"),
}
"""NannyML's method for numbers and for categories, both 0 (the same) to 1 (nothing in common)."""
MOSTLY = 0.5
"""A column that the reference has in fewer rows takes no part in multivariate drift."""
NAMED = 4
"""An alert names so many columns, the worst first."""


@dataclass(frozen=True)
class Drift:
    """What was measured.

    Attributes:
        names: [K] columns.
        values: [K, P] distance of each column in each part, 0 to 1, NaN where there is nothing to compare.
        limits: [K, P] beyond which it counts as drifted.
        result: NannyML's result, with these limits in it; None without columns.
    """

    names: tuple[str, ...]
    values: NDArray[np.float64]
    limits: NDArray[np.float64]
    result: Any


@dataclass(frozen=True)
class Sampling:
    """How chance is measured: groups of rows that belong together, how often to draw, and from which seed."""

    among: noise.Groups
    resamples: int
    seed: int


def univariate(
    nml: Any,
    columns: Columns,
    reference_parts: Sequence[Part],
    parts: Sequence[Part],
    rule: DriftThreshold,
    sampling: Sampling,
) -> Drift:
    """Distance of each column in each part from the reference.

    A limit is the largest of `rule.above`, three deviations over what healthy chunks of the size show (see `noise`)
    and, when the reference has chunks enough, NannyML's own threshold over these.
    """
    names = (*columns.inputs, *columns.outputs)
    if not names:
        return Drift((), np.zeros((0, len(parts))), np.zeros((0, len(parts))), None)
    number, category = METHODS[rule.numbers]
    methods = {
        name: (category, "categorical") if name in columns.categories else (number, "continuous") for name in names
    }
    offset = len(columns.reference)
    moved = [Part(part.name, part.first + offset, part.stop + offset) for part in parts]
    calculator = nml.UnivariateDriftCalculator(
        column_names=list(names),
        treat_as_categorical=sorted(columns.categories),
        continuous_methods=[number],
        categorical_methods=[category],
        chunker=chunker(nml, [*reference_parts, *moved]),
    ).fit(columns.reference)
    result = calculator.calculate(columns.analysis.set_axis(range(offset, offset + len(columns.analysis))))

    chance: dict[int, dict[str, float]] = {}
    for size in sorted({noise.sample_size(part.rows) for part in parts}):
        drawn = noise.distances(
            nml, methods, columns, sampling.among, size, sampling.resamples, np.random.default_rng(sampling.seed)
        )
        chance[size] = {name: noise.upper(values) for name, values in drawn.items()}

    table, first = result.data, len(reference_parts)
    values = np.array([table[(n, methods[n][0], "value")].to_numpy(float)[first:] for n in names])
    limits = np.full_like(values, rule.above or 0.0)
    for k, name in enumerate(names):
        own = table[(name, methods[name][0], "value")].to_numpy(float)[:first]
        usual = noise.upper(own) if first > 1 else math.nan
        for p, part in enumerate(parts):
            limits[k, p] = np.nanmax([rule.above or 0.0, usual, chance[noise.sample_size(part.rows)][name]])
        _show_limits(table, (name, methods[name][0]), None, limits[k], first)
    return Drift(names, values, limits, result)


def judge_columns(
    drift: Drift, parts: Sequence[Part], rule: DriftThreshold
) -> tuple[list[Finding], list[str], list[str]]:
    """Findings per column and part; an alert where at least `rule.columns` of them drift in one part."""
    findings, alerts, undecided = [], [], []
    for p, part in enumerate(parts):
        drifted = []
        for k, name in enumerate(drift.names):
            value, limit = float(drift.values[k, p]), float(drift.limits[k, p])
            known = not math.isnan(value)
            if not known:
                undecided.append(f"{name} has no value in {part}, so its drift is unknown")
            elif value > limit:
                drifted.append((value - limit, name, value))
            findings.append(
                part.finding(
                    "drift", name, value if known else None, f"above {limit:.3f}", value > limit if known else None
                )
            )
        if len(drifted) >= min(rule.columns, len(drift.names)):
            worst = ", ".join(f"{name} {value:.2f}" for _, name, value in sorted(drifted, reverse=True)[:NAMED])
            more = f" and {len(drifted) - NAMED} more" if len(drifted) > NAMED else ""
            count = f"{len(drifted)} column{'s' if len(drifted) > 1 else ''} drifted"
            alerts.append(f"{count} in {part}: {worst}{more} ({rule.numbers})")
    return findings, alerts, undecided


def multivariate(
    nml: Any, columns: Columns, reference_parts: Sequence[Part], parts: Sequence[Part], sampling: Sampling
) -> tuple[list[Finding], list[str], list[str], Any]:
    """NannyML's PCA reconstruction error of the inputs: whether columns still go together as they did.

    It alone raises an alert, so its limits are wide: beyond both what held-out halves of the reference show and
    NannyML's own threshold, where the reference has chunks enough for one.

    Returns:
        Findings, alerts, what is undecided, and NannyML's result (None when there is too little to judge).
    """
    usable = columns.reference[list(columns.inputs)]
    names = [name for name in columns.inputs if usable[name].nunique() > 1 and usable[name].notna().mean() >= MOSTLY]
    if len(names) < 2:
        return [], [], ["fewer than two input columns vary in the reference: no multivariate drift"], None
    calculator = noise.reconstruct(nml, columns.reference, columns.analysis, names, reference_parts, parts)
    result, kept = calculator.result, int(calculator._pca.n_components_)
    first = len(reference_parts)
    errors = result.data[("reconstruction_error", "value")].to_numpy(float)
    own = errors[:first] if first > 1 else np.full(1, np.nan)
    bounds: dict[int, tuple[float, float]] = {}
    for size in sorted({noise.sample_size(part.rows) for part in parts}):
        drawn = noise.reconstruction_errors(
            nml, columns, names, kept, sampling.among, size, sampling.resamples, np.random.default_rng(sampling.seed)
        )
        # The real PCA saw all of the reference: healthy chunks lie between its error there and that of the halves.
        best = float(np.nanmean(errors[:first])) - noise.DEVIATIONS * float(np.nanstd(drawn))
        low = np.nanmin([noise.lower(drawn), noise.lower(own), best])
        bounds[size] = (max(float(low), 0.0), float(np.nanmax([noise.upper(drawn), noise.upper(own)])))

    findings, alerts, undecided = [], [], []
    for part, error in zip(parts, errors[first:], strict=True):
        low, high = bounds[noise.sample_size(part.rows)]
        text = f"outside {low:.3f} to {high:.3f}"
        missing = columns.analysis[names].iloc[part.first : part.stop].isna().all()
        if missing.any():
            # NannyML fills them with the reference's mean, and would call that healthy.
            undecided.append(f"{', '.join(missing.index[missing])} is missing from {part}: no multivariate drift")
            findings.append(part.finding("multivariate_drift", "reconstruction error", None, text, None))
            continue
        alert = not low <= error <= high
        findings.append(part.finding("multivariate_drift", "reconstruction error", float(error), text, alert))
        if alert:
            alerts.append(f"columns no longer go together as in the reference in {part}: error {error:.2f}, {text}")
    limits = np.array([bounds[noise.sample_size(part.rows)] for part in parts])
    _show_limits(result.data, ("reconstruction_error",), limits[:, 0], limits[:, 1], first)
    return findings, alerts, undecided, result


def _show_limits(
    table: Any, column: tuple[str, ...], low: NDArray[np.float64] | None, high: NDArray[np.float64], first: int
) -> None:
    """Put our limits where NannyML's plots look for theirs; the reference gets those of the first chunk."""
    values = table[(*column, "value")].to_numpy(float)
    highs = np.concatenate([np.full(first, high[0]), high])
    lows = None if low is None else np.concatenate([np.full(first, low[0]), low])
    table[(*column, "upper_threshold")] = highs
    table[(*column, "lower_threshold")] = lows
    alerts = values > highs if lows is None else (values > highs) | (values < lows)
    table[(*column, "alert")] = alerts & (np.arange(len(values)) >= first)
