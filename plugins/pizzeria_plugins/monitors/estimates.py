"""What an estimator of performance is for the monitor, and NannyML's CBPE, fitted once and asked chunk by chunk."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from pizzeria_plugins.monitors.chunks import Part, chunker
from pizzeria_plugins.monitors.instruments import Reading

if TYPE_CHECKING:
    import pandas as pd

LEAST_OF_EACH = 5
"""A class needs so many reference rows with it and without it, or nothing can be said of it."""


@dataclass(frozen=True)
class Usual:
    """A metric on the reference.

    Attributes:
        subject: `f1`, or `f1 of bed`.
        metric: `f1`.
        realised: Its value, mean over the reference's parts.
        estimated: What is estimated there without labels. Where probabilities are not well calibrated the two differ,
            and a healthy estimate is near this one.
        parts: Realised, part by part.
    """

    subject: str
    metric: str
    realised: float
    estimated: float
    parts: tuple[float, ...]


class Estimator(Protocol):
    """Estimates metrics of a chunk without labels, and works them out where there are labels. Can be pickled."""

    @property
    def method(self) -> str:
        """`CBPE`, `DLE`."""

    @property
    def usual(self) -> Mapping[str, Usual]:
        """By subject; those that can be estimated. A subject of a class has the metric's before `of`."""

    @property
    def undecided(self) -> Sequence[str]:
        """What cannot be estimated, and why."""

    def wants(self, column: str) -> bool:
        """Whether it reads this column of the records."""

    def measure(self, chunk: pd.DataFrame) -> Reading:
        """By subject: `value`, its sampling `error`, and what is `realised`; each NaN where it is unknown."""


@dataclass
class Cbpe:
    """NannyML's confidence-based performance estimation, for one problem.

    It does for a chunk what `CBPE.estimate` does for each chunk of a table, without its copies and its result, so that
    small chunks cost little; tests hold the figures against `CBPE.estimate`.

    Attributes:
        metrics: Names.
        probabilities: Column of the second class, or of each class by its name.
        estimator: NannyML's, fitted.
        usual: By metric, on the reference.
    """

    metrics: tuple[str, ...]
    probabilities: str | dict[str, str]
    answer: str
    truth: str
    estimator: Any
    usual: dict[str, Usual]

    @classmethod
    def fit(
        cls,
        nml: Any,
        metrics: Sequence[str],
        probabilities: str | dict[str, str],
        answer: str,
        truth: str,
        reference: pd.DataFrame,
        parts: Sequence[Part],
    ) -> Cbpe:
        """Fit on the reference.

        Args:
            reference: Without NaN; probabilities as float64. Of two classes the answer and the truth are 1.0 or 0.0.
                The index is that of `parts`.
        """
        estimator = nml.CBPE(
            metrics=list(metrics),
            y_pred_proba=probabilities,
            y_pred=answer,
            y_true=truth,
            problem_type="classification_binary" if isinstance(probabilities, str) else "classification_multiclass",
            chunker=chunker(nml, parts),
        ).fit(reference)
        usual = {metric: read_usual(metric, metric, estimator.result) for metric in metrics}
        forget(estimator)
        return cls(tuple(metrics), probabilities, answer, truth, estimator, usual)

    @property
    def columns(self) -> tuple[str, ...]:
        """Of the probabilities."""
        return (self.probabilities,) if isinstance(self.probabilities, str) else tuple(self.probabilities.values())

    def measure(self, chunk: pd.DataFrame) -> dict[str, dict[str, float]]:
        """By metric: `value`, `error` and `realised`.

        Args:
            chunk: [N] probabilities, answers and, where it is known, the truth, of the reference's types. Rows without
                a probability or an answer do not count.
        """
        frame = chunk.dropna(subset=[*self.columns, self.answer])
        if not len(frame):
            return {metric: dict.fromkeys(("value", "error", "realised"), math.nan) for metric in self.metrics}
        record = self.estimator._estimate_chunk(self._chunk(self.calibrated(frame)))
        names = {"value": "estimated", "error": "sampling_error", "realised": "realized"}
        return {
            metric: {ours: float(record[f"{theirs}_{metric}"]) for ours, theirs in names.items()}
            for metric in self.metrics
        }

    def calibrated(self, frame: pd.DataFrame) -> pd.DataFrame:
        """The frame with calibrated probabilities, where that is better, and the uncalibrated beside them."""
        from nannyml.performance_estimation.confidence_based import cbpe

        data = frame.assign(**{f"uncalibrated_{column}": frame[column] for column in self.columns})
        if isinstance(self.probabilities, str):
            if self.estimator.needs_calibration:
                data[self.probabilities] = self.estimator.calibrator.calibrate(data[self.probabilities])
            return data
        found: pd.DataFrame = cbpe._calibrate_predicted_probabilities(
            data, self.truth, self.probabilities, self.estimator._calibrators
        )
        return found

    @staticmethod
    def _chunk(data: pd.DataFrame) -> Any:
        from nannyml.chunk import Chunk

        return Chunk(key="chunk", data=data)


def read_usual(subject: str, metric: str, result: Any) -> Usual:
    """From the result of a fitted NannyML estimator, which has the reference's parts."""
    realised, estimated = (result.data[(metric, name)].to_numpy(float) for name in ("realized", "value"))
    return Usual(subject, metric, mean(realised), mean(estimated), tuple(map(float, realised)))


def forget(estimator: Any) -> None:
    """Let a fitted estimator of NannyML go to other processes: without its reference and without a way to cut it."""
    estimator.result = estimator.chunker = None
    for metric in estimator.metrics:
        metric.chunker = None


def mean(values: Any) -> float:
    """The mean of what is there; NaN when nothing is."""
    values = np.asarray(values, float)
    return float(np.nanmean(values)) if np.isfinite(values).any() else math.nan


def numbers(frame: pd.DataFrame, columns: Sequence[str]) -> pd.DataFrame:
    """These columns, as far as they are there, as float64; NaN for what is no number."""
    import pandas as pd

    return pd.DataFrame(
        {
            name: frame[name]
            if frame[name].dtype == np.float64
            else pd.to_numeric(frame[name], errors="coerce").astype("float64")
            for name in columns
            if name in frame
        },
        index=frame.index,
    )
