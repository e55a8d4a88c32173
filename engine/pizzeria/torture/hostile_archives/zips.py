"""Zips, as data and as bundles."""

from __future__ import annotations

import struct
import warnings
import zipfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from pizzeria.torture.hostile_archives import Attack

LEADING_OUT = (
    "../out", "../../../../../../srv/out", "a/../../out", "/srv/out", "//tmp/out", "a//b", "./a", "a/./b", "..",
    "a/..",
    "..\\out", "a\\..\\..\\out", "C:\\out", "C:/out", "\\\\server\\share\\out", "a\nb", "a\rb", "x" * 300,
    "a/" + "x" * 300, "a/" * 3000 + "b", "",
)  # fmt: skip
_LINK, _DEVICE = 0o120777 << 16, 0o020666 << 16
_DOORS = ("fetch", "bundle")


def _written(
    path: Path, entries: Sequence[tuple[str, bytes]], mode: int = 0o100644 << 16, how: int = zipfile.ZIP_DEFLATED
) -> Path:
    with warnings.catch_warnings(), zipfile.ZipFile(path, "w", how) as archive:
        warnings.simplefilter("ignore")
        for name, content in entries:
            entry = zipfile.ZipInfo("x")
            entry.filename, entry.external_attr, entry.compress_type = name, mode, how
            archive.writestr(entry, content)
    return path


def _named(names: Sequence[str], mode: int = 0o100644 << 16) -> Callable[[Path], Path]:
    return lambda folder: _written(folder / "a.zip", [(name, b"content") for name in names], mode)


def _nul(folder: Path) -> Path:
    path = _written(folder / "a.zip", [("a0b", b"x")])
    path.write_bytes(path.read_bytes().replace(b"a0b", b"a\0b"))
    return path


def _packed(how: int) -> Callable[[Path], Path]:
    return lambda folder: _written(folder / "a.zip", [("model.onnx", b"x" * 1000)], how=how)


def _patched(signature: bytes, offset: int, value: bytes) -> Callable[[Path], Path]:
    """A sound zip with some bytes of a header changed."""

    def make(folder: Path) -> Path:
        path = _written(folder / "a.zip", [("photo.jpg", b"x" * 5_000), ("b", b"y")])
        data = bytearray(path.read_bytes())
        at = data.index(signature) + offset
        data[at : at + len(value)] = value
        path.write_bytes(data)
        return path

    return make


def _cut(at: float) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        path = _written(folder / "a.zip", [(f"{i}.jpg", bytes(range(256)) * 9) for i in range(9)])
        data = path.read_bytes()
        path.write_bytes(data[: int(len(data) * at)])
        return path

    return make


def _many(count: int) -> Callable[[Path], Path]:
    return lambda folder: _written(folder / "a.zip", [(f"{i}", b"") for i in range(count)], how=zipfile.ZIP_STORED)


def _bomb(name: str, size: int) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        with (
            zipfile.ZipFile(folder / "a.zip", "w", zipfile.ZIP_DEFLATED) as archive,
            archive.open(name, "w", force_zip64=True) as stream,
        ):
            piece = bytes(1 << 20)
            for _ in range(size >> 20):
                stream.write(piece)
        return folder / "a.zip"

    return make


def _overlapping(count: int, size: int) -> Callable[[Path], Path]:
    """As of David Fifield: many names share one compressed kernel."""

    def make(folder: Path) -> Path:
        path = _written(folder / "one.zip", [("k", bytes(size))])
        data = path.read_bytes()
        central = data.index(b"PK\x01\x02")
        record = data[central : data.index(b"PK\x05\x06")]
        records = b"".join(
            record[:28] + struct.pack("<H", 6) + record[30:46] + f"{i:06d}".encode() + record[47:] for i in range(count)
        )
        end = struct.pack("<4s4H2IH", b"PK\x05\x06", 0, 0, count & 0xFFFF, count & 0xFFFF, len(records), central, 0)
        (folder / "a.zip").write_bytes(data[:central] + records + end)
        return folder / "a.zip"

    return make


def _nested(folder: Path) -> Path:
    """Zips in zips are files like others: nothing opens them."""
    inner = _written(folder / "inner.zip", [("zeros", bytes(1 << 20))]).read_bytes()
    for _ in range(5):
        inner = _written(folder / "inner.zip", [(f"{i}.zip", inner) for i in range(4)]).read_bytes()
    return _written(folder / "a.zip", [("model.onnx", inner)])


def attacks() -> Iterator[Attack]:
    central, local, end = b"PK\x01\x02", b"PK\x03\x04", b"PK\x05\x06"
    for door in _DOORS:
        for name in LEADING_OUT:
            yield Attack(door, f"zip that holds {name[:30]!r}", _named([name]))
        yield Attack(door, "zip with NUL in a name", _nul, taken=door == "fetch")
        yield Attack(door, "zip with a name twice", _named(["a", "b", "a"]))
        yield Attack(door, "zip with a file that is a folder, too", _named(["a", "a/b"]))
        # Two files where names differ by case; elsewhere one name, which is refused.
        yield Attack(door, "zip with A and a", _named(["A", "a"]), taken=door == "fetch")
        yield Attack(door, "zip with é, composed and not", _named(["\u00e9", "e\u0301"]), taken=door == "fetch")
        yield Attack(door, "zip with a link", _named(["a"], _LINK))
        yield Attack(door, "zip with a device", _named(["a"], _DEVICE), taken=door == "fetch")
        for how in (zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA):
            yield Attack(door, f"zip packed by method {how}", _packed(how))
        for method in (9, 93, 99, 12345):
            yield Attack(door, f"zip that says method {method}", _patched(central, 10, struct.pack("<H", method)))
        yield Attack(door, "encrypted zip", _patched(central, 8, b"\1\0"))
        yield Attack(door, "zip with a wrong size", _patched(central, 24, struct.pack("<I", 10)))
        yield Attack(door, "zip with a size of 4 GiB", _patched(central, 24, b"\xfe\xff\xff\xff"))
        yield Attack(door, "zip with a wrong check sum", _patched(central, 16, b"abcd"))
        yield Attack(door, "zip with a wrong offset", _patched(central, 42, b"\xff\xff\xff\x7f"))
        yield Attack(door, "zip whose two names differ", _patched(local, 30, b"other.jpg"))
        yield Attack(
            door, "zip with a wrong number of entries", _patched(end, 8, b"\x09\0\x09\0"), taken=door == "fetch"
        )
        yield Attack(door, "zip with an extra field that ends early", _patched(central, 30, b"\xff\xff"))
        for at in (0.0, 0.1, 0.5, 0.9, 0.999):
            yield Attack(door, f"zip cut off at {at:.1%}", _cut(at))
        yield Attack(door, "empty zip", _named([]))
        yield Attack(door, "zips within zips, a gigabyte", _nested, taken=door == "fetch")
    yield Attack("bundle", "zip of 60,000 empty files", _many(60_000))
    yield Attack("fetch", "zip bomb of 2 GiB", _bomb("zeros", 2 << 30), heavy=True)
    yield Attack("bundle", "zip bomb of 1 GiB, named as the model", _bomb("model.onnx", 1 << 30), heavy=True)
    yield Attack("bundle", "zip bomb of 100 MiB, named as the description", _bomb("bundle.json", 100 << 20))
    yield Attack("fetch", "zip bomb of 1,000 overlapping entries", _overlapping(1_000, 10 << 20), heavy=True)
    yield Attack("bundle", "zip bomb of 1,000 overlapping entries", _overlapping(1_000, 10 << 20))
