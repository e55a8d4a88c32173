"""The side of each row, as `data.split` asks for it."""

# ruff: noqa: S608 -- every name in the queries is quoted, and every text escaped
from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pizzeria.datasets import SPLITS
from pizzeria.errors import DataError, nearest
from pizzeria.spec.problem import Problem
from pizzeria.spec.split import Split
from pizzeria.splitting.classes import Classes, classes_of
from pizzeria.splitting.cutting import HASH_BITS, hashed, literal, take_by_hash, take_last
from pizzeria.splitting.fixed import LEFT_OUT, NEW_IN_TEST, check_groups, open_fixed, side_of_the_rest, without_left_out
from pizzeria.splitting.given import lists_of, side_of_column, sides_of_lists
from pizzeria.splitting.iterative import take_evenly
from pizzeria.splitting.look_alikes import joined_groups
from pizzeria.splitting.row_store import ROW, kept, one, opened, register, require, types
from pizzeria.sql_text import literal as text
from pizzeria.sql_text import quoted
from pizzeria.tables import Tables

if TYPE_CHECKING:
    import duckdb
    import pandas as pd

GAP = "in the gap"
UNLISTED = "not listed"
_GROUP = "_group"


@dataclass(frozen=True)
class Assigned:
    """A split that stands; it can be read as long as `assign` is open.

    Attributes:
        counts: Rows of each side.
        left_out: Rows of no side, by reason.
    """

    counts: dict[str, int]
    left_out: dict[str, int]
    _connection: duckdb.DuckDBPyConnection
    _query: str

    def write(self, path: Path) -> None:
        """`key`, `split` of each row that has a side, in the order of the table, as Parquet; in flat memory."""
        self._connection.execute(f"COPY ({self._query}) TO {text(str(path))} (FORMAT parquet, COMPRESSION zstd)")

    def series(self) -> pd.Series[str]:
        """The same in memory: split by key."""

        found: pd.DataFrame = self._connection.execute(self._query).df()
        return found.set_index("key")["split"].rename_axis(None)


@contextmanager
def assign(
    tables: Tables, split: Split, problem: Problem | None = None, *, distance: int = 0, folder: Path | None = None
) -> Iterator[Assigned]:
    """Say for each photo or row on which side it is.

    Groups (or single rows) stand in the order of a seeded hash of their name, so that the same seed gives the same
    split on any machine and in any order of the files, and a new group moves no old one further than its neighbours.

    Args:
        problem: Of use to `stratify_by: classes` alone.
        distance: Bits up to which photos look alike, for `group_near_duplicates`.
        folder: Where temporary files may lie.

    Raises:
        DataError: a column is missing, incomplete or of no use, a list names what is not there, or there are too few
            groups; says which.
    """
    images = tables.images
    key = "image_id" if images is not None else "row_id"
    if images is None and split.group_near_duplicates:
        raise DataError("data.split.group_near_duplicates is for photos", hint="rows have no look")
    source: Any = images if images is not None else tables.rows_file if tables.rows_file else tables.rows
    assert source is not None
    group = split.group_by
    if images is not None and split.fixed is not None:
        source = images = without_left_out(images, split.fixed)
    if images is not None and split.group_near_duplicates:
        source, group = images.assign(**{_GROUP: joined_groups(images, split.group_by, distance)}), _GROUP
    with opened(source, folder) as connection:
        if split.fixed is not None:
            yield _fixed(connection, split, key, group)
            return
        if split.group_by is not None:
            require(connection, split.group_by)
        classes = classes_of(connection, tables, split.stratify_by, problem)
        ordered = _in_order(connection, split.order_by) if split.order_by else None
        _view(connection, split, key, group, ordered, classes, images)
        if classes is not None and (classes.held is not None or group is not None):
            classes.hold(connection)
            pick: _Pick = _Evenly(connection)
        elif classes is not None:
            pick = _ByClass(connection)
        else:
            pick = _ByHash(connection)
        if split.order_by:
            side = _by_time(connection, split, group)
        elif split.folds:
            side = _fold(connection, split, group, pick)
        else:
            side = _shares(connection, split, group, pick)
        yield _result(connection, side, split, sort=(ordered is not None and group is not None) or pick.joins)


