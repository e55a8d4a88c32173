"""Source `sql` against SQLite files and a real PostgreSQL server."""

from __future__ import annotations

import json
import os
import sqlite3
from contextlib import closing

import pandas as pd
import pytest
from pydantic import ValidationError

from pizzeria.errors import DataError, PluginError
from pizzeria_plugins.sources import sql
from pizzeria_plugins.sources.column_kinds import kind_of, widest

from ..prediction_logs.conftest import PASSWORD, server  # noqa: F401


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "rows.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE flights (id INTEGER PRIMARY KEY, late INT, when_ TIMESTAMP, price REAL, note)")
        connection.executemany(
            "INSERT INTO flights VALUES (?, ?, ?, ?, ?)",
            [(3, 1, "2024-01-01 00:00:00", None, None), (1, 0, "2024-01-02", 1.5, "x"), (2, None, None, 2, 7)],
        )
        connection.execute("CREATE TABLE small (late INT)")
        connection.commit()
    return path


@pytest.fixture
def late(problem_of):
    return problem_of("tabular_classification", "0", "1", target="late")


def _collect(problem, tmp_path, progress, **options):
    folder = tmp_path / "stage"
    folder.mkdir(exist_ok=True)
    tables = sql.collect(sql.Options(**options), problem, folder, progress)
    tables.account.check(tables.counts())
    assert [one.name for one in folder.iterdir()] == ["rows.parquet"]
    return tables


def test_a_table_of_sqlite(file, late, tmp_path, progress):
    tables = _collect(late, tmp_path, progress, url=f"sqlite:///{file}", table="flights")
    rows = tables.rows
    assert list(rows.columns) == ["row_id", "id", "late", "when_", "price", "note"]
    assert rows["id"].tolist() == [1, 2, 3]  # by its primary key
    assert [None if pd.isna(one) else one for one in rows["late"]] == ["0", None, "1"]
    assert rows["when_"].dtype.kind == "M"
    assert rows["price"][:2].tolist() == [1.5, 2]
    assert [None if pd.isna(one) else one for one in rows["note"]] == ["x", "7", None]
    (what,) = tables.account.handled["rows"]
    assert "column note has values of several types" in what


def test_a_query_columns_and_limit(file, late, tmp_path, progress):
    url = f"sqlite:///{file}"
    query = "SELECT late, price AS 'a:b', ':x' AS colon FROM flights WHERE late IS NOT NULL ORDER BY id"
    rows = _collect(late, tmp_path, progress, url=url, query=query).rows
    assert rows["late"].tolist() == ["0", "1"]
    assert rows["colon"].tolist() == [":x", ":x"]
    rows = _collect(late, tmp_path, progress, url=url, table="flights", columns=["late"], row_id="id", limit=2).rows
    assert list(rows.columns) == ["row_id", "late"]
    assert rows["row_id"].tolist() == ["1", "2"]
    assert len(_collect(late, tmp_path, progress, url=url, query="SELECT * FROM flights", limit=1).rows) == 1


