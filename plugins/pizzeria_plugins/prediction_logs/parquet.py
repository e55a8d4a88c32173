"""Prediction log as Parquet parts in a folder or an object store: for services on several machines without a database,
and for whoever wants the records in DuckDB, Spark or pandas:

    SELECT * FROM read_parquet('predictions/*.parquet', union_by_name = true)

A part is a batch. It appears whole or not at all, and is never changed. Its name begins with the time of its newest
record and ends with a hash of its prediction ids, so that a batch that is tried again replaces itself; a batch that was
cut anew may leave a record in two parts, which `read` sees once. Parts may differ in their columns.

Labels are parts of their own, one for each call that adds some.
"""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from pydantic import Field, field_validator

from pizzeria.atomic import write_bytes
from pizzeria.errors import DataError, PluginError
from pizzeria.inference.records import unpack
from pizzeria.inference.truth import Label, LabelCounts, moment, sift
from pizzeria.spec.section import Options as PluginOptions
from pizzeria_plugins.prediction_logs.rows import COLUMNS, join, utc, whole
from pizzeria_plugins.prediction_logs.truth import LABEL_COLUMNS, as_label, as_values, with_truth

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

_STAMP = "%Y%m%dT%H%M%S.%fZ"
_AS_JSON = {b"pizzeria": b"json"}
"""Metadata of a column whose values are of more than one type: each is its JSON."""
_EXACT = 2**53
"""Larger whole numbers are not exact as float64."""
_KEPT_PARTS = 20_000
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
    store = _Store.open(options, folder)

    def write(records: Sequence[Mapping[str, Any]]) -> None:
        unique = {record["prediction_id"]: record for one in records for record in unpack(one)}
        if not unique:
            return
        moments = [utc(datetime.fromisoformat(record["timestamp"])) for record in unique.values()]
        name = _part_name(max(moments), unique)
        predictions = _table(list(unique.values()), moments)
        photos = _photo_table([record for record in unique.values() if record.get("photo") is not None])
        if len(photos):
            store.put("photos", name, _parquet(photos, row_group_size=_PHOTOS_IN_GROUP, compression="none"))
        store.put("predictions", name, _parquet(predictions, compression="zstd"))

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
    store = _Store.open(options, folder)
    import pyarrow as pa
    from pyarrow import parquet

    filters = [("sha256", "=", sha256)] if sha256 else None
    parts = []
    for name in store.parts("predictions"):
        data = store.get("predictions", name)
        if data is None:
            continue
        try:
            parts.append(_frame(parquet.read_table(pa.BufferReader(data), filters=filters)))
        except (pa.ArrowInvalid, OSError, ValueError) as error:
            raise DataError(
                f"{store.at('predictions', name)} of the prediction log cannot be read: {error}", hint="move it away"
            ) from error
    frame = join([part for part in parts if len(part)])
    frame = frame.drop_duplicates("prediction_id").sort_values("timestamp", kind="stable")
    return with_truth(frame.reset_index(drop=True), _labels(store))


def add_labels(options: Options, folder: Path, labels: Sequence[Label]) -> LabelCounts:
    """Add labels as one part; see `pizzeria.contracts.LabelLog`.

    Two that add the same label at once may each write it; it counts once when it is read.

    Raises:
        OSError: the part cannot be written; there is none of it.
        DataError: an earlier part cannot be read.
        PluginError: as for `writer`.
    """
    store, now = _Store.open(options, folder), datetime.now(UTC)
    import pyarrow as pa

    names = {label.name for label in labels}
    fresh, counts = sift([label for label in _labels(store) if label.name in names], labels, now)
    if fresh:
        columns = zip(*(as_values(label, moment(now)) for label in fresh), strict=True)
        table = pa.table({name: pa.array(values) for name, values in zip(LABEL_COLUMNS, columns, strict=True)})
        store.put("labels", _part_name(now, map(repr, fresh)), _parquet(table, compression="zstd"))
    return counts


def labels(options: Options, folder: Path) -> Sequence[Label]:
    """All labels that were ever added.

    Raises:
        DataError, PluginError: as for `read`.
    """
    return _labels(_Store.open(options, folder))


def photo(options: Options, folder: Path, prediction_id: str) -> bytes | None:
    """The photo of a record, as it came; None where none is kept.

    Prediction ids sort by time, so the statistics of a part tell of most that they cannot hold it.

    Raises:
        DataError, PluginError: as for `read`.
    """
    store = _Store.open(options, folder)
    import pyarrow as pa
    from pyarrow import parquet

    for name in reversed(store.parts("photos")):
        try:
            with store.files.open(store.at("photos", name), "rb") as stream:
                found = parquet.read_table(stream, columns=["photo"], filters=[("prediction_id", "=", prediction_id)])
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
    store, limit = _Store.open(options, folder), utc(before).strftime(_STAMP)
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
    return deleted


