"""What `data.split.stratify_by` means by a class: a column, labels, boxes or the target."""

# ruff: noqa: S608 -- every name in the queries is quoted, and every text escaped
from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pizzeria.errors import DataError, nearest
from pizzeria.spec.problem import Problem
from pizzeria.spec.split import CLASSES
from pizzeria.splitting.row_store import one, types
from pizzeria.sql_text import quoted
from pizzeria.tables import Tables

if TYPE_CHECKING:
    import duckdb
    import pandas as pd

MOST = 1000


@dataclass(frozen=True)
class Classes:
    """One class for each row, in a column; or any number of them for each photo, as `held`: key, c."""

    column: str | None = None
    held: pd.DataFrame | None = None

    def hold(self, connection: duckdb.DuckDBPyConnection) -> None:
        """The table `held`: unit, c, n."""
        if self.held is None:
            query = "SELECT unit, label AS c, count(*) AS n FROM u GROUP BY ALL"
        else:
            import pyarrow as pa

            connection.register("held_by_photo", pa.Table.from_pandas(self.held, preserve_index=False))
            query = "SELECT u.unit, p.c, count(*) AS n FROM held_by_photo p JOIN u ON u.key = p.key GROUP BY ALL"
        connection.execute(f"CREATE TEMP TABLE held AS {query}")


def classes_of(
    connection: duckdb.DuckDBPyConnection, tables: Tables, stratify_by: str | None, problem: Problem | None
) -> Classes | None:
    """None where nothing is stratified.

    Raises:
        DataError: there is no such column, or it has too many values; or the task has no classes.
    """
    if stratify_by is None:
        return None
    column = stratify_by
    if stratify_by == CLASSES:
        import pandas as pd

        images, boxes = tables.images, tables.boxes
        if images is None:
            if problem is None or problem.target is None or problem.task == "tabular_regression":
                raise DataError(
                    "data.split.stratify_by: classes needs a task with classes", hint="name a column to stratify by"
                )
            column = problem.target
        elif problem is not None and problem.task == "object_detection" and boxes is not None:
            names = boxes["class_name"].astype(str)
            return Classes(held=pd.DataFrame({"key": boxes["image_id"].astype(str).to_numpy(), "c": names.to_numpy()}))
        elif "labels" in images and (problem is None or problem.task != "image_classification"):
            many = images[["image_id", "labels"]].explode("labels").dropna()
            return Classes(
                held=pd.DataFrame(
                    {"key": many["image_id"].astype(str).to_numpy(), "c": many["labels"].astype(str).to_numpy()}
                )
            )
        else:
            column = "label"
    there = types(connection)
    if column not in there:
        raise DataError(f"the data have no column {column!r} to stratify by", hint=nearest(column, there))
    if one(connection, f"SELECT count(*) FROM (SELECT DISTINCT {quoted(column)} FROM source LIMIT {MOST + 1})") > MOST:
        raise DataError(
            f"data.split.stratify_by: {column!r} has more than {MOST} different values",
            hint="stratify by a column with few values",
        )
    return Classes(column)
