"""Photos that are bombs, damaged, or not what they say: as data, and as the service takes them."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

from pizzeria.torture.hostile_archives import Attack

DOORS = ("decode", "inspect")


def _as_file(content: Callable[[], bytes]) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        (folder / "photo").write_bytes(content())
        return folder / "photo"

    return make


def _saved(format: str, size: tuple[int, int] = (64, 48), mode: str = "RGB", **more: Any) -> bytes:
    from PIL import Image

    stream = io.BytesIO()
    Image.new(mode, size, 90).save(stream, format, **more)
    return stream.getvalue()


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


@cache
def _zeros() -> bytes:
    """A fifth of a megabyte that unpacks to 200."""
    return zlib.compress(bytes(200 << 20))


def _png(width: int, height: int, *more: bytes, pixels: bytes = b"") -> bytes:
    header = _chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    body = _chunk(b"IDAT", zlib.compress(pixels)) + _chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + header + b"".join(more) + body


def _jpeg_of(width: int, height: int) -> bytes:
    """A small JPEG that says it were of other dimensions."""
    data = bytearray(_saved("JPEG"))
    at = data.index(b"\xff\xc0") + 5
    data[at : at + 4] = struct.pack(">HH", height, width)
    return bytes(data)


def _gif_of(width: int, height: int) -> bytes:
    data = bytearray(_saved("GIF", mode="P"))
    data[6:10] = struct.pack("<HH", width, height)
    return bytes(data)


def _webp_of(width: int, height: int) -> bytes:
    data = _saved("WebP", lossless=True)
    extended = (
        b"VP8X"
        + struct.pack("<I", 10)
        + bytes(4)
        + (width - 1).to_bytes(3, "little")
        + (height - 1).to_bytes(3, "little")
    )
    body = b"WEBP" + extended + data[12:]
    return b"RIFF" + struct.pack("<I", len(body)) + body


def _frames(format: str, count: int) -> bytes:
    from PIL import Image

    frames = [Image.new("P" if format == "GIF" else "RGB", (200, 200), i % 250) for i in range(count)]
    stream = io.BytesIO()
    frames[0].save(stream, format, save_all=True, append_images=frames[1:], duration=10)
    return stream.getvalue()


def _exif(data: bytes) -> bytes:
    segment = b"Exif\0\0" + data
    picture = _saved("JPEG")
    return picture[:2] + b"\xff\xe1" + struct.pack(">H", len(segment) + 2) + segment + picture[2:]


def _ifd(entries: int, following: int) -> bytes:
    """EXIF data with an orientation many times over, and a next directory that is itself."""
    entry = struct.pack("<HHII", 0x0112, 3, 0x7FFFFFFF, 8)
    return (
        b"II*\0"
        + struct.pack("<I", 8)
        + struct.pack("<H", entries)
        + entry * min(entries, 4_000)
        + struct.pack("<I", following)
    )


def _tiff(entries: tuple[tuple[int, int, int, int], ...], following: int = 0) -> bytes:
    body = b"".join(struct.pack("<HHII", *entry) for entry in entries)
    return (
        b"II*\0"
        + struct.pack("<I", 8)
        + struct.pack("<H", len(entries))
        + body
        + struct.pack("<I", following)
        + bytes(64)
    )


def contents() -> Iterator[tuple[str, Callable[[], bytes], bool]]:
    """What it is, its bytes, and whether it may be taken."""
    yield "PNG of 60,000 x 60,000", lambda: _png(60_000, 60_000), False
    yield "PNG of 2^31 x 2^31", lambda: _png(2**31 - 1, 2**31 - 1), False
    yield "PNG of 0 x 0", lambda: _png(0, 0), False
    yield "PNG of 100 x 1,000,000,000", lambda: _png(100, 1_000_000_000), False
    yield "PNG of 11,000 x 9,999, all there", lambda: _png(11_000, 9_999, pixels=bytes(330_000_000)), False
    yield "PNG with text that is a bomb of 200 MiB", lambda: _png(8, 8, _chunk(b"zTXt", b"a\0\0" + _zeros())), False
    yield (
        "PNG with a profile that is a bomb of 200 MiB",
        lambda: _png(8, 8, _chunk(b"iCCP", b"a\0\0" + _zeros())),
        False,
    )
    yield "PNG with pixels that are a bomb of 200 MiB", lambda: _png(8, 8, pixels=bytes(200 << 20)), True
    yield "PNG with a chunk of 2 GiB", lambda: _png(8, 8, struct.pack(">I", 2**31 - 1) + b"tEXt"), False
    yield "PNG with 20,000 texts", lambda: _png(8, 8, *[_chunk(b"tEXt", b"a\0b")] * 20_000), False
    yield "PNG with EXIF data that are none", lambda: _png(8, 8, _chunk(b"eXIf", b"x" * 100), pixels=bytes(200)), True
    yield "PNG without pixels", lambda: _png(8, 8), False
    yield "PNG cut off", lambda: _saved("PNG", (300, 300))[:-60], False
    yield "JPEG that says 65,500 x 65,500", lambda: _jpeg_of(65_500, 65_500), False
    yield "JPEG that says 0 x 0", lambda: _jpeg_of(0, 0), False
    yield "JPEG cut off", lambda: _saved("JPEG", (600, 600), quality=95)[:400], False
    yield "JPEG that never ends", lambda: b"\xff\xd8" + b"\xff" * 3_000_000, False
    yield "JPEG of 200,000 comments", lambda: b"\xff\xd8" + b"\xff\xfe\0\2" * 200_000 + _saved("JPEG")[2:], True
    yield "JPEG whose EXIF data count 2^31 values", lambda: _exif(_ifd(1, 0)), True
    yield "JPEG whose EXIF data have 60,000 entries", lambda: _exif(_ifd(60_000, 8)), True
    yield "JPEG whose EXIF data lead to themselves", lambda: _exif(_ifd(1, 8)), True
    yield "WebP of 16,383 x 16,383", lambda: _webp_of(16_383, 16_383), False
    yield "WebP of 2^24 x 2^24", lambda: _webp_of(1 << 24, 1 << 24), False
    yield "WebP cut off", lambda: _saved("WebP", (300, 300))[:60], False
    yield "WebP of 600 frames", lambda: _frames("WebP", 600), True
    yield "GIF of 65,535 x 65,535", lambda: _gif_of(65_535, 65_535), False
    yield "GIF of 600 frames", lambda: _frames("GIF", 600), True
    yield "GIF cut off", lambda: _saved("GIF", (300, 300), "P")[:40], False
    wide = (
        (256, 4, 1, 60_000),
        (257, 4, 1, 60_000),
        (258, 3, 1, 8),
        (259, 3, 1, 1),
        (262, 3, 1, 1),
        (273, 4, 1, 8),
        (279, 4, 1, 9),
    )
    yield "TIFF of 60,000 x 60,000", lambda: _tiff(wide), False
    yield "TIFF whose pages lead to themselves", lambda: _tiff(((256, 4, 1, 8), (257, 4, 1, 8)), 8), False
    yield "TIFF with 2^31 strips", lambda: _tiff(((256, 4, 1, 8), (257, 4, 1, 8), (273, 4, 2**31 - 1, 8))), False
    yield (
        "BMP of 60,000 x 60,000",
        lambda: b"BM" + struct.pack("<IHHIIiiHHIIiiII", 54, 0, 0, 54, 40, 60_000, 60_000, 1, 24, 0, 0, 0, 0, 0, 0),
        False,
    )
    yield "nothing", lambda: b"", False
    yield "zeros", lambda: bytes(1_000), False
    yield "SVG", lambda: b'<svg xmlns="http://www.w3.org/2000/svg"><image href="file:///etc/passwd"/></svg>', False
    yield "PDF", lambda: b"%PDF-1.7\n", False
    yield "PostScript", lambda: b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n(/etc/passwd) run\n", False
    yield "a JPEG's first bytes and a zip", lambda: b"\xff\xd8\xffPK\x03\x04" + bytes(100), False


def attacks() -> Iterator[Attack]:
    for what, content, taken in contents():
        for door in DOORS:
            yield Attack(door, what, _as_file(content), taken=taken)
