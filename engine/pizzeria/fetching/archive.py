"""Archives, .zip and .tar, unpacked into the cache once."""

from __future__ import annotations

import stat
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING

from pizzeria.errors import DataError
from pizzeria.fetching.cache import Cache, key_of
from pizzeria.fetching.names import consistent, safe

if TYPE_CHECKING:
    from pizzeria.contracts import Progress

SUFFIXES = (".zip", ".tar", ".tar.gz", ".tgz")
_FREE = 2**30
_RATIO = 200
"""An archive that would fill more than its own size so many times, and a gigabyte, is refused."""
_LITTER = ("__MACOSX/", ".DS_Store")


def is_archive(name: str) -> bool:
    """Whether a file of that name is unpacked.

    Example:
        >>> is_archive("photos.ZIP"), is_archive("rows.csv.gz")
        (True, False)
    """
    return name.lower().endswith(SUFFIXES)


def unpacked(cache: Cache, file: Path, sha256: str, address: str, progress: Progress | None) -> Path:
    """The folder of an archive's files; the only folder in it where everything lies in one.

    Raises:
        DataError: it is damaged, would fill the disk, or holds what is neither a file nor a folder.
    """
    with cache.making(key_of("archive", sha256)) as (folder, made):
        if made is not None:
            limit = _FREE + _RATIO * file.stat().st_size
            try:
                with _members(file, address) as members:
                    names, left_out = [], 0
                    for name, stream in members:
                        if name.startswith(_LITTER[0]) or name.rpartition("/")[2] == _LITTER[1]:
                            left_out += 1
                            continue
                        names.append(safe(name, address))
                        consistent(names[-1:], address)
                        path = made / name
                        path.parent.mkdir(parents=True, exist_ok=True)
                        with open(path, "xb") as target:
                            while data := stream.read(2**20):
                                limit -= len(data)
                                if limit < 0:
                                    raise DataError(
                                        f"{address} unpacks to more than {_RATIO} times its size",
                                        hint="unpack it yourself if you trust it, and name the folder",
                                    )
                                target.write(data)
                        path.chmod(0o444)
            except FileExistsError as error:
                raise DataError(
                    f"{address} holds {error.filename} twice", hint="pack it again with every file once"
                ) from error
            except (tarfile.TarError, zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, OSError) as error:
                raise DataError(
                    f"{address} cannot be unpacked: {error}", hint="it is damaged or encrypted; pack it again"
                ) from error
            if not names:
                raise DataError(f"{address} holds no file", hint="check the archive")
            if progress is not None:
                aside = f"; {left_out} files that macOS adds were left out" if left_out else ""
                progress.say(f"unpacked {len(names)} files from {address}{aside}")
    inside = list(folder.iterdir())
    return inside[0] if len(inside) == 1 and inside[0].is_dir() else folder


@contextmanager
def _members(file: Path, address: str) -> Iterator[Iterator[tuple[str, IO[bytes]]]]:
    with open(file, "rb") as probe:
        is_zip = probe.read(2) == b"PK"
    if is_zip:
        with zipfile.ZipFile(file) as archive:
            yield _of_zip(archive, address)
    else:
        with tarfile.open(file) as archive:
            yield _of_tar(archive, address)


def _of_zip(archive: zipfile.ZipFile, address: str) -> Iterator[tuple[str, IO[bytes]]]:
    for entry in archive.infolist():
        if entry.is_dir():
            continue
        if stat.S_ISLNK(entry.external_attr >> 16):
            raise _no_file(address, entry.filename)
        with archive.open(entry) as stream:
            yield entry.filename, stream


def _of_tar(archive: tarfile.TarFile, address: str) -> Iterator[tuple[str, IO[bytes]]]:
    for entry in archive:
        if entry.isdir():
            continue
        stream = archive.extractfile(entry) if entry.isreg() else None
        if stream is None:
            raise _no_file(address, entry.name)
        with stream:
            yield entry.name.removeprefix("./"), stream


def _no_file(address: str, name: str) -> DataError:
    return DataError(f"{address} holds {name}, which is neither a file nor a folder", hint="pack it without links")
