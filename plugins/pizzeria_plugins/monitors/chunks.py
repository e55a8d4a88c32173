"""Cuts traffic into the chunks that are judged one by one, each once, with names and borders that never change.

Between two chunks lies an `Edge`: a moment, and how many of the records of that very moment belong to the chunk before
it. So a chunk by size is cut in the midst of a request of a thousand rows, and the next pass goes on just there. How
many records lie between two edges is asked of the traffic without reading them; a chunk with more than were measured
got late ones, one with fewer was pruned.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pizzeria.contracts import Finding, Kind
from pizzeria.spec.monitoring import Chunk

if TYPE_CHECKING:
    import pandas as pd

LEAST_REFERENCE_CHUNKS = 5
"""From so many chunks on, how much the reference varies from chunk to chunk is taken into account."""
BEGINNING, END = datetime(1900, 1, 1, tzinfo=UTC), datetime(2200, 1, 1, tzinfo=UTC)
"""No record is older or newer."""
INSTANT = timedelta(microseconds=1)
"""Times that differ by less are the same."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

Times = NDArray[np.int64]
"""[N] microseconds since 1970, in order."""


@dataclass(frozen=True)
class Part:
    """One chunk, for those who judge it: the rows with index `first` to `stop - 1`."""

    name: str
    first: int
    stop: int
    start: str = ""
    """ISO 8601 time of its first row; empty where records have no timestamp."""
    end: str = ""
    open: bool = False
    """Whether more rows may join it."""

    @property
    def rows(self) -> int:
        return self.stop - self.first

    def __str__(self) -> str:
        since = f" from {self.start[:16].replace('T', ' ')}" if self.start else ""
        return f"chunk {self.name} ({self.rows} rows{since})"

    def finding(
        self,
        kind: Kind,
        subject: str,
        value: float | None,
        threshold: str,
        alert: bool | None,
        realised: float | None = None,
        *,
        method: str = "",
        low: float | None = None,
        high: float | None = None,
        error: float | None = None,
    ) -> Finding:
        """A finding in this chunk."""
        return Finding(
            kind, subject, self.name, self.start, self.end, value, threshold, alert, realised, method, low, high, error
        )


@dataclass(frozen=True, order=True)
class Edge:
    """A place in the traffic: behind the first `rows` records of `moment`, and before all others of it."""

    moment: datetime
    rows: int = 0


@dataclass(frozen=True)
class Cut:
    """A chunk, as it lies in the traffic.

    Attributes:
        name: A number from 1 on, or a period; a gap without any record has the first period and the last.
        first: Where it begins.
        last: Where it ends.
        rows: How many records were between them when it was cut.
        open: Whether more records are to come.
    """

    name: str
    first: Edge
    last: Edge
    rows: int
    open: bool


def cut(
    pieces: Iterable[Times], chunk: Chunk, since: Edge, taken: int, now: datetime, *, until: datetime | None = None
) -> Iterator[Cut]:
    """Cut what comes behind an edge.

    By size, the last chunk is open when it is not full. By period, it is open as long as the period goes on, and a time
    without records between two periods is one chunk without rows. With neither, all is one chunk, open for ever.

    Args:
        pieces: Times of the records from `since.moment` on, with all of that moment.
        taken: So many chunks are there before; names by size count on.
        now: What time it is.
        until: The records end there, at a chunk that is known; None where more are to come.
    """
    fresh = _behind(pieces, since)
    if chunk.period is not None:
        yield from _by_period(fresh, chunk.period, since, now, until)
        return
    yield from _by_size(fresh, chunk.size, since, taken)


def _by_size(pieces: Iterator[tuple[Times, Times]], size: int | None, since: Edge, taken: int) -> Iterator[Cut]:
    """As `cut`, with each time's place among those of its moment."""
    first, rows, last = since, 0, since
    for times, places in pieces:
        stop = 0
        while size is not None and len(times) - stop >= size - rows:
            stop += size - rows
            last = Edge(moment_of(times[stop - 1]), int(places[stop - 1]))
            taken += 1
            yield Cut(str(taken), first, last, size, False)
            first, rows = last, 0
        rows += len(times) - stop
        last = Edge(moment_of(times[-1]), int(places[-1]))
    if rows:
        yield Cut(str(taken + 1), first, last, rows, True)


def _by_period(
    pieces: Iterator[tuple[Times, Times]], period: str, since: Edge, now: datetime, until: datetime | None
) -> Iterator[Cut]:
    calendar = Calendar(period)
    current: int | None = None
    rows = 0
    before: int | None = None if since.moment == BEGINNING else calendar.number(since.moment)
    if before is not None and calendar.start(before) == since.moment and not since.rows:
        before -= 1

    def closed(number: int, rows: int, open: bool) -> Iterator[Cut]:
        nonlocal before
        if before is not None and number > before + 1:
            gap = max(Edge(calendar.start(before + 1)), since)
            name = calendar.name(before + 1)
            name += "" if number == before + 2 else f" to {calendar.name(number - 1)}"
            yield Cut(name, gap, Edge(calendar.start(number)), 0, False)
        before = number
        yield Cut(calendar.name(number), max(Edge(calendar.start(number)), since), Edge(calendar.start(number + 1)),
                  rows, open)  # fmt: skip

    for times, _ in pieces:
        numbers = calendar.numbers(times)
        edges = np.flatnonzero(np.diff(numbers)) + 1
        for begin, stop in zip((0, *edges), (*edges, len(numbers)), strict=True):
            if current is not None and current != numbers[begin]:
                yield from closed(current, rows, False)
                rows = 0
            current = int(numbers[begin])
            rows += int(stop - begin)
    if current is not None:
        end = calendar.start(current + 1)
        yield from closed(current, rows, until is None and now < end)
        if until is not None and before is not None and end < until:
            last = calendar.number(until - INSTANT)
            name = calendar.name(before + 1)
            name += "" if last == before + 1 else f" to {calendar.name(last)}"
            yield Cut(name, Edge(end), Edge(until), 0, False)


