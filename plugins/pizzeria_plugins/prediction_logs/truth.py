"""Joins the labels of a log to its records, as its `read` gives them."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from pizzeria.inference.truth import Label, holding, latest, true_columns

if TYPE_CHECKING:
    import pandas as pd

LABEL_COLUMNS = ("received", "subject", "name", "said_at", "source", "truth")
"""A label as a log keeps it: when it came, what `name` is, when it was said, by whom, and what."""
_SAYS = "pred:"
_LABELS = f"SELECT {', '.join(LABEL_COLUMNS[1:])} FROM labels"  # noqa: S608 - our own words, and values are parameters
_BETWEEN = f"{_LABELS} WHERE name BETWEEN ? AND ?"
_NAMED = f"{_LABELS} WHERE name IN (SELECT value FROM json_each(?))"  # noqa: S608 - our own words, and values are parameters


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


def needed(columns: Sequence[str] | None) -> tuple[str, ...] | None:
    """The columns that must be read of records so that these can be told; None for all.

    Example:
        >>> needed(["timestamp", "true:bed"])
        ('timestamp', 'true:bed', 'prediction_id', 'input_id', 'pred:bed')
    """
    if columns is None or not any(map(is_truth, columns)):
        return None if columns is None else tuple(columns)
    says = (_SAYS + name.removeprefix("true:") for name in columns if name.startswith("true:"))
    return tuple(dict.fromkeys((*columns, "prediction_id", "input_id", *says)))


def is_truth(column: object) -> bool:
    """Whether a column tells the truth about a prediction."""
    return column == "true" or str(column).startswith("true:")


def told(
    frames: Iterable[pd.DataFrame],
    columns: Sequence[str] | None,
    labels_of: Callable[[Names], Iterable[Label]] | None,
) -> Iterator[pd.DataFrame]:
    """Frames of records with the truth where it is known, piece by piece.

    Args:
        frames: With the columns that `needed` says.
        columns: That are asked for; all by default.
        labels_of: The labels of some predictions and inputs; None where there is no label at all.
    """
    there: dict[Any, Any] = {}
    for frame in frames:
        if labels_of is not None and (columns is None or any(map(is_truth, columns))):
            frame = with_truth(frame, labels_of(Names(frame["prediction_id"], frame["input_id"])))
        there = dict(frame.dtypes) | there
        names = list(there) if columns is None else [name for name in dict.fromkeys(columns) if name in there]
        frame = frame.reindex(columns=names)
        for column, kind in frame.dtypes.items():
            before = there[column]
            if kind != before and before.kind not in "iub" and frame[column].isna().all():
                frame[column] = frame[column].astype(before)  # who joins pieces gets no mixture
        yield frame


class Names(NamedTuple):
    """By what the labels of some records may be known."""

    prediction_ids: pd.Series[Any]
    input_ids: pd.Series[Any]


def labels_among(connection: sqlite3.Connection, names: Names) -> Iterator[Label]:
    """The labels of some records, from a table `labels` with the columns `LABEL_COLUMNS` and an index of names.

    Prediction ids sort by the time of their making, so that those of a piece lie together: where there are not many
    labels between the first and the last of them, all of those are given, which is much faster than to look for each.
    """
    own = list(names.prediction_ids.dropna())
    ends = (min(own), max(own)) if own else ("", "")
    many = "SELECT count(*) FROM (SELECT 1 FROM labels WHERE name BETWEEN ? AND ? LIMIT ?)"
    if connection.execute(many, (*ends, 2 * len(own) + 1)).fetchone()[0] <= 2 * len(own):
        rows = connection.execute(_BETWEEN, ends).fetchall()
    else:
        rows = connection.execute(_NAMED, (json.dumps(own),)).fetchall()
    if connection.execute("SELECT 1 FROM labels WHERE subject = 'input_id' LIMIT 1").fetchone() is not None:
        inputs = [name for name in names.input_ids.dropna().unique() if name]
        rows += connection.execute(_NAMED, (json.dumps(inputs),)).fetchall()
    for values in rows:
        yield as_label(*values)


def times_of_inputs(frames: Iterable[pd.DataFrame], names: Collection[str]) -> list[datetime]:
    """`timestamp` of each record whose `input_id` is among the names; the frames are not looked at where there is none.

    A log has no index of inputs: their names are in the clients' hands, and may be long.
    """
    if not names:
        return []
    wanted = set(names)
    return [time for frame in frames for time in frame.loc[[name in wanted for name in frame["input_id"]], "timestamp"]]


def with_truth(frame: pd.DataFrame, labels: Iterable[Label]) -> pd.DataFrame:
    """The frame with `true:<class>` of each class that its records tell of, or `true`, where a label says it.

    Columns come only with labels; in rows without one they have NaN.
    """
    current = latest(labels)
    if not current or not len(frame):
        return frame
    import pandas as pd

    names = {by: [name for kind, name in current if kind == by] for by in ("prediction_id", "input_id")}
    likely = frame["prediction_id"].isin(names["prediction_id"]) | frame["input_id"].isin(names["input_id"])
    places = np.flatnonzero(likely.to_numpy())
    own = zip(
        places.tolist(), *(frame[name].iloc[places].tolist() for name in ("prediction_id", "input_id")), strict=True
    )
    found = {i: holding(current, prediction, sent) for i, prediction, sent in own}
    rows = [i for i, label in found.items() if label is not None]
    if not rows:
        return frame
    # Records of two models may lie in one log: a label speaks of the classes that its own record has.
    classes = [str(name).removeprefix(_SAYS) for name in frame if str(name).startswith(_SAYS)]
    known = {name: frame[_SAYS + name].notna().to_numpy() for name in classes}
    told = []
    for i in rows:
        label = found[i]
        assert label is not None
        told.append(true_columns(label.says(), [name for name in classes if known[name][i]]))
    truth = pd.DataFrame(told, index=rows).reindex(range(len(frame)))
    columns = [f"true:{name}" for name in classes if f"true:{name}" in truth] + ["true"] * ("true" in truth)
    return pd.concat([frame.drop(columns=[name for name in columns if name in frame]), truth[columns]], axis="columns")
