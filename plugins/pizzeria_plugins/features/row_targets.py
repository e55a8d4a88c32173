"""Targets of rows, checked, and written piece by piece."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pizzeria.errors import DataError, nearest
from pizzeria.inference.rows import text
from pizzeria.spec.problem import Problem
from pizzeria_plugins.features import column_fit
from pizzeria_plugins.features.naming import listed
from pizzeria_plugins.features.row_pieces import ArrayFile, Pieces, numbers

if TYPE_CHECKING:
    import pyarrow as pa

_SHOWN = 6


def write_targets(pieces: Pieces, problem: Problem, train: NDArray[np.bool_], path: Path) -> dict[str, Any]:
    """Write int64 class indexes, or float32 values.

    Returns:
        What `preprocessing.json` says of the target.

    Raises:
        DataError: there is no such column, or a target is missing, infinite or none of the classes; names the rows.
    """
    name = str(problem.target)
    if name not in pieces.schema.names:
        raise DataError(f"problem.target: {name!r} is no column of the data", hint=nearest(name, pieces.schema.names))
    if problem.task == "tabular_regression":
        return _write_values(pieces, name, train, path)
    return _write_classes(pieces, name, list(problem.classes), path)


def _write_values(pieces: Pieces, name: str, train: NDArray[np.bool_], path: Path) -> dict[str, Any]:
    missing: list[int] = []
    infinite: list[int] = []
    seen = np.empty(int(train.sum()))
    filled = 0
    with ArrayFile(path, np.float32, (pieces.count,)) as file:
        for at, piece in pieces.read([name]):
            try:
                values = numbers(piece[name])
            except DataError as error:
                raise DataError(f"the target {name!r} holds no numbers: {error.message}") from None
            with np.errstate(over="ignore"):
                narrow = values.astype(np.float32)
            missing += (at + np.flatnonzero(np.isnan(values))).tolist()
            infinite += (at + np.flatnonzero(np.isinf(narrow))).tolist()
            kept = values[train[at : at + len(values)]]
            seen[filled : filled + len(kept)] = kept
            filled += len(kept)
            file.write(narrow)
    _refuse_missing(pieces, name, missing)
    if infinite:
        raise DataError(f"the target {name!r} is infinite in the rows {rows_named(pieces, infinite)}")
    return {"name": name, **column_fit.target_scale(seen)}


def _write_classes(pieces: Pieces, name: str, classes: list[str], path: Path) -> dict[str, Any]:
    codes = {known: i for i, known in enumerate(classes)}
    missing: list[int] = []
    odd: list[tuple[int, Any]] = []
    with ArrayFile(path, np.int64, (pieces.count,)) as file:
        for at, piece in pieces.read([name]):
            labels, of_row = _labels(piece[name])
            known = np.array([codes.get(str(v), codes.get(shown or "", -1)) for v, shown in labels], np.int64)
            absent = np.array([shown is None for _, shown in labels], bool)
            found = known[of_row]
            missing += (at + np.flatnonzero(absent[of_row])).tolist()
            wrong = np.flatnonzero((found < 0) & ~absent[of_row])
            odd += [(at + int(row), labels[int(of_row[row])][0]) for row in wrong]
            file.write(found)
    _refuse_missing(pieces, name, missing)
    if odd:
        keys = pieces.keys([row for row, _ in odd[:_SHOWN]])
        told = [f"{key} has {value!r}" for key, (_, value) in zip(keys, odd, strict=False)]
        raise DataError(
            f"targets that are none of the classes: {listed(told + [''] * (len(odd) - len(told)))}",
            hint=f"problem.classes has {', '.join(codes)}",
        )
    return {"name": name, "classes": classes}


def _labels(values: pa.Array) -> tuple[list[tuple[Any, str | None]], NDArray[np.int64]]:
    """Different targets as they are and as `text` writes them, and which of them each row has.

    `text` writes true and 3 where str writes True and 3.0: a spec may use either.
    """
    import pyarrow as pa

    if pa.types.is_null(values.type):
        return [(None, None)], np.zeros(len(values), np.int64)
    coded = values.dictionary_encode(null_encoding="encode")
    plain = coded.dictionary.to_pylist()
    return [(value, text(value)) for value in plain], np.asarray(coded.indices, np.int64)


def rows_named(pieces: Pieces, rows: list[int]) -> str:
    """The first of some rows by their `row_id`, and how many more there are."""
    keys = pieces.keys(rows[:_SHOWN])
    return listed(keys + [""] * (len(rows) - len(keys)))


def _refuse_missing(pieces: Pieces, name: str, missing: list[int]) -> None:
    if missing:
        raise DataError(
            f"the target {name!r} is missing in the rows {rows_named(pieces, missing)}", hint="leave them out"
        )