def _view(
    connection: duckdb.DuckDBPyConnection,
    split: Split,
    key: str,
    group: str | None,
    ordered: str | None,
    classes: Classes | None,
    images: pd.DataFrame | None,
) -> None:
    """The table `u`: see `cutting`; and `given`, what a column or a list says."""
    name = f"CAST({quoted(key)} AS VARCHAR)"
    unit = f"CAST({quoted(group)} AS VARCHAR)" if group else name
    label = "''"
    if classes is not None and classes.column is not None:
        label = f"coalesce(CAST({quoted(classes.column)} AS VARCHAR), '')"
    c = "''" if group else label
    given, joined = "'train'", ""
    if split.column is not None:
        given = side_of_column(connection, split.column)
    elif split.files is not None:
        lists = lists_of(split.files)
        known = [] if images is not None else _known(connection, name, [n for names in lists.values() for n in names])
        sides = sides_of_lists(lists, images, known)
        register(connection, "listed", _key=list(sides), _side=list(sides.values()))
        given, joined = "_side", f"LEFT JOIN listed ON _key = {name}"
    v, grouped = ordered or "0", ""
    if ordered is not None and group is not None:
        connection.execute(
            f"CREATE TEMP TABLE ends AS SELECT {unit} AS _unit, max({ordered}) AS _v FROM source GROUP BY ALL"
        )
        v, grouped = "_v", f"JOIN ends ON _unit = {unit}"
    h = "0" if ordered is not None else hashed(unit, split.seed)
    kept(
        connection,
        "u",
        f"SELECT {ROW}, {name} AS key, {unit} AS unit, {h} AS h, {c} AS c, {label} AS label, {v} AS v, "
        f"{given} AS given FROM source {joined} {grouped}",
        sort=bool(joined or grouped),
    )


def _fixed(connection: duckdb.DuckDBPyConnection, split: Split, key: str, group: str | None) -> Assigned:
    """The sides that `data.split.fixed` says, and what becomes of rows that it does not name."""
    assert split.fixed is not None
    name = f"CAST({quoted(key)} AS VARCHAR)"
    open_fixed(connection, split.fixed, name)
    there = types(connection)
    if group is not None and group not in there:
        raise DataError(f"the data have no column {group!r} to split by", hint=nearest(group, there))
    # What is settled needs no group, such as photos that came without a listing.
    unit = f"coalesce(CAST({quoted(group)} AS VARCHAR), {name})" if group else name
    kept(
        connection,
        "u",
        f"SELECT {ROW}, {name} AS key, {unit} AS unit, {hashed(unit, split.seed)} AS h, _side AS given "
        f"FROM source LEFT JOIN fixed ON _key = {name}",
        sort=True,
    )
    if group is not None:
        check_groups(connection, "group of photos" if group == _GROUP else group)
    if split.rest == "refuse":
        _refuse_unlisted(connection, "data.split.fixed says nothing")
    connection.execute(
        "CREATE TEMP TABLE unit_sides AS SELECT unit, min(given) AS s FROM u "
        "WHERE given IN ('train', 'validation', 'test') GROUP BY unit"
    )
    side = side_of_the_rest(split.rest, split.validation / (1 - split.test), HASH_BITS)
    return _result(connection, f"coalesce({side}, '{UNLISTED}')", split, sort=True)


def _refuse_unlisted(connection: duckdb.DuckDBPyConnection, what: str) -> None:
    count = one(connection, "SELECT count(*) FROM u WHERE given IS NULL")
    if not count:
        return
    query = "SELECT key FROM u WHERE given IS NULL ORDER BY key LIMIT 5"
    names = [str(k) for (k,) in connection.execute(query).fetchall()]
    raise DataError(
        f"{what} of {count} rows: {', '.join(names)}{' ...' if count > len(names) else ''}",
        hint="name them, or leave them out with data.split.rest: leave_out",
    )


def _known(connection: duckdb.DuckDBPyConnection, key: str, names: list[str]) -> list[str]:
    """Those of the names that are keys; the table may have many more than the lists."""
    register(connection, "names", _name=names)
    found = connection.execute(f"SELECT DISTINCT {key} FROM source WHERE {key} IN (SELECT _name FROM names)")
    return [str(k) for (k,) in found.fetchall()]


