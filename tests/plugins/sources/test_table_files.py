"""Hostile and unusual tables: dialects, encodings, lines that are no row, parts, addresses."""

from __future__ import annotations

import csv
import gzip
import json

import duckdb
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pizzeria.account import Account
from pizzeria.errors import DataError
from pizzeria.tables import read_tables, write_tables
from pizzeria_plugins.sources import table

from ...engine.fetching.conftest import bucket, moto  # noqa: F401


@pytest.fixture
def read(tmp_path, problem_of, progress):
    """Write files, and read them as one table with the target `y`; returns (rows, account)."""
    (tmp_path / "stage").mkdir()

    def make(data, name="t.csv", task="tabular_regression", **options) -> tuple[pd.DataFrame, Account]:
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True, parents=True)
        path.write_bytes(data.encode() if isinstance(data, str) else data)
        classes = ("0", "1") if task == "tabular_classification" else ()
        chosen = table.Options(**{"path": path} | options)
        tables = table.collect(chosen, problem_of(task, *classes, target="y"), tmp_path / "stage", progress)
        write_tables(tables, tmp_path / "stage")
        kept = read_tables(tmp_path / "stage")
        kept.account.check(kept.counts())
        assert sorted(one.name for one in (tmp_path / "stage").iterdir()) == ["account.json", "rows.parquet"]
        return kept.rows, kept.account

    return make


@pytest.mark.parametrize(
    "text",
    [
        "a,y\n1,2\n3,4\n",
        "a;y\n1;2\n3;4\n",
        "a\ty\n1\t2\n3\t4\n",
        "a|y\n1|2\n3|4",
        "a,y\r\n1,2\r\n3,4\r\n",
        "\ufeffa,y\n1,2\n3,4\n",
        "a,y\n\n1,2\n\n3,4\n\n",
        '"a","y"\n" 1","2"\n3,"4"\n',
    ],
)
def test_dialects(read, text):
    rows, account = read(text)
    assert rows.to_dict("list") == {"row_id": ["0", "1"], "a": [1, 3], "y": [2, 4]}
    assert account.plain() == {"read": {"rows": 2}, "aside": {}, "handled": {}}


def test_a_single_column_and_quoted_line_breaks(read):
    assert read("y\n1\n2\n")[0]["y"].tolist() == [1, 2]
    rows, _ = read('a,y\n"one\ntwo, ""three""",1\n"x",2\n')
    assert rows["a"].tolist() == ['one\ntwo, "three"', "x"]
    rows, _ = read("a,y\n'one,two',1\n", quote="'")
    assert rows["a"].tolist() == ["one,two"]


def test_tsv_and_gz(read):
    assert read("a,b\ty\n1,5\t2\n", "t.tsv")[0]["a,b"].tolist() == ["1,5"]
    assert read(gzip.compress(b"a,y\n1,2\n"), "t.csv.gz")[0]["y"].tolist() == [2]
    with pytest.raises(DataError, match=r"t\.csv\.gz cannot be read: it is cut off or damaged"):
        read(gzip.compress(b"a,y\n1,2\n" * 1000)[:-20], "t.csv.gz")


def test_a_gz_that_is_a_bomb(read, monkeypatch):
    monkeypatch.setattr("pizzeria.fetching.bounded.FREE", 0)
    with pytest.raises(DataError, match=r"t\.csv\.gz unpacks to more than 200 times its size"):
        read(gzip.compress(b"a,y\n1,2\n" * 1_000_000), "t.csv.gz")


def test_types_hold_every_value(read):
    rows, account = read(
        "y,whole,real,zip,truth,day,moment,zoned,big,none,late\n"
        "1,7,1,00123,true,2024-01-02,2024-01-02 03:04:05,2024-01-02T03:04:05+02:00,12345678901234567890,,1\n"
        "2,-8,2.5e3,10115,False,2024-02-03,2024-01-02T03:04,2024-01-02 03:04:05Z,1,,2\n"
        + "".join(f"{i},1,nan,00001,true,,,,1,,{i}\n" for i in range(30_000))
        + "3,9,1,00001,true,2024-01-02,2024-01-02,2024-01-02 03:04:05+00,1,,n/a\n"
    )
    kinds = {name: rows[name].dtype.kind for name in rows}
    assert kinds | {"row_id": "O"} == {
        "row_id": "O", "y": "i", "whole": "i", "real": "f", "zip": kinds["late"], "truth": "b", "day": "M",
        "moment": "M", "zoned": "M", "big": "f", "none": kinds["late"], "late": kinds["row_id"],
    }  # fmt: skip
    assert rows["zip"][0] == "00123"
    assert rows["real"][:3].tolist()[:2] == [1, 2500]
    assert rows["real"].isna().sum() == 30_000
    assert rows["zoned"][:2].astype(str).tolist() == ["2024-01-02 01:04:05+00:00", "2024-01-02 03:04:05+00:00"]
    (what, tally), *_ = account.handled["rows"].items()
    assert what.startswith("column late stays text")
    assert (tally.count, tally.examples) == (1, ["row 30002: 'n/a'"])


