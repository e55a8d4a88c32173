"""Sides that were settled before: a Parquet file of `key` and `split`, for `data.split.fixed`."""

# ruff: noqa: S608 -- every name in the queries is quoted, and every text escaped
from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from pizzeria.datasets import SPLITS
from pizzeria.errors import DataError, nearest
from pizzeria.splitting.content import check_content
from pizzeria.splitting.row_store import one, pattern
from pizzeria.sql_text import literal as text

if TYPE_CHECKING:
    import duckdb
    import pandas as pd

NONE = "none"
LEFT_OUT = "on no side by data.split.fixed"
NEW_IN_TEST = "new in a group of the fixed test"
_SHOWN = 5


def without_left_out(images: pd.DataFrame, file: Path) -> pd.DataFrame:
    """The photos that may be on a side: what is left out must join no groups either.

    Raises:
        DataError: the file is not there, or is none of sides.
    """
    import pandas as pd

    _check_file(file)
    sides = pd.read_parquet(file, columns=["key", "split"])
    out = set(sides["key"].astype(str)[sides["split"] == NONE])
    return images[~images["image_id"].astype(str).isin(out)].reset_index(drop=True)


def open_fixed(connection: duckdb.DuckDBPyConnection, file: Path, key: str) -> None:
    """Make the table `fixed`: `_key`, `_side`, of all that the file names.

    Args:
        connection: With `source`.
        key: SQL of a row's key in `source`.

    Raises:
        DataError: the file is not there or is none of sides, names a row twice, or names rows that the data have no
            more, or that are others now; names them.
    """
    _check_file(file)
    connection.execute(
        f"CREATE TEMP TABLE fixed AS SELECT CAST(key AS VARCHAR) AS _key, CAST(split AS VARCHAR) AS _side "
        f"FROM read_parquet({text(pattern(file))})"
    )
    words = ", ".join(text(word) for word in (*SPLITS, NONE))
    odd = connection.execute(
        f"SELECT DISTINCT coalesce(_side, 'nothing') FROM fixed WHERE _side IS NULL OR _side NOT IN ({words}) LIMIT 1"
    ).fetchone()
    if odd is not None:
        raise DataError(
            f"data.split.fixed: {file} says {odd[0]!r}, which is no side", hint=f"it may say {', '.join(SPLITS)}, none"
        )
    twice = _named(connection, "SELECT _key FROM fixed GROUP BY _key HAVING count(*) > 1")
    if twice:
        raise DataError(f"data.split.fixed: {file} names a row twice: {twice}", hint="a row has one side")
    _require_there(connection, key)
    import pyarrow.parquet as pq

    if "content" in pq.read_schema(file).names:
        check_content(connection, file, key)


def _require_there(connection: duckdb.DuckDBPyConnection, key: str) -> None:
    gone = f"FROM fixed WHERE _side <> '{NONE}' AND _key NOT IN (SELECT {key} FROM source)"
    for side in reversed(SPLITS):
        these = f"{gone} AND _side = '{side}'"
        names = _named(connection, f"SELECT _key {these}")
        if names:
            count = one(connection, f"SELECT count(*) {these}")
            raise DataError(
                f"data.split.fixed: {count} rows of {side} are gone from the data: {names}",
                hint="bring them back, or take data.split.fixed out to split anew, which makes earlier results "
                "incomparable",
            )


def parts_of(file: Path) -> pd.DataFrame | None:
    """`key` and `part` (`frozen`, `window`) of the test rows; None where the file does not tell parts apart."""
    import pandas as pd
    import pyarrow.parquet as pq

    if "part" not in pq.read_schema(file).names:
        return None
    found = pd.read_parquet(file, columns=["key", "split", "part"])
    return found.loc[found["split"].eq("test") & found["part"].notna(), ["key", "part"]].reset_index(drop=True)


def check_groups(connection: duckdb.DuckDBPyConnection, group: str) -> None:
    """See that no group of the table `u` has rows on two of the sides that `fixed` says.

    Raises:
        DataError: names some of them.
    """
    sides = ", ".join(text(side) for side in SPLITS)
    several = (
        f"SELECT unit FROM u WHERE given IN ({sides}) GROUP BY unit HAVING count(DISTINCT given) > 1 AND unit <> ''"
    )
    names = _named(connection, several)
    if names:
        raise DataError(
            f"data.split.fixed puts one {group} on two sides: {names}", hint="each must be on one side as a whole"
        )


def side_of_the_rest(rest: str, validation: float, bits: int) -> str:
    """SQL for the side of a row of `u` that `fixed` names or not.

    What is new goes where its group is, except into the test; a new group goes to validation or train by its hash
    alone, so that it stays there whatever comes after it.

    Args:
        rest: `leave_out` or `learn`.
        validation: Share of what is learnt from that is for validation.
        bits: Of a hash.
    """
    known = f"WHEN given = '{NONE}' THEN '{LEFT_OUT}' WHEN given IS NOT NULL THEN given"
    if rest == "leave_out":
        return f"CASE {known} ELSE NULL END"
    of_group = "(SELECT min(s) FROM unit_sides WHERE unit_sides.unit = u.unit)"
    cut = round(validation * (1 << bits))
    return (
        f"CASE {known} WHEN {of_group} = 'test' THEN '{NEW_IN_TEST}' WHEN {of_group} IS NOT NULL THEN {of_group} "
        f"WHEN h < {cut} THEN 'validation' ELSE 'train' END"
    )


def _check_file(file: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        names = pq.read_schema(file).names
    except FileNotFoundError:
        raise DataError(
            f"data.split.fixed: there is no {file}", hint="a Parquet file with the columns key and split"
        ) from None
    except (OSError, pa.ArrowException) as error:
        raise DataError(f"data.split.fixed: {file} is no Parquet file: {error}") from None
    for name in ("key", "split"):
        if name not in names:
            raise DataError(f"data.split.fixed: {file} has no column {name!r}", hint=nearest(name, names))


def _named(connection: duckdb.DuckDBPyConnection, query: str) -> str:
    found = connection.execute(f"SELECT * FROM ({query}) AS q(k) ORDER BY k LIMIT {_SHOWN + 1}").fetchall()
    names = [str(name) for (name,) in found]
    return ", ".join([*names[:_SHOWN], *(["..."] if len(names) > _SHOWN else [])])
