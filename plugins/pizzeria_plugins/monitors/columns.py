"""Reads records as columns of one type each, the same in the reference and the traffic."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pizzeria.spec.problem import Problem

if TYPE_CHECKING:
    import pandas as pd

_FREE = 50
"""Different values that a category may have, however few rows there are."""
NUMBERS = frozenset({"integer", "floating", "mixed-integer-float", "decimal"})


@dataclass(frozen=True)
class Columns:
    """The columns to compare, under the names that a reader sees.

    Attributes:
        reference: [M] rows, numbers as float64, categories as str or NaN.
        analysis: [N] rows, same columns and types.
        inputs: image statistics or table columns: `brightness`, `price`.
        outputs: what the model says: `probability of bed`, `prediction`.
        categories: those of both that are compared as categories.
        words: those of the categories that are so in the records; the others are numbers that never change in the
            reference.
        undecided: what cannot be compared, and why.
    """

    reference: pd.DataFrame
    analysis: pd.DataFrame
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    categories: frozenset[str]
    words: frozenset[str]
    undecided: tuple[str, ...]


def read_columns(reference: pd.DataFrame, analysis: pd.DataFrame, problem: Problem) -> Columns:
    """Pick `feature:*`, `p:*` and `pred`, and bring the traffic to the reference's types.

    A number that does not read as one becomes missing, which the quality check counts.
    """
    import pandas as pd

    left: dict[str, Any] = {}
    right: dict[str, Any] = {}
    inputs: list[str] = []
    outputs: list[str] = []
    categories: set[str] = set()
    words: set[str] = set()
    undecided: list[str] = []
    known = [column for column in reference if str(column).startswith("feature:") or column in _outputs(problem)]
    for column in map(str, known):
        is_input = column.startswith("feature:")
        name = column.removeprefix("feature:") if is_input else _outputs(problem)[column]
        name = column if name in left else name
        if pd.api.types.is_datetime64_any_dtype(reference[column].dtype):
            continue  # time goes on, and a new date is no drift
        if column not in analysis:
            undecided.append(f"{name} is in the reference and not in the traffic, so its drift is unknown")
            continue
        if not reference[column].notna().any():
            undecided.append(f"{name} is empty in the reference, so its drift is unknown")
            continue
        if pd.api.types.infer_dtype(reference[column], skipna=True) in NUMBERS:
            left[name], right[name] = _numbers(reference[column]), _numbers(analysis[column])
            if left[name].nunique() == 1:
                # NannyML makes one bin, one wide, of a constant, and takes most that follows for the same.
                constant = left[name].dropna().iloc[0]
                left[name], right[name] = (_same_or_other(side[name], constant) for side in (left, right))
                categories.add(name)
        elif _free_text(reference[column]):
            left[name], right[name] = _lengths(reference[column]), _lengths(analysis[column])
        else:
            left[name], right[name] = _words(reference[column]), _words(analysis[column])
            categories.add(name)
            words.add(name)
        (inputs if is_input else outputs).append(name)
    fresh = [str(c).removeprefix("feature:") for c in analysis if str(c).startswith("feature:") and c not in reference]
    if fresh:
        undecided.append(f"only the traffic has {', '.join(fresh)}: the reference says nothing of it")
    return Columns(
        pd.DataFrame(left, index=reference.index),
        pd.DataFrame(right, index=analysis.index),
        tuple(inputs),
        tuple(outputs),
        frozenset(categories),
        frozenset(words),
        tuple(undecided),
    )


def _outputs(problem: Problem) -> dict[str, str]:
    """Record column of each output, with the name that a reader sees."""
    probabilities = {f"p:{name}": f"probability of {name}" for name in problem.classes}
    if problem.task == "tabular_classification" and len(problem.classes) == 2:
        del probabilities[f"p:{problem.classes[0]}"]  # It is one minus the other, and would count twice.
    return probabilities | {"pred": "prediction"}


def _numbers(column: pd.Series[Any]) -> pd.Series[Any]:
    import numpy as np
    import pandas as pd

    numbers = pd.to_numeric(column, errors="coerce").astype("float64")
    return numbers.replace([np.inf, -np.inf], np.nan)


def _words(column: pd.Series[Any]) -> pd.Series[Any]:
    import numpy as np

    return column.map(lambda value: str(value), na_action="ignore").astype(object).where(column.notna(), np.nan)


def _free_text(column: pd.Series[Any]) -> bool:
    """Whether hardly two rows say the same, so that each new text is one never seen, and means nothing by that."""
    return bool(column.nunique() > max(_FREE, column.count() / 2))


def _lengths(column: pd.Series[Any]) -> pd.Series[Any]:
    """Characters, by which free texts are compared."""
    return column.map(lambda value: float(len(str(value))), na_action="ignore").astype("float64")


def _same_or_other(column: pd.Series[Any], constant: float) -> pd.Series[Any]:
    """The constant as text where it still stands, `other` where it does not, NaN where there is nothing."""
    import numpy as np

    text = np.where(np.isclose(column, constant), f"{constant:g}", "other")
    return column.astype(object).where(column.isna(), text)
