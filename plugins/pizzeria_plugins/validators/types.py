"""Names of column types: pandas and DuckDB have their own, and a spec may use either whichever engine checks it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_DUCKDB = {
    "int8": "TINYINT",
    "int16": "SMALLINT",
    "int32": "INTEGER",
    "int64": "BIGINT",
    "uint8": "UTINYINT",
    "uint16": "USMALLINT",
    "uint32": "UINTEGER",
    "uint64": "UBIGINT",
    "float32": "FLOAT",
    "float64": "DOUBLE",
    "bool": "BOOLEAN",
    "boolean": "BOOLEAN",
    "str": "VARCHAR",
    "string": "VARCHAR",
    "object": "VARCHAR",
}


def duckdb_type(name: str) -> str:
    """DuckDB's name of a type that pandas or DuckDB names.

    Example:
        >>> duckdb_type("float64"), duckdb_type("datetime64[us]"), duckdb_type("double"), duckdb_type("List")
        ('DOUBLE', 'TIMESTAMP', 'DOUBLE', 'LIST')
    """
    if name.lower().startswith(("datetime64", "timestamp")):
        return "TIMESTAMP"
    return _DUCKDB.get(name.lower(), name.upper())


def pandas_type(name: str) -> str:
    """pandas' name of a type that DuckDB names; empty for one that it has no name for.

    Example:
        >>> pandas_type("DOUBLE"), pandas_type("TIMESTAMP"), pandas_type("DECIMAL(9,2)")
        ('float64', 'datetime64', '')
    """
    if duckdb_type(name) == "TIMESTAMP":
        return "datetime64"
    return next((pandas for pandas, other in _DUCKDB.items() if other == name), "")


def kind_of(name: str) -> str:
    """`number`, `time`, `text` or `other`, of a type that pandas or DuckDB names.

    Example:
        >>> kind_of("BIGINT"), kind_of("str"), kind_of("DATE"), kind_of("DOUBLE[]")
        ('number', 'text', 'time', 'other')
    """
    found = duckdb_type(name)
    if found in ("VARCHAR", "CATEGORY"):
        return "text"
    if found in ("TIMESTAMP", "DATE"):
        return "time"
    return "number" if found.endswith(("INT", "INTEGER", "FLOAT", "DOUBLE")) else "other"


def as_in(arguments: Mapping[str, Any], kind: str, *, sql: bool) -> dict[str, Any]:
    """Arguments with their types named as an engine names them.

    Args:
        kind: The column's type as the engine names it.
        sql: Whether that is DuckDB.

    Example:
        >>> as_in({"column": "a", "type_": "DOUBLE"}, "float64", sql=False)
        {'column': 'a', 'type_': 'float64'}
    """
    out = dict(arguments)
    wanted = out.get("type_")
    if isinstance(wanted, str) and kind and duckdb_type(wanted) == duckdb_type(kind):
        out["type_"] = kind
    elif isinstance(wanted, str) and sql:
        out["type_"] = duckdb_type(wanted)
    elif isinstance(wanted, str):
        out["type_"] = pandas_type(wanted) or wanted
    return out