def _in_order(connection: duckdb.DuckDBPyConnection, column: str) -> str:
    """SQL for the place of a row in the order: a number, or microseconds.

    Raises:
        DataError: the column has no order that means anything.
    """
    kind = require(connection, column)
    name = quoted(column)
    if kind.startswith("TIMESTAMP WITH"):
        return f"epoch_us({name})"
    if kind.startswith(("TIMESTAMP", "DATE")):
        return f"epoch_us(CAST({name} AS TIMESTAMP))"
    if kind in ("FLOAT", "DOUBLE") or kind.startswith("DECIMAL"):
        return f"CAST({name} AS DOUBLE)"
    if "INT" in kind:
        return name
    if kind == "VARCHAR":
        odd = connection.execute(
            # DuckDB takes 1/2/24 for a day of the year 1.
            f"SELECT {name} FROM source WHERE TRY_CAST({name} AS TIMESTAMP) IS NULL "
            f"OR NOT regexp_matches({name}, '^\\s*\\d{{4}}-\\d{{2}}-\\d{{2}}') LIMIT 1"
        ).fetchone()
        if odd is None:
            return f"epoch_us(CAST({name} AS TIMESTAMP))"
        raise DataError(
            f"data.split.order_by: {column!r} holds {odd[0]!r}, which is neither a number nor a time",
            hint="write times as 2024-05-31 or 2024-05-31 13:30:00",
        )
    raise DataError(f"data.split.order_by: {column!r} is {kind}, which has no order", hint="name a time or a number")


class _Pick(ABC):
    """Takes rows out of a pool: says which, as a condition on `u`."""

    joins = False
    """Whether the condition looks into other tables, after which rows may come in another order."""

    def __init__(self, connection: duckdb.DuckDBPyConnection) -> None:
        self.connection = connection

    @abstractmethod
    def take(self, pool: str, wanted: int, leave: int) -> str: ...


class _ByHash(_Pick):
    def take(self, pool: str, wanted: int, leave: int) -> str:
        return take_by_hash(self.connection, pool, {"": wanted}, leave)[0]


class _ByClass(_Pick):
    def take(self, pool: str, wanted: int, leave: int) -> str:
        """Rounding is carried from class to class, the rarest first, so that many rare classes have their share too."""
        counts = self.connection.execute(
            f"SELECT c, count(*) AS n FROM u WHERE {pool} GROUP BY c ORDER BY n, c"
        ).fetchall()
        share = wanted / sum(n for _, n in counts)
        so_far, due, by_class = 0, 0.0, {}
        for c, n in counts:
            due += n * share
            by_class[c] = round(due) - so_far
            so_far += by_class[c]
        return take_by_hash(self.connection, pool, by_class, leave)[0]


class _Evenly(_Pick):
    joins = True

    def take(self, pool: str, wanted: int, leave: int) -> str:
        return take_evenly(self.connection, pool, wanted, leave)


def _enough(
    connection: duckdb.DuckDBPyConnection, pool: str, needed: int, group: str | None, split: Split, what: str
) -> None:
    found = one(connection, f"SELECT count(*) FROM (SELECT DISTINCT unit FROM u WHERE {pool} LIMIT {needed})")
    if found < needed:
        units = "groups of photos" if group == _GROUP else f"values of {split.group_by}" if group else "rows"
        raise DataError(f"{found} {units} cannot be split {what}", hint="bring more data, or group by a finer column")


def _wanted(rows: int, share: float) -> int:
    return max(1, round(rows * share))


def _shares(connection: duckdb.DuckDBPyConnection, split: Split, group: str | None, pick: _Pick) -> str:
    """SQL for the side by shares; sides that are given stay, and those that are not are made from train."""
    given = dict(connection.execute("SELECT given, count(*) FROM u GROUP BY given").fetchall())
    if None in given and split.rest == "refuse":
        what = f"column {split.column!r} says nothing" if split.column else "data.split.files say nothing"
        _refuse_unlisted(connection, what)
    rows = given.get("train", 0)
    missing = [side for side in ("test", "validation") if not given.get(side)]
    _enough(connection, "given = 'train'", 1 + len(missing), group, split, ("", "two ways", "three ways")[len(missing)])
    cases, pool = [], "given = 'train'"
    for i, side in enumerate(missing, 1):
        taken = pick.take(pool, _wanted(rows, getattr(split, side)), 1 + len(missing) - i)
        cases.append(f"WHEN given = 'train' AND {taken} THEN '{side}'")
        pool += f" AND NOT {taken}"
    return f"CASE WHEN given IS NULL THEN '{UNLISTED}' {' '.join(cases)} ELSE given END"