def _labels(store: _Store) -> list[Label]:
    """All labels. Parts never change, so a service that adds labels reads each of them once."""
    import pyarrow as pa
    from pyarrow import parquet

    out: list[Label] = []
    for name in store.parts("labels"):
        # The name has a hash of what is in the part, so that it cannot stand for another one.
        found = _part_labels.get(name)
        if found is None:
            data = store.get("labels", name)
            if data is None:
                continue
            try:
                table = parquet.read_table(pa.BufferReader(data), columns=list(LABEL_COLUMNS[1:]))
            except (pa.ArrowInvalid, OSError, ValueError) as error:
                raise DataError(
                    f"{store.at('labels', name)} of the prediction log cannot be read: {error}", hint="move it away"
                ) from error
            found = tuple(as_label(*values) for values in zip(*table.to_pydict().values(), strict=True))
            if len(_part_labels) >= _KEPT_PARTS:
                _part_labels.clear()
            _part_labels[name] = found
        out += found
    return out


_part_labels: dict[str, tuple[Label, ...]] = {}
"""Of parts that were read, by name."""


@dataclass(frozen=True)
class _Store:
    """A folder somewhere."""

    files: Any
    """fsspec's file system."""
    root: str

    @classmethod
    def open(cls, options: Options, folder: Path) -> _Store:
        hint = "pip install 'pizzeria[parquet]'"
        try:
            import pyarrow.parquet  # noqa: F401
            from fsspec.core import url_to_fs  # type: ignore[import-untyped]
        except ImportError as error:
            raise PluginError(f"the prediction log `parquet` lacks a library: {error}", hint=hint) from error
        local = "://" not in options.url and "::" not in options.url
        url = str((folder / Path(options.url).expanduser()).absolute()) if local else options.url
        try:
            files, root = url_to_fs(url)
        except (ImportError, ValueError) as error:
            raise PluginError(f"serving.log.url: {options.url} cannot be used: {error}", hint=hint) from error
        return cls(files, root.rstrip("/"))

    def at(self, kind: str, name: str) -> str:
        return f"{self.root}/{kind}/{name}"

    def put(self, kind: str, name: str, data: bytes) -> None:
        from fsspec.implementations.local import LocalFileSystem  # type: ignore[import-untyped]

        if isinstance(self.files, LocalFileSystem):
            path = Path(self.at(kind, name))
            path.parent.mkdir(parents=True, exist_ok=True)
            write_bytes(path, data)
        else:
            self.files.pipe_file(self.at(kind, name), data)

    def get(self, kind: str, name: str) -> bytes | None:
        """None where the part was pruned just now."""
        try:
            return bytes(self.files.cat_file(self.at(kind, name)))
        except FileNotFoundError:
            return None

    def names(self, kind: str) -> list[str]:
        self.files.invalidate_cache()  # other machines write, too
        try:
            found = self.files.ls(f"{self.root}/{kind}", detail=False)
        except FileNotFoundError:
            return []
        return sorted(str(path).rsplit("/", 1)[-1] for path in found)

    def parts(self, kind: str) -> list[str]:
        return [name for name in self.names(kind) if name.endswith(".parquet") and not name.startswith(".")]


def _part_name(newest: datetime, prediction_ids: Iterable[str]) -> str:
    digest = hashlib.sha256("\n".join(prediction_ids).encode("utf-8", "replace")).hexdigest()
    return f"{newest.strftime(_STAMP)}-{digest[:16]}.parquet"


def _parquet(table: pa.Table, **options: Any) -> bytes:
    from pyarrow import parquet

    stream = io.BytesIO()
    parquet.write_table(table, stream, **options)
    return stream.getvalue()


def _table(records: Sequence[Mapping[str, Any]], moments: Sequence[datetime]) -> pa.Table:
    import pyarrow as pa

    time = pa.timestamp("us", "UTC")
    fields, columns = [pa.field("timestamp", time)], [pa.array(moments, time)]
    columns.append(pa.array([record["sha256"] for record in records], pa.string()))
    fields.append(pa.field("sha256", pa.string()))
    names = dict.fromkeys((*COLUMNS, *(name for record in records for name in record)))
    for name in names:
        if name not in ("timestamp", "sha256", "photo"):
            kind, values = _column([whole(record.get(name)) for record in records])
            fields.append(kind.with_name(whole(name)))
            columns.append(pa.array(values, kind.type))
    return pa.Table.from_arrays(columns, schema=pa.schema(fields))


def _column(values: list[Any]) -> tuple[pa.Field, list[Any]]:
    """The narrowest type that holds all values, and the values in it."""
    import pyarrow as pa

    types = {type(value) for value in values} - {type(None)}
    if not types:
        return pa.field("", pa.null()), values
    if types == {str}:
        return pa.field("", pa.string()), values
    if types == {bool}:
        return pa.field("", pa.bool_()), values
    if types <= {int, float} and all(isinstance(value, float) or abs(value or 0) <= _EXACT for value in values):
        return pa.field("", pa.int64() if types == {int} else pa.float64()), values
    texts = [None if value is None else json.dumps(value) for value in values]
    return pa.field("", pa.string(), metadata=_AS_JSON), texts


def _photo_table(records: Sequence[Mapping[str, Any]]) -> pa.Table:
    import pyarrow as pa

    return pa.table(
        {
            "prediction_id": pa.array([record["prediction_id"] for record in records], pa.string()),
            "photo": pa.array([record["photo"] for record in records], pa.binary()),
        }
    )


def _frame(table: pa.Table) -> pd.DataFrame:
    frame: pd.DataFrame = table.to_pandas()
    for field in table.schema:
        if field.metadata and field.metadata.get(b"pizzeria") == b"json":
            frame[field.name] = [None if text is None else json.loads(text) for text in table[field.name].to_pylist()]
    return frame
