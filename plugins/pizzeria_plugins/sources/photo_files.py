"""Reads photos once to learn what the `images` table says of each: hash, size, and whether it can be read."""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from io import BytesIO
from pathlib import Path
from typing import NamedTuple

from pizzeria.contracts import Progress

SUFFIXES = (".jpg", ".jpeg", ".png", ".webp")
_FORMATS = ("JPEG", "PNG", "WEBP")
_ORIENTATION = 0x0112
_WORKERS = min(8, (os.cpu_count() or 1) + 1)


class PhotoFile(NamedTuple):
    """What one file is.

    Attributes:
        sha256: of the file's bytes; empty when there is no file.
        bytes: length of the file.
        width, height: pixels after EXIF rotation; 0 when they are not known.
        readable: whether all of it can be decoded.
        problem: why not, else empty.
    """

    sha256: str
    bytes: int
    width: int
    height: int
    readable: bool
    problem: str


def inspect_photos(paths: Sequence[Path], progress: Progress) -> list[PhotoFile]:
    """Inspect all files, in threads; the answers come in the order of `paths`."""
    pool = ThreadPoolExecutor(_WORKERS)
    try:
        pending = [pool.submit(inspect_photo, path) for path in paths]
        return [answer.result() for answer in progress.track(pending, "reading photos")]
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def inspect_photo(path: Path) -> PhotoFile:
    """Hash and decode one file; never raises for what the file is."""
    try:
        data = path.read_bytes()
    except OSError as error:
        return PhotoFile("", 0, 0, 0, False, f"cannot be opened: {error.strerror or error}")
    width, height, problem = _decode(data)
    return PhotoFile(sha256(data).hexdigest(), len(data), width, height, not problem, problem)


def _decode(data: bytes) -> tuple[int, int, str]:
    from PIL import Image, UnidentifiedImageError

    if not data:
        return 0, 0, "is empty (0 bytes)"
    width = height = 0
    try:
        with Image.open(BytesIO(data), formats=_FORMATS) as image:
            width, height = image.size
            if image.getexif().get(_ORIENTATION, 1) in (5, 6, 7, 8):
                width, height = height, width
            # A draft decodes a JPEG at an eighth of its size: it still reads all of the file, and finds damage, sooner.
            image.draft("RGB", (max(1, image.width // 8), max(1, image.height // 8)))
            image.load()
    except UnidentifiedImageError:
        return 0, 0, "is not a JPEG, PNG or WebP"
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        return width, height, "has too many pixels"
    except Exception as error:  # Pillow's decoders raise many kinds on damaged files.
        return width, height, f"cannot be decoded: {error}"
    return width, height, ""
