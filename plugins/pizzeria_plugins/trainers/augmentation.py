"""Random changes to training photos, made on uint8 pixels, with the boxes moved along."""

from __future__ import annotations

from typing import Literal

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


def augment(
    image: NDArray[np.uint8], boxes: Boxes | None, level: Level, rng: np.random.Generator
) -> tuple[NDArray[np.uint8], Boxes | None]:
    """Change one photo at random.

    Args:
        image: uint8 [H, W, 3].
        boxes: In pixels of `image`, or None where there are none to move.
        level: `none`; `flip`: left and right; `standard`: also zoom, shift, stretch, and colour.
        rng: Decides everything.

    Returns:
        Photo and boxes of the same kind.
    """
    if level == "none":
        return image, boxes
    if level == "standard":
        image, boxes = _frame(image, boxes, rng)
        image = _recolour(image, rng)
    if rng.random() < 0.5:
        image, boxes = _flip(image, boxes)
    return image, boxes


def usable(boxes: Boxes) -> Boxes:
    """Without boxes that are too thin to be learnt from."""
    sides = boxes.xyxy[:, 2:] - boxes.xyxy[:, :2]
    return _choose(boxes, sides.min(axis=1, initial=np.inf) >= LEAST_SIDE)


def _flip(image: NDArray[np.uint8], boxes: Boxes | None) -> tuple[NDArray[np.uint8], Boxes | None]:
    if boxes is not None:
        xyxy = boxes.xyxy.copy()
        xyxy[:, [0, 2]] = image.shape[1] - boxes.xyxy[:, [2, 0]]
        boxes = Boxes(xyxy, boxes.scores, boxes.labels)
    return image[:, ::-1], boxes


def _frame(
    image: NDArray[np.uint8], boxes: Boxes | None, rng: np.random.Generator
) -> tuple[NDArray[np.uint8], Boxes | None]:
    """Look at a window of the photo that is up to 1.4 times smaller or larger, stretched a little, and shifted."""
    height, width = image.shape[:2]
    zoom = np.exp(rng.uniform(-np.log(1.4), np.log(1.4)))
    stretch = np.exp(rng.uniform(-0.1, 0.1))
    size = np.array([width * zoom * stretch, height * zoom / stretch])
    corner = rng.uniform(0, 1, 2) * (np.array([width, height]) - size)
    window = (corner[0], corner[1], corner[0] + size[0], corner[1] + size[1])
    seen = Image.fromarray(image).transform(
        (width, height), Image.Transform.EXTENT, window, Image.Resampling.BILINEAR, fillcolor=FILL
    )
    if boxes is not None:
        boxes = _move(boxes, corner, np.array([width, height]) / size, (height, width))
    return np.asarray(seen), boxes


def _move(boxes: Boxes, corner: NDArray[np.float64], scale: NDArray[np.float64], shape: tuple[int, int]) -> Boxes:
    height, width = shape
    moved = ((boxes.xyxy - np.tile(corner, 2)) * np.tile(scale, 2)).astype(np.float32)
    clipped = np.clip(moved, 0, np.array([width, height] * 2, np.float32))
    visible = _area(clipped) >= LEAST_VISIBLE * _area(moved)
    return _choose(Boxes(clipped, boxes.scores, boxes.labels), visible)


def _recolour(image: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    """Brightness, contrast, gamma and tint, as one look-up table for each channel."""
    levels = np.linspace(0, 1, 256) ** np.exp(rng.uniform(-0.25, 0.25))
    contrast, brightness = rng.uniform(0.75, 1.25), rng.uniform(-0.12, 0.12)
    tint = rng.uniform(0.9, 1.1, 3)
    table = np.clip(((levels[:, None] - 0.5) * contrast + 0.5 + brightness) * tint * 255, 0, 255).astype(np.uint8)
    return np.asarray(Image.fromarray(image).point(table.T.ravel().tolist()))


def _area(xyxy: NDArray[np.float32]) -> NDArray[np.float32]:
    sides: NDArray[np.float32] = np.maximum(xyxy[:, 2:] - xyxy[:, :2], 0).prod(axis=1)
    return sides


def _choose(boxes: Boxes, keep: NDArray[np.bool_]) -> Boxes:
    return Boxes(boxes.xyxy[keep], boxes.scores[keep], boxes.labels[keep])
