"""Prediction log as lines of JSON on standard output, which a platform's own log collects: for serverless functions.

To monitor the model, the platform's log is exported, to a bucket say, and `read_from` names what was exported. Lines of
others in it are passed over. With `path` the lines go to a file instead, which is read from there.
"""

from __future__ import annotations

import base64
import json
import os
import sys
import threading
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from pydantic import Field, field_validator

from pizzeria.atomic import append, make_folder, write_bytes
from pizzeria.clock import utcnow
from pizzeria.errors import DataError
from pizzeria.inference.truth import Key, Label, LabelCounts, moment, sift
from pizzeria.spec.section import Options as PluginOptions
from pizzeria_plugins.prediction_logs import line_index, sqlite
from pizzeria_plugins.prediction_logs.line_files import files_of, lines_of, locked
from pizzeria_plugins.prediction_logs.line_format import Entry, entries, label_lines, to_lines
from pizzeria_plugins.prediction_logs.rows import as_row, join, utc

if TYPE_CHECKING:
    import pandas as pd

_FEW = 20
_output = threading.Lock()
"""Held while lines go to standard output, as labels come from another thread than records."""


class Options(PluginOptions):
    """Options of the `lines` prediction log."""

    path: str | None = Field(
        default=None,
        description="A file to append to instead of standard output; a relative path starts at the deployment's log "
        "folder.",
    )
    read_from: str | None = Field(
        default=None,
        description="Where the lines are read from: a file, a folder or a pattern such as logs/*.gz, or one of those "
        "that fsspec knows, such as s3://bucket/exported/**. Without it: `path`.",
    )

    @field_validator("read_from")
    @classmethod
    def _without_secret(cls, address: str | None) -> str | None:
        if address is not None and urlsplit(address).password is not None:
            raise ValueError("the address holds a password; leave it out, the store's library finds it elsewhere")
        return address


def local_files(options: Options) -> bool:
    """Whether the lines go to a file of the machine that serves.

    Example:
        >>> local_files(Options()), local_files(Options(path="records.jsonl"))
        (False, True)
    """
    return options.path is not None


def writer(options: Options, folder: Path) -> Callable[[Sequence[Mapping[str, Any]]], None]:
    """A function that writes records as lines, their photos before them.

    What is written twice is read once, so that a batch may be tried again.

    Raises (the function that is returned):
        OSError: the lines cannot be written; a file has none of them.
        KeyError: a record lacks `timestamp`, `sha256` or `prediction_id`.

    Example:
        >>> import tempfile
        >>> folder = Path(tempfile.mkdtemp())
        >>> record = {"timestamp": "2026-05-01T12:00:00+00:00", "sha256": "ab12", "prediction_id": "1", "p:bed": 0.9}
        >>> writer(Options(path="records.jsonl"), folder)([record])
        >>> read(Options(path="records.jsonl"), folder)["p:bed"].tolist()
        [0.9]
    """

    def write(records: Sequence[Mapping[str, Any]]) -> None:
        rows = list(map(as_row, records))
        text = "".join(line for row in rows for line in to_lines(row))
        if options.path is None:
            _say(text)
        elif text:
            with _appending(folder / options.path) as stream:
                append(stream, text.encode())

    return write


