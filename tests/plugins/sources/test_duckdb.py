from __future__ import annotations

import duckdb as ducks
import pytest
from pydantic import ValidationError

from pizzeria.errors import DataError
from pizzeria_plugins.sources import duckdb


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "rows.duckdb"
    with ducks.connect(str(path)) as connection:
        connection.execute(
            "CREATE TABLE flights AS SELECT i AS id, i % 2 = 0 AS late, i * 1.5 AS price FROM range(5) t(i)"
        )
        connection.execute("CREATE VIEW early AS SELECT * FROM flights WHERE NOT late")
        connection.execute("CREATE TABLE small AS SELECT 1 AS x")
    return path


@pytest.fixture
def collect(tmp_path, problem_of, progress):
    folder = tmp_path / "stage"
    folder.mkdir()

    def run(target="late", **options):
        task = ("tabular_classification", "true", "false") if target == "late" else ("tabular_regression",)
        tables = duckdb.collect(duckdb.Options(**options), problem_of(*task, target=target), folder, progress)
        tables.account.check(tables.counts())
        assert [one.name for one in folder.iterdir()] == ["rows.parquet"]
        return tables.rows

    return run


def test_a_table_a_view_and_a_query(file, collect):
    rows = collect(path=file, table="flights")
    assert rows["late"].tolist() == ["true", "false", "true", "false", "true"]
    assert rows["price"].tolist() == [0, 1.5, 3, 4.5, 6]
    assert collect(path=file, table="early")["id"].tolist() == [1, 3]
    rows = collect(path=file, query="FROM flights ORDER BY id DESC", row_id="id", limit=2)
    assert rows["row_id"].tolist() == ["4", "3"]
    assert duckdb.inputs(duckdb.Options(path=file, table="flights")) == (file,)


def test_a_query_over_files(tmp_path, collect):
    (tmp_path / "prices.csv").write_text("id;price\n1;2,5\n2;3\n".replace(",", "."))
    ducks.sql(f"COPY (SELECT i AS id, i * 2 AS y FROM range(3) t(i)) TO '{tmp_path}/y.parquet'")
    files = {"prices": tmp_path / "prices.csv", "y": tmp_path / "y.parquet"}
    query = "SELECT * FROM prices JOIN y USING (id) ORDER BY id"
    rows = collect("y", files=files, query=query)
    assert rows.drop(columns="row_id").to_dict("list") == {"id": [1, 2], "price": [2.5, 3], "y": [2, 4]}
    assert set(duckdb.inputs(duckdb.Options(files=files, query=query))) == set(files.values())


@pytest.mark.parametrize(
    "read",
    [
        "'{secret}'",
        "read_csv('{secret}')",
        "read_text('/etc/hostname')",
        "glob('/etc/*')",
        "'http://127.0.0.1:9/x.csv'",
    ],
)
def test_a_query_reads_what_the_spec_names_alone(tmp_path, file, collect, read):
    (tmp_path / "secret.csv").write_text("late\n1\n")
    with pytest.raises(DataError, match="reads what the spec does not name") as caught:
        collect(path=file, query=f"SELECT * FROM {read.format(secret=tmp_path / 'secret.csv')}")
    assert "data.files" in caught.value.hint


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"path": "x.duckdb", "query": "COPY t TO 'x'"}, "begins with"),
        ({"path": "x.duckdb", "query": "SELECT 1; SET enable_external_access = true"}, "semicolon"),
        ({"table": "t"}, "either path"),
        ({"path": "x.duckdb", "files": {"a": "b"}, "table": "t"}, "either path"),
        ({"path": "x.duckdb"}, "either table"),
        ({"path": "s3://k:s3cret@bucket/x.duckdb", "table": "t"}, "holds a password"),
    ],
)
def test_what_the_spec_may_not_say(options, why):
    with pytest.raises(ValidationError, match=why):
        duckdb.Options(**options)


def test_faults_are_named(tmp_path, file, collect):
    with pytest.raises(DataError, match="no table 'flight' in") as caught:
        collect(path=file, table="flight")
    assert "did you mean 'flights'" in caught.value.hint
    with pytest.raises(DataError, match="cannot be read: Binder Error"):
        collect(path=file, query="SELECT nothing FROM flights")
    with pytest.raises(DataError, match="does not say what to read"):
        collect()
    with pytest.raises(DataError, match="is not a file"):
        collect(path=tmp_path / "none.duckdb", table="t")
    (tmp_path / "x.duckdb").write_text("something else")
    with pytest.raises(DataError, match="is no DuckDB file"):
        collect(path=tmp_path / "x.duckdb", table="t")
    with pytest.raises(DataError, match="has no rows"):
        collect(path=file, query="SELECT * FROM flights WHERE id > 9")


def test_a_duckdb_file_is_recognised(file, tmp_path):
    assert duckdb.recognise(file).options == {"path": str(file), "table": "flights"}
    assert duckdb.recognise(tmp_path) is None
    assert duckdb.recognise(tmp_path / "none") is None
