"""Logged predictions as a monitor reads them: from a log, or from a table in memory."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import pandas as pd

PIECE = 50_000
"""Rows of one piece."""


@dataclass(frozen=True)
class FrameTraffic:
    """Records that are all in memory: those of a test, of a simulation, or of a pass with labels from a file.

    Attributes:
        frame: [N] records; see `pizzeria.inference.records`. Without `timestamp` they come as they are.
    """

    frame: pd.DataFrame

    def batches(
        self, *, since: datetime | None = None, until: datetime | None = None, columns: Sequence[str] | None = None
    ) -> Iterator[pd.DataFrame]:
        frame = _ordered(self.frame)
        if "timestamp" in frame and (since is not None or until is not None):
            times = frame["timestamp"]
            inside = np.ones(len(frame), bool)
            if since is not None:
                inside &= (times >= since).to_numpy()
            if until is not None:
                inside &= (times < until).to_numpy()
            frame = frame[inside]
        if columns is not None:
            frame = frame[[column for column in columns if column in frame]]
        for first in range(0, len(frame), PIECE):
            yield frame.iloc[first : first + PIECE].reset_index(drop=True)

    def counts(self, edges: Sequence[datetime]) -> Sequence[int]:
        import pandas as pd

        times = _ordered(self.frame)["timestamp"]
        places = times.searchsorted(pd.DatetimeIndex(list(edges)), side="left")
        return [int(count) for count in np.diff(places)]

    def relabelled(self, mark: str) -> tuple[Sequence[datetime], str]:
        truth = [column for column in self.frame if str(column) == "true" or str(column).startswith("true:")]
        if mark or not truth or "timestamp" not in self.frame:
            return [], "all"
        frame = _ordered(self.frame)
        return list(frame.loc[frame[truth].notna().any(axis=1), "timestamp"]), "all"


def _ordered(frame: pd.DataFrame) -> pd.DataFrame:
    """Oldest first, with times in UTC; as it is where a time is absent or cannot be read."""
    import pandas as pd

    if "timestamp" not in frame or not len(frame):
        return frame
    times = pd.to_datetime(frame["timestamp"], utc=True, errors="coerce", format="ISO8601")
    if times.isna().any():
        return frame.drop(columns="timestamp")
    if times.is_monotonic_increasing:
        return frame.assign(timestamp=times)
    return frame.assign(timestamp=times).sort_values("timestamp", kind="stable")
