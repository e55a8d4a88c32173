"""Parts of a Parquet log: where they lie, how they are called, and what records look like in one."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pizzeria.atomic import make_folder, write_bytes
from pizzeria.errors import DataError, PluginError
from pizzeria_plugins.prediction_logs.rows import COLUMNS, whole

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa
    from pyarrow import parquet as pq

STAMP = "%Y%m%dT%H%M%S.%fZ"
_AS_JSON = {b"pizzeria": b"json"}
"""Metadata of a column whose values are of more than one type: each is its JSON."""
_EXACT = 2**53
"""Larger whole numbers are not exact as float64."""


@dataclass(frozen=True)
class Store:
    """A folder somewhere."""

    files: Any
    """fsspec's file system."""
    root: str

    @classmethod
    def open(cls, url: str, folder: Path) -> Store:
        hint = "pip install 'pizzeria[parquet]'"
        try:
            import pyarrow.parquet  # noqa: F401
            from fsspec.core import url_to_fs  # type: ignore[import-untyped]
        except ImportError as error:
            raise PluginError(f"the prediction log `parquet` lacks a library: {error}", hint=hint) from error
        local = "://" not in url and "::" not in url
        address = str((folder / Path(url).expanduser()).absolute()) if local else url
        try:
            files, root = url_to_fs(address)
        except (ImportError, ValueError) as error:
            raise PluginError(f"serving.log.url: {url} cannot be used: {error}", hint=hint) from error
        return cls(files, root.rstrip("/"))

    def at(self, kind: str, name: str) -> str:
        return f"{self.root}/{kind}/{name}"

    def put(self, kind: str, name: str, data: bytes) -> None:
        from fsspec.implementations.local import LocalFileSystem  # type: ignore[import-untyped]

        if isinstance(self.files, LocalFileSystem):
            path = Path(self.at(kind, name))
            make_folder(path.parent)
            write_bytes(path, data)
        else:
            self.files.pipe_file(self.at(kind, name), data)

    def get(self, kind: str, name: str) -> bytes | None:
        """None where the part was pruned just now."""
        try:
            return bytes(self.files.cat_file(self.at(kind, name)))
        except FileNotFoundError:
            return None

    @contextmanager
    def opened(self, kind: str, name: str) -> Iterator[pq.ParquetFile]:
        """A part, of which no more is read than what is asked for.

        Raises:
            FileNotFoundError: it was pruned just now.
            DataError: it cannot be read; names it.
        """
        import pyarrow as pa
        from fsspec.implementations.local import LocalFileSystem  # type: ignore[import-untyped]
        from pyarrow import parquet

        at = self.at(kind, name)
        try:
            with open(at, "rb") if isinstance(self.files, LocalFileSystem) else self.files.open(at, "rb") as stream:
                yield parquet.ParquetFile(stream, page_checksum_verification=True)
        except FileNotFoundError:
            raise
        except (pa.ArrowInvalid, OSError, ValueError) as error:
            raise DataError(f"{at} of the prediction log cannot be read: {error}", hint="move it away") from error

    def names(self, kind: str) -> list[str]:
        self.files.invalidate_cache()  # other machines write, too
        try:
            found = self.files.ls(f"{self.root}/{kind}", detail=False)
        except FileNotFoundError:
            return []
        return sorted(str(path).rsplit("/", 1)[-1] for path in found)

    def parts(self, kind: str) -> list[str]:
        return [name for name in self.names(kind) if name.endswith(".parquet") and not name.startswith(".")]


def part_name(newest: datetime, prediction_ids: Iterable[str]) -> str:
    digest = hashlib.sha256("\n".join(prediction_ids).encode("utf-8", "replace")).hexdigest()
    return f"{newest.strftime(STAMP)}-{digest[:16]}.parquet"


def to_bytes(table: pa.Table, **options: Any) -> bytes:
    from pyarrow import parquet

    stream = io.BytesIO()
    parquet.write_table(table, stream, write_page_checksum=True, **options)
    return stream.getvalue()


def table_of(records: Sequence[Mapping[str, Any]], moments: Sequence[datetime]) -> pa.Table:
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


def photo_table(records: Sequence[Mapping[str, Any]]) -> pa.Table:
    import pyarrow as pa

    return pa.table(
        {
            "prediction_id": pa.array([record["prediction_id"] for record in records], pa.string()),
            "photo": pa.array([record["photo"] for record in records], pa.binary()),
        }
    )


def frame_of(table: pa.Table) -> pd.DataFrame:
    frame: pd.DataFrame = table.to_pandas()
    for field in table.schema:
        if field.metadata and field.metadata.get(b"pizzeria") == b"json":
            frame[field.name] = [None if text is None else json.loads(text) for text in table[field.name].to_pylist()]
    return frame
