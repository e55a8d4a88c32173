"""The files of a bundle, in a folder or in a zip that nobody needs to trust."""

from __future__ import annotations

import hashlib
import stat
import struct
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Protocol

from pizzeria.errors import BundleError

MAX_BYTES = 4 << 30
"""All files of a zipped bundle together; more is refused before anything is read."""
MAX_TEXT_BYTES = 64 << 20
"""Any one file of it but the model: those are read whole."""
MAX_FILES = 100
MAX_RATIO = 200
"""A file of it that unpacks to more than its own size so many times, and `MAX_TEXT_BYTES`, is refused."""
_BROKEN = (
    *(zipfile.BadZipFile, zlib.error, struct.error, OSError, EOFError),
    *(KeyError, RuntimeError, ValueError, OverflowError),
)


class Files(Protocol):
    """Named files that can be read."""

    def names(self) -> tuple[str, ...]:
        """Relative POSIX paths."""

    def read(self, name: str) -> bytes:
        """The content of one."""

    def sha256(self, name: str) -> str:
        """The hash of its content, read piece by piece."""


class FolderFiles:
    """Files on disk: `paths` maps a name to its path."""

    def __init__(self, location: str, paths: Mapping[str, Path]) -> None:
        self._location = location
        self._paths = dict(paths)

    @staticmethod
    def of(folder: Path) -> FolderFiles:
        """All files below a folder; anything but plain files and folders is refused."""
        paths = {}
        for path in sorted(folder.rglob("*")):
            name = path.relative_to(folder).as_posix()
            if path.is_symlink() or not (path.is_dir() or path.is_file()):
                raise BundleError(f"{folder}: {name} is no plain file", hint="copy the bundle with its links resolved")
            if path.is_file():
                paths[name] = path
        return FolderFiles(str(folder), paths)

    def names(self) -> tuple[str, ...]:
        return tuple(self._paths)

    def read(self, name: str) -> bytes:
        try:
            return self._paths[name].read_bytes()
        except OSError as error:
            raise BundleError(f"{self._location}: {name} cannot be read: {error.strerror}") from None

    def sha256(self, name: str) -> str:
        try:
            with open(self._paths[name], "rb") as stream:
                return _digest(stream)
        except OSError as error:
            raise BundleError(f"{self._location}: {name} cannot be read: {error.strerror}") from None


class ZipFiles:
    """Files in a zip. Names that lead out of it, duplicates, links and too great sizes are refused at once."""

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            with zipfile.ZipFile(path) as archive:
                entries = archive.infolist()
        except _BROKEN as error:
            raise BundleError(f"{path} is no zip of a bundle: {error}", hint="copy it again, whole") from None
        faults = _faults(entries)
        if faults:
            raise BundleError(f"{path} is no safe zip: {'; '.join(faults)}", hint="make it with `zip_bundle`")
        self._names = tuple(entry.filename for entry in entries if not entry.is_dir())

    def names(self) -> tuple[str, ...]:
        return self._names

    def read(self, name: str) -> bytes:
        try:
            with zipfile.ZipFile(self._path) as archive:
                return archive.read(name)
        except _BROKEN as error:
            raise BundleError(f"{self._path}: {name} cannot be read: {error}", hint="copy it again, whole") from None

    def sha256(self, name: str) -> str:
        try:
            with zipfile.ZipFile(self._path) as archive, archive.open(name) as stream:
                return _digest(stream)
        except _BROKEN as error:
            raise BundleError(f"{self._path}: {name} cannot be read: {error}", hint="copy it again, whole") from None


def _digest(stream: IO[bytes]) -> str:
    digest = hashlib.sha256()
    while piece := stream.read(1 << 20):
        digest.update(piece)
    return digest.hexdigest()


def _faults(entries: list[zipfile.ZipInfo]) -> list[str]:
    total = sum(entry.file_size for entry in entries)
    if total > MAX_BYTES or len(entries) > MAX_FILES:  # nothing more is said: there may be a million of them
        return [f"{len(entries)} files of {total} bytes, where {MAX_FILES} of {MAX_BYTES} are allowed"]
    names = [entry.filename for entry in entries]
    faults = [f"{name!r} leads out of it" for name in names if not _inside(name)]
    faults += [f"{name!r} is there twice" for name in sorted({name for name in names if names.count(name) > 1})]
    for entry in entries:
        what, size = repr(entry.filename), entry.file_size
        if stat.S_ISLNK(entry.external_attr >> 16):
            faults.append(f"{what} is a link")
        if entry.flag_bits & 1:
            faults.append(f"{what} is encrypted")
        if entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            faults.append(f"{what} is packed in an unusual way")
        if size > MAX_TEXT_BYTES and (size > MAX_RATIO * entry.compress_size or not entry.filename.endswith(".onnx")):
            faults.append(f"{what} has {size} bytes, packed into {entry.compress_size}")
    return faults


def _inside(name: str) -> bool:
    parts = name.rstrip("/").split("/")
    return "\\" not in name and "\0" not in name and ":" not in parts[0] and not {"", ".", ".."} & set(parts)
