"""Columns of a table scaled and encoded with what the training split shows, and nothing else.

The transform itself is that of serving: `pizzeria.inference.rows`. The table is read in pieces, once for the targets,
once for each column that is fitted, and once to encode it, so that memory holds a piece and one column at most.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, field_validator

from pizzeria.contracts import Progress
from pizzeria.datasets import SPLITS
from pizzeria.errors import DataError, require_known
from pizzeria.inference.column_inputs import (
    TEXT_PARTS,
    YEAR_1,
    YEAR_9999,
    category_codes,
    column_names,
    columns_of,
    date_inputs,
    layout,
    number_inputs,
    text_inputs,
    text_statistics,
)
from pizzeria.inference.rows import bounds
from pizzeria.spec.problem import Problem
from pizzeria.spec.section import Options as _Options
from pizzeria.tables import Tables
from pizzeria_plugins.features import column_fit, row_pieces
from pizzeria_plugins.features.column_choice import Chosen, choose
from pizzeria_plugins.features.row_pieces import ArrayFile, Pieces
from pizzeria_plugins.features.row_targets import rows_named, write_targets
from pizzeria_plugins.features.splits_in_order import write_index
from pizzeria_plugins.features.value_counts import ValueCounts

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

TASKS = frozenset({"tabular_classification", "tabular_regression"})
GIVES = "columns"
Part = Literal["trend", "month", "weekday", "hour", "month_category", "weekday_category", "hour_category"]


class Options(_Options):
    """Options of the `columns` features.

    A column that is named nowhere is numeric when it holds numbers or booleans, left out when it holds times, and
    categorical otherwise. What is left out is said.
    """

    numeric: tuple[str, ...] | None = Field(
        default=None,
        description="Numeric columns; without it by type. Times that are named count as Unix seconds.",
    )
    categorical: tuple[str, ...] | None = Field(default=None, description="Categorical columns; without it by type.")
    dates: tuple[str, ...] = Field(default=(), description="Columns of times, of which `date_parts` go in.")
    text: tuple[str, ...] = Field(
        default=(), description="Columns of free text, of which characters, words and kinds of characters are counted."
    )
    drop: tuple[str, ...] = Field(default=(), description="Columns that the model must not see.")
    scaling: Literal["standard", "robust", "quantile", "min_max"] = Field(
        default="standard",
        description="Numbers by mean and deviation, by median and quartiles, by their rank, or from 0 to 1.",
    )
    clip: tuple[float, float] | None = Field(
        default=None, description="Shares of the training rows, such as [0.001, 0.999], beyond which numbers are cut."
    )
    log: Literal["off", "auto"] = Field(
        default="off", description="auto: the logarithm of 1 + x for columns that are skewed and never below 0."
    )
    missing_indicator: bool = Field(
        default=True,
        description="Tell the model which values were missing, for columns that have some in the training split.",
    )
    max_values: int = Field(
        default=1000, gt=0, description="A category's most frequent values that are kept; others count as unseen."
    )
    min_count: int = Field(
        default=1, gt=0, description="Values that fewer training rows have are rare: they share one code."
    )
    min_share: float = Field(
        default=0, ge=0, lt=1, description="The same as a share of the training rows; the stricter one holds."
    )
    date_parts: tuple[Part, ...] = Field(
        default=("month", "weekday", "hour"),
        min_length=1,
        description="What goes in of dates, in UTC: month, weekday and hour as circles, or as categories; the trend.",
    )

    fitted: Path | None = Field(
        default=None,
        description="A preprocessing.json of an earlier features stage: its columns, scales and codes are kept as they "
        "are, and nothing is fitted; values that it does not know stay unknown. For training.start.",
    )

    @field_validator("clip")
    @classmethod
    def _in_order(cls, clip: tuple[float, float] | None) -> tuple[float, float] | None:
        if clip is not None and not 0 <= clip[0] < clip[1] <= 1:
            raise ValueError(f"{clip[0]:g} and {clip[1]:g} are no two shares from 0 to 1 in order")
        return clip

    @field_validator("date_parts")
    @classmethod
    def _once(cls, parts: tuple[Part, ...]) -> tuple[Part, ...]:
        if len(set(parts)) < len(parts):
            raise ValueError("a part is named twice")
        return parts


def build(
    options: Options,
    problem: Problem,
    tables: Tables,
    splits: pd.Series[str],
    model: Mapping[str, Any],
    folder: Path,
    progress: Progress,
) -> None:
    """Write what `pizzeria.datasets.open_dataset` opens as a `RowSet`.

    Args:
        options: See `Options`.
        problem: Its target, and for classification its classes.
        tables: `rows`.
        splits: By row_id: train, validation or test.
        model: Of no use here.
        folder: Where to write; exists.
        progress: Told of each column.

    Raises:
        DataError: a column is not there or has nothing to learn from, or a target is missing, infinite or none of the
            classes; names the rows.
    """
    pieces = Pieces(tables)
    train = write_index(pieces, splits, folder / "index.parquet") == SPLITS.index("train")
    if not train.any():
        raise DataError("no row is in the training split", hint="make data.split.validation and test smaller")
    target = write_targets(pieces, problem, train, folder / "targets.npy")
    if options.fitted is not None:
        preprocessing = _fitted(options.fitted, pieces, target)
    else:
        chosen = choose(pieces.schema, options, str(problem.target))
        if chosen.left_out:
            progress.say(f"left out: {', '.join(chosen.left_out)}; features.dates takes times")
        preprocessing = _fit(pieces, chosen, options, train, folder, progress) | {"target": target}
    _encode(pieces, preprocessing, folder, progress)
    (folder / "preprocessing.json").write_text(json.dumps(preprocessing, indent=2, allow_nan=False))


def files(options: Options) -> Sequence[Path]:
    """What an earlier stage has fitted, where it is kept."""
    return [] if options.fitted is None else [options.fitted]


def _fitted(file: Path, pieces: Pieces, target: Mapping[str, Any]) -> dict[str, Any]:
    """What was fitted before.

    Raises:
        DataError: it cannot be read, or is of other columns, or of another target or other classes.
    """
    try:
        found: dict[str, Any] = json.loads(file.read_text())
        names = column_names(found)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(
            f"features.fitted: {file} cannot be read: {error}", hint="name a preprocessing.json of a features stage"
        ) from None
    require_known(names, pieces.schema.names, what="column", where=f"the data, which {file} was fitted on")
    before = found.get("target", {})
    if [before.get(key) for key in ("name", "classes")] != [target.get(key) for key in ("name", "classes")]:
        raise DataError(
            f"features.fitted: {file} is of another target or of other classes",
            hint="take features.fitted out, and fit anew",
        )
    return found


def _fit(
    pieces: Pieces, chosen: Chosen, options: Options, train: NDArray[np.bool_], folder: Path, progress: Progress
) -> dict[str, Any]:
    found: dict[str, Any] = {"kind": "columns", "numeric": [], "categorical": []}
    for name in progress.track(chosen.names, "columns"):
        if name in chosen.numeric:
            time = {"time": True} if row_pieces.is_time(pieces.schema.field(name).type) else {}
            values = _seen_numbers(pieces, name, train, (-np.inf, np.inf))
            found["numeric"].append({"name": name, **time, **column_fit.fit_numbers(name, values, options)})
        elif name in chosen.categorical:
            found["categorical"].append({"name": name, **_fit_categories(pieces, name, train, options, folder)})
        elif name in chosen.dates:
            values = _seen_numbers(pieces, name, train, (YEAR_1, YEAR_9999))
            found.setdefault("dates", []).append({"name": name, **column_fit.fit_dates(name, values, options)})
        else:
            statistics = _seen_texts(pieces, name, train)
            found.setdefault("texts", []).append({"name": name, **column_fit.fit_texts(name, statistics, options)})
    return found


def _seen_numbers(
    pieces: Pieces, name: str, train: NDArray[np.bool_], reach: tuple[float, float]
) -> NDArray[np.float64]:
    """The training split's values; all are looked at."""
    seen = np.empty(int(train.sum()))
    filled = 0
    odd: list[int] = []
    for at, piece in pieces.read([name]):
        values = _numbers(name, piece[name])
        odd += (at + np.flatnonzero(np.isinf(values) | (values < reach[0]) | (values > reach[1]))).tolist()
        kept = values[train[at : at + len(values)]]
        seen[filled : filled + len(kept)] = kept
        filled += len(kept)
    if odd:
        fault = "is infinite" if np.isinf(reach).any() else "is not between the years 1 and 9999"
        raise DataError(
            f"column {name!r} {fault} in the rows {rows_named(pieces, odd)}", hint="mend them, or drop the column"
        )
    return seen


