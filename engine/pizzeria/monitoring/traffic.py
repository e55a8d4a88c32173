"""Logged predictions as a monitor reads them: from a log, or from a table in memory."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property, partial
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

import numpy as np

from pizzeria import registry
from pizzeria.contracts import Traffic
from pizzeria.errors import PizzeriaError, PluginError
from pizzeria.inference.truth import Key, Label
from pizzeria.monitoring.marks import Sieve
from pizzeria.plugin_guard import Guarded

if TYPE_CHECKING:
    import pandas as pd

PIECE = 50_000
"""Rows of one piece."""
MOST_KEYS = 200_000
"""Labels whose predictions are looked for one by one; of more, all labelled predictions count as labelled anew."""


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


@dataclass(frozen=True)
class LoggedTraffic:
    """Records of a prediction log, read in pieces, of one that can; else all at once.

    It can be pickled, so that a worker process reads its own chunk: of the log goes the name.

    Attributes:
        plugin: Of the kind `prediction_logs`, as the registry loads it, or its module.
        options: Its `Options`.
        folder: The deployment's log folder.
        sha256: Of the bundle; None: of all that wrote to the log.

    Raises (each method):
        DataError: the log cannot be read.
        PluginError: the log is at fault.
    """

    plugin: Any
    options: Any
    folder: Path
    sha256: str | None

    def batches(
        self, *, since: datetime | None = None, until: datetime | None = None, columns: Sequence[str] | None = None
    ) -> Iterator[pd.DataFrame]:
        if hasattr(self.plugin, "batches"):
            asked: Any = {"sha256": self.sha256, "since": since, "until": until, "columns": columns}
            return self._guarded("batches", self.plugin.batches(self.options, self.folder, **asked))
        whole = self.plugin.read(self.options, self.folder, sha256=self.sha256)
        return FrameTraffic(whole).batches(since=since, until=until, columns=columns)

    def counts(self, edges: Sequence[datetime]) -> Sequence[int]:
        if hasattr(self.plugin, "counts"):
            found: Sequence[int] = self.plugin.counts(self.options, self.folder, edges, sha256=self.sha256)
            return found
        counts = np.zeros(max(len(edges) - 1, 0), int)
        if len(counts):
            for piece in self.batches(since=edges[0], until=edges[-1], columns=["timestamp"]):
                counts += FrameTraffic(piece).counts(edges)
        return [int(count) for count in counts]

    def relabelled(self, mark: str) -> tuple[Sequence[datetime], str]:
        """See `pizzeria.contracts.Traffic`, and `pizzeria.monitoring.marks` of what counts as new.

        Times come once each. Of all labels that there are, they are looked for only when somebody looks at them. A log
        that keeps no labels has none.
        """
        if not hasattr(self.plugin, "labels"):
            return [], mark
        sieve = Sieve(mark)
        keys: set[Key] = set()
        for label in sieve.news(self._labels_since):
            if len(keys) <= MOST_KEYS:
                keys.add(label.key)
        if keys and (not mark or len(keys) > MOST_KEYS):
            return Moments(self._labelled), sieve.mark()
        return Moments(partial(self._times, keys)), sieve.mark()

    def _labels_since(self, since: str) -> Iterator[tuple[str, Label]]:
        if hasattr(self.plugin, "labels_since"):
            return self._guarded("labels_since", self.plugin.labels_since(self.options, self.folder, since))
        return (("", label) for label in self.plugin.labels(self.options, self.folder))

    def _times(self, keys: set[Key]) -> Iterable[datetime]:
        if not keys:
            return ()
        if hasattr(self.plugin, "times"):
            found: Sequence[datetime] = self.plugin.times(self.options, self.folder, keys, sha256=self.sha256)
            return found
        names = {by: [name for kind, name in keys if kind == by] for by in ("prediction_id", "input_id")}
        return (
            time
            for piece in self.batches(columns=["timestamp", *names])
            for time in piece.loc[
                piece["prediction_id"].isin(names["prediction_id"]) | piece["input_id"].isin(names["input_id"]),
                "timestamp",
            ]
        )

    def _labelled(self) -> Iterator[datetime]:
        """Of all records whose truth is known."""
        said = [str(name) for name in next(self.batches(), {}) if str(name).startswith("pred:")]
        truth = ["true", *("true:" + name.removeprefix("pred:") for name in said)]
        for piece in self.batches(columns=["timestamp", *truth]):
            known = piece.drop(columns="timestamp").notna().any(axis="columns")
            yield from piece.loc[known, "timestamp"].drop_duplicates()

    def _guarded(self, part: str, pieces: Iterator[Any]) -> Iterator[Any]:
        """What the log does wrong on the way is told by its name, as `pizzeria.plugin_guard` does at the call."""
        try:
            yield from pieces
        except (PizzeriaError, GeneratorExit):
            raise
        except Exception as error:
            what = self.plugin.what if isinstance(self.plugin, Guarded) else "the prediction log"
            raise PluginError(
                f"{what} failed in {part}: {type(error).__name__}: {error}", hint="PIZZERIA_DEBUG=1 shows where"
            ) from error

    def __getstate__(self) -> dict[str, Any]:
        guarded = isinstance(self.plugin, Guarded)
        return {
            "guarded": guarded,
            "plugin": self.plugin.name if guarded else self.plugin.__name__,
            "options": self.options.model_dump_json(by_alias=True),
            "folder": self.folder,
            "sha256": self.sha256,
        }

    def __setstate__(self, state: dict[str, Any]) -> None:
        name = state["plugin"]
        plugin = registry.load("prediction_logs", name) if state["guarded"] else import_module(name)
        options = plugin.Options.model_validate_json(state["options"])
        for key, value in (("plugin", plugin), ("options", options), *((k, state[k]) for k in ("folder", "sha256"))):
            object.__setattr__(self, key, value)


@dataclass(frozen=True)
class Since:
    """Traffic from a moment on."""

    traffic: Traffic
    start: datetime

    def batches(
        self, *, since: datetime | None = None, until: datetime | None = None, columns: Sequence[str] | None = None
    ) -> Iterator[pd.DataFrame]:
        start = self.start if since is None else max(since, self.start)
        return self.traffic.batches(since=start, until=until, columns=columns)

    def counts(self, edges: Sequence[datetime]) -> Sequence[int]:
        return self.traffic.counts([max(edge, self.start) for edge in edges])

    def relabelled(self, mark: str) -> tuple[Sequence[datetime], str]:
        times, mark = self.traffic.relabelled(mark)
        return [at for at in times if at >= self.start], mark


class Moments(Sequence[datetime]):
    """Times in order, each once; millions of them take little memory. They are asked for when they are looked at.

    Args:
        times: In any order.

    Example:
        >>> from datetime import UTC
        >>> one, other = datetime(2026, 5, 1, tzinfo=UTC), datetime(2026, 4, 1, tzinfo=UTC)
        >>> [f"{at:%B}" for at in Moments(lambda: [one, other, one])]
        ['April', 'May']
    """

    def __init__(self, times: Callable[[], Iterable[datetime]]) -> None:
        self._times = times

    @cached_property
    def _index(self) -> pd.DatetimeIndex:
        import pandas as pd

        values = np.fromiter((pd.Timestamp(at).value for at in self._times()), np.int64)
        return pd.DatetimeIndex(np.unique(values).astype("M8[ns]"), tz="UTC")

    def __len__(self) -> int:
        return len(self._index)

    @overload
    def __getitem__(self, place: int) -> datetime: ...
    @overload
    def __getitem__(self, place: slice) -> list[datetime]: ...
    def __getitem__(self, place: int | slice) -> datetime | list[datetime]:
        return list(self._index[place]) if isinstance(place, slice) else self._index[place]


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