def test_missing_decimal_and_text(read):
    rows, account = read(
        "y;price;code;note\n1;1,5;1;NA\n2;n/a;2;x\n", missing=["", "NA", "n/a"], decimal=",", text=["code"]
    )
    assert rows["price"][0] == 1.5
    assert rows["price"].isna().tolist() == [False, True]
    assert rows["code"].tolist() == ["1", "2"]
    assert rows["note"].isna().tolist() == [True, False]
    assert not account.handled


@pytest.mark.parametrize(
    ("encoding", "word"), [("cp1252", "Küche"), ("utf-16", "Küche"), ("shift_jis", "東京の台所と寝室")]
)
def test_other_encodings_are_read_and_counted(read, progress, encoding, word):
    text = "y,room\n" + f"1,{word}\n" * 50
    rows, account = read(text.encode(encoding))
    assert set(rows["room"]) == {word}
    (what, tally) = next(iter(account.handled["rows"].items()))
    assert tally.count == 50
    assert "not UTF-8" in what
    assert tally.examples[0].endswith(("t.csv:1", "t.csv:2"))
    assert any("not UTF-8" in line for line in progress.lines)


def test_an_encoding_that_is_named(read):
    assert read("y,a\n1,č\n".encode("iso8859-2"), encoding="iso8859-2")[0]["a"].tolist() == ["č"]
    assert read("y,a\n1,č\n", encoding="utf-8")[0]["a"].tolist() == ["č"]
    with pytest.raises(DataError, match="no encoding 'utf-9'"):
        read("y\n1\n", encoding="utf-9")
    with pytest.raises(DataError, match=r"t\.csv:3 is not ascii|t\.csv:3 is not utf-8"):
        read("y,a\n1,b\n1,č\n".encode("cp1250"), encoding="utf-8")


RAGGED = 'y,a\n1,"two\nlines"\n2\n3,4,5\n6,7\n"8,9\n'


def test_lines_that_are_no_row_are_refused_by_line(read):
    with pytest.raises(DataError, match=r"t\.csv:4: missing columns: .* \(and 2 more\)") as caught:
        read(RAGGED)
    assert "data.bad_rows=set_aside" in caught.value.hint


def test_lines_that_are_no_row_are_set_aside_and_counted(read):
    rows, account = read(RAGGED, bad_rows="set_aside")
    assert rows["a"].tolist() == ["two\nlines", "7"]
    assert account.read["rows"] == 5
    found = {reason: tally.examples[0].rpartition(":")[2] for reason, tally in account.aside["rows"].items()}
    assert found == {
        "no row of the table: missing columns": "4",
        "no row of the table: too many columns": "5",
        "no row of the table: unquoted value": "7",
    }


def test_names_of_columns(read):
    with pytest.raises(DataError, match=r"t\.csv:1: 'a' names columns 1 and 3"):
        read("a,y,a\n1,2,3\n")
    with pytest.raises(DataError, match="cannot tell apart"):
        read("a,y,A\n1,2,3\n")
    rows, account = read(",y\n7,2\n")
    assert list(rows.columns) == ["row_id", "column1", "y"]
    assert account.handled["rows"]["a column without a name is called column1"].count == 1
    assert read("row_id,y\nx,2\n")[0]["row_id"].tolist() == ["x"]
    with pytest.raises(DataError, match="has no rows"):
        read("")


def test_labels_are_text(read):
    for text, labels in {"1\n0\n": ["1", "0"], "1.0\n0.0\n": ["1", "0"], "True\nfalse\n": ["true", "false"]}.items():
        assert read("y\n" + text, task="tabular_classification")[0]["y"].tolist() == labels


def test_parts_of_a_folder(read, tmp_path):
    for number in (2, 1, 10):
        (tmp_path / "parts").mkdir(exist_ok=True)
        (tmp_path / f"parts/part-{number:03d}.csv").write_text(f"y,a\n{number},x\n")
    (tmp_path / "parts/_SUCCESS").write_text("")
    rows, _ = read("y,a\n4,x\n", "parts/part-004.csv", path=tmp_path / "parts")
    assert rows["y"].tolist() == [1, 2, 4, 10]
    assert rows["row_id"].tolist() == ["0", "1", "2", "3"]
    rows, _ = read("y,a\n4,x\n", "parts/part-004.csv", path=f"{tmp_path}/parts/part-00*.csv")
    assert rows["y"].tolist() == [1, 2, 4]
    assert len(table.inputs(table.Options(path=f"{tmp_path}/parts/part-00*.csv"))) == 3
    with pytest.raises(DataError, match=r"part-005\.csv:1: its columns are a, y; those of part-001\.csv are y, a"):
        read("a,y\nx,4\n", "parts/part-005.csv", path=tmp_path / "parts")
    with pytest.raises(DataError, match="several formats"):
        read('{"y": 1}', "parts/more.jsonl", path=tmp_path / "parts")
    with pytest.raises(DataError, match="is a folder without a table"):
        read("", "empty/readme.txt", path=tmp_path / "empty")


