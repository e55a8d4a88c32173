"""Boxes drawn on a copy of a photo: what `pizzeria predict` saves. Needs Pillow alone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING
from zlib import crc32

from PIL import Image, ImageDraw, ImageFont

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

Font = ImageFont.FreeTypeFont | ImageFont.ImageFont

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
    # The surest last, so that its box lies on top.
    sure = [1.0 if confidence is None else confidence for confidence in confidences]
    order = sorted(range(len(labels)), key=sure.__getitem__)
    inside = [_inside(corners[i], out.size) for i in order]
    texts = [labels[i] if confidences[i] is None else f"{labels[i]} {confidences[i]:.2f}" for i in order]
    for i, box in zip(order, inside, strict=True):
        draw.rectangle(box, outline=colour(labels[i], classes), width=line)
    tags = [_tag(draw, text, font, line) for text in texts]
    places = place_labels(inside[::-1], tags[::-1], out.size)[::-1]
    for i, text, tag, place in zip(order, texts, tags, places, strict=True):
        _write(draw, text, place, tag, font, colour(labels[i], classes), line)
    return out


def place_labels(
    boxes: Sequence[Sequence[float]], tags: Sequence[tuple[float, float]], size: tuple[float, float]
) -> list[tuple[float, float]]:
    """Where each box's label goes: above its box, or at the next corner where it hides no earlier label.

    Args:
        boxes: D times x_min, y_min, x_max, y_max; those that matter most first.
        tags: D times width and height of the label.
        size: Width and height of the photo; labels stay inside.

    Returns:
        D times left and top of the label.

    Example:
        >>> place_labels([(10, 30, 60, 60), (12, 30, 60, 60)], [(30, 12), (30, 12)], (100, 80))
        [(10, 18), (12, 30)]
    """
    placed: list[tuple[float, float, float, float]] = []
    for (x0, y0, x1, y1), (width, height) in zip(boxes, tags, strict=True):
        corners = [
            (x0, y0 - height),
            (x0, y0),
            (x1 - width, y0),
            (x1 - width, y0 - height),
            (x0, y1 - height),
            (x0, y1),
        ]
        spots = [(max(0, min(x, size[0] - width)), max(0, min(y, size[1] - height))) for x, y in corners if y >= 0]
        spots = spots or [(0, 0)]
        hidden = [sum(_hides((x, y, x + width, y + height), other) for other in placed) for x, y in spots]
        x, y = spots[hidden.index(min(hidden))]
        placed.append((x, y, x + width, y + height))
    return [(x, y) for x, y, _, _ in placed]


def _hides(one: tuple[float, float, float, float], other: tuple[float, float, float, float]) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]


def _inside(corners: Sequence[float], size: tuple[int, int]) -> tuple[int, int, int, int]:
    width, height = size
    x = sorted(min(max(0, round(v)), width - 1) for v in (corners[0], corners[2]))
    y = sorted(min(max(0, round(v)), height - 1) for v in (corners[1], corners[3]))
    return x[0], y[0], x[1], y[1]


def _tag(draw: ImageDraw.ImageDraw, text: str, font: Font, pad: int) -> tuple[int, int]:
    x0, y0, x1, y1 = draw.textbbox((0, 0), text, font=font)
    return round(x1 - x0) + 2 * pad, round(y1 - y0) + 2 * pad


def _write(
    draw: ImageDraw.ImageDraw,
    text: str,
    place: tuple[float, float],
    tag: tuple[int, int],
    font: Font,
    shade: str,
    pad: int,
) -> None:
    x0, y0, _, _ = draw.textbbox((0, 0), text, font=font)
    left, top = place
    draw.rectangle((left, top, left + tag[0], top + tag[1]), fill=shade)
    draw.text((left + pad - x0, top + pad - y0), text, font=font, fill=_ink(shade))


def _ink(shade: str) -> str:
    red, green, blue = (int(shade[i : i + 2], 16) for i in (1, 3, 5))
    return "#111111" if 0.299 * red + 0.587 * green + 0.114 * blue > 150 else "#ffffff"
