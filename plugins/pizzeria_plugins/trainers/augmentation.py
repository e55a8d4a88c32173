"""Random changes to one training photo, made on uint8 pixels, with the boxes moved along."""

from __future__ import annotations

import math
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pizzeria.predictions import Boxes

Level = Literal["none", "flip", "standard"]

FILL = (114, 114, 114)
"""What shows where a zoomed-out photo ends; the colour that `pizzeria.inference.resize` pads with."""

LEAST_VISIBLE = 0.35
"""A box of which less is left inside the photo is dropped."""

LEAST_SIDE = 2.0
"""A box whose shorter side is less than so many pixels is dropped."""

_ZOOM = (1 / 1.4, 1.4)
_STRETCH = 1.1
_LEVELS = np.linspace(0, 1, 256, dtype=np.float32)


class Window(NamedTuple):
    """What is looked at, in pixels of a photo; it may reach over the photo's edges."""

    left: float
    top: float
    right: float
    bottom: float


def augment(
    image: NDArray[np.uint8],
    boxes: Boxes | None,
    level: Level,
    rng: np.random.Generator,
    size: tuple[int, int] | None = None,
) -> tuple[NDArray[np.uint8], Boxes | None]:
    """Change one photo at random.

    Args:
        image: uint8 [H, W, 3].
        boxes: In pixels of `image`, or None where there are none to move.
        level: `none`; `flip`: left and right; `standard`: also zoom, shift, stretch, and colour.
        rng: Decides everything.
        size: Height and width of what comes out; None for those of `image`.

    Returns:
        Photo and boxes of the same kind.
    """
    height, width = image.shape[:2]
    size = size or (height, width)
    if level == "none" and size == (height, width):
        return image, boxes
    photo = Image.fromarray(image)
    if level == "standard":
        photo, boxes = show(photo, boxes, random_window(photo, photo.size, _ZOOM, rng), size)
        photo = recolour(photo, rng)
    elif size != (height, width):
        photo, boxes = show(photo, boxes, Window(0, 0, width, height), size)
    if level != "none":
        photo, boxes = maybe_flip(photo, boxes, rng)
    return np.asarray(photo), boxes


def usable(boxes: Boxes) -> Boxes:
    """Without boxes that are too thin to be learnt from."""
    sides = boxes.xyxy[:, 2:] - boxes.xyxy[:, :2]
    return _choose(boxes, sides.min(axis=1, initial=np.inf) >= LEAST_SIDE)


def random_window(
    photo: Image.Image, view: tuple[float, float], zoom: tuple[float, float], rng: np.random.Generator
) -> Window:
    """A place in the photo, or around it where it is smaller than what is looked at.

    Args:
        photo: The photo.
        view: Width and height of what is looked at when nothing is zoomed, in pixels of the photo.
        zoom: Smallest and largest factor by which things may look larger.
        rng: Decides.
    """
    factor = math.exp(rng.uniform(math.log(zoom[0]), math.log(zoom[1])))
    stretch = math.exp(rng.uniform(-math.log(_STRETCH), math.log(_STRETCH)))
    width, height = view[0] / factor * stretch, view[1] / factor / stretch
    left, top = rng.random() * (photo.width - width), rng.random() * (photo.height - height)
    return Window(left, top, left + width, top + height)


def show(
    photo: Image.Image, boxes: Boxes | None, window: Window, size: tuple[int, int]
) -> tuple[Image.Image, Boxes | None]:
    """What a window of a photo shows, as a photo of `size` (height and width), with the boxes that are seen there."""
    height, width = size
    x, first_x, last_x = _span(window.left, window.right, photo.width, width)
    y, first_y, last_y = _span(window.top, window.bottom, photo.height, height)
    # Reading a part of the photo is twice as fast as `transform`, and smooth where the photo gets smaller.
    part = (last_x - first_x, last_y - first_y)
    seen = photo.resize(part, Image.Resampling.BILINEAR, (x[0], y[0], x[1], y[1]))
    if part != (width, height):
        whole = Image.new("RGB", (width, height), FILL)
        whole.paste(seen, (first_x, first_y))
        seen = whole
    return seen, None if boxes is None else _move(boxes, window, size)


def maybe_flip(photo: Image.Image, boxes: Boxes | None, rng: np.random.Generator) -> tuple[Image.Image, Boxes | None]:
    """Left and right changed over, every other time."""
    if rng.random() < 0.5:
        return photo, boxes
    if boxes is not None:
        xyxy = boxes.xyxy.copy()
        xyxy[:, [0, 2]] = photo.width - boxes.xyxy[:, [2, 0]]
        boxes = Boxes(xyxy, boxes.scores, boxes.labels)
    return photo.transpose(Image.Transpose.FLIP_LEFT_RIGHT), boxes


def recolour(photo: Image.Image, rng: np.random.Generator) -> Image.Image:
    """Brightness, contrast, gamma and tint, as one look-up table for each channel."""
    gamma, contrast, brightness, *tint = rng.uniform(
        (-0.25, 0.75, -0.12, 0.9, 0.9, 0.9), (0.25, 1.25, 0.12, 1.1, 1.1, 1.1)
    )
    levels = (_LEVELS ** np.float32(math.exp(gamma)) - 0.5) * contrast + (0.5 + brightness)
    table = np.outer(np.multiply(tint, 255), levels).clip(0, 255).astype(np.uint8)
    return photo.point(table.ravel().tolist())


def _span(low: float, high: float, length: int, pixels: int) -> tuple[tuple[float, float], int, int]:
    """Along one axis: what of a photo of `length` is seen between `low` and `high`, and in which of `pixels`."""
    scale = pixels / (high - low)
    first, last = round(max(0.0, -low * scale)), round(min(pixels, (length - low) * scale))
    return (max(0.0, low + first / scale), min(length, low + last / scale)), first, last


def _move(boxes: Boxes, window: Window, size: tuple[int, int]) -> Boxes:
    height, width = size
    scale = np.array([width / (window.right - window.left), height / (window.bottom - window.top)] * 2)
    moved = ((boxes.xyxy - np.array([window.left, window.top] * 2)) * scale).astype(np.float32)
    clipped = np.clip(moved, 0, np.array([width, height] * 2, np.float32))
    visible = _area(clipped) >= LEAST_VISIBLE * _area(moved)
    return _choose(Boxes(clipped, boxes.scores, boxes.labels), visible)


def _area(xyxy: NDArray[np.float32]) -> NDArray[np.float32]:
    sides: NDArray[np.float32] = np.maximum(xyxy[:, 2:] - xyxy[:, :2], 0).prod(axis=1)
    return sides


def _choose(boxes: Boxes, keep: NDArray[np.bool_]) -> Boxes:
    return Boxes(boxes.xyxy[keep], boxes.scores[keep], boxes.labels[keep])
