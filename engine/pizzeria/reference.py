"""The previous version of the data, for `data.reference` and `pizzeria data profile`: a run's tables, or a file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pizzeria.errors import DataError, NotFoundError
from pizzeria.tables import NAMES, Tables, read_tables

FORMATS = {
    ".parquet": "read_parquet",
    ".csv": "read_csv",
    ".tsv": "read_csv",
    ".json": "read_json",
    ".jsonl": "read_json",
    ".ndjson": "read_json",
}


def reference_files(name: str) -> Sequence[Path]:
    """The files whose content a reference is.

    Args:
        name: A run's id or folder, a spec's name (its newest run), or a table's path.

    Raises:
        DataError: there is neither.
    """
    path = Path(name)
    if path.is_file():
        return [path]
    folder = _collected(name)
    return [folder / f"{table}.parquet" for table in NAMES if (folder / f"{table}.parquet").exists()]


def reference_tables(name: str) -> Tables:
    """Its tables.

    Raises:
        DataError: there is no such run or file, or it cannot be read.
    """
    path = Path(name)
    if not path.is_file():
        return read_tables(_collected(name))
    reader = FORMATS.get(path.suffix.lower())
    if reader is None:
        raise DataError(f"{path} is no table", hint=f"give a run, or a file that ends with {', '.join(FORMATS)}")
    if reader == "read_parquet":
        return Tables(rows=path)
    return Tables(rows=_frame(reader, path))


def _frame(reader: str, path: Path) -> Any:
    import duckdb

    try:
        with duckdb.connect() as connection:
            return getattr(connection, reader)(str(path)).df()
    except duckdb.Error as error:
        raise DataError(f"{path} cannot be read: {str(error).splitlines()[0]}") from error


def _collected(name: str) -> Path:
    """The folder of what a run collected."""
    from pizzeria.runs.store import Store, default_root

    if not default_root().is_dir():  # a look does not make a store
        raise DataError(f"there is no run and no file {name}", hint="give a run's id or folder, or a table's path")
    try:
        return Store().run(name).stage("collect")
    except NotFoundError as error:
        raise DataError(f"{name}: {error.message}", hint=error.hint or "or give the path of a table") from error
