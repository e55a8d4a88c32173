"""A record as a log keeps it: fixed columns, the rest as one JSON text, and the photo apart.

What a client sent may hold what no database takes: half a character, a NUL, NaN. It is made whole here, so that one
strange record never stops the log.
"""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from pizzeria.inference.records import pack

if TYPE_CHECKING:
    import pandas as pd

COLUMNS = ("timestamp", "sha256", "prediction_id", "input_id", "listing_id", "latency_ms")
"""What every record has, in the order in which frames show it."""
CHUNK = 10_000
"""Rows that `read` holds as Python objects at a time; a frame takes a tenth of their memory."""
_Item = TypeVar("_Item")


class Row(NamedTuple):
    """One record, flat or of a table, ready to be written.

    Attributes:
        fixed: Values of `COLUMNS`; the first three are always texts.
        rest: The other values, as JSON.
        photo: The photo's bytes, where it is to be kept.
    """

    fixed: tuple[Any, ...]
    rest: str
    photo: bytes | None

    @property
    def timestamp(self) -> str:
        return str(self.fixed[0])

    @property
    def prediction_id(self) -> str:
        return str(self.fixed[2])


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
    return Row(fixed, _as_json(rest), photo)


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


def chunks(items: Iterable[_Item], size: int) -> Iterator[list[_Item]]:
    """Lists of `size` items, the last one shorter.

    Example:
        >>> list(chunks("abcde", 2))
        [['a', 'b'], ['c', 'd'], ['e']]
    """
    rest = iter(items)
    while chunk := list(itertools.islice(rest, size)):
        yield chunk


def as_frame(records: Iterable[Mapping[str, Any]]) -> pd.DataFrame:
    """Records as a frame, one column per key, in their order; memory is that of the frame and one chunk.

    Returns:
        `timestamp` as UTC datetimes. `prediction_id` and `embedding` are text, or None where a record has none; in
        other columns NaN stands for what is missing. The fixed columns are there without a record, too.
    """
    import pandas as pd

    return join([pd.DataFrame(chunk) for chunk in chunks(records, CHUNK)])


def join(parts: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """Frames one below the other, as `as_frame` says."""
    import pandas as pd

    names = dict.fromkeys((*COLUMNS, *(name for part in parts for name in part), "embedding"))
    filled = [part.dropna(axis="columns", how="all") for part in parts]
    joined = pd.concat(filled, ignore_index=True) if filled else pd.DataFrame()
    out = joined.reindex(index=range(sum(map(len, parts))), columns=list(names))
    out["timestamp"] = pd.to_datetime(out["timestamp"], utc=True, format="ISO8601")
    for name in ("prediction_id", "embedding"):
        out[name] = out[name].astype(object).where(out[name].notna(), None)
    return out


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
