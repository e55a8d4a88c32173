"""Records of a Parquet log in order of time, piece by piece, and how many there are.

Parts overlap: each worker writes its own, and a late record may be in any. So row groups are taken up by their first
record; whatever is older than all that was not read yet can be given out.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pizzeria_plugins.prediction_logs.part_index import PartIndex, Unit, microseconds
from pizzeria_plugins.prediction_logs.parts import frame_of
from pizzeria_plugins.prediction_logs.rows import COLUMNS, typed, utc

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

PIECE = 50_000
"""Rows of a piece."""
_RANK = "\x00rank"
"""Column with the place of a record's part and row group among all, as records of one moment are in that order."""
_ALWAYS = 2**62


def records_in_order(
    index: PartIndex,
    sha256: str | None,
    since: datetime | None,
    until: datetime | None,
    wanted: Sequence[str] | None,
) -> Iterator[pd.DataFrame]:
    """Records of [since, until), oldest first; those of one moment in the order of their parts' names.

    Args:
        wanted: Only these columns, where there are such; all by default.
    """
    start = -_ALWAYS if since is None else microseconds(utc(since))
    end = _ALWAYS if until is None else microseconds(utc(until))
    units = index.units(start, end, sha256)
    ranks = {unit: rank for rank, unit in enumerate(sorted(units, key=lambda one: (one.part, one.number)))}
    reader = _Reader(index, sha256, start, end, wanted)
    held: list[tuple[int, pa.Table]] = []
    rest: pd.DataFrame | None = None
    count, limit = 0, PIECE
    for place, unit in enumerate(units):
        table = reader.read(unit, ranks[unit])
        if table is not None and len(table):
            held.append((ranks[unit], table))
            count += len(table)
        following = units[place + 1].first if place + 1 < len(units) else None
        if not count or (count < limit and following is not None):
            continue
        frame = _sorted(rest, held)
        times = _times(frame)
        ready = len(frame) if following is None else int(np.searchsorted(times, following, side="left"))
        for at in range(0, ready, PIECE):
            yield _given(frame.iloc[at : min(at + PIECE, ready)], wanted)
        rest, held, count = frame.iloc[ready:], [], len(frame) - ready
        limit = count + PIECE


def counts_between(index: PartIndex, edges: Sequence[datetime], sha256: str | None) -> list[int]:
    """How many records of a bundle lie in [edges[i], edges[i + 1]), for each i."""
    ends = np.array([microseconds(utc(edge)) for edge in edges], np.int64)
    found = np.zeros(max(len(ends) - 1, 0), np.int64)
    if not len(found):
        return []
    reader = _Reader(index, sha256, int(ends[0]), int(ends[-1]), ["timestamp"])
    for unit in index.units(int(ends[0]), int(ends[-1]), sha256):
        low, high = (int(np.searchsorted(ends, at, side="right")) - 1 for at in (unit.first, unit.last))
        if low == high and 0 <= low < len(found) and not reader.partly(unit):
            found[low] += unit.rows
            continue
        table = reader.read(unit, 0)
        if table is not None:
            times = np.sort(table["timestamp"].cast("int64").to_numpy())
            found += np.diff(np.searchsorted(times, ends, side="left"))
    return [int(one) for one in found]


class _Reader:
    """Reads row groups: the columns that are wanted, of records of a bundle and a time."""

    def __init__(
        self, index: PartIndex, sha256: str | None, start: int, end: int, wanted: Sequence[str] | None
    ) -> None:
        self._index, self._sha256, self._start, self._end, self._wanted = index, sha256, start, end, wanted
        self._repeating = index.repeating()

    def partly(self, unit: Unit) -> bool:
        """Whether some records of the row group are none of ours, apart from their time."""
        return (self._sha256 is not None and unit.sha256 is None) or unit.part in self._repeating

    def read(self, unit: Unit, rank: int) -> pa.Table | None:
        """None where the part was pruned just now. The column of ranks comes last."""
        import pyarrow as pa
        import pyarrow.compute as pc

        try:
            with self._index.store.opened("predictions", unit.part) as file:
                names = list(file.schema_arrow.names)
                asked = names if self._wanted is None else [name for name in names if name in self._wanted]
                also = ["timestamp", *(["sha256"] if self._sha256 is not None and unit.sha256 is None else [])]
                columns = list(dict.fromkeys((*asked, *also)))
                table = file.read_row_group(unit.number, columns=columns).select(columns)
                before = sum(file.metadata.row_group(number).num_rows for number in range(unit.number))
        except FileNotFoundError:
            return None
        place = table.schema.get_field_index("timestamp")
        table = table.set_column(place, "timestamp", table["timestamp"].cast(pa.timestamp("us", "UTC")))
        keep: Any = None
        if unit.first < self._start or unit.last >= self._end:
            at = table["timestamp"].cast(pa.int64())
            keep = pc.and_(pc.greater_equal(at, self._start), pc.less(at, self._end))
        if self._sha256 is not None and unit.sha256 is None:
            own = pc.equal(table["sha256"], self._sha256)
            keep = own if keep is None else pc.and_(keep, own)
        if unit.part in self._repeating:
            rows = [row - before for row in self._index.repeats(unit.part) if 0 <= row - before < unit.rows]
            mask = np.ones(unit.rows, bool)
            mask[rows] = False
            keep = pa.chunked_array([mask]) if keep is None else pc.and_(keep, pa.chunked_array([mask]))
        if keep is not None:
            table = table.filter(keep)
        return table.append_column(_RANK, pa.array(np.full(len(table), rank, np.int32)))


def _sorted(rest: pd.DataFrame | None, held: Sequence[tuple[int, pa.Table]]) -> pd.DataFrame:
    import pandas as pd
    import pyarrow as pa

    alike: list[list[pa.Table]] = []
    for _, table in sorted(held, key=lambda one: one[0]):
        if alike and alike[-1][0].schema.equals(table.schema, check_metadata=True):
            alike[-1].append(table)
        else:
            alike.append([table])
    frames = [frame_of(pa.concat_tables(tables)) for tables in alike]
    if rest is not None and len(rest):
        frames.insert(0, rest)
    if len(frames) == 1:
        frame = frames[0]
    else:
        names = list(dict.fromkeys(name for one in frames for name in one))
        filled = [one.dropna(axis="columns", how="all") for one in frames]
        frame = pd.concat(filled, ignore_index=True).reindex(columns=names)
    times, ranks = _times(frame), frame[_RANK].to_numpy()
    if ((times[1:] > times[:-1]) | ((times[1:] == times[:-1]) & (ranks[1:] >= ranks[:-1]))).all():
        return frame
    return frame.iloc[np.lexsort((ranks, times))]


def _times(frame: pd.DataFrame) -> NDArray[np.int64]:
    """In microseconds."""
    times: NDArray[np.int64] = frame["timestamp"].dt.tz_convert(None).to_numpy().astype("M8[us]").astype(np.int64)
    return times


def _given(frame: pd.DataFrame, wanted: Sequence[str] | None) -> pd.DataFrame:
    frame = frame.drop(columns=_RANK).reset_index(drop=True)
    if wanted is None:
        names = dict.fromkeys((*COLUMNS, *(name for name in frame if name != "embedding"), "embedding"))
        return typed(frame.reindex(columns=list(names)))
    return typed(frame[[name for name in wanted if name in frame]])
