"""Boxes drawn on a copy of a photo: what `pizzeria predict` saves. Needs Pillow alone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING
from zlib import crc32

from PIL import Image, ImageDraw, ImageFont

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

PALETTE = (
    "#e4572e", "#2a9d8f", "#3a6ea5", "#f2a900", "#8e5aa8", "#4caf50",
    "#d81b72", "#00a5c8", "#a0672f", "#7c8c03", "#5c6bc0", "#c2185b",
)  # fmt: skip
"""Colours that stay apart from one another and can be seen on light and dark photos."""


def colour(name: str, classes: Sequence[str] = ()) -> str:
    """The colour of a class, the same in every photo and run: by its place in `classes`, else by its name.

    Returns:
        `#rrggbb`.

    Example:
        >>> colour("sofa", ["bed", "sofa"])
        '#2a9d8f'
    """
    place = list(classes).index(name) if name in classes else crc32(name.encode())
    return PALETTE[place % len(PALETTE)]


def draw_boxes(
    image: Image.Image,
    boxes: ArrayLike,
    labels: Sequence[str],
    confidences: Sequence[float | None],
    classes: Sequence[str] = (),
) -> Image.Image:
    """Draw labelled boxes on a copy of `image`; lines and letters grow with the photo, so that they stay legible.

    Args:
        image: Any mode; it is not changed.
        boxes: [D, 4] x_min, y_min, x_max, y_max in pixels of `image`; what lies outside is cut off.
        labels: D class names.
        confidences: D numbers in [0, 1], written behind the name; None writes the name alone.
        classes: All classes of the model, which decide on colours that are sure to differ.

    Returns:
        A new RGB image of the same size.

    Raises:
        ValueError: the three do not have the same length.

    Example:
        >>> out = draw_boxes(Image.new("RGB", (64, 48)), [[4, 14, 60, 44]], ["bed"], [0.93])
        >>> out.size, out.mode
        ((64, 48), 'RGB')
    """
    import numpy as np

    corners = np.asarray(boxes, dtype=float).reshape(-1, 4)
    if not len(corners) == len(labels) == len(confidences):
        raise ValueError(f"{len(corners)} boxes, {len(labels)} labels and {len(confidences)} confidences do not match")
    out = image.convert("RGB")
    if out is image:
        out = image.copy()
    draw = ImageDraw.Draw(out)
    size = max(12, round(min(out.size) / 26))
    font = ImageFont.load_default(size)
    line = max(2, size // 6)
    # The least confident first, so that the surest box and label lie on top.
    sure = [1.0 if confidence is None else confidence for confidence in confidences]
    order = sorted(range(len(labels)), key=sure.__getitem__)
    for i in order:
        left, top, right, bottom = _inside(corners[i], out.size)
        shade = colour(labels[i], classes)
        draw.rectangle((left, top, right, bottom), outline=shade, width=line)
    for i in order:
        left, top, right, _ = _inside(corners[i], out.size)
        confidence = confidences[i]
        text = labels[i] if confidence is None else f"{labels[i]} {confidence:.2f}"
        _label(draw, text, (left, top), out.size, font, colour(labels[i], classes), line)
    return out


def _inside(corners: Sequence[float], size: tuple[int, int]) -> tuple[int, int, int, int]:
    width, height = size
    x = sorted(min(max(0, round(v)), width - 1) for v in (corners[0], corners[2]))
    y = sorted(min(max(0, round(v)), height - 1) for v in (corners[1], corners[3]))
    return x[0], y[0], x[1], y[1]


def _label(
    draw: ImageDraw.ImageDraw,
    text: str,
    corner: tuple[int, int],
    size: tuple[int, int],
    font: ImageFont.FreeTypeFont | ImageFont.ImageFont,
    shade: str,
    pad: int,
) -> None:
    """A filled tag above the box's corner, or inside the box where there is no room above; never outside the photo."""
    x0, y0, x1, y1 = draw.textbbox((0, 0), text, font=font)
    width, height = round(x1 - x0) + 2 * pad, round(y1 - y0) + 2 * pad
    left = max(0, min(corner[0], size[0] - width))
    top = corner[1] - height if corner[1] >= height else corner[1]
    draw.rectangle((left, top, left + width, top + height), fill=shade)
    draw.text((left + pad - x0, top + pad - y0), text, font=font, fill=_ink(shade))


def _ink(shade: str) -> str:
    red, green, blue = (int(shade[i : i + 2], 16) for i in (1, 3, 5))
    return "#111111" if 0.299 * red + 0.587 * green + 0.114 * blue > 150 else "#ffffff"
