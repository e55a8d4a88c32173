"""Joins the labels of a log to its records, as its `read` gives them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from pizzeria.inference.truth import Label, holding, latest, true_columns

if TYPE_CHECKING:
    import pandas as pd

LABEL_COLUMNS = ("received", "subject", "name", "said_at", "source", "truth")
"""A label as a log keeps it: when it came, what `name` is, when it was said, by whom, and what."""
_SAYS = "pred:"


def as_values(label: Label, received: str) -> tuple[str, ...]:
    """A label as values of `LABEL_COLUMNS`."""
    return received, label.by, label.name, label.at, label.source, label.truth


def as_label(subject: str, name: str, said_at: str, source: str, truth: str) -> Label:
    """The inverse of `as_values`, without the time at which it came.

    Example:
        >>> as_label("input_id", "a.jpg", "2026-05-01T12:00:00.000000+00:00", "", '{"class":"bed"}').key
        ('input_id', 'a.jpg')
    """
    return Label("input_id" if subject == "input_id" else "prediction_id", name, truth, said_at, source)


def with_truth(frame: pd.DataFrame, labels: Iterable[Label]) -> pd.DataFrame:
    """The frame with `true:<class>` of each class that its records tell of, or `true`, where a label says it.

    Columns come only with labels; in rows without one they have NaN.
    """
    current = latest(labels)
    if not current or not len(frame):
        return frame
    import pandas as pd

    found = [
        holding(current, prediction_id, input_id)
        for prediction_id, input_id in zip(frame["prediction_id"], frame["input_id"], strict=True)
    ]
    rows = [i for i, label in enumerate(found) if label is not None]
    if not rows:
        return frame
    # Records of two models may lie in one log: a label speaks of the classes that its own record has.
    classes = [name.removeprefix(_SAYS) for name in frame if name.startswith(_SAYS)]
    known = {name: frame[_SAYS + name].notna().to_numpy() for name in classes}
    told = []
    for i in rows:
        label = found[i]
        assert label is not None
        told.append(true_columns(label.says(), [name for name in classes if known[name][i]]))
    truth = pd.DataFrame(told, index=rows).reindex(range(len(frame)))
    names = [f"true:{name}" for name in classes if f"true:{name}" in truth] + ["true"] * ("true" in truth)
    return pd.concat([frame.drop(columns=[name for name in names if name in frame]), truth[names]], axis="columns")