class Calendar:
    """Periods of one length, numbered; those of several units, such as 6h, are counted from 1970 on.

    Args:
        period: `h`, `6h`, `D`, `W`, `M` ..., in UTC.

    Example:
        >>> calendar = Calendar("6h")
        >>> number = calendar.number(datetime(2026, 1, 1, 14, 30, tzinfo=UTC))
        >>> calendar.name(number), calendar.start(number).isoformat()
        ('2026-01-01 12:00', '2026-01-01T12:00:00+00:00')
        >>> Calendar("D").name(Calendar("D").number(datetime(2026, 1, 1, tzinfo=UTC)))
        '2026-01-01'
    """

    def __init__(self, period: str) -> None:
        digits = period.rstrip("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")
        self.count, self.unit = int(digits or 1), period[len(digits) :]

    def numbers(self, times: Times) -> NDArray[np.int64]:
        """[N] number of the period that each time lies in."""
        import pandas as pd

        ordinals: NDArray[np.int64] = pd.DatetimeIndex(times.view("M8[us]")).to_period(self.unit).asi8
        return ordinals // self.count

    def number(self, moment: datetime) -> int:
        return int(self.numbers(np.array([microseconds(moment)], np.int64))[0])

    def start(self, number: int) -> datetime:
        begins: datetime = self._period(number).start_time.to_pydatetime().replace(tzinfo=UTC)
        return begins

    def name(self, number: int) -> str:
        return str(self._period(number))

    def _period(self, number: int) -> Any:
        import pandas as pd

        return pd.Period(ordinal=number * self.count, freq=self.unit)


def _behind(pieces: Iterable[Times], edge: Edge) -> Iterator[tuple[Times, Times]]:
    """Times behind the edge, and of each its place among those of its moment, from 1 on."""
    moment, seen, skip = microseconds(edge.moment), 0, edge.rows
    carried: tuple[int, int] | None = None
    for times in pieces:
        if not len(times):
            continue
        places = np.arange(1, len(times) + 1) - np.searchsorted(times, times, "left")
        if carried is not None and times[0] == carried[0]:
            places[: np.searchsorted(times, times[0], "right")] += carried[1]
        carried = (int(times[-1]), int(places[-1]))
        begin = int(np.searchsorted(times, moment, "left"))
        if seen < skip:
            same = int(np.searchsorted(times, moment, "right")) - begin
            used = min(same, skip - seen)
            seen, begin = seen + used, begin + used
        if begin < len(times):
            yield times[begin:], places[begin:]


def counted(cuts: Sequence[Cut], counts: Sequence[int], edges: Sequence[datetime]) -> list[int]:
    """How many records each chunk has now.

    Args:
        cuts: Oldest first.
        edges: In order, with the moments of all edges of the cuts; see `moments`.
        counts: Of the traffic, between them.
    """
    place = {moment: i for i, moment in enumerate(edges)}
    total = np.concatenate([[0], np.cumsum(counts)])
    return [
        max(int(total[place[c.last.moment]] - total[place[c.first.moment]]) - c.first.rows + c.last.rows, 0)
        for c in cuts
    ]


def moments(cuts: Sequence[Cut]) -> list[datetime]:
    """All times that lie on an edge, from `BEGINNING` to `END`, in order."""
    return sorted({BEGINNING, END} | {edge.moment for c in cuts for edge in (c.first, c.last)})


def microseconds(moment: datetime) -> int:
    """Since 1970."""
    return (moment - _EPOCH) // INSTANT


def moment_of(time: int | np.int64) -> datetime:
    """The inverse."""
    return _EPOCH + int(time) * INSTANT


def cut_reference(rows: int, sizes: Sequence[int]) -> list[Part]:
    """Cut the reference into chunks as long as the middle one of the analysis, or into one when that makes too few."""
    size = sorted(sizes)[len(sizes) // 2]
    count = rows // size
    if count < LEAST_REFERENCE_CHUNKS:
        return [Part("reference", 0, rows)]
    return [Part(f"reference {i + 1}", i * size, rows if i == count - 1 else (i + 1) * size) for i in range(count)]


def in_order(frame: pd.DataFrame) -> pd.DataFrame:
    """The frame oldest first, with the index 0 to N - 1."""
    times = timestamps(frame)
    if times is not None:
        frame = frame.iloc[times.reset_index(drop=True).sort_values(kind="stable").index]
    return frame.reset_index(drop=True)


def timestamps(frame: pd.DataFrame) -> pd.Series[Any] | None:
    """The column `timestamp` in UTC; None where it is absent, or unreadable in some row."""
    import pandas as pd

    if "timestamp" not in frame or not len(frame):
        return None
    times = pd.to_datetime(frame["timestamp"], utc=True, errors="coerce", format="ISO8601")
    return None if times.isna().any() else times


def chunker(nml: Any, parts: Sequence[Part]) -> Any:
    """A NannyML chunker that cuts any frame just there, by its index."""

    class Parts(nml.Chunker):  # type: ignore[misc]
        def _split(self, data: pd.DataFrame) -> list[Any]:
            pieces = ((part, data[(data.index >= part.first) & (data.index < part.stop)]) for part in parts)
            return [nml.Chunk(key=part.name, data=piece) for part, piece in pieces if len(piece)]

    return Parts()
