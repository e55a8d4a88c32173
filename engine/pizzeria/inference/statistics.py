"""What a photo looks like in seven numbers: what drift monitoring watches."""

from __future__ import annotations

import numpy as np
from PIL import Image

NAMES = ("brightness", "contrast", "saturation", "sharpness", "entropy", "warmth", "aspect")
LONGER_SIDE = 160
"""Pixels of the copy that is measured."""


def image_statistics(image: Image.Image) -> dict[str, float]:
    """Statistics of an upright RGB photo, measured on a copy of at most 160 pixels, so that size does not matter.

    Returns:
        brightness: mean luma, 0 (black) to 1 (white).
        contrast: standard deviation of luma, 0 to 0.5.
        saturation: mean HSV saturation, 0 (grey) to 1.
        sharpness: log(1 + variance of the Laplacian of luma in 0 to 255), 0 (one flat colour) to about 13.
        entropy: of the luma histogram in 64 bins, 0 to 6 bits.
        warmth: mean of red minus blue, -1 (cold) to 1 (warm).
        aspect: width / height.

    Example:
        >>> image_statistics(Image.new("RGB", (40, 20), "white"))["brightness"]
        1.0
    """
    scale = min(1.0, LONGER_SIDE / max(image.size))
    size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    # reducing_gap: first by a whole factor, which costs a third and, for a box filter, is the same.
    small = image if scale == 1 else image.resize(size, Image.Resampling.BOX, reducing_gap=1.0)
    grey = small.convert("L")
    red, green, blue = (np.asarray(band) for band in small.split())  # each in one piece, which numpy is fastest with
    luma = np.asarray(grey, np.float32)
    brightest = np.maximum(np.maximum(red, green), blue)
    spread = brightest - np.minimum(np.minimum(red, green), blue)
    counts = np.array(grey.histogram()).reshape(64, 4).sum(axis=1)
    shares = counts[counts > 0] / counts.sum()
    values = (
        luma.mean() / 255,
        luma.std() / 255,
        (spread / np.maximum(brightest, 1).astype(np.float32)).mean(),
        np.log1p(_laplacian_variance(luma)),
        max(0.0, float(-(shares * np.log2(shares)).sum())),
        (red.mean() - blue.mean()) / 255,
        image.width / image.height,
    )
    return {name: round(float(value), 6) for name, value in zip(NAMES, values, strict=True)}


def _laplacian_variance(luma: np.ndarray[tuple[int, ...], np.dtype[np.float32]]) -> float:
    framed = np.pad(luma, 1, mode="edge")
    around = framed[:-2, 1:-1] + framed[2:, 1:-1] + framed[1:-1, :-2] + framed[1:-1, 2:]
    return float((around - 4 * luma).var())
