"""Source `table`: CSV, TSV, Parquet or JSON lines; one file, a folder of parts, a pattern, or an address of these.

Rows stream through DuckDB into `rows.parquet`: any number of them in memory that is limited.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from pizzeria.account import Account
from pizzeria.contracts import Progress, Recognised
from pizzeria.errors import DataError
from pizzeria.fetching import Address, is_remote, local, state
from pizzeria.spec.problem import Problem
from pizzeria.tables import Tables
from pizzeria_plugins.sources.csv_file import Dialect, read_csv
from pizzeria_plugins.sources.row_file import TASKS, RowOptions, database, escaped, literal, write_rows
from pizzeria_plugins.sources.table_files import FORMATS, Parts, format_of, matches, parts_of
from pizzeria_plugins.sources.text_encoding import as_utf8, opened

if TYPE_CHECKING:
    import duckdb

__all__ = ["TASKS", "Options", "collect", "inputs", "recognise"]


class Options(RowOptions):
    """Options of the source `table`."""

    path: Address = Field(
        description="A .csv, .tsv, .parquet or .jsonl file (text also as .gz), a folder of such parts, a pattern "
        "(rows/*.csv), or the address of one of these (s3://bucket/rows.parquet)."
    )
    format: Literal["csv", "tsv", "parquet", "json_lines"] | None = Field(
        default=None, description="What the files are, where their names do not say it."
    )
    delimiter: str | None = Field(
        default=None, min_length=1, max_length=1, description="Between values of a CSV; found out without it."
    )
    quote: str = Field(default='"', min_length=1, max_length=1, description="Around values of a CSV.")
    decimal: Literal[".", ","] = Field(default=".", description="Decimal mark of the numbers in a CSV.")
    encoding: str | None = Field(
        default=None, description="Of text files, such as cp1252; UTF-8, or found out where they are not."
    )
    missing: tuple[str, ...] = Field(
        default=("",), description="Texts of a CSV that stand for a missing value, such as ['', NA, 'n/a']."
    )
    text: tuple[str, ...] = Field(
        default=(), description="Columns of a CSV that stay text although all of their values are numbers or times."
    )
    bad_rows: Literal["refuse", "set_aside"] = Field(
        default="refuse",
        description="Lines that are no row, with too many or too few values for instance: refuse stops the run and "
        "names the first; set_aside leaves them out and counts them in the report.",
    )


def inputs(options: Options) -> Sequence[Path | str]:
    """The file, the folder, the files that the pattern finds, or what the store tells of the address."""
    found = state(options.path)
    return matches(found) or (found,) if isinstance(found, Path) else (found,)


def collect(options: Options, problem: Problem, folder: Path, progress: Progress) -> Tables:
    """Read the files in the order of their names, each in its own row order.

    The target of a classification comes as text (`1`, `true`, `late`), as `problem.classes` has it.

    Raises:
        DataError: the file is not there or malformed, or lacks a column that the spec names.
    """
    path = local(options.path, progress)
    account = Account()
    if not is_remote(options.path):
        return _collected(options, path, problem, folder, progress, account)
    try:
        tables = _collected(options, path, problem, folder, progress, account)
    except DataError as error:
        # What is wrong is wrong at the address, and not with the copy in the cache.
        raise DataError(error.message.replace(str(path), options.path), hint=error.hint) from error
    for reasons in (*account.aside.values(), *account.handled.values()):
        for tally in reasons.values():
            tally.examples = [example.replace(str(path), options.path) for example in tally.examples]
    return tables


def _collected(
    options: Options, path: Path, problem: Problem, folder: Path, progress: Progress, account: Account
) -> Tables:
    import duckdb

    parts = parts_of(path, options.format)
    where = options.path if is_remote(options.path) or len(parts.files) > 1 else str(parts.files[0])
    if parts.aside:
        progress.say(f"{len(parts.aside)} files in {where} are no part of the table: {', '.join(parts.aside[:5])}")
    with _staging(folder) as staging, database(folder) as connection:
        connection.execute("SET TimeZone = 'UTC'")
        try:
            relation, number = relation_of(connection, parts, options, staging, where, account, progress)
            rows = write_rows(connection, relation, options, problem, folder, where, account, number=number)
        except duckdb.Error as error:
            raise _unreadable(error, parts, where) from error
    import pyarrow.parquet as pq

    columns = pq.read_schema(rows).names
    progress.say(f"{account.used('rows')} rows, {len(columns) - 1} columns from {where}")
    return Tables(rows=rows, account=account)


def recognise(path: Path) -> Recognised | None:
    """A file with the name of a table, or a folder in which all files have one."""
    try:
        if path.is_file() and (kind := format_of(path)) is not None:
            return Recognised(f"{_SHOWN[kind]} table", {"path": str(path)}, None, 0.9)
        if path.is_dir():
            parts = parts_of(path, None)
            if not parts.aside:
                return Recognised(f"{_SHOWN[parts.format]} table in parts", {"path": str(path)}, None, 0.7)
    except (OSError, DataError):
        pass
    return None


_SHOWN = {"csv": "CSV", "tsv": "TSV", "parquet": "Parquet", "json_lines": "JSON lines"}


def relation_of(
    connection: duckdb.DuckDBPyConnection,
    parts: Parts,
    options: Options,
    staging: Path,
    where: str,
    account: Account,
    progress: Progress,
) -> tuple[str, str]:
    """SQL of the rows, and of a row's number."""
    in_order = "row_number() OVER () - 1"
    if parts.partitioned and parts.format != "parquet":
        raise DataError(
            f"{where} keeps columns in the names of its folders, which is read of Parquet alone",
            hint="name the files of one folder, or write the table as Parquet",
        )
    match parts.format:
        case "parquet":
            _require_same_columns(parts.files)
            found = ", ".join(literal(escaped(file)) for file in parts.files)
            hive = "true" if parts.partitioned else "false"
            relation = f"read_parquet([{found}], union_by_name = true, hive_partitioning = {hive})"
            # A number that the file has is read by several threads; one that is counted is not.
            return relation, in_order if len(parts.files) > 1 else "file_row_number"
        case "json_lines":
            files = _json_lines(parts.files, options, staging, account, progress)
            found = ", ".join(literal(escaped(file)) for file in files)
            relation = f"read_json([{found}], format = 'newline_delimited', sample_size = -1, union_by_name = true)"
            return relation, in_order
        case _:
            dialect = Dialect(
                options.delimiter or ("\t" if parts.format == "tsv" else None),
                options.quote,
                options.decimal,
                options.encoding,
                options.missing,
                options.text,
                options.bad_rows,
            )
            return read_csv(connection, parts.files, dialect, staging, where, account, progress), in_order


