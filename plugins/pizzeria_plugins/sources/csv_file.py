"""CSV of any size into typed columns, in two passes of DuckDB: all as text, then each column in the narrowest type that
holds every value. The same file always gives the same types, and every line that is no row is known by its number."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pizzeria.account import EXAMPLES, Account
from pizzeria.contracts import Progress
from pizzeria.errors import DataError
from pizzeria_plugins.sources.row_file import escaped, literal, name, require_single
from pizzeria_plugins.sources.text_encoding import Text, as_utf8, opened

if TYPE_CHECKING:
    import duckdb

_DELIMITERS = ",;\t|"
_SAMPLE = 2**16
_MOSTLY = 0.9
"""A text column so much of which are numbers is remarked on."""
_LINE_BYTES = 16 * 2**20
_ZONE = r"\d[ ]?([+-]\d{2}(:?\d{2})?|Z)$"


@dataclass(frozen=True)
class Dialect:
    """How the files are written; what is None is found out.

    Attributes:
        missing: Texts that stand for a missing value.
        text: Columns that stay text.
        bad_rows: What is done about lines that are no row.
    """

    delimiter: str | None
    quote: str
    decimal: str
    encoding: str | None
    missing: Sequence[str]
    text: Sequence[str]
    bad_rows: Literal["refuse", "set_aside"]


def read_csv(
    connection: duckdb.DuckDBPyConnection,
    files: Sequence[Path],
    dialect: Dialect,
    folder: Path,
    where: str,
    account: Account,
    progress: Progress,
) -> str:
    """Read the files one after the other; all must have the same header.

    Returns:
        SQL of a relation with typed columns, over files that lie in `folder`.

    Raises:
        DataError: a file cannot be read, a line is no row, the headers differ or have a name twice.
    """
    texts = [as_utf8(file, dialect.encoding, folder / f"{number}.csv") for number, file in enumerate(files)]
    delimiter = dialect.delimiter or _delimiter(texts[0].path, dialect.quote)
    names = _header(texts, files, delimiter, dialect.quote)
    shown = [one or f"column{number}" for number, one in enumerate(names, 1)]
    require_single(shown, where)
    staged = folder / "text.parquet"
    columns = ", ".join(f"{literal(one)}: 'VARCHAR'" for one in shown)
    missing = ", ".join(literal(one) for one in dialect.missing)
    options = (
        f"auto_detect = false, header = true, delim = {literal(delimiter)}, quote = {literal(dialect.quote)}, "
        f"escape = {literal(dialect.quote)}, columns = {{{columns}}}, nullstr = [{missing}], "
        f"max_line_size = {_LINE_BYTES}, store_rejects = true, hive_partitioning = false"
    )
    found = ", ".join(literal(escaped(text.path)) for text in texts)
    connection.execute(
        f"COPY (SELECT * FROM read_csv([{found}], {options})) TO {literal(str(staged))} (FORMAT parquet)"  # noqa: S608 - names are quoted, texts escaped
    )
    _settle_rejects(connection, texts, files, dialect.bad_rows, where, account)
    relation = f"read_parquet({literal(escaped(staged))})"
    count = _row(connection, f"SELECT count(*) FROM {relation}")[0]  # noqa: S608 - names are quoted, texts escaped
    for text, file in zip(texts, files, strict=True):
        if text.encoding is not None:
            lines = _lines(text.path)
            account.handle("rows", f"read as {text.encoding}, as they are not UTF-8", f"{file}:{text.line}", lines)
            progress.say(f"{file} is not UTF-8 (line {text.line}); it was read as {text.encoding}")
    nameless = [number for number, one in enumerate(names, 1) if not one]
    if nameless and count:
        called = ", ".join(f"column{number}" for number in nameless)
        account.handle("rows", f"a column without a name is called {called}", f"{files[0]}:1", count)
    return _typed(connection, relation, shown, dialect, account) if count else relation


def _delimiter(path: Path, quote: str) -> str:
    """The one that gives the most rows as many columns as the header has; a comma where none gives two."""
    with opened(path) as stream:
        sample = stream.read(_SAMPLE).decode("utf-8-sig", "ignore")
    best, most = ",", (0.0, 0)
    for delimiter in _DELIMITERS:
        rows = [row for row in csv.reader(io.StringIO(sample), delimiter=delimiter, quotechar=quote) if row]
        rows = rows[:-1] if len(rows) > 2 else rows  # the sample may end within the last one
        if rows and len(rows[0]) > 1:
            score = (sum(len(row) == len(rows[0]) for row in rows) / len(rows), len(rows[0]))
            if score > most:
                best, most = delimiter, score
    return best


def _header(texts: Sequence[Text], files: Sequence[Path], delimiter: str, quote: str) -> list[str]:
    first: list[str] = []
    for text, file in zip(texts, files, strict=True):
        with opened(text.path) as stream, io.TextIOWrapper(stream, "utf-8-sig", newline="") as lines:
            names = next((row for row in csv.reader(lines, delimiter=delimiter, quotechar=quote) if row), None)
        if names is None:
            raise DataError(f"{file} has no rows", hint="a table needs a header and at least one row")
        names = [one.strip() for one in names]
        if first and names != first:
            raise DataError(
                f"{file}:1: its columns are {', '.join(names)}; those of {files[0].name} are {', '.join(first)}",
                hint="parts of one table have the same header",
            )
        first = names
        twice = sorted({one for one in names if one and names.count(one) > 1})
        if twice:
            places = " and ".join(str(at) for at, one in enumerate(names, 1) if one == twice[0])
            raise DataError(f"{file}:1: {twice[0]!r} names columns {places}", hint="rename one of them")
    return first


def _settle_rejects(
    connection: duckdb.DuckDBPyConnection,
    texts: Sequence[Text],
    files: Sequence[Path],
    bad_rows: str,
    where: str,
    account: Account,
) -> None:
    """Refuse, or set aside, what DuckDB could not make a row of."""
    errors = connection.execute(
        "SELECT s.file_path, e.line_byte_position, min(e.error_type::VARCHAR), any_value(e.error_message) "
        "FROM reject_errors e JOIN reject_scans s USING (scan_id, file_id) "
        "GROUP BY s.file_path, e.line_byte_position ORDER BY s.file_path, e.line_byte_position"
    ).fetchall()
    if not errors:
        return
    by_path = {str(text.path): (text, file) for text, file in zip(texts, files, strict=True)}
    seen: dict[str, int] = {}
    for path, position, kind, message in errors:
        reason = f"no row of the table: {str(kind).lower()}"
        seen[reason] = seen.get(reason, 0) + 1
        example = ""
        if seen[reason] <= EXAMPLES:
            text, file = by_path.get(str(path), (texts[0], files[0]))
            example = f"{file}:{_line_at(text.path, int(position))}"
        if bad_rows == "refuse":
            others = f" (and {len(errors) - 1} more)" if len(errors) > 1 else ""
            raise DataError(
                f"{example}: {str(kind).lower()}: {str(message).splitlines()[0]}{others}",
                hint="mend the line, say how the file is written (data.delimiter, data.quote), or leave such lines out "
                "and count them: data.bad_rows=set_aside",
            )
        account.add("rows", 1)
        account.set_aside("rows", reason, example)


def _line_at(path: Path, position: int) -> int:
    """The line of a row that begins at a byte, both from 1; quoted values may hold line breaks, so rows do not tell.

    Empty lines before a row count as its beginning.
    """
    line, left = 1, position - 1
    with opened(path) as stream:
        while left > 0 and (piece := stream.read(min(left, 2**20))):
            line += piece.count(b"\n")
            left -= len(piece)
        rest = stream.read(4096)
    return line + rest[: len(rest) - len(rest.lstrip(b"\r\n"))].count(b"\n")


def _lines(path: Path) -> int:
    """Rows at most: lines less the header."""
    with opened(path) as stream:
        return max(1, sum(piece.count(b"\n") for piece in iter(lambda: stream.read(2**20), b"")) - 1)


def _typed(
    connection: duckdb.DuckDBPyConnection, relation: str, names: Sequence[str], dialect: Dialect, account: Account
) -> str:
    """The relation with each column in the narrowest type that holds all of its values."""
    kinds = dict.fromkeys(names, "VARCHAR")
    candidates = [one for one in names if one not in dialect.text]
    tests = {
        "present": "count({c})",
        "number": "count(TRY_CAST({n} AS DOUBLE)) - count_if(contains({c}, '_'))",
        "whole": "count(TRY_CAST({c} AS BIGINT)) - count_if(regexp_matches({c}, '[^0-9+ -]'))",
        "padded": "count_if(regexp_matches({c}, '^ *[+-]?0[0-9]'))",
        "truth": "count_if(lower({c}) IN ('true', 'false'))",
    }
    found = _ask(connection, relation, candidates, tests, dialect)
    rest = []
    for one in candidates:
        present, number, whole, padded, truth = found[one]
        if not present:
            continue
        if number == present and not padded:
            kinds[one] = "BIGINT" if whole == present else "DOUBLE"
        elif truth == present:
            kinds[one] = "BOOLEAN"
        elif number >= _MOSTLY * present and not padded:
            odd = f"{name(one)} IS NOT NULL AND TRY_CAST({_number(one, dialect)} AS DOUBLE) IS NULL"
            values = connection.execute(
                f"SELECT file_row_number, {name(one)} FROM {relation} WHERE {odd} LIMIT {EXAMPLES}"  # noqa: S608 - names are quoted, texts escaped
            ).fetchall()
            what = f"column {one} stays text: not all of its values are numbers (data.missing says which mean nothing)"
            for at, value in values:
                account.handle("rows", what, f"row {at}: {value!r}")
            account.handle("rows", what, count=present - number - len(values))
        else:
            rest.append(one)
    if rest:
        times = {
            "present": "count({c})",
            "time": "count(TRY_CAST({c} AS TIMESTAMP))",
            "zoned": "count_if(regexp_matches({c}, " + literal(_ZONE) + "))",
        }
        for one, (present, time, zoned) in _ask(connection, relation, rest, times, dialect).items():
            if time == present:
                kinds[one] = "TIMESTAMP WITH TIME ZONE" if zoned == present else "TIMESTAMP"
    selected = ", ".join(f"{_cast(one, kinds[one], dialect)} AS {name(one)}" for one in names)
    return f"(SELECT {selected} FROM {relation})"  # noqa: S608 - names are quoted, texts escaped


def _ask(
    connection: duckdb.DuckDBPyConnection,
    relation: str,
    names: Sequence[str],
    tests: dict[str, str],
    dialect: Dialect,
) -> dict[str, tuple[int, ...]]:
    """Each test's count for each column, in one pass."""
    if not names:
        return {}
    values = {one: {"{c}": name(one), "{n}": _number(one, dialect)} for one in names}
    asked = [re.sub(r"\{[cn]\}", lambda m: values[one][m[0]], test) for one in names for test in tests.values()]  # noqa: B023
    row = _row(connection, f"SELECT {', '.join(asked)} FROM {relation}")  # noqa: S608 - names are quoted, texts escaped
    width = len(tests)
    return {one: row[at * width : (at + 1) * width] for at, one in enumerate(names)}


def _number(column: str, dialect: Dialect) -> str:
    return name(column) if dialect.decimal == "." else f"replace({name(column)}, {literal(dialect.decimal)}, '.')"


def _cast(column: str, kind: str, dialect: Dialect) -> str:
    value = _number(column, dialect) if kind == "DOUBLE" else name(column)
    return value if kind == "VARCHAR" else f"CAST({value} AS {kind})"


def _row(connection: duckdb.DuckDBPyConnection, query: str) -> tuple[int, ...]:
    row = connection.execute(query).fetchone()
    assert row is not None
    return tuple(int(value or 0) for value in row)
