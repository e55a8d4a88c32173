from __future__ import annotations

from pathlib import Path

import duckdb
import pytest

from pizzeria.errors import DataError
from pizzeria_plugins.sources import table

CSV = """\
when,key,price,late,carrier
2024-01-01 00:00:00,a,1.5,1,UA
2024-01-01 00:30:00,b,,0,DL
2024-01-01 01:00:00,c,2,1,
"""


@pytest.fixture
def path(tmp_path):
    (tmp_path / "flights.csv").write_text(CSV)
    return tmp_path / "flights.csv"


@pytest.fixture
def late(problem_of):
    return problem_of("tabular_classification", "0", "1", target="late")


def _rows(path, problem, progress, **options):
    return table.collect(table.Options(path=path, **options), problem, path.parent, progress).rows


def test_rows_keep_their_order_and_types(path, late, progress):
    rows = _rows(path, late, progress)
    assert list(rows.columns) == ["row_id", "when", "key", "price", "late", "carrier"]
    assert list(rows["row_id"]) == ["0", "1", "2"]
    assert list(rows["late"]) == ["1", "0", "1"]
    assert rows["when"].dtype.kind == "M"
    assert rows["price"].dtype.kind == "f"
    assert rows["price"].isna().tolist() == [False, True, False]
    assert rows["carrier"].isna().tolist() == [False, False, True]
    assert progress.lines == [f"3 rows, 5 columns from {path}"]


def test_columns_row_id_and_limit(path, late, progress):
    rows = _rows(path, late, progress, columns=["late", "price"], row_id="key", limit=2)
    assert list(rows.columns) == ["row_id", "price", "late"]
    assert list(rows["row_id"]) == ["a", "b"]


def test_parquet_and_regression(tmp_path, problem_of, progress):
    path = tmp_path / "t.parquet"
    duckdb.sql("SELECT i::INTEGER AS i, i * 0.5::DOUBLE AS y, (i % 2 = 0) AS even FROM range(5) t(i)").write_parquet(
        str(path)
    )
    rows = _rows(path, problem_of("tabular_regression", target="y"), progress)
    assert list(rows["y"]) == [0, 0.5, 1, 1.5, 2]
    rows = _rows(path, problem_of("tabular_classification", "true", "false", target="even"), progress)
    assert list(rows["even"]) == ["true", "false", "true", "false", "true"]


@pytest.mark.parametrize("name", ["we[i]rd*?.csv", "a'); DROP TABLE x; --.csv", 'quo"te.csv', "http:x.csv"])
def test_a_hostile_path_is_only_a_path(tmp_path, late, progress, name):
    path = tmp_path / name
    path.write_text(CSV)
    (tmp_path / "wei.csv").write_text("late\n1\n")
    assert len(_rows(path, late, progress)) == 3


def test_hostile_column_names_are_only_names(tmp_path, problem_of, progress):
    path = tmp_path / "t.csv"
    path.write_text('"a""; DROP TABLE x; --",late\n1,2\n')
    rows = _rows(
        path, problem_of("tabular_regression", target="late"), progress, columns=['a"; DROP TABLE x; --', "late"]
    )
    assert rows.iloc[0].tolist() == ["0", 1, 2]


def test_faults_are_named(path, tmp_path, late, problem_of, progress):
    with pytest.raises(DataError, match="is not a file"):
        _rows(tmp_path / "none.csv", late, progress)
    with pytest.raises(DataError, match="not a table that can be read"):
        _rows(tmp_path / "a.xlsx", late, progress)
    with pytest.raises(DataError, match="no column 'lat'") as caught:
        _rows(path, problem_of("tabular_regression", target="lat"), progress)
    assert "did you mean 'late'" in caught.value.hint
    with pytest.raises(DataError, match="leaves out the target 'late'"):
        _rows(path, late, progress, columns=["price"])
    with pytest.raises(DataError, match="names several rows alike: 1"):
        _rows(path, problem_of("tabular_regression", target="price"), progress, row_id="late")
    with pytest.raises(DataError, match="'carrier' is empty in row 2"):
        _rows(path, late, progress, row_id="carrier")
    (tmp_path / "no.parquet").write_text("nothing of the kind")
    with pytest.raises(DataError, match=r"no\.parquet cannot be read"):
        _rows(tmp_path / "no.parquet", late, progress)
    (tmp_path / "header.csv").write_text("late,price\n")
    with pytest.raises(DataError, match="has no rows"):
        _rows(tmp_path / "header.csv", late, progress)


def test_no_extension_is_fetched():
    """The settings that `table` connects with are names that DuckDB knows, and hold."""
    settings = {"autoinstall_known_extensions": "false", "autoload_known_extensions": "false"}
    with duckdb.connect(config=settings) as connection, pytest.raises(duckdb.Error):
        connection.execute("SELECT * FROM read_csv('http://127.0.0.1:9/x.csv')")


def test_inputs(path):
    assert list(table.inputs(table.Options(path=path))) == [path]


def test_the_real_electricity_market(problem_of, progress):
    path = Path(__file__).resolve().parents[4] / "shared/data/tabular/electricity.parquet"
    if not path.exists():
        pytest.skip("../shared/data/tabular is absent: the real tables are not at hand")
    rows = _rows(path, problem_of("tabular_classification", "0", "1", target="price_up"), progress)
    assert len(rows) == 45_312
    assert rows["timestamp"].is_monotonic_increasing
    assert set(rows["price_up"]) == {"0", "1"}
