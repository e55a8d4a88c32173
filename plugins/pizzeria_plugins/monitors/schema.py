"""Which columns are compared, fitted on the reference, and any chunk read as numbers: fast, and alike for all.

A distance knows no names, so a category is its number: 0 for the first that the reference has, and so on; those that it
never had count on from there, chunk by chunk. Missing is NaN.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from pizzeria.spec.problem import Problem
from pizzeria_plugins.monitors import embeddings

if TYPE_CHECKING:
    import pandas as pd

    from pizzeria_plugins.monitors.embeddings import Projection

FREE = 50
"""Different values that a category may have, however few rows there are."""
NUMBERS = frozenset({"integer", "floating", "mixed-integer-float", "decimal"})
Values = NDArray[np.float64]


@dataclass(frozen=True)
class Column:
    """One column under the name that a reader sees.

    Attributes:
        name: `brightness`, `price`, `probability of bed`, `prediction`.
        source: Its name in the records.
        kind: `number`; `category`; `length`: a free text, by its characters; `constant`: a number that never changes in
            the reference, so that any other is another category; `embedding`: a number made of the embedding.
        output: Whether the model says it.
        known: Categories, in order of their numbers.
        constant: Of a constant, its value.
    """

    name: str
    source: str
    kind: Literal["number", "category", "length", "constant", "embedding"]
    output: bool = False
    known: tuple[str, ...] = ()
    constant: float = 0.0

    @property
    def categorical(self) -> bool:
        return self.kind in ("category", "constant")


@dataclass(frozen=True)
class Read:
    """Rows as numbers.

    Attributes:
        rows: N.
        values: [N] of each column that could be read.
        fresh: By category, texts that the reference never had, in order of their numbers.
        surplus: Columns that only these records have.
    """

    rows: int
    values: Mapping[str, Values]
    fresh: Mapping[str, tuple[str, ...]]
    surplus: tuple[str, ...] = ()


@dataclass
class Schema:
    """What the reference says of columns.

    Attributes:
        columns: Those that are compared.
        projection: Of embeddings; None where the records have none.
        undecided: What cannot be compared, and why.
        skipped: Record columns that are not compared: dates, and what is empty in the reference.
    """

    columns: tuple[Column, ...]
    projection: Projection | None
    undecided: tuple[str, ...]
    skipped: frozenset[str] = frozenset()
    _last: tuple[Any, Read] | None = field(default=None, repr=False, compare=False)

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_last": None}

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(column.name for column in self.columns)

    @property
    def inputs(self) -> tuple[Column, ...]:
        return tuple(column for column in self.columns if not column.output)

    def wants(self, column: str) -> bool:
        """Whether this column of the records is read, or its being there is worth a word."""
        return column.startswith("feature:") or any(column == known.source for known in self.columns)

    def read(self, frame: pd.DataFrame) -> Read:
        """Records as numbers; what does not read as one is missing. The same frame is read once.

        Args:
            frame: [N] records, of any types.
        """
        if self._last is not None and self._last[0] is frame:
            return self._last[1]
        values: dict[str, Values] = {}
        fresh: dict[str, tuple[str, ...]] = {}
        for column in self.columns:
            if column.source not in frame or column.kind == "embedding":
                continue
            if column.kind == "category":
                values[column.name], fresh[column.name] = _codes(frame[column.source], column.known)
            elif column.kind == "length":
                values[column.name] = _lengths(frame[column.source])
            else:
                numbers = as_numbers(frame[column.source])
                values[column.name] = _other(numbers, column.constant) if column.kind == "constant" else numbers
        if self.projection is not None and embeddings.COLUMN in frame:
            values |= self.projection.values(frame)
        known = {column.source for column in self.columns} | self.skipped
        surplus = tuple(str(c).removeprefix("feature:") for c in _features(frame) if c not in known)
        read = Read(len(frame), values, fresh, surplus)
        self._last = (frame, read)
        return read


def fit(reference: pd.DataFrame, problem: Problem) -> tuple[Schema, Read]:
    """Pick `feature:*`, the embedding, `p:*` and `pred`, and say what each is; also the reference as numbers.

    Args:
        reference: [M] records.
    """
    import pandas as pd

    outputs = output_columns(problem)
    columns: list[Column] = []
    undecided: list[str] = []
    skipped: list[str] = []
    for source in map(str, reference):
        is_input = source.startswith("feature:")
        if not is_input and source not in outputs:
            continue
        name = source.removeprefix("feature:") if is_input else outputs[source]
        name = source if any(column.name == name for column in columns) else name
        series = reference[source]
        if pd.api.types.is_datetime64_any_dtype(series.dtype):
            skipped.append(source)  # time goes on, and a new date is no drift
        elif not series.notna().any():
            skipped.append(source)
            undecided.append(f"{name} is empty in the reference, so its drift is unknown")
        elif pd.api.types.infer_dtype(series, skipna=True) in NUMBERS:
            numbers = as_numbers(series)
            different = np.unique(numbers[~np.isnan(numbers)])
            if len(different) == 1:
                # NannyML makes one bin, one wide, of a constant, and takes most that follows for the same.
                constant = float(different[0])
                columns.append(Column(name, source, "constant", not is_input, (f"{constant:g}",), constant))
            else:
                columns.append(Column(name, source, "number", not is_input))
        elif _free_text(series):
            columns.append(Column(name, source, "length", not is_input))
        else:
            known = tuple(sorted(_texts(series)))
            columns.append(Column(name, source, "category", not is_input, known))
    projection, projected = embeddings.fit(reference)
    columns += [Column(name, embeddings.COLUMN, "embedding") for name in projected]
    schema = Schema(tuple(columns), projection, tuple(undecided), frozenset(skipped))
    read = Schema(tuple(columns), None, ()).read(reference)
    return schema, Read(read.rows, {**read.values, **projected}, read.fresh)


def output_columns(problem: Problem) -> dict[str, str]:
    """Record column of each output, with the name that a reader sees."""
    probabilities = {f"p:{name}": f"probability of {name}" for name in problem.classes}
    if problem.task == "tabular_classification" and len(problem.classes) == 2:
        del probabilities[f"p:{problem.classes[0]}"]  # It is one minus the other, and would count twice.
    return probabilities | {"pred": "prediction"}


def as_numbers(column: pd.Series[Any]) -> Values:
    """[N] float64; NaN for what is missing, infinite, or no number.

    Example:
        >>> import pandas as pd
        >>> as_numbers(pd.Series([1, "2.5", "many", None, float("inf")], dtype=object))
        array([1. , 2.5, nan, nan, nan])
    """
    import pandas as pd

    if column.dtype == object:
        column = column.where(column.map(np.isscalar), None)  # pandas refuses lists, whatever it is told
    numbers = pd.to_numeric(column, errors="coerce").to_numpy(dtype="float64", na_value=np.nan)
    return np.where(np.isfinite(numbers), numbers, np.nan)


def _codes(column: pd.Series[Any], known: Sequence[str]) -> tuple[Values, tuple[str, ...]]:
    """[N] numbers of categories, NaN where missing, and the texts of those that `known` lacks."""
    texts, places = _distinct(column)
    numbers = {text: i for i, text in enumerate(known)}
    for text in texts:
        numbers.setdefault(text, len(numbers))
    table = np.array([*(numbers[text] for text in texts), np.nan], np.float64)
    return table[places], tuple(list(numbers)[len(known) :])


def _distinct(column: pd.Series[Any]) -> tuple[list[str], NDArray[np.intp]]:
    """Different values as text, and [N] the place of each row's among them, -1 where it is missing."""
    import pandas as pd

    try:
        places, different = pd.factorize(column)
    except TypeError:  # a list, which a client sent
        places, different = pd.factorize(column.map(str, na_action="ignore"))
    return [str(value) for value in different], places


def _texts(column: pd.Series[Any]) -> set[str]:
    return set(_distinct(column)[0])


def _lengths(column: pd.Series[Any]) -> Values:
    """[N] characters, by which free texts are compared; NaN where there is none."""
    texts, places = _distinct(column)
    return np.array([*map(len, texts), np.nan], np.float64)[places]


def _free_text(column: pd.Series[Any]) -> bool:
    """Whether hardly two rows say the same, so that each new text is one never seen, and means nothing by that."""
    return len(_texts(column)) > max(FREE, column.count() / 2)


def _other(numbers: Values, constant: float) -> Values:
    """[N] 0 where the constant still stands, 1 where it does not, NaN where there is nothing."""
    return np.where(np.isnan(numbers), np.nan, (~np.isclose(numbers, constant)).astype(np.float64))


def _features(frame: pd.DataFrame) -> list[str]:
    return [str(column) for column in frame if str(column).startswith("feature:")]
