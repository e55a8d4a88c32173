"""Prediction log as Parquet parts in a folder or an object store: for services on several machines without a database,
and for whoever wants the records in DuckDB, Spark or pandas:

    SELECT * FROM readto_bytes('predictions/*.parquet', union_by_name = true)

A part is a batch. It appears whole or not at all, and is never changed. Its name begins with the time of its newest
record and ends with a hash of its prediction ids, so that a batch that is tried again replaces itself; a batch that was
cut anew may leave a record in two parts, which `read` sees once. Parts may differ in their columns.

Labels are parts of their own, one for each call that adds some.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from pydantic import Field, field_validator

from pizzeria.clock import utcnow
from pizzeria.errors import DataError
from pizzeria.inference.records import unpack
from pizzeria.inference.truth import Key, Label, LabelCounts, moment, sift
from pizzeria.spec.section import Options as PluginOptions
from pizzeria_plugins.prediction_logs.part_index import PartIndex
from pizzeria_plugins.prediction_logs.part_reading import counts_between, records_in_order
from pizzeria_plugins.prediction_logs.parts import STAMP, Store, part_name, photo_table, table_of, to_bytes
from pizzeria_plugins.prediction_logs.rows import join, utc
from pizzeria_plugins.prediction_logs.truth import LABEL_COLUMNS, as_values, needed, told

if TYPE_CHECKING:
    import pandas as pd

_PHOTOS_IN_GROUP = 16
"""Photos that must be read to find one of them."""


class Options(PluginOptions):
    """Options of the `parquet` prediction log."""

    url: str = Field(
        default="records",
        description="Folder of the parts: any address that fsspec knows, such as s3://bucket/amenities, or a path; a "
        "relative one starts at the deployment's log folder. The store's keys come from the environment.",
    )
    batch_s: float = Field(
        default=30,
        gt=0,
        le=3600,
        description="Time that a part may cover; a worker that is killed loses so much of the log.",
    )

    @field_validator("url")
    @classmethod
    def _without_secret(cls, url: str) -> str:
        if urlsplit(url).password is not None:
            raise ValueError("the address holds a password; leave it out, the store's library finds it elsewhere")
        return url


def interval_s(options: Options) -> float:
    """Seconds between two batches of a service."""
    return options.batch_s


def local_files(options: Options) -> bool:
    """Whether the parts lie in a folder of the machine that serves.

    Example:
        >>> local_files(Options()), local_files(Options(url="s3://bucket/amenities"))
        (True, False)
    """
    return "://" not in options.url or options.url.startswith("file://")


def writer(options: Options, folder: Path) -> Callable[[Sequence[Mapping[str, Any]]], None]:
    """A function that writes records as one part, and their photos as another one before it.

    Raises:
        PluginError: pyarrow, fsspec or what fsspec needs for the address is not installed, or the address is none.

    Raises (the function that is returned):
        OSError: the part cannot be written; there is none of it.
        KeyError: a record lacks `timestamp`, `sha256` or `prediction_id`.

    Example:
        >>> import tempfile
        >>> folder = Path(tempfile.mkdtemp())
        >>> write = writer(Options(), folder)
        >>> record = {"timestamp": "2026-05-01T12:00:00+00:00", "sha256": "ab12", "prediction_id": "1", "p:bed": 0.9}
        >>> write([record])
        >>> write([record])
        >>> read(Options(), folder)["p:bed"].tolist()
        [0.9]
    """
    store = Store.open(options.url, folder)

    def write(records: Sequence[Mapping[str, Any]]) -> None:
        unique = {record["prediction_id"]: record for one in records for record in unpack(one)}
        if not unique:
            return
        moments = [utc(datetime.fromisoformat(record["timestamp"])) for record in unique.values()]
        name = part_name(max(moments), unique)
        predictions = table_of(list(unique.values()), moments)
        photos = photo_table([record for record in unique.values() if record.get("photo") is not None])
        if len(photos):
            store.put("photos", name, to_bytes(photos, row_group_size=_PHOTOS_IN_GROUP, compression="none"))
        store.put("predictions", name, to_bytes(predictions, compression="zstd"))

    return write


def read(options: Options, folder: Path, *, sha256: str | None = None) -> pd.DataFrame:
    """All records (of one bundle, when `sha256` is given), oldest first; see `pizzeria.inference.records`.

    Returns:
        One column for each key of the records, with `timestamp` as UTC datetimes. No row, and the fixed columns alone,
        when nothing was logged yet. Parts are read one at a time, so memory is that of the frame.

    Raises:
        DataError: a part cannot be read; names it.
        PluginError: as for `writer`.
    """
    return join(list(batches(options, folder, sha256=sha256)))


def batches(
    options: Options,
    folder: Path,
    *,
    sha256: str | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
    columns: Sequence[str] | None = None,
) -> Iterator[pd.DataFrame]:
    """Records in pieces; see `pizzeria.contracts.Traffic`. Of a part no more is read than the columns that are wanted,
    and of parts only those of the time.

    Raises:
        ValueError: a moment has no time zone.
        DataError, PluginError: as for `read`.
    """
    wanted = needed(columns)
    with PartIndex.of(options.url, folder) as index:
        found = records_in_order(index, sha256, since, until, wanted)
        yield from told(found, columns, index.labels_of if index.has_labels() else None)


def counts(options: Options, folder: Path, edges: Sequence[datetime], *, sha256: str | None = None) -> Sequence[int]:
    """How many records lie between edges; see `pizzeria.contracts.Traffic`. Only of parts with an edge inside more than
    the index is read: the times.

    Raises:
        ValueError: an edge has no time zone.
        DataError, PluginError: as for `read`.
    """
    with PartIndex.of(options.url, folder, ["predictions"]) as index:
        return counts_between(index, edges, sha256)


def add_labels(options: Options, folder: Path, labels: Sequence[Label]) -> LabelCounts:
    """Add labels as one part; see `pizzeria.contracts.LabelLog`.

    Two that add the same label at once may each write it; it counts once when it is read.

    Raises:
        OSError: the part cannot be written; there is none of it.
        DataError: an earlier part cannot be read.
        PluginError: as for `writer`.
    """
    store, now = Store.open(options.url, folder), utcnow()
    import pyarrow as pa

    with PartIndex.of(options.url, folder, ["labels"]) as index:
        fresh, counts = sift(index.labels_named({label.name for label in labels}), labels, now)
    if fresh:
        columns = zip(*(as_values(label, moment(now)) for label in fresh), strict=True)
        table = pa.table({name: pa.array(values) for name, values in zip(LABEL_COLUMNS, columns, strict=True)})
        store.put("labels", part_name(now, map(repr, fresh)), to_bytes(table, compression="zstd"))
    return counts


def labels(options: Options, folder: Path) -> Sequence[Label]:
    """All labels that were ever added.

    Raises:
        DataError, PluginError: as for `read`.
    """
    return [label for _, label in labels_since(options, folder, "")]


def labels_since(options: Options, folder: Path, since: str) -> Iterator[tuple[str, Label]]:
    """Labels that came at that time or later; see `pizzeria.contracts.LabelLog`.

    Raises:
        DataError, PluginError: as for `read`.
    """
    with PartIndex.of(options.url, folder, ["labels"]) as index:
        yield from index.labels_since(since)


def times(options: Options, folder: Path, keys: Collection[Key], *, sha256: str | None = None) -> list[datetime]:
    """When the records were made that labels of these keys are of; see `pizzeria.contracts.LabelLog`. The names of all
    records are read for it.

    Raises:
        DataError, PluginError: as for `read`.
    """
    names = {by: {name for kind, name in keys if kind == by} for by in ("prediction_id", "input_id")}
    asked = [by for by, some in names.items() if some]
    if not asked:
        return []
    return [
        time
        for frame in batches(options, folder, sha256=sha256, columns=["timestamp", *asked])
        for by in asked
        for time in frame.loc[[name in names[by] for name in frame[by]], "timestamp"]
    ]


def photo(options: Options, folder: Path, prediction_id: str) -> bytes | None:
    """The photo of a record, as it came; None where none is kept.

    Prediction ids sort by time, so the statistics of a part tell of most that they cannot hold it.

    Raises:
        DataError, PluginError: as for `read`.
    """
    store = Store.open(options.url, folder)
    import pyarrow as pa
    from pyarrow import parquet

    for name in reversed(store.parts("photos")):
        try:
            with store.files.open(store.at("photos", name), "rb") as stream:
                found = parquet.read_table(
                    stream,
                    page_checksum_verification=True,
                    columns=["photo"],
                    filters=[("prediction_id", "=", prediction_id)],
                )
        except FileNotFoundError:  # pruned just now
            continue
        except (pa.ArrowInvalid, OSError) as error:
            raise DataError(
                f"{store.at('photos', name)} of the prediction log cannot be read: {error}", hint="move it away"
            ) from error
        if len(found):
            return bytes(found["photo"][0].as_py())
    return None


def prune(options: Options, folder: Path, before: datetime) -> int:
    """Delete the parts whose every record is older than `before` (with a time zone); returns how many records went.

    A part with one newer record stays as it is, so a record may stay longer by the time that a part covers. Labels go
    by the time at which they came.

    Raises:
        OSError: a part cannot be deleted.
        PluginError: as for `writer`.
    """
    store, limit = Store.open(options.url, folder), utc(before).strftime(STAMP)
    from pyarrow import parquet

    deleted = 0
    for kind in ("photos", "labels", "predictions"):
        for name in store.names(kind):
            # What a killed worker left half-written has the same name, with a dot before it.
            if name.removeprefix(".") >= limit:
                continue
            try:
                if kind == "predictions" and name.endswith(".parquet"):
                    with store.files.open(store.at(kind, name), "rb") as stream:
                        deleted += parquet.read_metadata(stream).num_rows
                store.files.rm_file(store.at(kind, name))
            except FileNotFoundError:  # another service was faster
                continue
    PartIndex.forget(options.url, folder)
    return deleted
