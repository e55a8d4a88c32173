"""Expectations learnt from a version of the data that was good, by Great Expectations' own names.

What is learnt of a column:

- integrity, critical: its columns and types, and that no value is missing where none was;
- what usually holds, as warnings: ranges with a margin of a tenth, categories, shares of missing values, number of
  different values, uniqueness, and that the newest time is no older than it was;
- how it is spread, as warnings, which is what `drift` asks for: quantiles, and the divergence (Kullback-Leibler) from
  the shares of ten bins, or of each category.

DuckDB does the counting, so that a table of millions of rows is learnt in flat memory.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pizzeria.spec.problem import Problem
from pizzeria.tables import Tables
from pizzeria_plugins.validators.batches import connect, literal, quoted
from pizzeria_plugins.validators.builtin import BETWEEN, IN_SET, KEYS, Check, Facts, builtin
from pizzeria_plugins.validators.derived import photo_tables
from pizzeria_plugins.validators.types import kind_of, pandas_type

if TYPE_CHECKING:
    import duckdb

Entry = dict[str, dict[str, Any]]

_PHOTO_COLUMNS = {
    "images": (
        *("width", "height", "aspect", "brightness", "contrast", "saturation", "sharpness", "entropy"),
        *("dark_share", "bright_share", "box_count", "label_count", "label"),
    ),
    "boxes": ("relative_width", "relative_height", "relative_area", "aspect", "class_name"),
    "listings": (),
}
_QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
_BINS = 10
_CATEGORIES = 50
_FEW_NUMBERS = 20
_EXACT = 1_000_000
_TAIL = 0.01
_DIVERGENCE = 0.1


def learn(tables: Tables, problem: Problem | None, folder: Path, *, drift: bool) -> dict[str, list[Entry]]:
    """Expectations by table, as `data.expectations` has them.

    Args:
        folder: For what does not fit into memory.
        drift: Only those on how columns are spread.
    """
    out: dict[str, list[Entry]] = {}
    with connect(folder) as connection:
        frames = photo_tables(tables, problem)
        for table, frame in frames.items():
            wanted = [column for column in _PHOTO_COLUMNS[table] if column in frame]
            connection.register(table, frame[[KEYS[table], *wanted]])
            out[table] = _table(connection, table, wanted, drift=drift, own=False)
        if tables.rows_file is not None:
            connection.execute(f"create view rows as from read_parquet({literal(str(tables.rows_file))})")
        elif tables.rows is not None:
            connection.register("rows", tables.rows)
        if tables.rows_file is not None or tables.rows is not None:
            columns = [name for name, *_ in connection.execute("describe rows").fetchall() if name != KEYS["rows"]]
            out["rows"] = _table(connection, "rows", columns, drift=drift, own=True)
    kept = {table: _beside_the_builtin(table, entries, problem) for table, entries in out.items()}
    return {table: entries for table, entries in kept.items() if entries}


def _beside_the_builtin(table: str, entries: list[Entry], problem: Problem | None) -> list[Entry]:
    """Without those that would take the place of a critical built-in check, such as that all classes are known."""
    if problem is None:
        return entries
    columns = [str(arguments["column"]) for entry in entries for arguments in entry.values() if "column" in arguments]
    facts = Facts(tuple(columns), dict.fromkeys(columns, "other"), ())
    critical = {check.subject for check in builtin(table, facts, problem) if check.severity == "critical"}
    return [
        entry
        for entry in entries
        for name, arguments in entry.items()
        if Check(name, arguments).subject not in critical
    ]


def _table(
    connection: duckdb.DuckDBPyConnection, table: str, columns: Sequence[str], *, drift: bool, own: bool
) -> list[Entry]:
    kinds = {name: kind for name, kind, *_ in connection.execute(f"describe {quoted(table)}").fetchall()}
    (count,) = _first(connection, f"select count(*) from {quoted(table)}")  # noqa: S608 - names are quoted
    if not count:
        return []
    entries: list[Entry] = []
    if own and not drift:
        entries.append({"expect_table_columns_to_match_set": {"column_set": list(columns), "exact_match": False}})
    if not drift:
        least = max(1, count // 2)
        entries.append({"expect_table_row_count_to_be_between": {"min_value": least, "severity": "warning"}})
    for column in columns:
        kind = kinds[column]
        if kind.endswith("[]") or kind.startswith(("STRUCT", "MAP", "UNION")):
            continue
        seen = _look(connection, table, column, kind, count)
        if seen.present:
            entries += [entry for entry, spread in _column(connection, seen, own) if spread or not drift]
    return entries


@dataclass(frozen=True)
class _Seen:
    """What a column holds; `shares` is empty where there are many different values."""

    table: str
    column: str
    kind: str
    duckdb: str
    count: int
    present: int
    different: int
    low: Any
    high: Any
    shares: Mapping[Any, float]

    @property
    def unique(self) -> bool:
        # Above a million rows they are counted by a sketch, which is a few percent off.
        return self.count > 1 and self.present == self.count and self.count <= _EXACT and self.different == self.count


def _look(connection: duckdb.DuckDBPyConnection, table: str, column: str, kind: str, count: int) -> _Seen:
    name, where = quoted(column), f"from {quoted(table)}"
    if kind in ("FLOAT", "DOUBLE"):
        where += f" where {name} is null or isfinite({name})"
    distinct = "count(distinct {})" if count <= _EXACT else "approx_count_distinct({})"
    ordered = f"min({name}), max({name})" if kind_of(kind) != "other" or kind == "BOOLEAN" else "null, null"
    present, different, low, high = _first(
        connection, f"select count({name}), {distinct.format(name)}, {ordered} {where}"
    )
    few = _FEW_NUMBERS if kind_of(kind) == "number" else _CATEGORIES
    shares = {}
    if present and different <= few and kind_of(kind) != "time":
        query = f"select {name}, count(*) {where} group by 1 order by 2 desc, 1"
        shares = {v: n / present for v, n in connection.execute(query).fetchall() if v is not None}
    return _Seen(table, column, kind_of(kind), kind, count, present, different, low, high, shares)


def _column(connection: duckdb.DuckDBPyConnection, seen: _Seen, own: bool) -> Iterator[tuple[Entry, bool]]:
    """Entries, and whether each is on how the column is spread."""
    column, warning = {"column": seen.column}, {"severity": "warning"}
    whole = seen.present == seen.count
    name = pandas_type(seen.duckdb)
    # pandas reads integers and truths with gaps as another type.
    if own and name and (whole or seen.kind in ("text", "time") or seen.duckdb in ("FLOAT", "DOUBLE")):
        yield {"expect_column_values_to_be_of_type": column | {"type_": name}}, False
    if own and whole:
        yield {"expect_column_values_to_not_be_null": column}, False
    elif own:
        share = seen.present / seen.count
        bounds = {"min_value": _round(max(0.0, share - 0.05)), "max_value": _round(min(1.0, share + 0.05))}
        yield {"expect_column_proportion_of_non_null_values_to_be_between": column | bounds | warning}, True
    if seen.kind == "time":
        yield {"expect_column_max_to_be_between": column | {"min_value": str(seen.high)[:19]} | warning}, False
        return
    if own and seen.unique and seen.kind in ("text", "number") and seen.duckdb not in ("FLOAT", "DOUBLE"):
        yield {"expect_column_values_to_be_unique": column | warning}, False
        return
    if seen.kind == "number":
        yield (
            {BETWEEN: column | _margin(float(seen.low), float(seen.high)) | {"mostly": 0.99} | warning},
            seen.different <= 2,
        )
    if seen.shares and seen.kind != "number":
        yield {IN_SET: column | {"value_set": list(seen.shares), "mostly": 0.99} | warning}, False
    elif seen.kind == "text":
        bounds = {"min_value": max(1, seen.different // 2), "max_value": seen.different * 2}
        yield {"expect_column_unique_value_count_to_be_between": column | bounds | warning}, True
    yield from ((entry, True) for entry in _spread(connection, seen))


def _spread(connection: duckdb.DuckDBPyConnection, seen: _Seen) -> Iterator[Entry]:
    name = "expect_column_kl_divergence_to_be_less_than"
    column, warning = {"column": seen.column}, {"severity": "warning"}
    if len(seen.shares) > 1:
        parts = {"values": list(seen.shares), "weights": _to_one(list(seen.shares.values()))}
        more = {"threshold": _threshold(len(seen.shares), seen.present), "tail_weight_holdout": _TAIL}
        yield {name: column | {"partition_object": parts, "bucketize_data": False} | more | warning}
    if seen.kind != "number" or seen.different <= 2:
        return
    at = [*_QUANTILES, *(i / _BINS for i in range(1, _BINS))]
    measure = "quantile_disc" if seen.present <= _EXACT else "approx_quantile"
    table, value = quoted(seen.table), quoted(seen.column)
    finite = f" where isfinite({value})" if seen.duckdb in ("FLOAT", "DOUBLE") else ""
    (found,) = _first(connection, f"select {measure}({value}, {at}) from {table}{finite}")  # noqa: S608 - names are quoted
    numbers = [float(each) for each in found]
    values, edges = numbers[: len(_QUANTILES)], numbers[len(_QUANTILES) :]
    slack = max(0.15 * (values[-1] - values[0]), 1e-6 * max(1.0, abs(values[2])))
    ranges = [[_round(each - slack), _round(each + slack)] for each in values]
    quantiles = {"quantiles": list(_QUANTILES), "value_ranges": ranges}
    yield {"expect_column_quantile_values_to_be_between": column | {"quantile_ranges": quantiles} | warning}
    if seen.shares:
        return
    bins = sorted({_round(each) for each in (float(seen.low), *edges, float(seen.high))})
    if len(bins) < 3:
        return
    counts = ", ".join(
        f"count(*) filter ({value} >= {low!r} and {value} {'<=' if high == bins[-1] else '<'} {high!r})"
        for low, high in itertools.pairwise(bins)
    )
    weights = [each / seen.present for each in _first(connection, f"select {counts} from {table}")]  # noqa: S608 - names are quoted
    parts = {"bins": bins, "weights": _to_one(weights, 1 - _TAIL), "tail_weights": [_TAIL / 2, _TAIL / 2]}
    yield {name: column | {"partition_object": parts, "threshold": _threshold(len(bins), seen.present)} | warning}


def _threshold(parts: int, count: int) -> float:
    """Chance alone makes a divergence of about parts / (2 * rows)."""
    return _round(_DIVERGENCE + parts / count)


def _to_one(weights: Sequence[float], total: float = 1.0) -> list[float]:
    """Weights with that sum, none of them 0, of which a divergence would be infinite."""
    raised = [max(weight, 1e-4) for weight in weights]
    scaled = [round(weight * total / sum(raised), 6) for weight in raised]
    largest = max(range(len(scaled)), key=scaled.__getitem__)
    scaled[largest] = round(scaled[largest] + total - sum(scaled), 6)
    return scaled


def _margin(low: float, high: float) -> dict[str, float]:
    margin = 0.1 * (high - low) or 0.1 * abs(high) or 1.0
    least = low - margin if low < 0 or low - margin >= 0 else 0.0  # what was never negative stays so
    return {"min_value": _round(least), "max_value": _round(high + margin)}


def _round(value: float) -> float:
    """Six digits are enough to read and to check; whole numbers stay short."""
    if not math.isfinite(value):
        return value
    return float(f"{value:.6g}")


def _first(connection: duckdb.DuckDBPyConnection, query: str) -> tuple[Any, ...]:
    (row, *_) = connection.execute(query).fetchall()  # all of them: DuckDB registers nothing beside an open result
    assert row is not None
    return tuple(row)
