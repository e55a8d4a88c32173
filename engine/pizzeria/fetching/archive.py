"""Archives, .zip and .tar, unpacked into the cache once."""

from __future__ import annotations

import gzip
import stat
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from pizzeria.errors import DataError
from pizzeria.fetching.bounded import bounded, most_in, too_much
from pizzeria.fetching.cache import Cache, key_of
from pizzeria.fetching.names import consistent, safe

if TYPE_CHECKING:
    from pizzeria.contracts import Progress

SUFFIXES = (".zip", ".tar", ".tar.gz", ".tgz")
_BLOCK = 4096
"""Bytes of the disk that a file takes however small it is: a million empty ones fill it, too."""
_LARGEST_HEADER = 2**16
"""Bytes of a name or the like before a member of a tar, which is read whole."""
_OTHERS = (b"BZh", b"\xfd7zXZ\x00", b"\x28\xb5\x2f\xfd")
_DAMAGED = (
    *(tarfile.TarError, zipfile.BadZipFile, zlib.error, struct.error),
    *(EOFError, RuntimeError, OSError, ValueError, OverflowError, IndexError),
)
_Member = tuple[str, int, IO[bytes]]
"""Name, size as announced, content."""
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
            limit = most_in(file)
            try:
                with _members(file, address) as members:
                    names, left_out = [], 0
                    for name, size, stream in members:
                        if name.startswith(_LITTER[0]) or name.rpartition("/")[2] == _LITTER[1]:
                            left_out += 1
                            continue
                        names.append(safe(name, address))
                        consistent(names[-1:], address)
                        path = made / name
                        path.parent.mkdir(parents=True, exist_ok=True)
                        with open(path, "xb") as target:
                            taken = 0
                            while data := stream.read(2**20):
                                taken += len(data)
                                if taken > limit:
                                    raise too_much(address)
                                target.write(data)
                        if taken != size:
                            raise EOFError(f"{name} has {taken} bytes where {size} were announced")
                        limit -= max(taken, _BLOCK)
                        if limit < 0:
                            raise too_much(address)
                        path.chmod(0o444)
            except FileExistsError as error:
                raise DataError(
                    f"{address} holds {error.filename} twice", hint="pack it again with every file once"
                ) from error
            except _DAMAGED as error:
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
def _members(file: Path, address: str) -> Iterator[Iterator[_Member]]:
    with open(file, "rb") as probe:
        begin = probe.read(6)
    if begin[:2] == b"PK":
        with zipfile.ZipFile(file) as archive:
            if sum(max(entry.file_size, _BLOCK) for entry in archive.infolist()) > most_in(file):
                raise too_much(address)  # by what it says itself: nothing needs to be unpacked to know
            yield _of_zip(archive, address)
    elif begin.startswith(_OTHERS):
        raise DataError(f"{address} is packed by bzip2, xz or zstd", hint="pack it as .zip, .tar or .tar.gz")
    else:
        unzipped: Any = gzip.open(file) if begin[:2] == b"\x1f\x8b" else open(file, "rb")  # noqa: SIM115 - bounded closes it
        with (
            bounded(unzipped, most_in(file), address) as stream,
            tarfile.open(fileobj=stream, mode="r:", tarinfo=_Entry) as archive,
        ):
            yield _of_tar(archive, address)
            while stream.read(2**20):  # the check sum of a .gz is behind all that tar reads
                pass


def _of_zip(archive: zipfile.ZipFile, address: str) -> Iterator[_Member]:
    for entry in archive.infolist():
        if entry.is_dir():
            continue
        if entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            hint = "pack it again, deflated"
            raise DataError(f"{address} holds {entry.filename}, packed in an unusual way", hint=hint)
        if stat.S_ISLNK(entry.external_attr >> 16):
            raise _no_file(address, entry.filename)
        with archive.open(entry) as stream:
            yield entry.filename, entry.file_size, stream


def _of_tar(archive: tarfile.TarFile, address: str) -> Iterator[_Member]:
    while (entry := archive.next()) is not None:
        archive.members.clear()  # type: ignore[attr-defined]  # it would remember all of them
        if entry.isdir():
            continue
        stream = archive.extractfile(entry) if entry.isreg() else None
        if stream is None:
            raise _no_file(address, entry.name)
        with stream:
            yield entry.name.removeprefix("./"), entry.size, stream


def _no_file(address: str, name: str) -> DataError:
    return DataError(f"{address} holds {name}, which is neither a file nor a folder", hint="pack it without links")


class _Entry(tarfile.TarInfo):
    """A member of a tar whose headers are no longer than names are."""

    def _proc_member(self, archive: tarfile.TarFile) -> tarfile.TarInfo | None:
        headers = (tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.SOLARIS_XHDTYPE)
        if self.type in (*headers, tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK) and self.size > _LARGEST_HEADER:
            raise tarfile.ReadError(f"a header of {self.size:,} bytes")
        found: tarfile.TarInfo | None = super()._proc_member(archive)  # type: ignore[misc]
        return found
