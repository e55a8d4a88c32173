"""Columns that are derived from a table of rows, in memory or in DuckDB, the same in both.

| column | meaning |
|---|---|
| copies | rows that are equal to it in every column but row_id, itself included |
| conflicting_target | whether a row that is equal to it in its features has another target |
| class_count | rows of its class (classification) |
| class_balance | that, divided by the count of the commonest class |
| neighbours_disagree | share of its 10 nearest rows that have another class; of tables up to 20,000 rows with |
| | up to 12 numeric features, or 5,000 rows with up to 60, in memory |
| age_days_of_<column> | days from a column's time to when the check ran |

Features are all columns but row_id, the target, `split`, and times, in which hardly two rows agree. A column that the
data have under such a name stays theirs.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from pizzeria.spec.problem import Problem
from pizzeria_plugins.validators.batches import quoted

if TYPE_CHECKING:
    import duckdb
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

KEY = "row_id"
NEIGHBOURS = 10
_NOW = "now() at time zone 'UTC'"
_COMPARED = ((12, 20_000), (60, 5_000))  # so many features, so many rows: seconds


def with_derived(frame: pd.DataFrame, problem: Problem | None) -> pd.DataFrame:
    """A frame with its derived columns, rows numbered from 0."""
    import pandas as pd

    frame = frame.reset_index(drop=True)
    times = [column for column in frame if pd.api.types.is_datetime64_any_dtype(frame[column].dtype)]
    new: dict[str, Any] = {}
    for column in times:
        new[f"age_days_of_{column}"] = (pd.Timestamp.now(tz="UTC") - pd.to_datetime(frame[column], utc=True)) / (
            pd.Timedelta(days=1)
        )
    comparable = [column for column in frame if column != KEY and not _nested(frame[column])]
    if comparable:
        hashed = pd.util.hash_pandas_object(frame[comparable], index=False)
        new["copies"] = hashed.map(hashed.value_counts())
    target = problem.target if problem is not None else None
    features = [column for column in comparable if column not in {target, "split", *times}]
    if target in frame and features:
        hashed = pd.util.hash_pandas_object(frame[features], index=False)
        new["conflicting_target"] = frame[target].groupby(hashed).transform("nunique") > 1
    if target in frame and problem is not None and problem.classes:
        counts = frame[target].dropna().value_counts()
        new["class_count"] = frame[target].map(counts)
        if len(counts):
            new["class_balance"] = new["class_count"] / counts.max()
        disagreement = _disagreement(frame, features, str(target))
        if disagreement is not None:
            new["neighbours_disagree"] = disagreement
    return frame.assign(**{name: values for name, values in new.items() if name not in frame})


def derive_view(connection: duckdb.DuckDBPyConnection, table: str, problem: Problem | None) -> str:
    """Make a view `<table>_derived` of a table in DuckDB and return its name.

    What is joined to the rows is small: hashes that more than one row has, and the classes.
    """
    kinds: dict[str, str] = dict(
        connection.execute(
            "select column_name, data_type from duckdb_columns() where table_name = $1 order by column_index", [table]
        ).fetchall()
    )
    times = [column for column, kind in kinds.items() if kind.startswith(("TIMESTAMP", "DATE"))]
    target = problem.target if problem is not None else None
    comparable = [column for column, kind in kinds.items() if column != KEY and not kind.endswith(("[]", ")"))]
    comparable += [column for column, kind in kinds.items() if kind.startswith("DECIMAL") and column != KEY]
    features = [column for column in comparable if column not in {target, "split", *times}]
    new: dict[str, str] = {
        # A time without a zone is one of UTC, whatever the zone of this machine is.
        f"age_days_of_{column}": f"date_diff('second', {_in_utc(column, kinds[column])}, {_NOW}) / 86400.0"
        for column in times
    }
    joins = []
    if comparable:
        _keep(connection, f"{table}_copies", f"{_hash(comparable)} as h, count(*) as n", table, "having count(*) > 1")
        joins.append(f"left join {quoted(f'{table}_copies')} copies on copies.h = {_hash(comparable, 't.')}")
        new["copies"] = "coalesce(copies.n, 1)"
    goal = quoted(str(target))
    if target in kinds and features:
        _keep(connection, f"{table}_conflicts", f"{_hash(features)} as h", table, f"having min({goal}) <> max({goal})")
        joins.append(f"left join {quoted(f'{table}_conflicts')} conflicts on conflicts.h = {_hash(features, 't.')}")
        new["conflicting_target"] = "conflicts.h is not null"
    if target in kinds and problem is not None and problem.classes:
        _keep(connection, f"{table}_classes", f"{goal} as c, count({goal}) as n", table, "")
        joins.append(f"left join {quoted(f'{table}_classes')} classes on classes.c = t.{goal}")
        most = connection.execute(f"select max(n) from {quoted(f'{table}_classes')}").fetchone()  # noqa: S608 - quoted
        new["class_count"] = "classes.n"
        new["class_balance"] = f"classes.n / {max(1, int((most or (0,))[0] or 0))}.0::double"
    named = [f"{expression} as {quoted(name)}" for name, expression in new.items() if name not in kinds]
    if not named:
        return table
    view = f"{table}_derived"
    wide = f"select t.*, {', '.join(named)} from {quoted(table)} t {' '.join(joins)}"  # noqa: S608 - names are quoted
    connection.execute(f"create view {quoted(view)} as {wide}")
    return view


def _in_utc(column: str, kind: str) -> str:
    return f"{quoted(column)} at time zone 'UTC'" if kind.endswith("TIME ZONE") else f"{quoted(column)}::timestamp"


def _keep(connection: duckdb.DuckDBPyConnection, name: str, what: str, table: str, having: str) -> None:
    """Keep what a query finds by its first column, as a small table."""
    query = f"select {what} from {quoted(table)} group by 1 {having}"  # noqa: S608 - names are quoted
    connection.execute(f"create table {quoted(name)} as {query}")


def _hash(columns: Sequence[str], prefix: str = "") -> str:
    return f"hash({', '.join(prefix + quoted(column) for column in columns)})"


def _nested(values: pd.Series[Any]) -> bool:
    first = values.dropna().head(1)
    return bool(len(first)) and hasattr(first.iloc[0], "__len__") and not isinstance(first.iloc[0], str | bytes)


def _disagreement(frame: pd.DataFrame, features: Sequence[str], target: str) -> NDArray[np.float64] | None:
    """Of each row, the share of the rows nearest to it that have another class; numbers alone, as ranks."""
    import numpy as np
    import pandas as pd
    from scipy.spatial import cKDTree

    numeric = [column for column in features if pd.api.types.is_numeric_dtype(frame[column].dtype)]
    most = next((rows for count, rows in _COMPARED if len(numeric) <= count), 0)
    if not numeric or not NEIGHBOURS < len(frame) <= most:
        return None
    values = frame[numeric].astype(float).rank(pct=True).fillna(0.5).to_numpy()
    classes = pd.factorize(frame[target])[0]
    _, near = cKDTree(values).query(values, k=NEIGHBOURS + 1, workers=-1)
    own = near == np.arange(len(frame))[:, None]
    own[~own.any(axis=1), -1] = True  # among many equal rows it may not find itself
    others = classes[near[~own].reshape(len(frame), NEIGHBOURS)]
    share = (others != classes[:, None]).mean(axis=1)
    return np.where(classes >= 0, share, np.nan)
