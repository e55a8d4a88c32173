"""Photos as they lie in people's folders, made by the test: a marked picture in every form, and files that are none."""

from __future__ import annotations

import struct
import zlib
from io import BytesIO
from typing import Any

import numpy as np
from PIL import Image

RED, BLUE, GREEN = (200, 30, 30), (30, 30, 200), (30, 160, 30)
SIZE = (48, 32)
"""Width and height of the upright picture: red, with a blue block at the left and a green one at the top right."""
BLUE_BOX, GREEN_BOX = (0, 8, 16, 32), (40, 0, 48, 8)
_TURNED = {
    1: None,
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,  # what a camera stores that must be turned right to stand upright
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}


def picture() -> Image.Image:
    image = Image.new("RGB", SIZE, RED)
    image.paste(BLUE, BLUE_BOX)
    image.paste(GREEN, GREEN_BOX)
    return image


def encoded(image: Image.Image, kind: str, **options: Any) -> bytes:
    stream = BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def turned(orientation: int, kind: str = "JPEG") -> bytes:
    """The picture as it is stored with an EXIF orientation."""
    how = _TURNED[orientation]
    image = picture() if how is None else picture().transpose(how)
    exif = Image.Exif()
    exif[0x0112] = orientation
    return encoded(image, kind, exif=exif, **({"quality": 95} if kind == "JPEG" else {}))


def grey_16() -> bytes:
    """A ramp over all 65,536 greys as a 16-bit PNG: clipped to 8 bits, nearly all of it would be white."""
    ramp = np.linspace(0, 65535, SIZE[0]).astype(np.uint16)[None, :].repeat(SIZE[1], 0)
    return encoded(Image.fromarray(ramp), "PNG")


def colours_16() -> bytes:
    """The picture as a PNG of 16 bits for each colour, which Pillow does not write."""
    pixels = (np.asarray(picture()).astype(">u2") * 257).astype(">u2")
    lines = b"".join(b"\0" + line.tobytes() for line in pixels)
    head = struct.pack(">IIBBBBB", *SIZE, 16, 2, 0, 0, 0)
    chunks = ((b"IHDR", head), (b"IDAT", zlib.compress(lines)), (b"IEND", b""))
    parts = [struct.pack(">I", len(d)) + n + d + struct.pack(">I", zlib.crc32(n + d)) for n, d in chunks]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def animated(kind: str) -> bytes:
    others = [Image.new("RGB", SIZE, "white"), Image.new("RGB", SIZE, "black")]
    options = {"lossless": True} if kind == "WEBP" else {}
    return encoded(picture(), kind, save_all=True, append_images=others, **options)


def transparent() -> bytes:
    """The picture with a transparent right half; what lies below is black."""
    image = picture().convert("RGBA")
    image.paste((0, 0, 0, 0), (24, 0, 48, 32))
    return encoded(image, "PNG")


USED: dict[str, tuple[bytes, tuple[str, ...]]] = {
    "plain.jpg": (encoded(picture(), "JPEG", quality=95), ()),
    "plain.png": (encoded(picture(), "PNG"), ()),
    "plain.webp": (encoded(picture(), "WEBP", lossless=True), ()),
    **{f"turned_{i}.jpg": (turned(i), ("turned upright, as EXIF says",)) for i in range(2, 9)},
    "turned.png": (turned(6, "PNG"), ("turned upright, as EXIF says",)),
    "cmyk.jpg": (encoded(picture().convert("CMYK"), "JPEG", quality=95), ("of CMYK, made RGB",)),
    "palette.png": (encoded(picture().quantize(8), "PNG"), ("of a palette, made RGB",)),
    "colours_16.png": (colours_16(), ("of 16 bits for each colour, made 8",)),
    "animated.webp": (animated("WEBP"), ("of several frames, of which the first is taken",)),
    "bitmap.bmp": (encoded(picture(), "BMP"), ("converted from BMP to PNG",)),
    "animated.gif": (
        animated("GIF"),
        (
            "converted from GIF to PNG",
            "of a palette, made RGB",
            "of several frames, of which the first is taken",
        ),
    ),
    "scan.tiff": (turned(6, "TIFF"), ("converted from TIFF to PNG", "turned upright, as EXIF says")),
    "named_wrongly.png": (encoded(picture(), "JPEG", quality=94), ()),
}
"""By file name: bytes that show the picture, and what is done about them."""


def _huge() -> bytes:
    """A PNG that says it has 900 million pixels."""
    head = b"IHDR" + struct.pack(">IIBBBBB", 30000, 30000, 8, 2, 0, 0, 0)
    return _GOOD[:12] + head + struct.pack(">I", zlib.crc32(head)) + _GOOD[33:]


_GOOD = encoded(picture(), "PNG")
_JPEG = encoded(Image.effect_noise(SIZE, 90).convert("RGB"), "JPEG", quality=95)

BROKEN: dict[str, tuple[bytes | None, str]] = {
    "zero.jpg": (b"", "is empty (0 bytes)"),
    "cut.jpg": (_JPEG[: len(_JPEG) // 2], "cannot be decoded"),
    "cut.png": (_GOOD[:60], "cannot be decoded"),
    "header.jpg": (b"\xff\xd8\xff", "cannot be decoded"),
    "flipped.png": (_GOOD[:50] + bytes([_GOOD[50] ^ 0xFF]) + _GOOD[51:], "cannot be decoded"),
    "page.jpg": (b"<html>404</html>", "is no JPEG, PNG, WebP, BMP, GIF or TIFF"),
    "document.png": (b"%PDF-1.7 ...", "is no JPEG, PNG, WebP, BMP, GIF or TIFF"),
    "floats.tiff": (encoded(Image.new("F", SIZE, 0.5), "TIFF"), "cannot be decoded"),
    "bomb.png": (_huge(), "has too many pixels"),
    "absent.jpg": (None, "cannot be opened"),
}
"""By file name: bytes (None: no file), and how the problem begins."""
