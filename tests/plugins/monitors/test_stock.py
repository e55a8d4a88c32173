"""Chunks keep their names and borders over all passes: with ties, late records, new labels, pruning and other rules."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pizzeria.errors import DamagedError
from pizzeria.monitoring.traffic import FrameTraffic
from pizzeria.spec.monitoring import Chunk
from pizzeria_plugins.monitors import nannyml
from pizzeria_plugins.monitors.memory import ALL, LABELS, Measured, Memory, Remembered, kept
from pizzeria_plugins.monitors.reading import chunks_of, spans
from pizzeria_plugins.monitors.stock import Stock, take_stock

START = datetime(2026, 1, 1, tzinfo=UTC)
NOW = datetime(2026, 6, 1, tzinfo=UTC)


def frame(minutes: list[int] | np.ndarray, first: int = 0) -> pd.DataFrame:
    """Records at these minutes after the new year, in order of arrival; `row` numbers them."""
    stamps = pd.to_datetime([START + timedelta(minutes=int(minute)) for minute in minutes], utc=True)
    return pd.DataFrame({"timestamp": stamps, "row": range(first, first + len(minutes))})


@dataclass(frozen=True)
class Labelled(FrameTraffic):
    """Traffic of which these records just got a label."""

    came: Sequence[datetime]

    def relabelled(self, mark: str) -> tuple[Sequence[datetime], str]:
        return self.came, "later"


def stock_of(traffic: pd.DataFrame, memory: Memory, chunk: Chunk, now: datetime = NOW) -> Stock:
    return take_stock(FrameTraffic(traffic), memory, chunk, now)


def read(traffic: pd.DataFrame, stock: Stock, rows: int = 10) -> dict[str, list[int]]:
    """Rows of each chunk that is not gone, read span by span."""
    cuts = [one.cut for one in stock.chunks if one.id not in stock.gone]
    return {
        cut.name: [] if not len(found) else found["row"].tolist()
        for span in spans(cuts, rows, 3)
        for cut, found, _ in chunks_of(FrameTraffic(traffic), span, None)
    }


def measure(memory: Memory, chunks: list[Remembered]) -> None:
    memory.keep([Measured(one.cut.name, one.cut.rows, 0, "", "", {}) for one in chunks], {})


def test_by_size_with_a_request_of_many_rows_at_one_moment(tmp_path: Path) -> None:
    memory = Memory(tmp_path, "")
    first = frame([0, 1, 1, 1, 1, 1, 1, 2])
    stock = stock_of(first, memory, Chunk(size=3))
    assert read(first, stock) == {"1": [0, 1, 2], "2": [3, 4, 5], "3": [6, 7]}
    assert [one.cut.open for one in stock.chunks] == [False, False, True]
    more = frame([0, 1, 1, 1, 1, 1, 1, 2, 2, 2])
    stock = stock_of(more, memory, Chunk(size=3))
    assert read(more, stock) == {"1": [0, 1, 2], "2": [3, 4, 5], "3": [6, 7, 8], "4": [9]}


@settings(max_examples=25)
@given(
    gaps=st.lists(st.sampled_from([0, 0, 0, 1, 2]), min_size=1, max_size=60),
    size=st.integers(1, 9),
    passes=st.lists(st.integers(1, 60), max_size=4),
    rows=st.integers(1, 30),
)
def test_chunks_of_many_passes_are_those_of_one(
    tmp_path_factory: object, gaps: list[int], size: int, passes: list[int], rows: int
) -> None:
    """However ties lie, and wherever a pass ends: each chunk has the next `size` rows, and none is cut twice."""
    whole = frame(np.cumsum(gaps))
    memory = Memory(tmp_path_factory.mktemp("memory"), "")  # type: ignore[attr-defined]
    ids: dict[str, int] = {}
    for stop in [*sorted(min(one, len(whole)) for one in passes), len(whole)]:
        stock = stock_of(whole[:stop], memory, Chunk(size=size))
        full = {one.cut.name: one.id for one in stock.chunks if not one.cut.open}
        assert ids.items() <= full.items()
        ids = full
        expected = {str(i // size + 1): list(range(i, min(i + size, stop))) for i in range(0, stop, size)}
        assert read(whole[:stop], stock, rows) == expected


def test_nothing_new_asks_for_nothing(tmp_path: Path) -> None:
    memory = Memory(tmp_path, "")
    traffic = frame(range(10))
    measure(memory, list(stock_of(traffic, memory, Chunk(size=4)).chunks))
    kept(tmp_path)
    stock = stock_of(traffic, memory, Chunk(size=4))
    assert [(one.cut.name, one.todo, one.untold) for one in stock.chunks] == [
        ("1", 0, False), ("2", 0, False), ("3", 0, False),
    ]  # fmt: skip


def test_late_records_join_the_chunk_of_their_time(tmp_path: Path) -> None:
    memory = Memory(tmp_path, "")
    measure(memory, list(stock_of(frame(range(0, 20, 2)), memory, Chunk(size=4)).chunks))
    kept(tmp_path)
    late = pd.concat([frame(range(0, 20, 2)), frame([3, 8], first=100)])
    stock = stock_of(late, memory, Chunk(size=4))
    # The chunks 1 and 2 meet at minute 6.
    assert [(one.cut.name, one.todo, one.cut.rows) for one in stock.chunks] == [
        ("1", ALL, 5),
        ("2", ALL, 5),
        ("3", 0, 2),
    ]
    assert read(late, stock) == {"1": [0, 1, 100, 2, 3], "2": [4, 101, 5, 6, 7], "3": [8, 9]}


def test_labels_that_came_ask_for_their_chunks_alone(tmp_path: Path) -> None:
    memory = Memory(tmp_path, "")
    traffic = frame(range(12))
    measure(memory, list(stock_of(traffic, memory, Chunk(size=4)).chunks))
    kept(tmp_path)
    came = [START + timedelta(minutes=minute) for minute in (5, 6)]
    stock = take_stock(Labelled(traffic, came), memory, Chunk(size=4), NOW)
    assert [one.todo for one in stock.chunks] == [0, LABELS, 0]
    assert [one.untold for one in stock.chunks] == [False, True, False]


def test_what_was_pruned_stands_and_names_count_on(tmp_path: Path) -> None:
    memory = Memory(tmp_path, "")
    measure(memory, list(stock_of(frame(range(10)), memory, Chunk(size=4)).chunks))
    kept(tmp_path)
    left = frame(range(16))[6:]
    stock = stock_of(left, memory, Chunk(size=4))
    assert len(stock.gone) == 2
    assert [(one.cut.name, one.untold) for one in stock.chunks] == [
        ("1", False), ("2", False), ("3", True), ("4", True),
    ]  # fmt: skip
    assert read(left, stock) == {"3": [8, 9, 10, 11], "4": [12, 13, 14, 15]}


def test_by_period_an_empty_day_is_a_chunk_and_late_records_fill_it(tmp_path: Path) -> None:
    memory = Memory(tmp_path, "")
    day = 24 * 60
    traffic = frame([0, 5, day + 1, 4 * day])
    stock = stock_of(traffic, memory, Chunk(period="D"))
    assert [(one.cut.name, one.cut.rows, one.cut.open) for one in stock.chunks] == [
        ("2026-01-01", 2, False),
        ("2026-01-02", 1, False),
        ("2026-01-03 to 2026-01-04", 0, False),
        ("2026-01-05", 1, False),
    ]
    filled = pd.concat([traffic, frame([2 * day + 3], first=9), frame([-day], first=10)])
    stock = stock_of(filled, memory, Chunk(period="D"))
    assert read(filled, stock) == {
        "2025-12-31": [10],
        "2026-01-01": [0, 1],
        "2026-01-02": [2],
        "2026-01-03": [9],
        "2026-01-04": [],
        "2026-01-05": [3],
    }


def test_a_period_is_open_until_it_is_over(tmp_path: Path) -> None:
    memory = Memory(tmp_path, "")
    traffic = frame([0, 5])
    noon = START + timedelta(hours=12)
    (chunk,) = stock_of(traffic, memory, Chunk(period="6h"), START + timedelta(hours=1)).chunks
    assert (chunk.cut.name, chunk.cut.open) == ("2026-01-01 00:00", True)
    measure(memory, [chunk])
    kept(tmp_path)
    (chunk,) = stock_of(traffic, memory, Chunk(period="6h"), noon).chunks
    assert (chunk.cut.open, chunk.todo, chunk.untold) == (False, 0, True)


def test_another_rule_of_cutting_holds_from_the_last_full_chunk_on(tmp_path: Path) -> None:
    memory = Memory(tmp_path, "")
    hours = frame(range(0, 600, 60))
    stock_of(hours, memory, Chunk(size=4))
    stock = stock_of(hours, memory, Chunk(period="4h"))
    assert read(hours, stock) == {"1": [0, 1, 2, 3], "2": [4, 5, 6, 7], "2026-01-01 08:00": [8, 9]}
    stock = stock_of(frame(range(0, 900, 60)), memory, Chunk(size=3))
    assert [one.cut.name for one in stock.chunks] == ["1", "2", "2026-01-01 08:00", "3"]


def test_a_moment_that_fills_chunks_is_read_once(tmp_path: Path) -> None:
    """A request of many rows: no span begins within it, or it would be read again from its first row."""
    memory = Memory(tmp_path, "")
    stock = stock_of(frame([0] * 50 + [1] * 5), memory, Chunk(size=5))
    cut = spans([one.cut for one in stock.chunks], 10, 3)
    assert [len(span) for span in cut] == [10, 1]


def test_a_chunk_ends_incidents_from_half_of_its_rows_on(tmp_path: Path) -> None:
    def firm(rows: int, chunk: Chunk, now: datetime = NOW) -> list[bool]:
        memory = Memory(tmp_path / f"{rows}-{chunk.size}-{now:%d}", "")
        return [nannyml._firm(one, chunk) for one in stock_of(frame(range(rows)), memory, chunk, now).chunks]

    assert firm(14, Chunk(size=10)) == [True, False]
    assert firm(15, Chunk(size=10)) == [True, True]
    assert firm(20, Chunk(size=10)) == [True, True]
    assert firm(15, Chunk()) == [True]
    assert firm(15, Chunk(period="D"), START + timedelta(hours=23)) == [False]
    assert firm(15, Chunk(period="D"), START + timedelta(hours=25)) == [True]


def test_a_damaged_memory_is_told_by_its_name(tmp_path: Path) -> None:
    memory = Memory(tmp_path, "")
    memory.note(batch=3)
    memory.path.write_bytes(b"no database" * 1000)
    for wal in tmp_path.glob("*-wal"):
        wal.unlink()
    for look in (memory.chunks, lambda: memory.fact("batch"), lambda: memory.note(batch=4), lambda: kept(tmp_path)):
        with pytest.raises(DamagedError, match=r"readings\.sqlite is damaged") as caught:
            look()
        assert f"rm {memory.path}" in caught.value.hint
    memory.path.unlink()
    assert Memory(tmp_path, "").fact("batch") is None


def test_a_changed_reading_is_told(tmp_path: Path) -> None:
    memory = Memory(tmp_path, "")
    measure(memory, list(stock_of(frame(range(8)), memory, Chunk(size=4)).chunks))
    memory.note(batch=3)
    assert memory.remember("pairs", lambda: [1, 2]) == [1, 2]
    assert len(memory.chunks()) == 2
    with closing(sqlite3.connect(memory.path, isolation_level=None)) as connection:  # as a flipped bit would
        for table, change in (("facts", "value = '4'"), ("remembered", "value = '[1]'"), ("chunks", "rows = 5")):
            connection.execute(f"drop trigger sum_of_changed_{table}")
            connection.execute(f"update {table} set {change}")
    for table, look in (
        ("facts", lambda: memory.fact("batch")),
        ("remembered", lambda: memory.remember("pairs", list)),
        ("chunks", memory.chunks),
    ):
        with pytest.raises(DamagedError, match=f"a row of {table} was changed"):
            look()