def test_parts_of_parquet(read, tmp_path):
    folder = tmp_path / "set"
    for year in (2023, 2024):
        (folder / f"year={year}").mkdir(parents=True)
        values = f"SELECT {year}.5 AS y, [1, 2] AS nested, DATE '2024-01-01' AS day"
        duckdb.sql(f"COPY ({values}) TO '{folder}/year={year}/0.parquet'")
    rows, _ = read("", "ignored.txt", path=folder)
    assert rows["y"].tolist() == [2023.5, 2024.5]
    assert rows["year"].tolist() == [2023, 2024]
    assert rows["nested"].tolist() == ["[1,2]"] * 2
    assert rows["day"].dtype.kind == "M"
    duckdb.sql(f"COPY (SELECT 1.5 AS y) TO '{folder}/year=2024/1.parquet'")
    with pytest.raises(DataError, match="differ in their columns: day, nested"):
        read("", "ignored.txt", path=folder)


def test_json_lines(read):
    lines = [{"y": 1, "a": "x", "when": "2024-01-01"}, {"y": 2.5, "a": 7, "b": {"c": [1]}}]
    rows, _ = read("\n".join(map(json.dumps, lines)), "t.jsonl")
    assert rows["y"].tolist() == [1, 2.5]
    assert rows["a"].tolist() == ["x", "7"]
    assert rows["b"].tolist()[1] == '{"c":[1]}'
    assert rows["when"].dtype.kind == "M"
    assert read('{"y": 1}\n'.encode("utf-16"), "t.jsonl")[0]["y"].tolist() == [1]
    broken = '{"y": 1}\n{"y": \n\n[3]\n{"y": 4}\n'
    with pytest.raises(DataError, match=r"t\.jsonl:2 is no JSON object"):
        read(broken, "t.jsonl")
    rows, account = read(broken, "t.jsonl", bad_rows="set_aside")
    assert rows["y"].tolist() == [1, 4]
    assert [
        one.rpartition(":")[2] for one in account.aside["rows"]["no row of the table: no JSON object"].examples
    ] == [
        "2",
        "4",
    ]


def test_parts_in_a_bucket(bucket, read, monkeypatch, tmp_path):  # noqa: F811
    monkeypatch.setenv("PIZZERIA_CACHE", str(tmp_path / "cache"))
    bucket.put(**{"t/1.csv": b"y,a\n1,x\n", "t/2.csv.gz": gzip.compress(b"y,a\n2,z\n")})
    for address in ("s3://data/t", "s3://data/t/*.csv*"):
        rows, _ = read("", "ignored.txt", path=address)
        assert rows.to_dict("list") == {"row_id": ["0", "1"], "y": [1, 2], "a": ["x", "z"]}
    before = table.inputs(table.Options(path="s3://data/t"))
    bucket.put(**{"t/1.csv": b"y,a\n1,q\n"})
    assert before != table.inputs(table.Options(path="s3://data/t"))
    bucket.put(**{"t/1.csv": b"y,a\n1\n"})
    with pytest.raises(DataError, match=r"^s3://data/t/1\.csv:2: missing columns"):
        read("", "ignored.txt", path="s3://data/t")
    _, account = read("", "ignored.txt", path="s3://data/t", bad_rows="set_aside")
    assert account.aside["rows"]["no row of the table: missing columns"].examples == ["s3://data/t/1.csv:2"]


def test_a_format_that_the_name_does_not_say(read):
    assert read("y\n1\n", "export", format="csv")[0]["y"].tolist() == [1]


def test_what_is_recognised(tmp_path):
    (tmp_path / "a.csv").write_text("y\n1\n")
    assert table.recognise(tmp_path / "a.csv").options == {"path": f"{tmp_path}/a.csv"}
    assert table.recognise(tmp_path).format == "CSV table in parts"
    (tmp_path / "photo.jpg").write_bytes(b"")
    assert table.recognise(tmp_path) is None
    assert table.recognise(tmp_path / "photo.jpg") is None
    assert table.recognise(tmp_path / "none") is None


_CELLS = st.one_of(st.none(), st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]), min_size=1))


@settings(max_examples=25)
@given(st.lists(st.tuples(_CELLS, st.integers(-(2**62), 2**62)), min_size=1, max_size=20))
def test_whatever_is_written_is_read(read, tmp_path, cells):
    """Every text comes back as it was; the first row keeps the column text."""
    with open(tmp_path / "h.csv", "w", newline="") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(["a", "y"])
        writer.writerows([("text", 0), *cells])
    rows, _ = read((tmp_path / "h.csv").read_bytes(), "h.csv")
    assert [None if pd.isna(one) else one for one in rows["a"]] == ["text", *(one for one, _ in cells)]
    assert rows["y"].tolist() == [0, *(number for _, number in cells)]
