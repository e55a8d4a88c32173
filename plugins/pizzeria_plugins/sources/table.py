"""Source `table`: a CSV or Parquet file, read by DuckDB."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import Field

from pizzeria.contracts import Progress
from pizzeria.errors import DataError
from pizzeria.spec.problem import Problem
from pizzeria.spec.section import Options as PluginOptions
from pizzeria.tables import Tables
from pizzeria_plugins.sources.class_names import require_known

if TYPE_CHECKING:
    import pandas as pd

TASKS = frozenset({"tabular_classification", "tabular_regression"})

_READERS = {
    # All rows are looked at before a column's type is settled, so that the same file always gives the same types.
    ".csv": "read_csv(?, header = true, sample_size = -1)",
    ".tsv": "read_csv(?, header = true, sample_size = -1, delim = '\t')",
    ".parquet": "read_parquet(?)",
}


class Options(PluginOptions):
    """Options of the source `table`."""

    path: Path = Field(description="A .csv (also .csv.gz), .tsv or .parquet file.")
    columns: tuple[str, ...] | None = Field(
        default=None, description="Columns to keep, target included; without it all of them."
    )
    row_id: str | None = Field(
        default=None, description="Column that names each row; without it rows are numbered from 0 in file order."
    )
    limit: int | None = Field(default=None, ge=1, description="Only the first so many rows.")


def inputs(options: Options) -> Sequence[Path]:
    """The file."""
    return (options.path,)


def collect(options: Options, problem: Problem, folder: Path, progress: Progress) -> Tables:
    """Read the file, in its own row order.

    The target of a classification comes as text (`1`, `true`, `late`), as `problem.classes` has it.

    Raises:
        DataError: the file is not there or malformed, or lacks a column that the spec names.
    """
    rows = _read(options, problem)
    if rows.empty:
        raise DataError(f"{options.path} has no rows", hint="a table needs a header and at least one row")
    rows = _with_row_id(rows, options)
    if problem.task == "tabular_classification":
        rows[problem.target] = [_text(value) for value in rows[problem.target]]
    progress.say(f"{len(rows)} rows, {len(rows.columns) - 1} columns from {options.path}")
    return Tables(rows=rows)


def _read(options: Options, problem: Problem) -> pd.DataFrame:
    import duckdb

    path = options.path
    suffix = "".join(path.suffixes[-2:]).lower().removesuffix(".gz") if path.suffix == ".gz" else path.suffix.lower()
    if suffix not in _READERS:
        raise DataError(f"{path} is not a table that can be read", hint=f"use one of {', '.join(_READERS)}")
    if not path.is_file():
        raise DataError(f"{path} is not a file", hint="set data.path to the table's file")
    source = _READERS[suffix]
    # DuckDB reads a path as a glob pattern, and would fetch extensions over the network where it lacks one.
    pattern = re.sub(r"[\[*?]", r"[\g<0>]", str(path))
    settings: dict[str, str | bool | int | float | list[str]] = {
        "autoinstall_known_extensions": "false",
        "autoload_known_extensions": "false",
    }
    with duckdb.connect(config=settings) as connection:
        try:
            found = connection.execute(f"DESCRIBE SELECT * FROM {source}", [pattern]).fetchall()  # noqa: S608
            names = [str(row[0]) for row in found]
            keep = _columns(options, problem, names)
            select = ", ".join('"' + name.replace('"', '""') + '"' for name in keep)
            query = f"SELECT {select} FROM {source} LIMIT ?"  # noqa: S608
            return connection.execute(query, [pattern, options.limit]).df()
        except duckdb.Error as error:
            raise DataError(f"{path} cannot be read: {str(error).splitlines()[0]}") from error


def _columns(options: Options, problem: Problem, found: list[str]) -> list[str]:
    assert problem.target is not None
    named = [*(options.columns or ()), problem.target, *([options.row_id] if options.row_id else [])]
    require_known(named, found, kind="column", where=str(options.path))
    if options.columns is None:
        return found
    if problem.target not in options.columns:
        raise DataError(f"data.columns leaves out the target {problem.target!r}", hint="add it to the list")
    return [name for name in found if name in named]


def _with_row_id(rows: pd.DataFrame, options: Options) -> pd.DataFrame:
    name = options.row_id or ("row_id" if "row_id" in rows.columns else None)
    if name is None:
        rows.insert(0, "row_id", [str(number) for number in range(len(rows))])
        return rows
    if name != "row_id" and "row_id" in rows.columns:
        raise DataError(f"{options.path} has a column row_id besides {name!r}", hint="leave it out with data.columns")
    keys = rows.pop(name)
    if keys.isna().any():
        raise DataError(f"{options.path}: column {name!r} is empty in row {int(keys.isna().argmax())}")
    text = keys.map(_text)
    if text.duplicated().any():
        twice = sorted(set(text[text.duplicated()]))[:5]
        raise DataError(f"{options.path}: column {name!r} names several rows alike: {', '.join(twice)}")
    rows.insert(0, "row_id", text.astype(str))
    return rows


def _text(value: object) -> str | None:
    """A label as text: `1` for 1 and 1.0, `true` for True, None for a missing one."""
    if value is None or value != value or str(value) in ("NaT", "<NA>"):
        return None
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    text = str(value)
    return text.lower() if text in ("True", "False") else text