def _seen_texts(pieces: Pieces, name: str, train: NDArray[np.bool_]) -> NDArray[np.float32]:
    """float32 [parts, training rows]."""
    seen = np.empty((len(TEXT_PARTS), int(train.sum())), np.float32)
    filled = 0
    for at, piece in pieces.read([name]):
        here = train[at : at + len(piece[name])]
        statistics = text_statistics(row_pieces.texts(piece[name].filter(here)))
        count = int(here.sum())
        for i, part in enumerate(TEXT_PARTS):
            seen[i, filled : filled + count] = statistics[part]
        filled += count
    return seen


def _fit_categories(
    pieces: Pieces, name: str, train: NDArray[np.bool_], options: Options, folder: Path
) -> dict[str, Any]:
    missing = 0
    with ValueCounts(folder) as counts:
        for at, piece in pieces.read([name]):
            values, of_row = row_pieces.distinct(piece[name])
            number = np.bincount(of_row[train[at : at + len(of_row)]], minlength=len(values)).tolist()
            there: dict[str, int] = {}
            for value, count in zip(values, number, strict=True):
                if value is None:
                    missing += count
                elif count:
                    there[value] = there.get(value, 0) + count
            counts.add(there)
        return column_fit.fit_categories(counts.top(options.max_values), int(train.sum()), missing, options)