def read(options: Options, folder: Path, *, sha256: str | None = None) -> pd.DataFrame:
    """All records (of one bundle, when `sha256` is given), oldest first; see `pizzeria.inference.records`.

    Raises:
        DataError: nothing says where the lines are, or they cannot be read.
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
    """Records in pieces; see `pizzeria.contracts.Traffic`, and `line_index` of how they come in order.

    Raises:
        ValueError: a moment has no time zone.
        DataError, PluginError: as for `read`.
    """
    with _index(options, folder) as place:
        asked: Any = {"sha256": sha256, "since": since, "until": until, "columns": columns}
        yield from sqlite.batches(line_index.OPTIONS, place, **asked)


def counts(options: Options, folder: Path, edges: Sequence[datetime], *, sha256: str | None = None) -> Sequence[int]:
    """How many records lie between edges; see `pizzeria.contracts.Traffic`.

    Raises:
        ValueError: an edge has no time zone.
        DataError, PluginError: as for `read`.
    """
    with _index(options, folder) as place:
        return sqlite.counts(line_index.OPTIONS, place, edges, sha256=sha256)


def add_labels(options: Options, folder: Path, labels: Sequence[Label]) -> LabelCounts:
    """Add labels as lines of their own; see `pizzeria.contracts.LabelLog`.

    On standard output nobody can look at what went before: each is written, and counts as new. What is written twice is
    read once.

    Raises:
        OSError: the lines cannot be written; a file has none of them.
    """
    now = utcnow()
    if options.path is None:
        fresh, counts = sift((), labels, now)
        _say("".join(line for label in fresh for line in label_lines(label, moment(now))))
        return counts
    path = folder / options.path
    with _appending(path) as stream:  # the lock is held from the look to the last line
        with open(path, encoding="utf-8", errors="replace") as before:
            known = _known(before, labels)
        fresh, counts = sift(known, labels, now)
        append(stream, "".join(line for label in fresh for line in label_lines(label, moment(now))).encode())
        os.fsync(stream.fileno())
    return counts


def _known(lines: Iterable[str], labels: Sequence[Label]) -> list[Label]:
    """Labels of the same predictions and inputs among lines. Reading all of a long file as JSON would take seconds."""
    names = {label.name for label in labels}
    texts = [json.dumps(name) for name in names] if len(names) <= _FEW else [""]
    told = (
        line
        for line in lines
        if '"pizzeria":"part"' in line or ('"pizzeria":"label"' in line and any(text in line for text in texts))
    )
    found = (entry.label for entry in entries(told) if entry is not None and entry.label is not None)
    return [label for label in found if label.name in names]


def labels(options: Options, folder: Path) -> Sequence[Label]:
    """All labels that were ever added.

    Raises:
        DataError: as `read`.
    """
    return [label for _, label in labels_since(options, folder, "")]


def labels_since(options: Options, folder: Path, since: str) -> Iterator[tuple[str, Label]]:
    """Labels that came at that time or later; see `pizzeria.contracts.LabelLog`.

    Raises:
        DataError, PluginError: as for `read`.
    """
    with _index(options, folder) as place:
        yield from sqlite.labels_since(line_index.OPTIONS, place, since)


def times(options: Options, folder: Path, keys: Collection[Key], *, sha256: str | None = None) -> list[datetime]:
    """When the records were made that labels of these keys are of; see `pizzeria.contracts.LabelLog`.

    Raises:
        DataError, PluginError: as for `read`.
    """
    with _index(options, folder) as place:
        return sqlite.times(line_index.OPTIONS, place, keys, sha256=sha256)


def photo(options: Options, folder: Path, prediction_id: str) -> bytes | None:
    """The photo of a record, as it came; None where none is kept.

    Raises:
        DataError: as `read`.
    """
    address = _address(options)
    starts = {one.name: 0 for one in files_of(address, folder)}
    for entry in entries(lines_of(address, folder, starts)):
        if entry is not None and entry.photo is not None and entry.prediction_id == prediction_id:
            return base64.b64decode(entry.photo)
    return None


def prune(options: Options, folder: Path, before: datetime) -> int:
    """Delete records, photos and labels that are older than `before` (with a time zone) from the file; returns how many
    records went. A label is as old as the time at which it came. What is on standard output is the platform's, which
    has a time of its own to keep it.

    Raises:
        ValueError: `before` has no time zone.
        OSError: the file cannot be written anew; it is as it was.
    """
    limit = utc(before)
    if options.path is None:
        return 0
    path = folder / options.path
    if not path.exists():
        return 0
    with locked(path, "rb") as stream:
        kept, went, dropped = [], 0, 0
        for entry, lines in _grouped(stream):
            if entry is None or datetime.fromisoformat(entry.timestamp) >= limit:
                kept += lines
            else:
                went += entry.record is not None
                dropped += 1
        if dropped:
            write_bytes(path, b"".join(kept))
    if dropped:
        line_index.forget(folder)  # the file is let go before: who follows it has the index, and waits for the file
    return went


def _grouped(stream: Iterable[bytes]) -> Iterator[tuple[Entry | None, list[bytes]]]:
    """Each entry of a file with the lines that hold it."""
    held: list[bytes] = []
    text: list[str] = []
    for line in stream:
        held.append(line)
        text.append(line.decode())
        if b'"pizzeria":"part"' in line and not _is_last_part(line):
            continue
        yield next(iter(entries(text)), None), held
        held, text = [], []
    if held:
        yield None, held


def _is_last_part(line: bytes) -> bool:
    head = line.partition(b',"text"')[0]
    number, count = (int(head.partition(f'"{key}":'.encode())[2].partition(b",")[0]) for key in ("number", "count"))
    return number == count - 1


@contextmanager
def _index(options: Options, folder: Path) -> Iterator[Path]:
    """The folder of the SQLite log with all that the lines hold."""
    address = _address(options)

    def found(starts: Mapping[str, int]) -> Iterator[Entry | None]:
        return entries(lines_of(address, folder, starts))

    with line_index.following(folder, files_of(address, folder), found) as place:
        yield place


def _address(options: Options) -> str:
    address = options.read_from or options.path
    if address is None:
        raise DataError(
            "the prediction log writes lines to standard output, and nothing says where they are collected",
            hint="export the platform's log, and write serving.log.read_from=s3://bucket/exported/** (or a path)",
        )
    return address


def _say(text: str) -> None:
    with _output:
        sys.stdout.write(text)
        sys.stdout.flush()


@contextmanager
def _appending(path: Path) -> Iterator[Any]:
    make_folder(path.parent)
    with locked(path, "a+b") as stream:
        yield stream
