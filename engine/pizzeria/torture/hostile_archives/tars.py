"""Tars, as data."""

from __future__ import annotations

import gzip
import io
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path

from pizzeria.torture.hostile_archives import Attack
from pizzeria.torture.hostile_archives.zips import LEADING_OUT

_KINDS = {
    "symbolic link": tarfile.SYMTYPE,
    "hard link": tarfile.LNKTYPE,
    "character device": tarfile.CHRTYPE,
    "block device": tarfile.BLKTYPE,
    "pipe": tarfile.FIFOTYPE,
}


def _named(*names: str) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        with tarfile.open(folder / "a.tar", "w") as archive:
            for name in names:
                entry = tarfile.TarInfo(name)
                entry.size = 7
                archive.addfile(entry, io.BytesIO(b"content"))
        return folder / "a.tar"

    return make


def _of_kind(kind: bytes, to: str) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        with tarfile.open(folder / "a.tar", "w") as archive:
            entry = tarfile.TarInfo("a")
            entry.type, entry.linkname = kind, to
            archive.addfile(entry)
            below = tarfile.TarInfo("a/out")
            below.size = 7
            archive.addfile(below, io.BytesIO(b"content"))
        return folder / "a.tar"

    return make


def _header(kind: bytes, size: int, zeros: int) -> Callable[[Path], Path]:
    """A gzipped tar that begins with one header and goes on with zeros."""

    def make(folder: Path) -> Path:
        entry = tarfile.TarInfo("a")
        entry.type, entry.size = kind, size
        with gzip.open(folder / "a.tar.gz", "wb", 9) as stream:  # at 1 it would be four times as large, and no bomb
            stream.write(entry.tobuf(tarfile.GNU_FORMAT))
            for _ in range(zeros >> 20):
                stream.write(bytes(1 << 20))
        return folder / "a.tar.gz"

    return make


def _packed(how: str) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        with tarfile.open(folder / "a.tar", f"w:{how}") as archive:  # type: ignore[call-overload]
            archive.addfile(tarfile.TarInfo("a"))
        return folder / "a.tar"

    return make


def _cut(at: float, suffix: str) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        path = folder / f"a{suffix}"
        with tarfile.open(path, "w:gz" if suffix != ".tar" else "w") as archive:
            for i in range(5):
                entry = tarfile.TarInfo(f"{i}.jpg")
                entry.size = 20_000
                archive.addfile(entry, io.BytesIO(bytes(i * j % 251 for j in range(20_000))))
        data = path.read_bytes()
        path.write_bytes(data[: int(len(data) * at)])
        return path

    return make


def _folders(folder: Path) -> Path:
    entry = tarfile.TarInfo("a")
    entry.type = tarfile.DIRTYPE
    with gzip.open(folder / "a.tar.gz", "wb", 1) as stream:
        for _ in range(2_200):
            stream.write(entry.tobuf() * 1_000)
    return folder / "a.tar.gz"


def _damaged(folder: Path) -> Path:
    path = _cut(1.0, ".tgz")(folder)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0xFF
    path.write_bytes(data)
    return path


def attacks() -> Iterator[Attack]:
    for name in LEADING_OUT:
        # `./a` is how tars name files; a header of a name that is too long is refused as a whole.
        yield Attack("fetch", f"tar that holds {name[:30]!r}", _named(name), taken=name == "./a")
    yield Attack("fetch", "tar with a name twice", _named("a", "b", "a"))
    yield Attack("fetch", "tar with a file that is a folder, too", _named("a", "a/b"))
    for name, kind in _KINDS.items():
        for to in ("/etc/passwd", "../../..", "a"):
            yield Attack("fetch", f"tar with a {name} to {to}", _of_kind(kind, to))
    for how in ("bz2", "xz"):
        yield Attack("fetch", f"tar packed by {how}", _packed(how))
    for kind, name in ((tarfile.XHDTYPE, "pax header"), (tarfile.GNUTYPE_LONGNAME, "long name")):
        yield Attack("fetch", f"tar with a {name} of 4 GiB", _header(kind, 4 << 30, 64 << 20))
        yield Attack("fetch", f"tar with a {name} of 8 EiB", _header(kind, (8 << 60) - 1, 1 << 20))
    yield Attack("fetch", "tar with a folder of 8 EiB", _header(tarfile.DIRTYPE, (8 << 60) - 1, 1 << 20))
    yield Attack("fetch", "tar with a file of 8 EiB that ends early", _header(tarfile.REGTYPE, (8 << 60) - 1, 1 << 20))
    yield Attack("fetch", "tar of zeros", _header(tarfile.DIRTYPE, 0, 64 << 20))
    yield Attack("fetch", "tar of 2,200,000 folders", _folders, heavy=True)
    yield Attack("fetch", "tar bomb of 2 GiB", _header(tarfile.REGTYPE, 2 << 30, 2 << 30), heavy=True)
    for suffix in (".tar", ".tgz"):
        for at in (0.0, 0.003, 0.4, 0.7):
            yield Attack("fetch", f"{suffix} cut off at {at:.1%}", _cut(at, suffix))
    yield Attack("fetch", ".tgz with a flipped byte", _damaged)
