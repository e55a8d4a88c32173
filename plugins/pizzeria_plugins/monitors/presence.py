"""Performance of tasks that say of each class whether it is present: detection and multi-label."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from pizzeria.spec.problem import Problem
from pizzeria_plugins.monitors.chunks import Part, chunker
from pizzeria_plugins.monitors.performance import Estimate, Performance, labelled, mean, read_estimate

if TYPE_CHECKING:
    import pandas as pd

LEAST_OF_EACH = 5
"""A class needs so many reference rows with it and without it, or nothing can be said of it."""
NEED_POSITIVES = ("f1", "precision", "recall", "average_precision")
LEAST_EXPECTED = 3.0
"""A part in which fewer rows with the class are expected may well have none, and then its F1 means nothing."""


def estimate_presence(
    nml: Any,
    metric: str,
    problem: Problem,
    reference: pd.DataFrame,
    analysis: pd.DataFrame,
    reference_parts: Sequence[Part],
    parts: Sequence[Part],
) -> Performance:
    """CBPE of each class as a yes-or-no problem of its own, and the mean over classes."""
    found, undecided = [], []
    for name in problem.classes:
        columns = [f"p:{name}", f"pred:{name}", f"true:{name}"]
        absent = [c for c in columns if c not in reference] + [c for c in columns[:2] if c not in analysis]
        if absent:
            undecided.append(f"{metric} of {name} cannot be estimated: no column {', '.join(absent)}")
            continue
        truth = reference[columns].dropna()[columns[2]]
        with_it, without = int((truth == 1).sum()), int((truth == 0).sum())
        if min(with_it, without) < LEAST_OF_EACH:
            undecided.append(
                f"{metric} of {name} cannot be estimated: the reference has it in {with_it} rows and not in {without}, "
                f"and at least {LEAST_OF_EACH} of each are needed"
            )
            continue
        found.append(_estimate_class(nml, metric, name, reference, analysis, reference_parts, parts))
    count = labelled(analysis, [f"true:{name}" for name in problem.classes], parts)
    return Performance(metric, _mean(metric, found) if found else None, tuple(found), tuple(undecided), count)


def _estimate_class(
    nml: Any,
    metric: str,
    name: str,
    reference: pd.DataFrame,
    analysis: pd.DataFrame,
    reference_parts: Sequence[Part],
    parts: Sequence[Part],
) -> Estimate:
    columns = [f"p:{name}", f"pred:{name}", f"true:{name}"]
    left = reference[columns].dropna()
    right = analysis[[c for c in columns if c in analysis]].astype(float)
    offset = len(reference)
    moved = [Part(part.name, part.first + offset, part.stop + offset) for part in parts]
    estimator = nml.CBPE(
        metrics=[metric],
        y_pred_proba=columns[0],
        y_pred=columns[1],
        y_true=columns[2],
        problem_type="classification_binary",
        chunker=chunker(nml, [*reference_parts, *moved]),
    ).fit(left.astype(float))
    result = estimator.estimate(right.set_axis(range(offset, offset + len(right))))
    out = read_estimate(f"{metric} of {name}", metric, result, len(result.data) - len(parts))
    share = float((left[columns[2]] == 1).mean())
    for p, part in enumerate(parts):
        rows = right.iloc[part.first : part.stop]
        silent = not (rows[columns[1]] == 1).any() and part.rows * share < LEAST_EXPECTED
        if (silent and metric in NEED_POSITIVES) or not rows[columns[0]].notna().any():
            out.values[p] = math.nan
    return out


def _mean(metric: str, found: Sequence[Estimate]) -> Estimate:
    """The mean over classes, of those that have a value in the part. Their sampling errors count as independent."""
    values, errors = np.array([one.values for one in found]), np.array([one.errors for one in found])
    known = np.isfinite(values)
    count = np.maximum(known.sum(axis=0), 1)
    shortest = min(len(one.reference_parts) for one in found)
    return Estimate(
        metric,
        mean(np.array([one.reference for one in found])),
        mean(np.array([one.expected for one in found])),
        np.nanmean([one.reference_parts[:shortest] for one in found], axis=0),
        np.where(known.any(axis=0), np.nansum(np.where(known, values, 0.0), axis=0) / count, np.nan),
        np.sqrt(np.nansum(np.where(known, errors**2, 0.0), axis=0)) / count,
        np.nanmean([one.realised for one in found], axis=0),
    )
