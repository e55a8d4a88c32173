"""A record as a log keeps it: fixed columns, the rest as one JSON text, and the photo apart.

What a client sent may hold what no database takes: half a character, a NUL, NaN. It is made whole here, so that one
strange record never stops the log.
"""

from __future__ import annotations

import json
import math
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from pizzeria.inference.records import pack, plain_column, predictions_in

if TYPE_CHECKING:
    import pandas as pd

COLUMNS = ("timestamp", "sha256", "prediction_id", "input_id", "listing_id", "latency_ms")
"""What every record has, in the order in which frames show it."""
CHUNK = 10_000
"""Rows that are held as Python objects at a time; a frame takes a tenth of their memory."""


class Row(NamedTuple):
    """One record, flat or of a table, ready to be written.

    Attributes:
        fixed: Values of `COLUMNS`; the first three are always texts.
        rest: The other values, as JSON.
        photo: The photo's bytes, where it is to be kept.
        predictions: How many it tells of.
    """

    fixed: tuple[Any, ...]
    rest: str
    photo: bytes | None
    predictions: int

    @property
    def timestamp(self) -> str:
        return str(self.fixed[0])

    @property
    def prediction_id(self) -> str:
        return str(self.fixed[2])

    @property
    def crc(self) -> int:
        """See `crc_of`."""
        return crc_of(self.fixed, self.rest)


def as_row(record: Mapping[str, Any]) -> Row:
    """Split a record.

    Raises:
        KeyError: it lacks `timestamp`, `sha256` or `prediction_id`.

    Example:
        >>> record = {"timestamp": "2026-05-01T12:00:00+00:00", "sha256": "ab12", "prediction_id": "1", "p:bed": 0.9}
        >>> as_row(record).rest
        '{"p:bed":0.9}'
    """
    rest = dict(record)
    timestamp, sha256, prediction_id = rest.pop("timestamp"), rest.pop("sha256"), rest.pop("prediction_id")
    input_id, listing_id = whole(rest.pop("input_id", None)), whole(rest.pop("listing_id", None))
    latency, photo = rest.pop("latency_ms", None), rest.pop("photo", None)
    fixed = (timestamp, sha256, prediction_id, input_id, listing_id, None if latency is None else float(latency))
    return Row(fixed, _as_json(rest), photo, predictions_in(record))


def crc_of(fixed: Sequence[Any], rest: str) -> int:
    """CRC-32 of a record, which a log keeps beside it: a byte that changed on its disk is noticed when it is read.

    Example:
        >>> crc_of(("2026-05-01T12:00:00+00:00", "ab12", "1", None, None, 1.5), '{"p:bed":0.9}')
        47789080
    """
    return zlib.crc32(f"{tuple(fixed)!r}{rest}".encode())


def whole(value: Any) -> Any:
    """The value itself, unless it is a text with half a character or a NUL, or a float that is no number.

    Example:
        >>> whole("caf\\u00e9"), whole("a\\x00b"), whole("\\ud800"), whole(float("nan"))
        ('caf\u00e9', 'a\ufffdb', '?', None)
    """
    if isinstance(value, str):
        if not value.isascii():
            value = value.encode("utf-8", "replace").decode()
        return value.replace("\x00", "\ufffd")
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def utc(moment: datetime) -> datetime:
    """An aware moment, in UTC.

    Raises:
        ValueError: it has no time zone.
    """
    if moment.tzinfo is None:
        raise ValueError(f"{moment} has no time zone; write datetime.now(UTC), say")
    return moment.astimezone(UTC)


def as_frame(records: Iterable[Mapping[str, Any]]) -> pd.DataFrame:
    """Records, flat or of tables, as one frame; memory is that of the frame and one piece."""
    return join(list(frames(records)))


def frames(
    records: Iterable[Mapping[str, Any]], columns: Sequence[str] | None = None, rows: int = CHUNK
) -> Iterator[pd.DataFrame]:
    """Records, flat or of tables, as frames of about so many rows.

    Args:
        columns: Only these; all by default.

    Returns:
        As `join` says of the whole. A column that came once is there in all later frames.
    """
    gathered = _Gathered(columns)
    for record in records:
        gathered.add(record)
        if gathered.count >= rows:
            yield gathered.take()
    if gathered.count:
        yield gathered.take()


