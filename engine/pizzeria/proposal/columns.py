"""What the columns of a table hold, told by DuckDB without reading the table into memory."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from pizzeria.inference.rows import text
from pizzeria.sql_text import quoted
from pizzeria.tables import Tables

if TYPE_CHECKING:
    import duckdb

Kind = Literal["number", "text", "boolean", "time"]
_COUNTED = 1000


@dataclass(frozen=True)
class Column:
    """One column.

    Attributes:
        distinct: Different values, about; missing ones not counted.
        missing: Rows without a value.
        whole: Numbers without a fraction.
        least, most: Of numbers and times; None for others, or where nothing is there.
        counts: Rows of each value as text, where there are at most a thousand.
    """

    name: str
    kind: Kind
    rows: int
    distinct: int
    missing: int
    whole: bool = False
    least: Any = None
    most: Any = None
    counts: dict[str, int] = field(default_factory=dict)

    @property
    def identifies(self) -> bool:
        """Whether it names its row, or nearly: texts and whole numbers that hardly repeat."""
        return (
            self.kind in ("text", "number")
            and self.distinct >= 0.95 * max(self.rows - self.missing, 1)
            and (self.kind == "text" or self.whole)
        )


def look(tables: Tables) -> list[Column]:
    """Every column but `row_id`, in the table's order."""
    import duckdb

    with duckdb.connect() as connection:
        if tables.rows_file is not None:
            connection.read_parquet(str(tables.rows_file)).create_view("t")
        else:
            connection.register("t", tables.rows)
        described = connection.execute("describe t").fetchall()
        return [_column(connection, str(name), str(kind)) for name, kind, *_ in described if name != "row_id"]


def _column(connection: duckdb.DuckDBPyConnection, name: str, sql_type: str) -> Column:
    column = quoted(name)
    kind = _kind(sql_type)
    ordered = kind in ("number", "time")
    bounds = f"min({column}), max({column})" if ordered else "null, null"
    whole = f"bool_and({column} = floor({column}))" if kind == "number" else "false"
    query = f"select count(*), count({column}), approx_count_distinct({column}), {bounds}, {whole} from t"  # noqa: S608 - names are quoted, texts escaped
    found = connection.execute(query).fetchone()
    assert found is not None
    rows, there, distinct, least, most, is_whole = found
    counts: dict[str, int] = {}
    if distinct <= _COUNTED:
        query = f"select {column}, count(*) from t where {column} is not null group by 1"  # noqa: S608 - names are quoted, texts escaped
        for value, count in connection.execute(query).fetchall():
            name_of = str(text(value))
            counts[name_of] = counts.get(name_of, 0) + int(count)
        distinct = len(counts)
    return Column(name, kind, rows, int(distinct), rows - there, bool(is_whole), least, most, counts)


def _kind(sql_type: str) -> Kind:
    plain = sql_type.upper()
    if plain.startswith(("TIMESTAMP", "DATE")):
        return "time"
    if plain == "BOOLEAN":
        return "boolean"
    numbers = ("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT", "UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT")
    return "number" if plain in (*numbers, "UHUGEINT", "FLOAT", "DOUBLE") or plain.startswith("DECIMAL") else "text"
