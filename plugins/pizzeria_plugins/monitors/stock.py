"""Takes stock of the traffic: which chunks are new, have late records or new labels, or go on being open."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

import numpy as np

from pizzeria.contracts import Traffic
from pizzeria.spec.monitoring import Chunk
from pizzeria_plugins.monitors.chunks import BEGINNING, END, Cut, Edge, counted, cut, microseconds, moments
from pizzeria_plugins.monitors.memory import ALL, LABELS, NOTHING, Memory, Remembered
from pizzeria_plugins.monitors.reading import times


@dataclass(frozen=True)
class Stock:
    """What there is.

    Attributes:
        chunks: Oldest first.
        gone: Ids of those whose records were pruned, at least some: they stand as they are.
    """

    chunks: Sequence[Remembered]
    gone: frozenset[int]


def take_stock(traffic: Traffic, memory: Memory, chunk: Chunk, now: datetime) -> Stock:
    """Cut what is new, and note in the memory what is to be measured, without reading more than times.

    Another rule of cutting holds from the last full chunk on: those before keep their names and borders.

    Args:
        now: What time it is: a period that is over gets no more records, but late ones.
    """
    # Before anything is read, so that a label that comes meanwhile is new again the next time.
    labelled, mark = traffic.relabelled(memory.fact("mark") or "")
    before = memory.chunks()
    edges = moments([one.cut for one in before])
    counts = traffic.counts(edges)
    full = [one for one in before if not one.cut.open]
    rows = counted([one.cut for one in full], counts, edges)
    gone = frozenset(one.id for one, count in zip(full, rows, strict=True) if count < one.cut.rows)
    late = [(one, count) for one, count in zip(full, rows, strict=True) if count > one.cut.rows]
    asked = [(one, ALL, count) for one, count in late if one.cut.rows or chunk.period is None]

    taken = _Names(one.cut.name for one in full)
    if chunk.period is not None:
        for one in (one for one, _ in late if not one.cut.rows):
            _cut_again(traffic, memory, chunk, one, taken, now)
        _cut_before(traffic, memory, chunk, full, edges, counts, taken, now)
    _cut_behind(traffic, memory, chunk, before, edges, counts, taken, now)

    asked += [(one, LABELS, one.cut.rows) for one in _touched(full, labelled) if one.id not in gone and one.cut.rows]
    open_before = [one for one in memory.chunks() if one.cut.open and one.todo == NOTHING]
    asked += [(one, LABELS, one.cut.rows) for one in _touched(open_before, labelled)]
    memory.ask(asked, {"mark": mark, "chunk": chunk.model_dump()})
    return Stock(memory.chunks(), gone)


class _Names:
    """Names that are taken; numbers count on from the highest."""

    def __init__(self, names: Iterable[str]) -> None:
        self.names = set(names)

    @property
    def number(self) -> int:
        return max((int(name) for name in self.names if name.isdecimal()), default=0)

    def free(self, cuts: Iterable[Cut]) -> list[Cut]:
        """The same chunks; one whose name is taken, since the rule of cutting changed, gets another."""
        found = []
        for one in cuts:
            name, count = one.name, 1
            while name in self.names:
                count += 1
                name = f"{one.name} ({count})"
            self.names.add(name)
            found.append(replace(one, name=name))
        return found


def _cut_behind(
    traffic: Traffic,
    memory: Memory,
    chunk: Chunk,
    before: Sequence[Remembered],
    edges: Sequence[datetime],
    counts: Sequence[int],
    taken: _Names,
    now: datetime,
) -> None:
    """Cut what lies behind the last full chunk, if there is more or less than before, or the rule is another."""
    full = [one.cut for one in before if not one.cut.open]
    open_ = [one for one in before if one.cut.open]
    last = max((one.last for one in full), default=Edge(BEGINNING))
    rest = Cut("", last, Edge(END), 0, True)
    (rows,) = counted([rest], counts, edges)
    same = memory.fact("chunk") in (None, chunk.model_dump())
    if rows == sum(one.cut.rows for one in open_) and same:
        if chunk.period is not None:
            memory.close(one for one in open_ if one.cut.last.moment <= now)
        return
    memory.replace(open_, taken.free(cut(times(traffic, last.moment), chunk, last, taken.number, now)))


def _cut_before(
    traffic: Traffic,
    memory: Memory,
    chunk: Chunk,
    full: Sequence[Remembered],
    edges: Sequence[datetime],
    counts: Sequence[int],
    taken: _Names,
    now: datetime,
) -> None:
    """Cut records that are older than the first period."""
    first = min((one.cut.first for one in full), default=Edge(BEGINNING))
    if first == Edge(BEGINNING):
        return
    (rows,) = counted([Cut("", Edge(BEGINNING), first, 0, False)], counts, edges)
    if rows:
        pieces = times(traffic, BEGINNING, first.moment)
        cuts = cut(pieces, chunk, Edge(BEGINNING), taken.number, now, until=first.moment)
        memory.replace([], taken.free(cuts))


def _cut_again(traffic: Traffic, memory: Memory, chunk: Chunk, gap: Remembered, taken: _Names, now: datetime) -> None:
    """Cut a time that was without records and has late ones."""
    taken.names.discard(gap.cut.name)
    end = gap.cut.last.moment
    pieces = times(traffic, gap.cut.first.moment, end)
    memory.replace([gap], taken.free(cut(pieces, chunk, gap.cut.first, taken.number, now, until=end)))


def _touched(chunks: Sequence[Remembered], labelled: Sequence[datetime]) -> list[Remembered]:
    """Those that have a record of these times."""
    import pandas as pd

    if not chunks or not len(labelled):
        return []
    stamps = np.sort(pd.DatetimeIndex(list(labelled)).tz_convert(None).to_numpy("M8[us]").view("int64"))
    firsts = np.searchsorted(stamps, [microseconds(one.cut.first.moment) for one in chunks], "left")
    # Of a moment that two chunks share, nobody knows whose record it is.
    lasts = np.searchsorted(stamps, [microseconds(one.cut.last.moment) + (one.cut.last.rows > 0) for one in chunks])
    return [one for one, first, last in zip(chunks, firsts, lasts, strict=True) if last > first]
