"""Brings a photo to the size that the network wants, the same way for training and for serving.

`preprocessing` is {"kind": "photos", "size": [H, W], "resize": "letterbox" or "crop", "fill": 0 to 255}:
`letterbox` keeps the aspect, places the photo top left and fills the right and the bottom; `crop` scales the shorter
side to the size and keeps the centre.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image


@dataclass(frozen=True)
class Geometry:
    """Where a photo lies in the network's image: network pixel = original pixel * scale + offset."""

    scale_x: float
    scale_y: float
    offset_x: float
    offset_y: float

    def to_network(self, xyxy: NDArray[np.floating[Any]]) -> NDArray[np.float32]:
        """Boxes [D, 4] from original pixels to network pixels."""
        return (np.asarray(xyxy, np.float32) * self._scale() + self._offset()).astype(np.float32)

    def to_original(self, xyxy: NDArray[np.floating[Any]], width: int, height: int) -> NDArray[np.float32]:
        """Boxes [D, 4] from network pixels to original pixels, clipped to the photo.

        Example:
            >>> Geometry(0.5, 0.5, 0, 0).to_original(np.array([[5, 5, 90, 20]]), width=100, height=60).tolist()
            [[10.0, 10.0, 100.0, 40.0]]
        """
        moved: NDArray[np.float32] = (np.asarray(xyxy, np.float32) - self._offset()) / self._scale()
        limit = np.array([width, height] * 2, np.float32)
        return moved.clip(0, limit).astype(np.float32)

    def _scale(self) -> NDArray[np.float32]:
        return np.array([self.scale_x, self.scale_y] * 2, np.float32)

    def _offset(self) -> NDArray[np.float32]:
        return np.array([self.offset_x, self.offset_y] * 2, np.float32)


def resize(
    image: Image.Image, preprocessing: Mapping[str, Any], original: tuple[int, int] | None = None
) -> tuple[NDArray[np.uint8], Geometry]:
    """The network's image, and where the photo lies in it.

    Args:
        image: RGB, upright, any size.
        preprocessing: See above.
        original: (width, height) of the photo, where `image` was decoded smaller than it is; the geometry is the
            photo's.

    Returns:
        uint8 [H, W, 3] RGB, and the geometry.

    Example:
        >>> how = {"kind": "photos", "size": [64, 64], "resize": "letterbox", "fill": 114}
        >>> pixels, geometry = resize(Image.new("RGB", (200, 100)), how)
        >>> pixels.shape, geometry
        ((64, 64, 3), Geometry(scale_x=0.32, scale_y=0.32, offset_x=0.0, offset_y=0.0))
    """
    height, width = (int(side) for side in preprocessing["size"])
    if preprocessing["resize"] == "letterbox":
        return _letterbox(image, width, height, int(preprocessing["fill"]), original or image.size)
    return _crop(image, width, height, original or image.size)


def needed_size(size: tuple[int, int], preprocessing: Mapping[str, Any]) -> tuple[int, int]:
    """The smallest (width, height) to which a photo may be decoded without being enlarged again by `resize`.

    Args:
        size: (width, height) of the photo.
        preprocessing: See above.

    Example:
        >>> needed_size((4000, 3000), {"kind": "photos", "size": [224, 224], "resize": "crop", "fill": 0})
        (299, 224)
    """
    height, width = (int(side) for side in preprocessing["size"])
    scales = (width / size[0], height / size[1])
    scale = min(scales) if preprocessing["resize"] == "letterbox" else max(scales)
    scale = min(1.0, scale)
    return math.ceil(size[0] * scale - 1e-9), math.ceil(size[1] * scale - 1e-9)


def _letterbox(
    image: Image.Image, width: int, height: int, fill: int, original: tuple[int, int]
) -> tuple[NDArray[np.uint8], Geometry]:
    scale = min(width / original[0], height / original[1])
    inner = (max(1, round(original[0] * scale)), max(1, round(original[1] * scale)))
    out = np.full((height, width, 3), fill, np.uint8)
    out[: inner[1], : inner[0]] = _scaled(image, inner, (0, 0, image.width, image.height))
    return out, Geometry(inner[0] / original[0], inner[1] / original[1], 0.0, 0.0)


def _crop(image: Image.Image, width: int, height: int, original: tuple[int, int]) -> tuple[NDArray[np.uint8], Geometry]:
    scale = max(width / original[0], height / original[1])
    kept_x, kept_y = min(width / scale, original[0]), min(height / scale, original[1])
    left, top = (original[0] - kept_x) / 2, (original[1] - kept_y) / 2
    x, y = image.width / original[0], image.height / original[1]
    box = (left * x, top * y, min((left + kept_x) * x, image.width), min((top + kept_y) * y, image.height))
    pixels = _scaled(image, (width, height), box)
    scale_x, scale_y = width / kept_x, height / kept_y
    return pixels, Geometry(scale_x, scale_y, -left * scale_x, -top * scale_y)


def _scaled(image: Image.Image, size: tuple[int, int], box: tuple[float, float, float, float]) -> NDArray[np.uint8]:
    # reducing_gap: large photos are first shrunk by a whole factor, which is several times as fast and looks the same.
    return np.asarray(image.resize(size, Image.Resampling.BILINEAR, box=box, reducing_gap=2.0), np.uint8)
