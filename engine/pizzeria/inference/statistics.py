"""What a photo looks like in seven numbers: what drift monitoring watches."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pizzeria.inference.resize import Geometry

NAMES = ("brightness", "contrast", "saturation", "sharpness", "entropy", "warmth", "aspect")
_LONGER_SIDE = 128
_LEVELS = np.arange(256)


def image_statistics(pixels: NDArray[np.uint8], geometry: Geometry, width: int, height: int) -> dict[str, float]:
    """Statistics of what the network sees of a photo, measured on about 128 pixels along its longer side.

    Args:
        pixels: uint8 [H, W, 3] RGB, and
        geometry: where the photo lies in it, both from `pizzeria.inference.resize.resize`.
        width, height: Of the upright original, in pixels.

    Returns:
        brightness: mean luma, 0 (black) to 1 (white).
        contrast: standard deviation of luma, 0 to 0.5.
        saturation: mean HSV saturation, 0 (grey) to 1.
        sharpness: log(1 + variance of the Laplacian of luma in 0 to 255), 0 (one flat colour) to about 13.
        entropy: of the luma histogram in 64 bins, 0 to 6 bits.
        warmth: mean of red minus blue, -1 (cold) to 1 (warm).
        aspect: width / height of the original.

    Example:
        >>> white = np.full((32, 64, 3), 255, np.uint8)
        >>> image_statistics(white, Geometry(1, 1, 0, 0), 64, 32)["brightness"]
        1.0
    """
    seen = _photo_in(pixels, geometry, width, height)
    factor = max(1, round(max(seen.shape) / _LONGER_SIDE))
    grey = Image.fromarray(seen).convert("L").reduce(factor)
    # Of colours every n-th pixel will do; each colour in one piece, which numpy is fastest with.
    red, green, blue = np.ascontiguousarray(seen[factor // 2 :: factor, factor // 2 :: factor].transpose(2, 0, 1))
    brightest = np.maximum(np.maximum(red, green), blue)
    spread = brightest - np.minimum(np.minimum(red, green), blue)
    shares = np.array(grey.histogram()) / (grey.width * grey.height)
    luma = float(shares @ _LEVELS)
    coarse = shares.reshape(64, 4).sum(axis=1)
    coarse = coarse[coarse > 0]
    values = (
        luma / 255,
        math.sqrt(max(0.0, float(shares @ _LEVELS**2) - luma**2)) / 255,
        (spread / np.maximum(brightest, 1).astype(np.float32)).mean() if spread.size else 0.0,
        math.log1p(_laplacian_variance(np.asarray(grey))),
        max(0.0, float(-(coarse * np.log2(coarse)).sum())),
        (red.mean() - blue.mean()) / 255 if spread.size else 0.0,
        width / height,
    )
    return {name: round(float(value), 6) for name, value in zip(NAMES, values, strict=True)}


def _photo_in(pixels: NDArray[np.uint8], geometry: Geometry, width: int, height: int) -> NDArray[np.uint8]:
    """What of the network's image is photo, and not filled; at least one pixel."""
    corners = geometry.to_network(np.array([0, 0, width, height])).round().astype(int)
    left, top = max(0, int(corners[0])), max(0, int(corners[1]))
    return pixels[top : max(top + 1, int(corners[3])), left : max(left + 1, int(corners[2]))]


def _laplacian_variance(luma: NDArray[np.uint8]) -> float:
    """Of the Laplacian over all places that have four neighbours; 0 where there is none."""
    whole = luma.astype(np.int16)
    centre = whole[1:-1, 1:-1]
    if not centre.size:
        return 0.0
    found = 4 * centre - whole[:-2, 1:-1] - whole[2:, 1:-1] - whole[1:-1, :-2] - whole[1:-1, 2:]
    return float(found.astype(np.float32).var())