def _require_same_columns(files: Sequence[Path]) -> None:
    """No part may lack a column: it would come as missing values, without a word."""
    if len(files) < 2:
        return
    import pyarrow as pa
    import pyarrow.parquet as pq

    first: set[str] = set()
    for file in files:
        try:
            names = set(pq.read_schema(file).names)
        except (pa.ArrowInvalid, OSError) as error:
            raise DataError(f"{file} cannot be read: {str(error).splitlines()[0]}") from error
        if first and names != first:
            raise DataError(
                f"{file} and {files[0].name} differ in their columns: {', '.join(sorted(names ^ first))}",
                hint="parts of one table have the same columns",
            )
        first = names


def _json_lines(
    files: Sequence[Path], options: Options, staging: Path, account: Account, progress: Progress
) -> list[Path]:
    """The files in UTF-8; without the lines that are no object, where these are set aside."""
    found = []
    for number, file in enumerate(files):
        text = as_utf8(file, options.encoding, staging / f"{number}.jsonl")
        if text.encoding is not None:
            progress.say(f"{file} is not UTF-8 (line {text.line}); it was read as {text.encoding}")
            account.handle("rows", f"read as {text.encoding}, as they are not UTF-8", f"{file}:{text.line}")
        path = text.path
        if options.bad_rows == "set_aside":
            path = staging / f"{number}.good.jsonl"
            with opened(text.path) as stream, open(path, "wb") as target:
                for at, line in enumerate(stream, 1):
                    if _is_object(line):
                        target.write(line)
                    elif line.strip():
                        account.add("rows", 1)
                        account.set_aside("rows", "no row of the table: no JSON object", f"{file}:{at}")
        found.append(path)
    return found


def _is_object(line: bytes) -> bool:
    try:
        return isinstance(json.loads(line), dict)
    except ValueError:
        return False


def _unreadable(error: duckdb.Error, parts: Parts, where: str) -> DataError:
    """DuckDB's word for it; of JSON lines, the line."""
    if parts.format == "json_lines":
        for file in parts.files:
            with opened(file) as stream:
                for at, line in enumerate(stream, 1):
                    if line.strip() and not _is_object(line):
                        return DataError(
                            f"{file}:{at} is no JSON object: {line[:60].decode('utf-8', 'replace').strip()}",
                            hint="mend the line, or leave such lines out and count them: data.bad_rows=set_aside",
                        )
    return DataError(
        f"{where} cannot be read: {str(error).splitlines()[0]}", hint=f"is it what its name says? {_KINDS}"
    )


_KINDS = f"tables end in {', '.join(FORMATS)}"


@contextmanager
def _staging(folder: Path) -> Iterator[Path]:
    """A folder for what is written on the way, gone afterwards."""
    staging = folder / ".staging"
    shutil.rmtree(staging, ignore_errors=True)
    staging.mkdir(parents=True)
    try:
        yield staging
    finally:
        shutil.rmtree(staging, ignore_errors=True)