def _encode(pieces: Pieces, preprocessing: dict[str, Any], folder: Path, progress: Progress) -> None:
    """Write `numeric.npy` and `categorical.npy`."""
    made, columns = layout(preprocessing), [*columns_of(preprocessing)]
    numbers = ArrayFile(folder / "numeric.npy", np.float32, (pieces.count, len(made.numeric)))
    codes = ArrayFile(folder / "categorical.npy", np.int64, (pieces.count, len(made.categorical)))
    with numbers, codes:
        for at, piece in pieces.read(made.names):
            count = len(piece[made.names[0]])
            encoded = [_encode_column(pieces, kind, column, at, piece[column["name"]]) for kind, column in columns]
            numbers.write(np.concatenate([np.empty((count, 0)), *(part for part, _ in encoded)], axis=1))
            codes.write(np.concatenate([np.empty((count, 0), np.int64), *(part for _, part in encoded)], axis=1))
            progress.update("rows", at + count, pieces.count)


def _encode_column(
    pieces: Pieces, kind: str, column: Mapping[str, Any], at: int, values: pa.Array
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """What `pizzeria.inference.rows.encode_columns` makes of one column, as numbers and as codes."""
    name = column["name"]
    no_numbers, no_codes = np.empty((len(values), 0)), np.empty((len(values), 0), np.int64)
    if kind == "numeric":
        found = row_pieces.numbers(values)
        low, high = bounds(column)
        out = np.flatnonzero((found < low) | (found > high))
        if len(out):
            rows = rows_named(pieces, (at + out).tolist())
            raise DataError(
                f"column {name!r} is out of reach in the rows {rows}: a number is not from {low:g} to {high:g}",
                hint="set features.clip, mend the rows, or drop the column",
            )
        return number_inputs(column, found), no_codes
    if kind == "categorical":
        known, of_row = row_pieces.distinct(values)
        return no_numbers, category_codes(column, known)[of_row][:, None]
    if kind == "dates":
        return date_inputs(column, row_pieces.numbers(values))
    return text_inputs(column, row_pieces.texts(values)), no_codes


def _numbers(name: str, values: pa.Array) -> NDArray[np.float64]:
    try:
        return row_pieces.numbers(values)
    except DataError as error:
        raise DataError(
            f"column {name!r} holds no numbers: {error.message}", hint=f"features.categorical: [{name}]"
        ) from None
