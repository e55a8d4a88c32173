"""Perceptual hashes: photos that look alike differ in few bits. They are those of the `imagehash` package."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image

_SIDE = 32
_KEPT = 8


def phash(image: Image.Image) -> int:
    """64 bits of the photo's coarse frequencies: each of the 8 x 8 lowest of a cosine transform, against their median.

    It holds through scaling, compression and changes of brightness.

    Example:
        >>> picture = Image.effect_mandelbrot((256, 192), (-2, -1.2, 1, 1.2), 60)
        >>> (phash(picture) ^ phash(picture.resize((100, 80)))).bit_count() <= 4
        True
    """
    pixels = np.asarray(image.convert("L").resize((_SIDE, _SIDE), Image.Resampling.LANCZOS), np.float64)
    low = (_COSINES @ pixels @ _COSINES.T)[:_KEPT, :_KEPT]
    return _packed(low > np.median(low))


def dhash(image: Image.Image) -> int:
    """64 bits of the photo's gradients: whether each of 8 x 8 places is darker than its neighbour to the right."""
    pixels = np.asarray(image.convert("L").resize((_KEPT + 1, _KEPT), Image.Resampling.LANCZOS))
    return _packed(pixels[:, 1:] > pixels[:, :-1])


def _cosines() -> NDArray[np.float64]:
    """The type II cosine transform as a matrix, as scipy scales it."""
    row, column = np.arange(_SIDE)[:, None], np.arange(_SIDE)[None, :]
    return np.asarray(2 * np.cos(np.pi * row * (2 * column + 1) / (2 * _SIDE)), np.float64)


_COSINES = _cosines()


def _packed(bits: NDArray[np.bool_]) -> int:
    return int.from_bytes(np.packbits(bits.ravel()).tobytes(), "big")
