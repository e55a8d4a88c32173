"""The files in which lines of a prediction log are collected: of this machine, or of any store that fsspec knows."""

from __future__ import annotations

import fcntl
import glob
import gzip
import io
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pizzeria.errors import DataError, PluginError


@dataclass(frozen=True)
class Seen:
    """A file, as it was when it was looked at.

    Attributes:
        name: Its path or address.
        mark: Another one where the file is another one; only what is added to a file on a disk leaves it as it is.
        size: Bytes.
        whole: Whether the last line has its end.
    """

    name: str
    mark: str
    size: int
    whole: bool = True


def files_of(address: str, folder: Path) -> list[Seen]:
    """The files that an address names, in the order in which they are read.

    Args:
        address: A file, a folder or a pattern; a relative one starts at the folder.

    Raises:
        DataError: they cannot be looked at.
        PluginError: a library is missing.
    """
    if "://" not in address:
        return [seen for path in _paths(str(folder / address)) for seen in _seen(path)]
    system, names = _elsewhere(address)
    out = []
    for name in names:
        try:
            facts = system.info(name)
        except FileNotFoundError:  # gone just now
            continue
        except (OSError, ValueError) as error:
            raise DataError(f"{name} cannot be read: {error}") from error
        told = {
            key: str(facts[key]) for key in ("ETag", "etag", "md5Hash", "mtime", "created", "updated") if key in facts
        }
        out.append(Seen(name, repr([facts.get("size"), *sorted(told.items())]), int(facts.get("size") or 0)))
    return out


def lines_of(address: str, folder: Path, starts: Mapping[str, int]) -> Iterator[str]:
    """The lines of these files of an address, from a byte on: 0, or any in a file of a disk that is not compressed.

    Raises:
        DataError: a file cannot be read; names it.
        PluginError: a library is missing.
    """
    if "://" in address:
        yield from _lines_elsewhere(address, starts)
        return
    for path in _paths(str(folder / address)):
        start = starts.get(str(path))
        if start is None:
            continue
        try:
            if path.suffix == ".gz":
                with gzip.open(path, "rt", encoding="utf-8", errors="replace") as zipped:
                    yield from zipped
            else:
                with locked(path, "rb", shared=True) as stream:
                    stream.seek(start)
                    yield from (line.decode("utf-8", "replace") for line in stream)
        except (OSError, EOFError) as error:
            raise DataError(f"{path} cannot be read: {error}") from error


@contextmanager
def locked(path: Path, mode: str, *, shared: bool = False) -> Iterator[Any]:
    """The open file, with the others kept out; it is the one that is there now, and not one that `prune` replaced."""
    while True:
        with open(path, mode, buffering=0 if mode == "a+b" else -1) as stream:
            fcntl.flock(stream, fcntl.LOCK_SH if shared else fcntl.LOCK_EX)
            if path.exists() and path.stat().st_ino == os.fstat(stream.fileno()).st_ino:
                yield stream
                return


def _paths(pattern: str) -> Iterator[Path]:
    found = [pattern] if Path(pattern).exists() else sorted(glob.glob(pattern, recursive=True))  # noqa: PTH207 (absolute or not)
    paths = [one for name in found for one in ([Path(name)] if Path(name).is_file() else sorted(Path(name).rglob("*")))]
    yield from filter(Path.is_file, paths)


def _seen(path: Path) -> Iterator[Seen]:
    """Nothing where the file is gone just now."""
    try:
        with open(path, "rb") as stream:
            facts = os.fstat(stream.fileno())
            if path.suffix == ".gz":
                yield Seen(str(path), f"{facts.st_ino} {facts.st_size} {facts.st_mtime_ns}", facts.st_size)
                return
            whole = True
            if facts.st_size:
                stream.seek(facts.st_size - 1, io.SEEK_SET)
                whole = stream.read(1) == b"\n"
            yield Seen(str(path), str(facts.st_ino), facts.st_size, whole)
    except FileNotFoundError:
        return
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error}") from error


def _elsewhere(address: str) -> tuple[Any, list[str]]:
    try:
        import fsspec
    except ImportError as error:
        raise PluginError(f"{address} needs fsspec: {error}", hint="pip install 'pizzeria[parquet]'") from None
    try:
        system, path = fsspec.core.url_to_fs(address)
        system.invalidate_cache()
        names = system.glob(path) if "*" in path else system.find(path)
        return system, [name for name in sorted(names) if system.isfile(name)]
    except ImportError as error:
        raise PluginError(f"{address} needs a library: {error}", hint="pip install what it names") from None
    except (OSError, ValueError) as error:
        raise DataError(f"{address} cannot be read: {error}") from error


def _lines_elsewhere(address: str, starts: Mapping[str, int]) -> Iterator[str]:
    system, names = _elsewhere(address)
    import fsspec

    for name in names:
        if name not in starts:
            continue
        try:
            with fsspec.core.OpenFile(system, name, "rt", "infer", "utf-8", "replace") as stream:
                yield from stream
        except ImportError as error:
            raise PluginError(f"{address} needs a library: {error}", hint="pip install what it names") from None
        except (OSError, EOFError, ValueError) as error:
            raise DataError(f"{address} cannot be read: {error}") from error
