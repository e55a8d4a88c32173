"""What schemathesis must know of photos: which bytes are some. Loaded by its command line, see test_schemathesis.py."""

from __future__ import annotations

import io

import schemathesis
from hypothesis import strategies
from PIL import Image


def photo(kind: str, size: tuple[int, int], brightness: int) -> bytes:
    stream = io.BytesIO()
    Image.new("RGB", size, (brightness,) * 3).save(stream, kind)
    return stream.getvalue()


def photos(*kinds: str) -> strategies.SearchStrategy[bytes]:
    sizes = strategies.tuples(strategies.integers(1, 80), strategies.integers(1, 80))
    return strategies.builds(photo, strategies.sampled_from(kinds), sizes, strategies.integers(0, 255))


for kind in ("jpeg", "png", "webp"):
    schemathesis.openapi.media_type(f"image/{kind}", photos(kind))
schemathesis.openapi.format("binary", photos("jpeg", "png", "webp"))