class _Gathered:
    """Rows that are on the way into a frame, column by column."""

    def __init__(self, columns: Sequence[str] | None) -> None:
        self.count = 0
        self._wanted = None if columns is None else frozenset(columns)
        self._values: dict[str, list[Any]] = {
            name: [] for name in (COLUMNS if columns is None else columns) if name in COLUMNS
        }

    def add(self, record: Mapping[str, Any]) -> None:
        """The rows of one record."""
        if "columns" not in record:
            self._extend({key: value for key, value in record.items() if self._wants(key)}, {}, 1)
            return
        table = record["columns"]
        count = len(plain_column(next(iter(table.values()), ())))
        shared = {key: value for key, value in record.items() if key not in ("rows", "columns") and self._wants(key)}
        own = {key: plain_column(values) for key, values in table.items() if self._wants(key)}
        if self._wants("prediction_id"):
            own["prediction_id"] = [f"{record.get('prediction_id', '')}/{row}" for row in range(count)]
        self._extend(shared, own, count)

    def take(self) -> pd.DataFrame:
        """What was gathered; the next one begins without rows."""
        import pandas as pd

        frame = pd.DataFrame(self._values)
        self.count, self._values = 0, {name: [] for name in self._values}
        names = dict.fromkeys((*COLUMNS, *frame, "embedding")) if self._wanted is None else list(frame)
        return typed(frame.reindex(columns=list(names)))

    def _wants(self, name: str) -> bool:
        return self._wanted is None or name in self._wanted

    def _extend(self, shared: Mapping[str, Any], own: Mapping[str, Sequence[Any]], count: int) -> None:
        for key, value in shared.items():
            if key not in own:
                self._column(key).extend((value,) * count)
        for key, values in own.items():
            self._column(key).extend(values)
        self.count += count
        for values in self._values.values():
            if len(values) < self.count:
                values.extend((None,) * (self.count - len(values)))

    def _column(self, key: str) -> list[Any]:
        if key not in self._values:
            self._values[key] = [None] * self.count
        return self._values[key]


def join(parts: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """Frames one below the other.

    Returns:
        `timestamp` as UTC datetimes. `prediction_id` and `embedding` are text, or None where a record has none; in
        other columns NaN stands for what is missing. The fixed columns are there without a record, too.
    """
    import pandas as pd

    names = dict.fromkeys((*COLUMNS, *(name for part in parts for name in part), "embedding"))
    filled = [part.dropna(axis="columns", how="all") for part in parts]
    joined = pd.concat(filled, ignore_index=True) if filled else pd.DataFrame()
    return typed(joined.reindex(index=range(sum(map(len, parts))), columns=list(names)))


def typed(frame: pd.DataFrame) -> pd.DataFrame:
    """The frame with the types of `join`, of the columns that it has."""
    import pandas as pd

    if "timestamp" in frame:
        frame["timestamp"] = pd.to_datetime(frame["timestamp"], utc=True, format="ISO8601")
    for name in ("prediction_id", "embedding"):
        if name in frame:
            frame[name] = frame[name].astype(object).where(frame[name].notna(), None)
    empty = [
        name
        for name, kind in frame.dtypes.items()
        if kind.name == "object" and name not in ("prediction_id", "embedding") and frame[name].isna().all()
    ]
    if empty:
        frame[empty] = np.nan
    return frame


def from_json(text: str) -> dict[str, Any]:
    """The inverse of what `as_row` makes of the values without a column of their own."""
    from msgspec import MsgspecError
    from msgspec import json as fast

    try:
        found: dict[str, Any] = fast.decode(text)
    except (MsgspecError, UnicodeError):  # an earlier Pizzeria wrote NaN
        found = json.loads(text)
    return found


def _as_json(values: dict[str, Any]) -> str:
    """Six times faster than the standard library, which counts where a request has a thousand rows."""
    from msgspec import json as fast

    try:
        data = fast.encode(values, enc_hook=pack)
    except UnicodeEncodeError:
        data = b"\\u0000"
    if b"\\u0000" in data:
        return json.dumps(_all_whole(values), ensure_ascii=False, separators=(",", ":"))
    return data.decode()


def _all_whole(value: Any) -> Any:
    """`whole`, for all that a table record's columns hold."""
    if isinstance(value, Mapping):
        return {whole(key): _all_whole(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_all_whole(item) for item in value]
    return whole(value) if isinstance(value, str | int | float | None) else pack(value)