def test_inputs_change_with_the_data_and_not_with_their_order(file):
    def state(**options):
        return sql.inputs(sql.Options(url=f"sqlite:///{file}", **options))

    before = state(query="SELECT * FROM flights ORDER BY id")
    assert before == state(query="SELECT * FROM flights ORDER BY id DESC")
    version = state(table="flights", version_query="SELECT count(*) FROM flights")
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("UPDATE flights SET price = 3 WHERE id = 1")
        connection.commit()
    assert before != state(query="SELECT * FROM flights ORDER BY id")
    assert version == state(table="flights", version_query="SELECT count(*) FROM flights")


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"url": "sqlite:///x", "query": "DELETE FROM t"}, "begins with SELECT or WITH"),
        ({"url": "sqlite:///x", "query": "SELECT 1; DROP TABLE t"}, "semicolon in the middle"),
        ({"url": "sqlite:///x", "query": "WITH a AS (DELETE FROM t RETURNING *) SELECT * FROM a"}, "says DELETE"),
        ({"url": "sqlite:///x", "query": "SELECT * INTO t FROM s"}, "says INTO"),
        ({"url": "sqlite:///x", "version_query": "VACUUM", "table": "t"}, "begins with SELECT"),
        ({"url": "postgresql://u:s3cret@h/d", "table": "t"}, "holds a password"),
        ({"url": "postgresql://h/d?password=s3cret", "table": "t"}, "holds a password"),
        ({"url": "rows.db", "table": "t"}, "no URL"),
        ({"url": "sqlite:///x", "url_from": "X", "table": "t"}, "either url or url_from"),
        ({"url": "sqlite:///x"}, "either table or query"),
        ({"url": "sqlite:///x", "query": "SELECT 1", "table_schema": "s"}, "table_schema goes with table"),
    ],
)
def test_what_the_spec_may_not_say(options, why):
    with pytest.raises(ValidationError, match=why) as caught:
        sql.Options(**options)
    assert "s3cret" not in caught.value.errors()[0]["msg"]


def test_words_in_texts_and_names_are_no_commands(file, late, tmp_path, progress):
    query = "SELECT late, 'DROP; x' AS \"update\" /* delete; */ FROM flights -- insert;\n WHERE id = 1;"
    assert _collect(late, tmp_path, progress, url=f"sqlite:///{file}", query=query).rows["update"].tolist() == [
        "DROP; x"
    ]


def test_faults_are_named(file, late, tmp_path, progress, monkeypatch):
    def fails(match, kind=DataError, **options):
        with pytest.raises(kind, match=match) as caught:
            _collect(late, tmp_path, progress, **options)
        return caught.value

    url = f"sqlite:///{file}"
    assert "did you mean 'flights'" in fails("no table 'flight'", url=url, table="flight").hint
    fails("no column 'late' in small|has no rows", url=url, table="small")
    fails("no such column: nowhere", url=url, query="SELECT nowhere FROM flights")
    fails("is not a file", url="sqlite:///none.db", table="t")
    fails("does not say where the database is")
    fails("NONE, which data.url_from names, is not set", url_from="NONE", table="t")
    fails("cannot be read: file is not a database", url=f"sqlite:///{__file__}", table="t")
    fails("lacks the library", PluginError, url="mysql://h/d", table="t")
    monkeypatch.setenv("WHERE_IT_IS", "no url s3cret")
    assert "s3cret" not in str(fails("holds is no database URL", url_from="WHERE_IT_IS", table="t"))


def test_a_sqlite_file_is_recognised(file, tmp_path):
    assert sql.recognise(file).options == {"url": f"sqlite:///{file}", "table": "flights"}
    (tmp_path / "x.db").write_text("something else")
    assert sql.recognise(tmp_path / "x.db") is None
    assert sql.recognise(tmp_path) is None


def test_kinds_widen():
    assert kind_of([None, 1, True]) == "text"
    assert kind_of([None, 1, 2**70]) == "real"
    assert kind_of([None]) == "none"
    kinds = ("none", "boolean", "whole", "real", "date", "time", "zoned", "bytes", "text")
    for one in kinds:
        assert widest(one, one) == one
        for other in kinds:
            assert widest(one, other) == widest(other, one)


# PostgreSQL


