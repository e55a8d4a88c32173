"""Columns of a table standardised and encoded with what the training split shows, and nothing else.

The transform itself is that of serving: `pizzeria.inference.rows`.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from pizzeria.contracts import Progress
from pizzeria.errors import DataError, RequestError, nearest
from pizzeria.inference.rows import encode_columns, text
from pizzeria.spec.problem import Problem
from pizzeria.spec.section import Options as _Options
from pizzeria.tables import Tables
from pizzeria_plugins.features.naming import listed, splits_of

if TYPE_CHECKING:
    import pandas as pd

TASKS = frozenset({"tabular_classification", "tabular_regression"})
_KEY = "row_id"


class Options(_Options):
    """Options of the `columns` features.

    A column that is named nowhere is numeric when it holds numbers or booleans, left out when it holds times, and
    categorical otherwise.
    """

    numeric: tuple[str, ...] | None = Field(
        default=None,
        description="Numeric columns; without it by type. Times that are named count as Unix seconds.",
    )
    categorical: tuple[str, ...] | None = Field(default=None, description="Categorical columns; without it by type.")
    drop: tuple[str, ...] = Field(default=(), description="Columns that the model must not see.")
    max_values: int = Field(
        default=1000, gt=0, description="A category's most frequent values that are kept; others count as unseen."
    )


def build(
    options: Options,
    problem: Problem,
    tables: Tables,
    splits: pd.Series[str],
    image_size: int | None,
    folder: Path,
    progress: Progress,
) -> None:
    """Write what `pizzeria.datasets.open_dataset` opens as a `RowSet`.

    Args:
        options: See `Options`.
        problem: Its target, and for classification its classes.
        tables: `rows`.
        splits: By row_id: train, validation or test.
        image_size: Of no use here.
        folder: Where to write; exists.
        progress: Told of each column.

    Raises:
        DataError: a column is not there or has nothing to learn from, or a target is missing, infinite or none of the
            classes; names the rows.
    """
    import pandas as pd

    table = tables.rows
    if table is None or table.empty:
        raise DataError("there are no rows to make features of", hint="use a source that brings a rows table")
    split = splits_of(table[_KEY], splits)
    train = np.array(split) == "train"
    if not train.any():
        raise DataError("no row is in the training split", hint="make data.split.validation and test smaller")
    targets, target = _target(table, problem, train)
    numeric, categorical = _choose(table, options, problem)
    columns: dict[str, Any] = {name: _numbers(table[name]) for name in numeric}
    columns |= {name: _categories(table[name]) for name in categorical}
    preprocessing: dict[str, Any] = {"kind": "columns", "numeric": [], "categorical": [], "target": target}
    for name in progress.track([*numeric, *categorical], "columns"):
        if name in numeric:
            time = {"time": True} if _holds_times(table[name]) else {}
            fitted = _fit_numbers(name, table, columns[name], train)
            preprocessing["numeric"].append({"name": name, **time, **fitted})
        else:
            preprocessing["categorical"].append(
                {"name": name, **_fit_categories(columns[name], train, options.max_values)}
            )
    try:
        encoded = encode_columns(columns, preprocessing)
    except RequestError as error:
        raise DataError(f"a number is out of reach: {error.message}", hint="drop the column, or mend the row") from None
    np.save(folder / "numeric.npy", encoded[0])
    np.save(folder / "categorical.npy", encoded[1])
    np.save(folder / "targets.npy", targets)
    index = pd.DataFrame({_KEY: table[_KEY].astype(str).tolist(), "split": split})
    index.to_parquet(folder / "index.parquet", index=False)
    (folder / "preprocessing.json").write_text(json.dumps(preprocessing, indent=2, allow_nan=False))


def _choose(table: pd.DataFrame, options: Options, problem: Problem) -> tuple[list[str], list[str]]:
    """Names of the numeric and of the categorical columns, in the table's order."""
    from pandas.api.types import is_bool_dtype, is_numeric_dtype, is_timedelta64_dtype

    there = [str(name) for name in table.columns if name not in (_KEY, problem.target)]
    named = {"numeric": options.numeric or (), "categorical": options.categorical or (), "drop": options.drop}
    for option, names in named.items():
        for name in names:
            if name not in there:
                message = "is the target" if name == problem.target else "is no column of the data"
                raise DataError(f"features.{option}: {name!r} {message}", hint=nearest(name, there))
    claimed = [name for names in named.values() for name in names]
    twice = sorted({name for name in claimed if claimed.count(name) > 1})
    if twice:
        raise DataError(
            f"features: {', '.join(twice)} named twice", hint="numeric, categorical and drop exclude each other"
        )
    numeric, categorical = list(named["numeric"]), list(named["categorical"])
    for name in categorical:
        if _holds_times(table[name]):
            raise DataError(f"features.categorical: {name!r} holds times", hint="name it under numeric, or drop it")
    for name in (name for name in there if name not in claimed):
        kind = table[name].dtype
        if is_timedelta64_dtype(kind) or _holds_times(table[name]):
            continue
        if is_numeric_dtype(kind) or is_bool_dtype(kind):
            numeric += [name] if options.numeric is None else []
        else:
            categorical += [name] if options.categorical is None else []
    if not numeric and not categorical:
        raise DataError("no column is left to learn from", hint=f"the data have {', '.join(there) or 'none'}")
    return sorted(numeric, key=there.index), sorted(categorical, key=there.index)


