"""Look-ups: what they would write out is counted before any is followed."""

from __future__ import annotations

import time

import pytest

from pizzeria.spec.lookups import LookupFault, count, fault_in


def test_thirty_lines_that_double_are_refused_at_once() -> None:
    doubling = {f"b{i}": f"${{b{i + 1}}}${{b{i + 1}}}" for i in range(30)} | {"b30": "x"}
    started = time.thread_time()  # of the processor: a busy machine lets nobody go on at once
    with pytest.raises(LookupFault, match="look-ups would be followed"):
        count(doubling, 5000)
    assert time.thread_time() - started < 0.2


def test_long_texts_and_whole_sections_are_counted_as_often_as_they_are_written_out() -> None:
    with pytest.raises(LookupFault, match="1,000,000 characters"):
        count({"a": "x" * 100_000, "b": "${a}" * 11}, 5000)
    with pytest.raises(LookupFault, match="more than 50 values"):
        count({"a": {"b": list(range(20))}, "c": ["${a}", "${a.b}", "${a}"]}, 50)


@pytest.mark.parametrize(
    "data",
    [
        {"a": "${b}", "b": "${a}"},
        {"a": {"b": "${a}"}},
        {"a": {"b": "${.c}", "c": "${..a.b}"}},
        {"a": ["${a[0]}"]},
        {"a": ["x", "${a.-1}"]},
        {"a": "${oc.select:b, 3}", "b": "${a}"},
    ],
)
def test_what_leads_back_to_itself_is_named(data: dict[str, object]) -> None:
    with pytest.raises(LookupFault, match="from within itself"):
        count(data, 100)


@pytest.mark.parametrize("text", ["${a.b}", "x${a[0]}y${.b}", "${oc.select:a.b,3}", "a $ and a { }"])
def test_plain_names_may_be_looked_up(text: str) -> None:
    assert fault_in(text) is None


@pytest.mark.parametrize(
    "text",
    ["${oc.env:A}", "${ oc.env : A}", "${oc.${b}:A}", "${${b}:A}", "${a", "${'a'}", "${a\\.b}", "${oc.select:${b}}"],
)
def test_nothing_else_may(text: str) -> None:
    assert fault_in(text) is not None
