"""Performance of tasks whose answer is a number."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from pizzeria_plugins.monitors.chunks import Part, chunker
from pizzeria_plugins.monitors.columns import Columns
from pizzeria_plugins.monitors.performance import Performance, labelled, read_estimate

if TYPE_CHECKING:
    import pandas as pd

BOOSTING = {"n_estimators": 100, "verbose": -1, "n_jobs": 1, "random_state": 0, "deterministic": True}
"""LightGBM's defaults as NannyML takes them, but silent and the same each time."""


def estimate_values(
    nml: Any,
    metric: str,
    columns: Columns,
    reference: pd.DataFrame,
    analysis: pd.DataFrame,
    reference_parts: Sequence[Part],
    parts: Sequence[Part],
) -> Performance:
    """DLE: a second model learns on the reference how wrong the first one is, from the inputs and its answer."""
    import pandas as pd

    count = labelled(analysis, ["true"], parts)
    if "pred" not in analysis or not {"pred", "true"} <= set(reference):
        why = "the reference needs the columns pred and true, the traffic pred"
        return Performance(metric, None, (), (f"{metric} cannot be estimated: {why}",), count)
    # LightGBM refuses names with brackets, colons and commas.
    safe = {name: f"x{i}" for i, name in enumerate(columns.inputs)}
    frames = []
    for inputs, records in ((columns.reference, reference), (columns.analysis, analysis)):
        answers = {c: pd.to_numeric(records[c], errors="coerce") for c in ("pred", "true") if c in records}
        frames.append(inputs[list(safe)].rename(columns=safe).assign(**answers))
    left, right = frames
    left = left.dropna(subset=["pred", "true"])
    offset = len(reference)
    moved = [Part(part.name, part.first + offset, part.stop + offset) for part in parts]
    result = (
        nml.DLE(
            feature_column_names=list(safe.values()),
            y_pred="pred",
            y_true="true",
            metrics=[metric],
            hyperparameters=BOOSTING,
            chunker=chunker(nml, [*reference_parts, *moved]),
        )
        .fit(left)
        .estimate(right.set_axis(range(offset, offset + len(right))))
    )
    return Performance(metric, read_estimate(metric, metric, result, len(result.data) - len(parts)), labelled=count)
