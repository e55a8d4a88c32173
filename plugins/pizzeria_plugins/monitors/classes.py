"""Performance of tasks whose answer is one of the classes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pizzeria_plugins.monitors.estimates import LEAST_OF_EACH, Cbpe, Usual, numbers
from pizzeria_plugins.monitors.instruments import Context, Reading
from pizzeria_plugins.monitors.metrics import NEED_POSITIVES

if TYPE_CHECKING:
    import pandas as pd

WHOLE = ("accuracy", "average_precision")
"""Metrics whose sampling error NannyML does not derive from independent classes."""
LEAST_EXPECTED = 3.0
"""A chunk in which fewer rows with the class are expected may well have none, and then its F1 means nothing."""


@dataclass
class Classes:
    """CBPE: for two classes NannyML's binary metrics, of the second class; for more its means over classes.

    Attributes:
        names: Of the classes.
        cbpe: None where it cannot be fitted.
        share: Of the second of two classes in the reference.
    """

    names: tuple[str, ...]
    cbpe: Cbpe | None
    share: float
    undecided: tuple[str, ...] = ()
    method: str = "CBPE"

    @property
    def usual(self) -> dict[str, Usual]:
        return {} if self.cbpe is None else self.cbpe.usual

    def wants(self, column: str) -> bool:
        return column in ("pred", "true") or column in [f"p:{name}" for name in self.names]

    def measure(self, chunk: pd.DataFrame) -> Reading:
        if self.cbpe is None or not {*self.cbpe.columns, "pred"} <= set(chunk):
            return {}
        frame = _prepared(chunk, self.names)
        found = self.cbpe.measure(frame)
        two = len(self.names) == 2
        said = frame["pred"].dropna()
        one_class = said.nunique() < 2 and (not two or not (said == 1).any())
        silent = one_class and (not two or len(frame) * self.share < LEAST_EXPECTED)
        for metric, row in found.items():
            if not two and metric not in WHOLE:
                # NannyML averages over classes as if independent, but one class's miss is another's false alarm.
                row["error"] *= math.sqrt(len(self.names))
            if silent and metric in NEED_POSITIVES:
                row["value"] = math.nan
        return found


def fit(context: Context, metrics: Sequence[str]) -> Classes:
    """Fit on the reference."""
    names = tuple(context.problem.classes)
    columns = [*(f"p:{name}" for name in names), "pred", "true"]
    absent = [column for column in columns if column not in context.reference]
    if absent:
        return _none(names, metrics, f"no column {', '.join(absent)} in the reference")
    codes = answers(context.reference["true"], names)
    known = {name: int((codes == i).sum()) for i, name in enumerate(names)}
    frame = _prepared(context.reference[columns], names).dropna()
    rare = [f"{name} in {count}" for name, count in known.items() if count < LEAST_OF_EACH]
    if rare:
        why = f"of {len(frame)} reference rows {', '.join(rare)}, at least {LEAST_OF_EACH} each are needed"
        return _none(names, metrics, why)
    probabilities = f"p:{names[1]}" if len(names) == 2 else {name: f"p:{name}" for name in names}
    cbpe = Cbpe.fit(context.nml, metrics, probabilities, "pred", "true", frame, context.parts)
    return Classes(names, cbpe, known[names[-1]] / max(len(frame), 1))


def answers(column: pd.Series[Any], classes: Sequence[str]) -> NDArray[np.int64]:
    """[N] number of the class, -1 where there is none; a label read from a file as 1.0 is the class "1".

    Example:
        >>> import pandas as pd
        >>> answers(pd.Series([1.0, "0", None, "maybe"], dtype=object), ["0", "1"]).tolist()
        [1, 0, -1, -1]
    """
    import pandas as pd

    try:
        places, different = pd.factorize(column)
    except TypeError:  # a list, which somebody sent
        places, different = pd.factorize(column.map(str, na_action="ignore"))
    number = {name: i for i, name in enumerate(classes)}

    def code(value: Any) -> int:
        whole = isinstance(value, float) and value.is_integer()
        return number.get(f"{value:.0f}" if whole else str(value), -1)

    table = np.array([*map(code, different), -1], np.int64)
    found: NDArray[np.int64] = table[places]
    return found


def _prepared(frame: pd.DataFrame, names: Sequence[str]) -> pd.DataFrame:
    """Probabilities as numbers, and answers as NannyML wants them: of two classes 1.0 for the second, else names."""
    two = len(names) == 2
    out = numbers(frame, [f"p:{names[1]}"] if two else [f"p:{name}" for name in names])
    table = np.array([0.0, 1.0, np.nan]) if two else np.array([*names, None], object)
    for column in ("pred", "true"):
        if column in frame:
            out[column] = table[answers(frame[column], names)]
    return out


def _none(names: tuple[str, ...], metrics: Sequence[str], why: str) -> Classes:
    return Classes(names, None, math.nan, tuple(f"{metric} cannot be estimated: {why}" for metric in metrics))
