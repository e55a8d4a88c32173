"""DuckDB, as Great Expectations' SQL engine needs it.

Great Expectations knows no DuckDB, and duckdb-engine alone does not do: a result is read after its connection went
back to the pool, which empties it there, and to a dialect of an unknown name Great Expectations offers no regular
expressions. So this dialect keeps each result in its cursor, goes by the name of PostgreSQL, whose SQL DuckDB
speaks, and writes `~`, which is a search there and a whole match in DuckDB, as `regexp_matches`.
"""

from __future__ import annotations

from typing import Any

import duckdb
import duckdb_engine
from sqlalchemy import text
from sqlalchemy.dialects import registry
from sqlalchemy.pool import NullPool
from sqlalchemy.types import UserDefinedType

URL = "postgresql+pizzeria_duckdb:///"


class _Cursor:
    """A DB-API cursor that holds what its statement found; Great Expectations asks for figures and few rows only."""

    def __init__(self, connection: _Connection) -> None:
        self.connection = connection
        self.description: Any = None
        self.rowcount = -1
        self.arraysize = 1
        self._cursor = connection.duckdb.cursor()
        self._rows: list[tuple[Any, ...]] = []

    def execute(self, statement: str, parameters: Any = None, context: Any = None) -> None:
        self._cursor.execute(statement, parameters or None)
        # Types as text: those of DuckDB's own that outlive Python's end are told of as leaks.
        described = self._cursor.description
        self.description = [(name, str(kind), *rest) for name, kind, *rest in described] if described else None
        self._rows = self._cursor.fetchall() if self.description else []

    def fetchone(self) -> tuple[Any, ...] | None:
        return self._rows.pop(0) if self._rows else None

    def fetchmany(self, size: int | None = None) -> list[tuple[Any, ...]]:
        size = size or self.arraysize
        found, self._rows = self._rows[:size], self._rows[size:]
        return found

    def fetchall(self) -> list[tuple[Any, ...]]:
        return self.fetchmany(len(self._rows))

    def close(self) -> None:
        self._cursor.close()
        del self._cursor  # a connection that is still held when Python ends is told of as a leak


class _Connection:
    """A DB-API connection; everything is read, so there is no transaction to end."""

    autocommit = None
    closed = False

    def __init__(self, connection: duckdb.DuckDBPyConnection) -> None:
        self.duckdb = connection
        self.notices: list[str] = []

    def cursor(self) -> _Cursor:
        return _Cursor(self)

    def begin(self) -> None:
        pass

    def commit(self) -> None:
        pass

    def rollback(self) -> None:
        pass

    def close(self) -> None:
        self.duckdb.close()
        del self.duckdb
        self.closed = True


class _Compiler(duckdb_engine.Dialect.statement_compiler):  # type: ignore[misc]
    def visit_custom_op_binary(self, element: Any, operator: Any, **more: Any) -> str:
        if operator.opstring not in ("~", "!~"):
            return str(super().visit_custom_op_binary(element, operator, **more))
        found = f"regexp_matches({self.process(element.left, **more)}, {self.process(element.right, **more)})"
        return found if operator.opstring == "~" else f"(NOT {found})"


class Type(UserDefinedType[Any]):
    """A column's type by DuckDB's own name, such as `DOUBLE`."""

    cache_ok = True

    def __init__(self, name: str) -> None:
        self.name = name

    def get_col_spec(self, **more: Any) -> str:
        return self.name


class _Quoting(duckdb_engine.Dialect.preparer):  # type: ignore[misc]
    """Quotes every name: SQLAlchemy does not know which words, such as `at`, are DuckDB's own."""

    def _requires_quotes(self, value: str) -> bool:
        return True


class Dialect(duckdb_engine.Dialect):
    """See the module."""

    preparer = _Quoting
    name = "postgresql"
    driver = "pizzeria_duckdb"
    statement_compiler = _Compiler
    supports_statement_cache = False

    @classmethod
    def get_pool_class(cls, url: Any) -> Any:
        """A pool that holds no connection: one that is still held when Python ends is told of as a leak."""
        return NullPool

    def connect(self, *arguments: Any, **more: Any) -> Any:
        more.pop("config", None), more.pop("url_config", None)
        return _Connection(duckdb.connect(*arguments, **more))

    def get_columns(self, connection: Any, table_name: str, schema: str | None = None, **more: Any) -> Any:
        query = text(
            "select column_name, data_type from duckdb_columns() where table_name = :name order by column_index"
        )
        found = connection.execute(query, {"name": table_name}).fetchall()
        return [{"name": name, "type": Type(kind), "nullable": True, "default": None} for name, kind in found]

    def get_pk_constraint(self, connection: Any, table_name: str, schema: str | None = None, **more: Any) -> Any:
        return {"constrained_columns": [], "name": None}

    def has_table(self, connection: Any, table_name: str, schema: str | None = None, **more: Any) -> bool:
        return bool(self.get_columns(connection, table_name))

    def get_table_names(self, connection: Any, schema: str | None = None, **more: Any) -> Any:
        return [name for (name,) in connection.execute(text("select table_name from duckdb_tables()"))]

    def get_view_names(self, connection: Any, schema: str | None = None, **more: Any) -> Any:
        return [name for (name,) in connection.execute(text("select view_name from duckdb_views() where not internal"))]

    def get_schema_names(self, connection: Any, **more: Any) -> Any:
        return ["main"]


registry.register("postgresql.pizzeria_duckdb", __name__, "Dialect")
