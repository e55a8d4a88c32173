"""Which parts of a photo an answer rests on: RISE (Petsiuk, Das and Saenko 2018, arXiv:1806.07421).

Parts of the photo are hidden at random, and the network is asked again: a part matters as much as the probability is
higher where it shows. No gradient is needed, so this works on any ONNX graph.

Each mask shows what another one hides. Then every pixel is shown in just half of them, and the noise of a plain draw,
in which some pixels are shown more often than others, is gone. What is hidden takes the photo's mean colour: black, or
the network's grey, would be a new thing to see, and make the photo darker or lighter as a whole.
"""

from __future__ import annotations

import base64
import time
from dataclasses import dataclass
from functools import cache
from io import BytesIO
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pizzeria.inference.answers import PhotoAnswer
from pizzeria.inference.photos import Photo
from pizzeria.inference.predictor import Predictor
from pizzeria.inference.resize import Geometry, resize

MASKS = 256
"""Masks of one explanation, if time allows."""
FEWEST_MASKS = 32
"""Masks that are tried whatever time it takes; fewer say nothing."""
CELLS = 7
"""Cells of a mask along each side; each is shown or hidden as a whole, with soft edges."""
LONGER_SIDE = 224
"""Pixels of a map's longer side, at most."""
_BATCH = 8
_NOTHING = 1e-6
"""A difference of probability that is only rounding."""
_SEED = 0


@dataclass(frozen=True)
class Saliency:
    """How much each part of a photo matters.

    Attributes:
        map: uint8 [h, w] over the whole upright photo, longer side at most `LONGER_SIDE`: 255 where it matters most,
            0 where it matters least or the network sees nothing. All 0 when no part matters more than another.
        masks: How many masks it rests on.
    """

    map: NDArray[np.uint8]
    masks: int

    def png(self) -> str:
        """The map as an 8-bit grey PNG in base64."""
        stream = BytesIO()
        Image.fromarray(self.map).save(stream, "PNG")
        return base64.b64encode(stream.getvalue()).decode()


def explain_photo(predictor: Predictor, photo: Photo, answer: PhotoAnswer, timeout_s: float) -> dict[str, Any]:
    """The `explanation` in the answer of `POST /predict`, of the most probable class.

    Args:
        predictor: Of a classifier, single-label or multi-label.
        photo: What was answered.
        answer: Of the predictor.
        timeout_s: See `saliency`.

    Returns:
        {"class", "method": "rise", "masks": how many were tried, "image": base64 PNG}.
    """
    best = int(answer.probabilities.argmax())
    found = saliency(predictor, photo, best, timeout_s=timeout_s)
    return {
        "class": predictor.bundle.classes[best],
        "method": "rise",
        "masks": found.masks,
        "image": found.png(),
    }


def saliency(
    predictor: Predictor, photo: Photo, label: int, *, masks: int = MASKS, timeout_s: float = float("inf")
) -> Saliency:
    """Where the probability of a class comes from. The same photo always gives the same map, if time does not run out.

    Args:
        predictor: Of a classifier, single-label or multi-label.
        photo: From `pizzeria.inference.photos.decode`.
        label: Index of the class.
        masks: How many to try; an odd one more.
        timeout_s: After so many seconds no more are begun, once there are `FEWEST_MASKS`.
    """
    until = time.monotonic() + timeout_s
    pixels, geometry = resize(photo.image, predictor.bundle.preprocessing, (photo.width, photo.height))
    left, top, right, bottom = _seen(geometry, photo, pixels)
    shown = pixels[top:bottom, left:right].astype(np.float32)
    mean = shown.mean(axis=(0, 1))
    detail = shown - mean
    found = np.zeros((bottom - top, right - left))
    pairs, done = -(-masks // 2), 0
    while done < pairs and (2 * done < FEWEST_MASKS or time.monotonic() < until):
        some = range(done, min(done + _BATCH // 2, pairs))
        half = np.stack([mask(number, bottom - top, right - left) for number in some])
        images = np.repeat(pixels[None], 2 * len(some), axis=0)
        for image, one in zip(images, (*half, *(1 - half)), strict=True):
            image[top:bottom, left:right] = np.rint(mean + detail * one[..., None])
        probabilities = predictor.network(images).presence(len(predictor.bundle.classes))[:, label]
        gains = probabilities[: len(some)] - probabilities[len(some) :]
        found += np.tensordot(gains, half - 0.5, axes=1)
        done += len(some)
    within = geometry.to_original(np.array([[left, top, right, bottom]]), photo.width, photo.height)[0]
    return Saliency(_over_photo(_grey(found / done), within, photo), 2 * done)


def mask(number: int, height: int, width: int) -> NDArray[np.float32]:
    """How much of each pixel a mask lets through: float32 [height, width] in [0, 1].

    A grid of cells, each 0 or 1, is moved by a random part of a cell and enlarged with bilinear interpolation.

    Args:
        number: The first, second ... mask; the same number always gives the same mask.
        height, width: Pixels.
    """
    cells, moved = _grid(number)
    rows = _interpolation(height, moved[0])
    columns = _interpolation(width, moved[1])
    return np.asarray(rows @ cells @ columns.T, np.float32)


@cache
def _grid(number: int) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    """Cells of one mask, one more than fit along each side, and by which part of a cell it is moved down and right."""
    rng = np.random.default_rng((_SEED, number))
    cells = rng.integers(0, 2, (CELLS + 1, CELLS + 1)).astype(np.float32)
    return cells, rng.random(2)


def _interpolation(pixels: int, moved: float) -> NDArray[np.float32]:
    """float32 [pixels, CELLS + 1]: how much of each cell's value each pixel takes."""
    at = ((np.arange(pixels) + 0.5) / pixels * CELLS + moved - 0.5).clip(0, CELLS)
    return np.asarray(np.maximum(0, 1 - np.abs(at[:, None] - np.arange(CELLS + 1))), np.float32)


def _seen(geometry: Geometry, photo: Photo, pixels: NDArray[np.uint8]) -> tuple[int, int, int, int]:
    """Left, top, right and bottom of the part of the network's image where the photo lies."""
    height, width = pixels.shape[:2]
    corners = geometry.to_network(np.array([[0, 0, photo.width, photo.height]]))[0]
    left, top, right, bottom = np.rint(corners).clip(0, [width, height, width, height]).astype(int).tolist()
    return left, top, right, bottom


def _grey(found: NDArray[np.float64]) -> NDArray[np.uint8]:
    """From least to greatest as 0 to 255."""
    least, most = float(found.min()), float(found.max())
    if most - least < _NOTHING:
        return np.zeros(found.shape, np.uint8)
    return np.asarray(np.rint((found - least) * (255 / (most - least))), np.uint8)


def _over_photo(grey: NDArray[np.uint8], within: NDArray[np.float32], photo: Photo) -> NDArray[np.uint8]:
    """The map of a part of the photo, [left, top, right, bottom] in its pixels, as a map of all of it."""
    scale = min(1.0, LONGER_SIDE / max(photo.width, photo.height))
    out = np.zeros((max(1, round(photo.height * scale)), max(1, round(photo.width * scale))), np.uint8)
    left, top, right, bottom = (round(float(pixel) * scale) for pixel in within)
    left, top = min(left, out.shape[1] - 1), min(top, out.shape[0] - 1)
    size = (max(1, right - left), max(1, bottom - top))
    fitted = Image.fromarray(grey).resize(size, Image.Resampling.BILINEAR)
    out[top : top + size[1], left : left + size[0]] = np.asarray(fitted)
    return out