@pytest.fixture
def postgres(server, monkeypatch):  # noqa: F811
    """A table in a schema of its own; the environment has the address."""
    import psycopg

    monkeypatch.setenv("ROWS_AT", server.address)
    with psycopg.connect(server.address, autocommit=True) as connection:
        connection.execute("DROP SCHEMA IF EXISTS shop CASCADE")
        connection.execute("CREATE SCHEMA shop")
        connection.execute(
            "CREATE TABLE shop.sales (id bigint PRIMARY KEY, late boolean, price numeric(12, 2), at timestamptz, "
            "day date, tags jsonb, list int[], key uuid, raw bytea, note text)"
        )
        # All is empty in the first chunk of rows.
        connection.execute("INSERT INTO shop.sales (id, late) SELECT i, true FROM generate_series(1, 50) i")
        connection.execute(
            "INSERT INTO shop.sales SELECT i, false, i / 3.0, '2024-03-31 02:30:00+02', '2024-03-31', "
            """'{"a": 1}', '{1,2}', gen_random_uuid(), 'x', 'n' FROM generate_series(51, 90) i"""
        )
    return server


def test_a_table_of_postgresql(postgres, problem_of, tmp_path, progress, monkeypatch):
    monkeypatch.setattr(sql, "_CHUNK", 20)
    problem = problem_of("tabular_classification", "true", "false", target="late")
    tables = _collect(problem, tmp_path, progress, url_from="ROWS_AT", table="sales", table_schema="shop", row_id="id")
    rows = tables.rows
    assert rows["row_id"].tolist() == [str(number) for number in range(1, 91)]
    assert rows["late"].tolist() == ["true"] * 50 + ["false"] * 40
    assert rows["price"].dtype.kind == "f"
    assert rows["price"].iloc[50] == 17.0
    assert str(rows["at"].iloc[-1]) == "2024-03-31 00:30:00+00:00"
    assert str(rows["day"].iloc[-1]) == "2024-03-31 00:00:00"
    assert json.loads(rows["tags"].iloc[-1]) == {"a": 1}
    assert rows["list"].iloc[-1] == "[1, 2]"
    assert rows["raw"].iloc[-1] == b"x"
    assert rows.iloc[:50, 2:].isna().all().all()
    assert not tables.account.handled
    assert PASSWORD not in "".join(progress.lines)


def test_postgresql_itself_refuses_to_write(postgres, problem_of, tmp_path, progress):
    import psycopg

    with psycopg.connect(postgres.address, autocommit=True) as connection:
        connection.execute("CREATE FUNCTION shop.sly() RETURNS int LANGUAGE sql AS 'DELETE FROM shop.sales; SELECT 1'")
        problem, query = problem_of("tabular_regression", target="y"), "SELECT 1 AS y, shop.sly() AS x"
        with pytest.raises(DataError, match="read-only transaction"):
            _collect(problem, tmp_path, progress, url_from="ROWS_AT", query=query)
        assert connection.execute("SELECT count(*) FROM shop.sales").fetchone() == (90,)


def test_no_message_has_the_password(postgres, problem_of, tmp_path, progress, monkeypatch):
    problem = problem_of("tabular_regression", target="y")
    asked = {"url_from": "ROWS_AT", "query": "SELECT nothing"}
    wrong = postgres.address.replace("@127", "x@127"), postgres.address.replace(f":{postgres.port}", ":1")
    for address in (postgres.address, *wrong):
        monkeypatch.setenv("ROWS_AT", address)
        for call in (lambda: _collect(problem, tmp_path, progress, **asked), lambda: sql.inputs(sql.Options(**asked))):
            with pytest.raises(DataError, match="the query in postgresql") as caught:
                call()
            assert PASSWORD not in f"{caught.value}{caught.value.hint}{caught.value.__cause__}"


def test_a_url_without_a_password_finds_it_in_the_environment(postgres, problem_of, tmp_path, progress, monkeypatch):
    monkeypatch.setenv("PGPASSWORD", PASSWORD)
    monkeypatch.delenv("ROWS_AT")
    options = {"url": f"postgresql://pizzeria@127.0.0.1:{postgres.port}/postgres", "query": "SELECT 1.5 AS y"}
    rows = _collect(problem_of("tabular_regression", target="y"), tmp_path, progress, **options).rows
    assert rows["y"].tolist() == [1.5]
    assert "ROWS_AT" not in os.environ