def _holds_times(column: pd.Series[Any]) -> bool:
    from pandas.api.types import is_datetime64_any_dtype

    return bool(is_datetime64_any_dtype(column.dtype))


def _numbers(column: pd.Series[Any]) -> NDArray[np.float64]:
    """float64 [N], NaN where missing."""
    import pandas as pd

    if _holds_times(column):
        utc = pd.to_datetime(column, utc=True)
        return np.asarray((utc - pd.Timestamp(0, tz="UTC")) / pd.Timedelta(seconds=1), np.float64)
    try:
        return np.asarray(column.astype(object).where(column.notna(), np.nan), np.float64)
    except (TypeError, ValueError) as error:
        raise DataError(
            f"features.numeric: {column.name!r} holds no numbers: {error}", hint="name it categorical"
        ) from None


def _categories(column: pd.Series[Any]) -> list[str | None]:
    return [text(value) for value in column.astype(object).where(column.notna(), None).tolist()]


def _fit_numbers(
    name: str, table: pd.DataFrame, values: NDArray[np.float64], train: NDArray[np.bool_]
) -> dict[str, float]:
    infinite = np.flatnonzero(np.isinf(values))
    if len(infinite):
        rows = listed(table[_KEY].iloc[infinite].tolist())
        raise DataError(f"column {name!r} is infinite in the rows {rows}", hint="mend them, or drop the column")
    seen = values[train]
    known = seen[~np.isnan(seen)]
    if not len(known):
        raise DataError(f"column {name!r} has no value in the training split", hint=f"features.drop: [{name}]")
    median = float(np.median(known))
    filled = np.where(np.isnan(seen), median, seen)
    deviation = float(filled.std())
    # A constant column stays constant: it is moved to 0 and not blown up.
    return {"median": median, "mean": float(filled.mean()), "std": deviation if deviation > 0 else 1.0}


def _fit_categories(values: list[str | None], train: NDArray[np.bool_], most: int) -> dict[str, Any]:
    """The training split's values, sorted, so that the order of rows does not matter; and the most frequent one."""
    from collections import Counter

    counts = Counter(value for value, seen in zip(values, train, strict=True) if seen and value is not None)
    kept = sorted(counts, key=lambda value: (-counts[value], value))[:most]
    return {"values": sorted(kept), "mode": kept[0] if kept else None}


def _target(table: pd.DataFrame, problem: Problem, train: NDArray[np.bool_]) -> tuple[NDArray[Any], dict[str, Any]]:
    """Targets (int64 class index, or float32 value), and what `preprocessing.json` says of them."""
    name = str(problem.target)
    if name not in table.columns:
        raise DataError(f"problem.target: {name!r} is no column of the data", hint=nearest(name, table.columns))
    column = table[name]
    missing = table[_KEY][column.isna()]
    if len(missing):
        raise DataError(f"the target {name!r} is missing in the rows {listed(missing.tolist())}", hint="leave them out")
    if problem.task == "tabular_regression":
        values = _numbers(column)
        infinite = table[_KEY][~np.isfinite(values.astype(np.float32))]
        if len(infinite):
            raise DataError(f"the target {name!r} is infinite in the rows {listed(infinite.tolist())}")
        seen = values[train]
        deviation = float(seen.std())
        return values.astype(np.float32), {"name": name, "mean": float(seen.mean()), "std": deviation or 1.0}
    # `text` writes true and 3 where str writes True and 3.0: a spec may use either.
    codes = {known: i for i, known in enumerate(problem.classes)}
    seen_names = column.astype(object).tolist()
    targets = [codes.get(str(value), codes.get(text(value) or "", -1)) for value in seen_names]
    odd = [
        f"{key} has {value!r}" for key, value, code in zip(table[_KEY], seen_names, targets, strict=True) if code < 0
    ]
    if odd:
        raise DataError(
            f"targets that are none of the classes: {listed(odd)}", hint=f"problem.classes has {', '.join(codes)}"
        )
    return np.array(targets, np.int64), {"name": name, "classes": list(problem.classes)}
