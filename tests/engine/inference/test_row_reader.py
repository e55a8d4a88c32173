from __future__ import annotations

import json
import sys
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from pizzeria.errors import RequestError
from pizzeria.inference import requests
from pizzeria.inference.row_reader import RowReader

HOW: dict[str, Any] = {
    "kind": "columns",
    "numeric": [{"name": "price"}, {"name": "at", "time": True}],
    "categorical": [{"name": "day", "values": ["mon", "3"]}, {"name": "größe", "values": ["XL"]}],
    "target": {"name": "up"},
}
MAX_ROWS = 4
TYPED, PLAIN = RowReader(HOW, MAX_ROWS), RowReader(HOW, MAX_ROWS, typed=False)
ROW = {"price": 5, "at": "2024-05-31T12:00:00Z", "day": "mon", "größe": None}

KEYS = [
    '"price"',
    '"at"',
    '"day"',
    '"gr\\u00f6\\u00dfe"',
    '"größe"',
    '"pr\\u0069ce"',
    '"row_id"',
    '"up"',
    '"prise"',
    '""',
]
VALUES = [
    *("null", "true", "false", "0", "-0", "-0.0", "3", "3.0", "0.1", "1e5", "-1E-400", "1e300", "1e999", "-1e999"),
    *("NaN", "Infinity", "-Infinity", "01", "1.", ".5", "+1", "0x1", "9007199254740993", "18446744073709551617"),
    *("1" + "0" * 30, "1" + "0" * 400, "1" * 5000, '""', '"mon"', '"3"', '"a\\"b"', '"\\\\"', '"\\\\\\""', '"\\u0022"'),
    *('"T\\u00fcr"', '"Tür"', '"\\ud83d\\ude00"', '"😀"', '"\\ud800"', '"\\udc00\\ud800"', '"\\u0000"', '"\\x41"'),
    *('"a\tb"', '"\x7f"', '"\\/"', '"1970-01-01 00:01:00"', '"2024-05-31T12:00:00+02:00"', '"tomorrow"', '"NaN"'),
    *('"0001-01-01T00:00:00+23:59"', "[]", "{}", "[1]", '{"price": 1}', '["a", "b"]', "[[[]]]", "nul", "'mon'", ""),
]
SPACES = ["", "", "", " ", "\n\t ", "\x0b", "\ufeff"]


def outcome(reader: RowReader, body: bytes) -> Any:
    """What a reader makes of a body, in a form that tells -0.0 from 0.0 and equals itself where there is NaN."""
    try:
        table = reader.read(body)
    except RequestError as error:
        return error.status, error.code, error.message, error.hint
    return len(table), table.row_ids, {name: (type(v), str(list(v))) for name, v in table.columns.items()}


def agree(body: bytes) -> None:
    assert outcome(TYPED, body) == outcome(PLAIN, body)


numbers = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
times = numbers | st.datetimes().map(str) | st.datetimes(timezones=st.timezones()).map(lambda at: at.isoformat())
categories = numbers | st.text()
good_rows = st.lists(
    st.fixed_dictionaries(
        {"price": numbers, "at": times, "day": categories, "größe": categories}, optional={"row_id": categories}
    ),
    max_size=MAX_ROWS + 1,
)


@given(rows=good_rows, bare=st.booleans(), ascii_only=st.booleans(), indent=st.sampled_from([None, 1]))
def test_both_ways_read_good_rows_alike(rows: Any, bare: bool, ascii_only: bool, indent: int | None) -> None:
    value = rows if bare else {"rows": rows}
    agree(json.dumps(value, ensure_ascii=ascii_only, indent=indent).encode("utf-8", "surrogatepass"))


