"""Cuts traffic into the chunks that are judged one by one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from pizzeria.contracts import Finding
from pizzeria.errors import DataError
from pizzeria.spec.monitoring import Chunk

if TYPE_CHECKING:
    import pandas as pd

LEAST_REFERENCE_CHUNKS = 5
"""From so many chunks on, how much the reference varies from chunk to chunk is taken into account."""


@dataclass(frozen=True)
class Part:
    """One chunk: the rows with index `first` to `stop - 1`."""

    name: str
    first: int
    stop: int
    start: str = ""
    """ISO 8601 time of its first row; empty where records have no timestamp."""
    end: str = ""

    @property
    def rows(self) -> int:
        return self.stop - self.first

    def __str__(self) -> str:
        since = f" from {self.start[:16].replace('T', ' ')}" if self.start else ""
        return f"chunk {self.name} ({self.rows} rows{since})"

    def finding(
        self,
        kind: Literal["performance", "drift", "multivariate_drift", "quality"],
        subject: str,
        value: float | None,
        threshold: str,
        alert: bool | None,
        realised: float | None = None,
    ) -> Finding:
        """A finding in this chunk."""
        return Finding(kind, subject, self.name, self.start, self.end, value, threshold, alert, realised)


def cut(frame: pd.DataFrame, chunk: Chunk) -> list[Part]:
    """Cut a frame that is in order of time, with the index 0 to N - 1.

    By size, the rest of the division joins the last chunk, and fewer rows than one chunk are one chunk. With neither
    size nor period all rows are one chunk.

    Raises:
        DataError: `chunk.period` is set and the records have no timestamp.
    """
    times = timestamps(frame)
    if chunk.period is not None:
        if times is None:
            raise DataError(
                f"monitoring.chunk.period is {chunk.period}, but the records have no timestamp",
                hint="set monitoring.chunk.size instead, such as chunk: {size: 500}",
            )
        periods = times.dt.tz_localize(None).dt.to_period(chunk.period)
        edges = [i for i in range(len(frame)) if i == 0 or periods[i] != periods[i - 1]]
        names = [str(periods[i]) for i in edges]
    else:
        count = max(1, len(frame) // (chunk.size or len(frame)))
        edges = [i * (chunk.size or 0) for i in range(count)]
        names = [str(i + 1) for i in range(count)]
    parts = []
    for name, first, stop in zip(names, edges, [*edges[1:], len(frame)], strict=True):
        start, end = ("", "") if times is None else (times[first].isoformat(), times[stop - 1].isoformat())
        parts.append(Part(name, first, stop, start, end))
    return parts


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
