"""Reads traffic chunk by chunk: from one place on in one go, never more than one chunk and one piece in memory."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from pizzeria.contracts import Traffic
from pizzeria_plugins.monitors.chunks import INSTANT, Cut, Edge, Times, microseconds, moment_of

if TYPE_CHECKING:
    import pandas as pd

TIME = "timestamp"
FIRST = datetime(2000, 1, 1, tzinfo=UTC)
"""Pretended time of the first of records that have none."""


def times(traffic: Traffic, since: datetime, until: datetime | None = None) -> Iterator[Times]:
    """When the records from `since` on came, piece by piece, without reading more of them than that."""
    for piece in traffic.batches(since=since, until=until, columns=[TIME]):
        yield times_of(piece)


def times_of(frame: pd.DataFrame) -> Times:
    """[N] microseconds since 1970."""
    import pandas as pd

    if not len(frame):
        return np.zeros(0, np.int64)
    column = frame[TIME]
    if not isinstance(column.dtype, pd.DatetimeTZDtype):
        column = pd.to_datetime(column, utc=True, format="ISO8601")
    found: Times = column.dt.tz_convert(None).to_numpy("M8[us]").view(np.int64)
    return found


def spans(cuts: Sequence[Cut], rows: int, chunks: int) -> list[list[Cut]]:
    """Chunks that lie one behind the other, so many that they have about `rows` rows, at most `chunks` of them.

    No span ends within a moment that fills a whole chunk: whoever begins there would read all of the moment in vain.
    """
    found: list[list[Cut]] = []
    read = 0
    for one in cuts:
        follows = bool(found) and found[-1][-1].last == one.first
        within = follows and one.first.rows > 0 and one.first.moment == one.last.moment
        if not follows or ((read + one.rows > rows or len(found[-1]) >= chunks) and not within):
            found.append([])
            read = 0
        found[-1].append(one)
        read += one.rows
    return found


def chunks_of(
    traffic: Traffic, cuts: Sequence[Cut], columns: Sequence[str] | None
) -> Iterator[tuple[Cut, pd.DataFrame, Times]]:
    """The records of each chunk, index 0 to N - 1, and their times.

    Args:
        cuts: A span: one behind the other.
        columns: With `timestamp`; None for all.
    """
    import pandas as pd

    begin, end = cuts[0].first, cuts[-1].last
    until = end.moment + INSTANT if end.rows else end.moment
    left = list(reversed(cuts))
    rows: list[pd.DataFrame] = []
    stamps: list[Times] = []
    seen: tuple[int, int] | None = None  # the last moment so far, and how many of its records came

    def taken() -> tuple[Cut, pd.DataFrame, Times]:
        one = left.pop()
        frame = rows[0] if len(rows) == 1 else pd.concat(rows, ignore_index=True) if rows else pd.DataFrame()
        moments = np.concatenate(stamps) if stamps else np.zeros(0, np.int64)
        rows.clear()
        stamps.clear()
        return one, frame, moments

    for piece in traffic.batches(since=begin.moment, until=until, columns=columns):
        if not len(piece):
            continue
        moments = times_of(piece)
        at = _place(moments, begin, seen)
        while left:
            stop = _place(moments, left[-1].last, seen)
            if stop > at:
                rows.append(piece.iloc[at:stop].reset_index(drop=True))
                stamps.append(moments[at:stop])
            at = max(at, stop)
            if stop >= len(moments):
                break  # more of it may come with the next piece
            yield taken()
        same = len(moments) - int(np.searchsorted(moments, moments[-1], "left"))
        carried = seen[1] if seen is not None and seen[0] == moments[-1] else 0
        seen = int(moments[-1]), same + carried
    while left:
        yield taken()


def _place(moments: Times, edge: Edge, seen: tuple[int, int] | None) -> int:
    """How many records of a piece lie before an edge."""
    moment = microseconds(edge.moment)
    before, behind = (int(np.searchsorted(moments, moment, side)) for side in ("left", "right"))
    came = seen[1] if seen is not None and seen[0] == moment else 0
    return min(before + max(edge.rows - came, 0), behind)


@dataclass(frozen=True)
class Numbered:
    """Records without times, each a microsecond after the one before: those of a table, which come in one go."""

    traffic: Traffic

    def batches(
        self, *, since: datetime | None = None, until: datetime | None = None, columns: Sequence[str] | None = None
    ) -> Iterator[pd.DataFrame]:
        import pandas as pd

        wanted = None if columns is None else [column for column in columns if column != TIME]
        first = 0
        # With no column at all a table cannot say how many rows it has.
        for piece in self.traffic.batches(columns=wanted or None):
            begin, stop = (
                len(piece) if moment is None and side else 0 if moment is None
                else min(max((moment - FIRST) // INSTANT - first, 0), len(piece))
                for side, moment in enumerate((since, until))
            )  # fmt: skip
            stamps = pd.date_range(FIRST + first * INSTANT, periods=len(piece), freq="us", unit="us")
            first += len(piece)
            if begin < stop:
                part = piece if wanted else piece[[]] if columns is not None else piece
                yield part.assign(**{TIME: stamps}).iloc[begin:stop].reset_index(drop=True)

    def counts(self, edges: Sequence[datetime]) -> Sequence[int]:
        rows = sum(len(piece) for piece in self.traffic.batches())
        places = [min(max((edge - FIRST) // INSTANT, 0), rows) for edge in edges]
        return [stop - first for first, stop in pairwise(places)]

    def relabelled(self, mark: str) -> tuple[Sequence[datetime], str]:
        return [], "all"


def isoformat(moments: Iterable[int]) -> list[str]:
    """ISO 8601 of microseconds since 1970."""
    return [moment_of(moment).isoformat() for moment in moments]
