"""Photos in the report: small JPEGs as data URIs, with boxes as an SVG overlay that stays sharp."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from pizzeria.drawing import colour, place_labels
from pizzeria.report.run_folder import RunFolder

SIDE = 360
"""Longest side of a photo in pixels."""
THUMB = 132
"""Longest side of an evidence photo."""
CUT = 64
"""Side of a piece cut out as evidence."""
QUALITY = 78


@dataclass(frozen=True)
class Mark:
    """One box of the overlay, in pixels of the small photo."""

    x: float
    y: float
    width: float
    height: float
    colour: str
    label: str = ""
    dashed: bool = False

    @property
    def tag(self) -> tuple[float, float]:
        """Width and height of the label."""
        return 6.6 * len(self.label) + 8, 17.0


@dataclass(frozen=True)
class Photo:
    """A photo that is ready for the page."""

    uri: str
    width: int
    height: int
    name: str

    def labels(self, marks: Sequence[Mark]) -> list[tuple[Mark, float, float]]:
        """The marks that have a label, with its left and top."""
        named = [mark for mark in marks if mark.label]
        # The last is the surest, and lies on top.
        boxes = [(m.x, m.y, m.x + m.width, m.y + m.height) for m in named[::-1]]
        places = place_labels(boxes, [m.tag for m in named[::-1]], (self.width, self.height))[::-1]
        return [(mark, x, y) for mark, (x, y) in zip(named, places, strict=True)]


class Album:
    """Finds and shrinks the photos of a run; each size of a photo is made once."""

    def __init__(self, run: RunFolder) -> None:
        images = run.tables.images
        self._classes = run.classes
        self._paths: dict[str, str] = {}
        if images is not None:
            self._paths = dict(zip(images["image_id"].astype(str), images["path"].astype(str), strict=True))
        self._made: dict[tuple[str, int], tuple[Photo, float] | None] = {}

    def small(self, key: str, side: int = SIDE) -> tuple[Photo, float] | None:
        """The photo and its scale (small pixels for one original pixel); None when the file is gone or broken."""
        if (key, side) not in self._made:
            path = self._paths.get(key)
            self._made[key, side] = None if path is None else _shrink(Path(path), side, Path(path).name)
        return self._made[key, side]

    def of_bytes(self, data: bytes, name: str, side: int = SIDE) -> Photo | None:
        """A photo that a client sent, small; None when it is none that can be read."""
        made = _shrink(io.BytesIO(data), side, name)
        return None if made is None else made[0]

    def cut(self, key: str, box: NDArray[np.float32] | None) -> str | None:
        """A square of the photo around a box in original pixels (of its middle without one), as a data URI."""
        path = self._paths.get(key)
        image = None if path is None else _open(Path(path))
        if image is None:
            return None
        width, height = image.size
        x0, y0, x1, y1 = (0, 0, width, height) if box is None else (float(v) for v in box)
        # A margin lets the eye see where the thing stands.
        side = min(max(x1 - x0, y1 - y0) * (1 if box is None else 1.2), width, height)
        left = min(max((x0 + x1 - side) / 2, 0), width - side)
        top = min(max((y0 + y1 - side) / 2, 0), height - side)
        corner = (left, top, left + max(side, 1), top + max(side, 1))
        return _uri(image.resize((CUT, CUT), Image.Resampling.LANCZOS, box=corner))

    def mark(
        self, xyxy: NDArray[np.float32], scale: float, label: int, text: str = "", *, dashed: bool = False
    ) -> Mark:
        """A box in original pixels as a mark on the small photo."""
        x0, y0, x1, y1 = (round(float(v) * scale, 1) for v in xyxy)
        name = self._classes[label]
        return Mark(x0, y0, round(x1 - x0, 1), round(y1 - y0, 1), colour(name, self._classes), text, dashed)


def _shrink(source: Path | io.BytesIO, side: int, name: str) -> tuple[Photo, float] | None:
    image = _open(source)
    if image is None:
        return None
    full = image.width
    image.thumbnail((side, side), Image.Resampling.LANCZOS)
    return Photo(_uri(image), image.width, image.height, name), image.width / full


def _open(source: Path | io.BytesIO) -> Image.Image | None:
    """The photo, upright and in RGB; None when it is gone or broken, which is no reason to have no report."""
    try:
        with Image.open(source) as opened:
            return ImageOps.exif_transpose(opened).convert("RGB")
    except (OSError, Image.DecompressionBombError):
        return None


def _uri(image: Image.Image) -> str:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=QUALITY, optimize=True)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode()
