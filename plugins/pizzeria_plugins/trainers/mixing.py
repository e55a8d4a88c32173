"""Training photos made of several: mosaic of four, mixup and cutmix of two; all on uint8 pixels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from timm.data.mixup import mixup_target
from torch import Tensor

from pizzeria.predictions import Boxes
from pizzeria_plugins.trainers.augmentation import Level, maybe_flip, random_window, recolour, show

Photo = tuple[NDArray[np.uint8], Boxes]

_ZOOM = (0.5, 1.2)
"""How large things look in a mosaic, as against the photo as it is."""
_CENTRE = (0.3, 0.7)
"""Where the four photos of a mosaic may meet, as shares of its sides."""
_ALPHA_BOXES = 8.0
"""Both photos of a mixed pair stay visible, for both have boxes to be found (https://arxiv.org/abs/1902.04103)."""
_ALPHA_CLASSES = 0.8
"""Mostly one of the two, as in timm's recipes; for cutmix it is 1 (https://arxiv.org/abs/1905.04899)."""


def mosaic(photos: Sequence[Photo], level: Level, rng: np.random.Generator, size: tuple[int, int]) -> Photo:
    """One photo of four, each seen through a window of its own, which meet at a random point (YOLOv4,
    https://arxiv.org/abs/2004.10934).

    Args:
        photos: Four photos, uint8 [H, W, 3] each, with boxes in their pixels.
        level: What else is changed at random: see `augmentation.augment`.
        rng: Decides everything.
        size: Height and width of what comes out.
    """
    height, width = size
    x, y = (round(rng.uniform(*_CENTRE) * side) for side in (width, height))
    whole = Image.new("RGB", (width, height))
    found = []
    for (image, boxes), (left, top, right, bottom) in zip(
        photos, [(0, 0, x, y), (x, 0, width, y), (0, y, x, height), (x, y, width, height)], strict=True
    ):
        tile, photo = (bottom - top, right - left), Image.fromarray(image)
        # At a zoom of 1 things look as large as in the whole photo brought to `size`.
        view = (tile[1] * photo.width / width, tile[0] * photo.height / height)
        seen, moved = show(photo, boxes, random_window(photo, view, _ZOOM, rng), tile)
        if level != "none":
            seen, moved = maybe_flip(seen, moved, rng)
        assert moved is not None
        whole.paste(seen, (left, top))
        found.append(Boxes(moved.xyxy + np.array([left, top] * 2, np.float32), moved.scores, moved.labels))
    if level == "standard":
        whole = recolour(whole, rng)
    return np.asarray(whole), _together(found)


def mix_boxes(photos: Sequence[Photo], rng: np.random.Generator) -> list[Photo]:
    """Each photo of a batch laid over the one that is as far from the batch's other end, with the boxes of both."""
    share = rng.beta(_ALPHA_BOXES, _ALPHA_BOXES)
    pairs = zip(photos, reversed(photos), strict=True)
    return [(_blend(one[0], two[0], share), _together([one[1], two[1]])) for one, two in pairs]


def mix_classes(
    images: NDArray[np.uint8], targets: Tensor, classes: int, rng: np.random.Generator, *, cut: bool
) -> tuple[NDArray[np.uint8], Tensor]:
    """Each photo of a batch mixed with the one that is as far from the batch's other end, and so are the targets.

    Args:
        images: uint8 [N, H, W, 3].
        targets: int64 [N] class indices, or float32 [N, C] of 0 and 1.
        classes: C.
        rng: Decides everything.
        cut: Whether a rectangle of the other photo is put in (cutmix), instead of laying it over (mixup).

    Returns:
        Photos, and float32 [N, C] shares of the classes.
    """
    share = rng.beta(1, 1) if cut else rng.beta(_ALPHA_CLASSES, _ALPHA_CLASSES)
    if cut:
        mixed, share = _cut(images, share, rng)
    else:
        mixed = np.stack([_blend(one, two, share) for one, two in zip(images, images[::-1], strict=True)])
    target: Any = mixup_target(targets, classes, share, multi_label=targets.ndim == 2)
    return mixed, target


def _cut(images: NDArray[np.uint8], share: float, rng: np.random.Generator) -> tuple[NDArray[np.uint8], float]:
    """A rectangle of 1 - share of each photo from its partner; and the share that is left where it met an edge."""
    height, width = images.shape[1:3]
    side = np.sqrt(1 - share)
    x, y = rng.uniform(0, width), rng.uniform(0, height)
    left, right = (round(float(np.clip(x + sign * side * width / 2, 0, width))) for sign in (-1, 1))
    top, bottom = (round(float(np.clip(y + sign * side * height / 2, 0, height))) for sign in (-1, 1))
    mixed = images.copy()
    mixed[:, top:bottom, left:right] = images[::-1, top:bottom, left:right]
    return mixed, 1 - (right - left) * (bottom - top) / (width * height)


def _blend(one: NDArray[np.uint8], two: NDArray[np.uint8], share: float) -> NDArray[np.uint8]:
    """`share` of one photo, and the rest of the other."""
    return np.asarray(Image.blend(Image.fromarray(two), Image.fromarray(one), share))


def _together(parts: Sequence[Boxes]) -> Boxes:
    return Boxes(*(np.concatenate(found) for found in zip(*((p.xyxy, p.scores, p.labels) for p in parts), strict=True)))
