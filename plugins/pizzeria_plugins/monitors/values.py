"""Performance of tasks whose answer is a number."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from pizzeria_plugins.monitors.chunks import chunker
from pizzeria_plugins.monitors.estimates import Usual, forget, numbers, read_usual
from pizzeria_plugins.monitors.instruments import Context, Reading
from pizzeria_plugins.monitors.schema import Read, Schema

if TYPE_CHECKING:
    import pandas as pd

BOOSTING = {"n_estimators": 100, "verbose": -1, "n_jobs": 1, "random_state": 0, "deterministic": True}
"""LightGBM's defaults as NannyML takes them, but silent and the same each time."""
_OURS = {"value": "estimated", "error": "sampling_error", "realised": "realized"}


@dataclass
class Values:
    """NannyML's DLE: a second model learns on the reference how wrong the first one is, from inputs and answer.

    Attributes:
        estimator: NannyML's, fitted; None where it cannot be.
        safe: Names of the inputs for LightGBM, which refuses brackets, colons and commas.
    """

    metrics: tuple[str, ...]
    schema: Schema
    estimator: Any = None
    safe: dict[str, str] = field(default_factory=dict)
    usual: dict[str, Usual] = field(default_factory=dict)
    undecided: tuple[str, ...] = ()
    method: str = "DLE"

    def wants(self, column: str) -> bool:
        return column in ("pred", "true") or column in {one.source for one in self.schema.inputs}

    def measure(self, chunk: pd.DataFrame) -> Reading:
        if self.estimator is None or "pred" not in chunk:
            return {}
        frame = self.prepared(chunk, self.schema.read(chunk)).dropna(subset=["pred"])
        if not len(frame):
            return {}
        record = self.estimator._estimate_chunk(self._chunk(self._encoded(frame)))
        return {
            metric: {ours: float(record[f"{theirs}_{metric}"]) for ours, theirs in _OURS.items()}
            for metric in self.metrics
        }

    def prepared(self, frame: pd.DataFrame, read: Read) -> pd.DataFrame:
        """Inputs as NannyML wants them, numbers as float64 and categories as text; answer and truth beside them."""
        import pandas as pd

        columns: dict[str, Any] = {}
        for column in self.schema.inputs:
            values = read.values.get(column.name)
            if values is None:
                values = np.full(read.rows, np.nan)
            if column.kind == "category":
                texts = np.array([*column.known, *read.fresh.get(column.name, ()), np.nan], object)
                columns[self.safe[column.name]] = texts[np.nan_to_num(values, nan=len(texts) - 1).astype(int)]
            else:
                columns[self.safe[column.name]] = values
        answers = numbers(frame, ["pred", "true"])
        return pd.DataFrame(columns, index=frame.index).assign(**{str(name): answers[name] for name in answers})

    def _encoded(self, frame: pd.DataFrame) -> pd.DataFrame:
        """As `DLE._estimate` encodes categories."""
        estimator = self.estimator
        for column in estimator.metrics[0].categorical_column_names:
            values = estimator._categorical_imputer.transform(frame[column].to_numpy(object).reshape(-1, 1))
            frame[column] = estimator._categorical_encoders[column].transform(values).ravel() + 1
        return frame

    @staticmethod
    def _chunk(data: pd.DataFrame) -> Any:
        from nannyml.chunk import Chunk

        return Chunk(key="chunk", data=data)


def fit(context: Context, metrics: Sequence[str]) -> Values:
    """Fit on the reference."""
    schema = context.schema
    safe = {column.name: f"x{i}" for i, column in enumerate(schema.inputs)}
    found = Values(tuple(metrics), schema, safe=safe)
    if not {"pred", "true"} <= set(context.reference):
        why = "the reference needs the columns pred and true"
        return _without(found, metrics, why)
    if not safe:
        return _without(found, metrics, "the reference has no input to learn from")
    left = found.prepared(context.reference, context.numbers).dropna(subset=["pred", "true"])
    if not len(left):
        return _without(found, metrics, "no row of the reference has an answer and the truth")
    estimator = context.nml.DLE(
        feature_column_names=list(safe.values()),
        y_pred="pred",
        y_true="true",
        metrics=list(metrics),
        hyperparameters=BOOSTING,
        chunker=chunker(context.nml, context.parts),
    ).fit(left)
    found.usual = {metric: read_usual(metric, metric, estimator.result) for metric in metrics}
    forget(estimator)
    found.estimator = estimator
    return found


def _without(found: Values, metrics: Sequence[str], why: str) -> Values:
    found.undecided = tuple(f"{metric} cannot be estimated: {why}" for metric in metrics)
    return found
