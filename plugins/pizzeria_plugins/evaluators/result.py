"""The form in which every task's evaluation comes back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray


def mean(values: NDArray[np.float64]) -> float:
    """Over the classes that can be judged; NaN where none can."""
    return float(np.nanmean(values)) if not np.isnan(values).all() else float("nan")


def result(
    metrics: Mapping[str, float],
    by_class: Mapping[str, NDArray[np.float64]],
    curves: Mapping[str, Any],
    classes: Sequence[str],
    support: NDArray[Any],
    examples: int,
) -> dict[str, Any]:
    """What `pizzeria.contracts.Evaluator.evaluate` returns.

    Args:
        metrics: By name.
        by_class: By name, [C] each.
        curves: What the report draws.
        classes: C names; none for regression.
        support: [C] examples that hold the class.
        examples: Photos or rows judged.
    """
    return {
        "metrics": dict(metrics),
        "per_class": {
            name: {metric: float(values[i]) for metric, values in by_class.items()} | {"support": int(support[i])}
            for i, name in enumerate(classes)
        },
        "curves": dict(curves),
        "examples": examples,
        "classes_never_seen": [name for i, name in enumerate(classes) if not support[i]],
    }