def objects(least: int) -> st.SearchStrategy[str]:
    good = st.sampled_from([[(json.dumps(key), json.dumps(value)) for key, value in ROW.items()]])
    odd = st.lists(st.tuples(st.sampled_from(KEYS), st.sampled_from(VALUES)), min_size=least, max_size=3)
    members = st.tuples(good, odd).map(lambda both: [*both[0], *both[1]]) | odd
    return st.tuples(members.flatmap(st.permutations), st.sampled_from(SPACES)).map(
        lambda made: "{" + f"{made[1]},".join(f"{key}:{made[1]}{value}" for key, value in made[0]) + "}"
    )


bodies = st.tuples(
    st.lists(objects(0) | st.sampled_from(VALUES), max_size=3),
    st.sampled_from(
        ["[%s]", '{"rows": [%s]}', '{"rows": [], "rows": [%s]}', '{"rows": [%s], "more": 1}', "%s", "[%s]]"]
    ),
).map(lambda made: (made[1] % ", ".join(made[0])).encode("utf-8", "surrogatepass"))


@settings(max_examples=300)
@given(body=bodies)
@example(body=b"")
@example(body=b'{"rows": 3}')
@example(body=b'[{"price": 1, "pr\\u0069ce": 2, "at": null, "day": "\\\\", "gr\xc3\xb6\xc3\x9fe": null}]')
def test_both_ways_judge_hostile_rows_alike(body: bytes) -> None:
    agree(body)


@settings(max_examples=300)
@given(
    at=st.integers(0, 400),
    cut=st.integers(0, 3),
    put=st.binary(max_size=3) | st.sampled_from([b"\\", b'"', b'\\"', b",", b"\xed\xa0\x80"]),
)
def test_both_ways_judge_damaged_bodies_alike(at: int, cut: int, put: bytes) -> None:
    whole = json.dumps({"rows": [ROW, ROW | {"row_id": 'a\\"'}]}, ensure_ascii=False).encode()
    at %= len(whole)
    agree(whole[:at] + put + whole[at + cut :])


@pytest.mark.parametrize("value", VALUES)
@pytest.mark.parametrize("name", [*ROW, "row_id"])
def test_both_ways_judge_each_odd_value_alike(name: str, value: str) -> None:
    members = {key: json.dumps(found) for key, found in ROW.items()} | {name: value}
    agree(("[{" + ",".join(f"{json.dumps(key)}:{found}" for key, found in members.items()) + "}]").encode())


@pytest.mark.parametrize("twice", ['"price"', '"pr\\u0069ce"', '"day"', '"row_id"'])
def test_a_key_that_is_there_twice_is_refused(twice: str) -> None:
    body = json.dumps([ROW | {"row_id": "1"}])[:-2] + f', {twice}: "\\"\\\\"' + "}]"
    with pytest.raises(RequestError, match="is there twice"):
        TYPED.read(body.encode())


def test_a_good_body_never_takes_the_slow_way(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(requests, "rows")
    odd = {"price": True, "at": 7, "day": 'T\\"ür', "größe": 3.0, "row_id": 12}
    for value in ([ROW, odd], {"rows": [odd, ROW]}):
        table = TYPED.read(json.dumps(value).encode())
        assert sorted(table.columns["price"]) == [1, 5]
        assert {*table.columns["day"]} == {"mon", 'T\\"ür'}
        assert {*table.columns["größe"]} == {None, "3"}
        assert {*table.row_ids} == {"12", ""}


def test_without_msgspec_rows_are_read_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "msgspec", None)
    reader = RowReader(HOW, MAX_ROWS)
    assert reader._decoder is None
    assert reader.read(json.dumps([ROW]).encode()).columns["day"] == ["mon"]


@pytest.mark.parametrize("name", ['quo"te', "back\\slash", "row_id", "new\nline", "c0", "rows", ""])
def test_columns_of_any_name_are_read(name: str) -> None:
    how = HOW | {"numeric": [{"name": name}], "categorical": [{"name": "day", "values": []}]}
    assert RowReader(how, 1).read(json.dumps([{name: 4, "day": "mon"}]).encode()).columns[name].tolist() == [4.0]
