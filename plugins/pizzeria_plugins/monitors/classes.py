"""Performance of tasks whose answer is one of the classes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from pizzeria.spec.problem import Problem
from pizzeria_plugins.monitors.chunks import Part, chunker
from pizzeria_plugins.monitors.performance import Performance, labelled, read_estimate
from pizzeria_plugins.monitors.presence import LEAST_OF_EACH

if TYPE_CHECKING:
    import pandas as pd


WHOLE = ("accuracy", "average_precision")
"""Metrics whose sampling error NannyML does not derive from independent classes."""


def estimate_classes(
    nml: Any,
    metric: str,
    problem: Problem,
    reference: pd.DataFrame,
    analysis: pd.DataFrame,
    reference_parts: Sequence[Part],
    parts: Sequence[Part],
) -> Performance:
    """CBPE: for two classes NannyML's binary metrics, of the second class; for more its means over classes."""
    probabilities = {name: f"p:{name}" for name in problem.classes}
    columns = [*probabilities.values(), "pred"]
    count = labelled(analysis, ["true"], parts)
    absent = [c for c in (*columns, "true") if c not in reference] + [c for c in columns if c not in analysis]
    if absent:
        return _undecided(metric, f"no column {', '.join(absent)}", count)
    left = (
        _named(reference[[*columns, "true"]], problem.classes)
        .dropna()
        .astype(dict.fromkeys(probabilities.values(), float))
    )
    right = _named(analysis[[c for c in (*columns, "true") if c in analysis]], problem.classes)
    right = right.astype(dict.fromkeys(probabilities.values(), float))
    known = left["true"].value_counts()
    rare = [f"{name} in {known.get(name, 0)}" for name in problem.classes if known.get(name, 0) < LEAST_OF_EACH]
    if rare:
        return _undecided(metric, f"of {len(left)} reference rows {', '.join(rare)}, at least 5 each are needed", count)
    offset = len(reference)
    moved = [Part(part.name, part.first + offset, part.stop + offset) for part in parts]
    right = right.set_axis(range(offset, offset + len(right)))
    two = len(problem.classes) == 2
    if two:
        second = problem.classes[1]
        left, right = _yes_or_no(left, second), _yes_or_no(right, second)
    result = (
        nml.CBPE(
            metrics=[metric],
            y_pred_proba=probabilities[problem.classes[1]] if two else probabilities,
            y_pred="pred",
            y_true="true",
            problem_type="classification_binary" if two else "classification_multiclass",
            chunker=chunker(nml, [*reference_parts, *moved]),
        )
        .fit(left)
        .estimate(right)
    )
    whole = read_estimate(metric, metric, result, len(result.data) - len(parts))
    if not two and metric not in WHOLE:
        # NannyML averages over classes as if they were independent, but one class's miss is another's false alarm.
        whole = replace(whole, errors=whole.errors * math.sqrt(len(problem.classes)))
    return Performance(metric, whole, labelled=count)


def _named(frame: pd.DataFrame, classes: Sequence[str]) -> pd.DataFrame:
    """Answers and truth as class names; a label read from a file as 1.0 is the class "1", any other is unknown."""

    def name(value: Any) -> str | None:
        text = f"{value:.0f}" if isinstance(value, float) and value.is_integer() else str(value)
        return text if text in classes else None

    answers = {column: frame[column].map(name, na_action="ignore") for column in ("pred", "true") if column in frame}
    return frame.assign(**answers)


def _yes_or_no(frame: pd.DataFrame, name: str) -> pd.DataFrame:
    """1.0 where an answer is `name`, 0.0 where it is another class, NaN where there is none."""
    answers = {column: frame[column] for column in ("pred", "true") if column in frame}
    return frame.assign(**{c: a.eq(name).astype(float).where(a.notna()) for c, a in answers.items()})


def _undecided(metric: str, why: str, count: Any) -> Performance:
    return Performance(metric, None, (), (f"{metric} cannot be estimated: {why}",), count)