def _fold(connection: duckdb.DuckDBPyConnection, split: Split, group: str | None, pick: _Pick) -> str:
    """SQL for the side where one of several parts is the test; the parts are the same for whichever it is."""
    assert split.folds is not None
    rows = one(connection, "SELECT count(*) FROM u")
    _enough(connection, "true", max(3, split.folds), group, split, f"into {split.folds} folds")
    pool, test, done = "true", "false", 0
    for i in range(split.fold + 1):
        last = i == split.folds - 1
        target = round(rows * (i + 1) / split.folds) - done
        taken = "true" if last else pick.take(pool, target, split.folds - 1 - i)
        test = f"({pool} AND {taken})"
        done += one(connection, f"SELECT count(*) FROM u WHERE {test}")
        pool += f" AND NOT {taken}"
    rest = f"NOT {test}"
    validation = pick.take(rest, _wanted(rows, split.validation), 1)
    return f"CASE WHEN {test} THEN 'test' WHEN {validation} THEN 'validation' ELSE 'train' END"


def _by_time(connection: duckdb.DuckDBPyConnection, split: Split, group: str | None) -> str:
    """SQL for the side by order. Equal times are on one side; the gap is taken from the end of the side before it."""
    rows = one(connection, "SELECT count(*) FROM u")
    _enough(connection, "true", 3, group, split, "three ways")
    test = take_last(connection, "true", _wanted(rows, split.test))
    before = f"v < {literal(test)}"
    validation = take_last(connection, before, _wanted(rows, split.validation))
    if validation is None or not one(connection, f"SELECT count(*) FROM u WHERE v < {literal(validation)}"):
        raise DataError(
            f"data.split.order_by: {split.order_by!r} has too few different values to be split three ways",
            hint="equal values stay on one side; order by something finer",
        )
    cases = [f"WHEN v >= {literal(test)} THEN 'test'"]
    for side, start, pool in (
        ("validation", test, f"{before} AND v >= {literal(validation)}"),
        ("train", validation, f"v < {literal(validation)}"),
    ):
        if split.gap:
            cases.append(f"WHEN {pool} AND {_in_gap(connection, split, start, pool)} THEN '{GAP}'")
        cases.append(f"WHEN {pool} THEN '{side}'")
    return f"CASE {' '.join(cases)} END"


def _in_gap(connection: duckdb.DuckDBPyConnection, split: Split, start: Any, pool: str) -> str:
    if split.gap_s is None:
        assert isinstance(split.gap, int)
        last = take_last(connection, pool, split.gap, whole=True)
        return "false" if last is None else f"v >= {literal(last)}"
    kind = require(connection, str(split.order_by))
    if not kind.startswith(("TIMESTAMP", "DATE", "VARCHAR")):
        raise DataError(
            f"data.split.gap: {split.gap} is a time span, but {split.order_by!r} holds numbers",
            hint="give the gap as a number of rows",
        )
    return f"v > {literal(start - round(split.gap_s * 1_000_000))}"


def _result(connection: duckdb.DuckDBPyConnection, side: str, split: Split, *, sort: bool) -> Assigned:
    found = {s: int(n) for s, n in connection.execute(f"SELECT {side} AS s, count(*) FROM u GROUP BY s").fetchall()}
    empty = [name for name in SPLITS if not found.get(name)]
    if empty:
        gap = " after the gap" if found.get(GAP) else ""
        raise DataError(
            f"nothing is left for {' and '.join(empty)}{gap}",
            hint="make the gap smaller" if gap else "bring more data, or group by a finer column",
        )
    sides = ", ".join(f"'{name}'" for name in SPLITS)
    query = f"SELECT key, {side} AS split FROM u WHERE split IN ({sides})"
    if sort:
        inner = f"SELECT {ROW}, key, {side} AS split FROM u"
        query = f"SELECT key, split FROM ({inner}) WHERE split IN ({sides}) ORDER BY {ROW}"
    left_out = {reason: found[reason] for reason in (GAP, UNLISTED, LEFT_OUT, NEW_IN_TEST) if found.get(reason)}
    return Assigned({name: found[name] for name in SPLITS}, left_out, connection, query)
