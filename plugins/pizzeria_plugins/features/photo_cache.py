"""Decodes, resizes and measures each photo once for each way of doing so, whatever runs ask for it."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pizzeria.contracts import Progress
from pizzeria.errors import DataError, RequestError
from pizzeria.inference import photos, resize, statistics
from pizzeria.inference.predictor import usable_cores
from pizzeria_plugins.features.naming import listed
from pizzeria_plugins.features.pack_cache import Made, PackCache, Place, at_once, prune

if TYPE_CHECKING:
    import pandas as pd

KIND = "photos"
"""Name of the folder of the cache."""


def content_of(images: pd.DataFrame, progress: Progress) -> list[str]:
    """The sha256 of each photo: as `collect` found it, or by reading the file where the table does not tell.

    A file that cannot be read has its path instead, and is refused when it is to be decoded.
    """
    if "sha256" in images and images["sha256"].notna().all():
        return [str(value) for value in images["sha256"]]
    found = []
    for path in progress.track(images["path"].astype(str).tolist(), "reading photos"):
        try:
            with open(path, "rb") as stream:
                found.append(hashlib.file_digest(stream, "sha256").hexdigest())
        except OSError:
            found.append(path)
    return found


def resized(
    paths: Sequence[str],
    content: Sequence[str],
    preprocessing: Mapping[str, Any],
    max_megapixels: float,
    progress: Progress,
) -> list[Place]:
    """Where each photo lies, decoded and resized: uint8 [H, W, 3] RGB, with what is known of it (`facts`).

    `facts` are `width` and `height` of the upright photo, `scale_x`, `scale_y`, `offset_x`, `offset_y` of
    `pizzeria.inference.resize.Geometry`, and the image statistics. What is not in the cache is decoded in threads;
    Pillow frees the interpreter meanwhile.

    Args:
        paths: N files.
        content: N, sha256 of each.
        preprocessing: As `pizzeria.inference.resize` takes it.
        max_megapixels: A larger photo is refused.
        progress: Told of each photo that is decoded.

    Raises:
        DataError: photos cannot be read, or are no longer those that were collected; names them.
    """
    shelf = PackCache(KIND, way_of(preprocessing), progress)
    path_of = dict(zip(content, paths, strict=True))
    before = shelf.find(path_of)
    work = _Decoder(path_of, preprocessing, max_megapixels, progress, len(path_of) - len(before))
    with ThreadPoolExecutor(max_workers=usable_cores()) as pool:
        work.pool = pool
        try:
            found = shelf.fill(content, at_once(int(np.prod(preprocessing["size"])) * 3), work)
        except BaseException:  # Ctrl-C: do not decode the rest first
            pool.shutdown(cancel_futures=True)
            raise
    faults = dict(work.faults)
    for key, place in before.items():
        width, height = place.facts["width"], place.facts["height"]
        if width * height > max_megapixels * 1e6:
            faults[key] = f"the photo has {width} x {height} = {width * height / 1e6:.1f} megapixels"
    _refuse([f"{path}: {faults[key]}" for key, path in zip(content, paths, strict=True) if key in faults])
    if before:
        progress.say(f"{len(path_of)} photos: {len(path_of) - len(before)} decoded, {len(before)} from the cache")
    prune(KIND)
    return [found[key] for key in content]


class _Decoder:
    """Makes packs of photos; keeps what went wrong, by key."""

    pool: ThreadPoolExecutor

    def __init__(
        self,
        path_of: Mapping[str, str],
        preprocessing: Mapping[str, Any],
        max_megapixels: float,
        progress: Progress,
        total: int,
    ) -> None:
        self.faults: dict[str, str] = {}
        self._path_of = path_of
        self._preprocessing = preprocessing
        self._max_megapixels = max_megapixels
        self._progress = progress
        self._total, self._done = total, 0
        self._lock = threading.Lock()

    def __call__(self, keys: Sequence[str]) -> Made:
        height, width = self._preprocessing["size"]
        pixels = np.empty((len(keys), height, width, 3), np.uint8)
        facts = list(self._counted(self.pool.map(self._one, keys, pixels)))
        good = [i for i, fact in enumerate(facts) if isinstance(fact, dict)]
        self.faults |= {keys[i]: str(fact) for i, fact in enumerate(facts) if isinstance(fact, str)}
        return Made(
            [keys[i] for i in good],
            pixels if len(good) == len(keys) else pixels[good],
            [fact for fact in facts if isinstance(fact, dict)],
        )

    def _counted(self, facts: Iterator[dict[str, Any] | str]) -> Iterator[dict[str, Any] | str]:
        for fact in facts:
            self._done += 1
            self._progress.update("photos", self._done, max(self._done, self._total))
            yield fact

    def _one(self, key: str, pixels: np.ndarray[Any, np.dtype[np.uint8]]) -> dict[str, Any] | str:
        """Fill `pixels`; what is known of the photo, or what is wrong with it."""
        path = Path(self._path_of[key])
        try:
            data = path.read_bytes()
            # A converted photo goes by the content of its original, and has its name.
            if hashlib.sha256(data).hexdigest() != key and path.stem != key:
                return "the file has changed since it was collected; run again"
            photo = photos.decode(data, max_megapixels=self._max_megapixels, preprocessing=self._preprocessing)
        except RequestError as error:
            return error.message
        except OSError as error:
            return str(error.strerror)
        size = (photo.width, photo.height)
        pixels[:], geometry = resize.resize(photo.image, self._preprocessing, size)
        return {
            "width": photo.width,
            "height": photo.height,
            "scale_x": geometry.scale_x,
            "scale_y": geometry.scale_y,
            "offset_x": geometry.offset_x,
            "offset_y": geometry.offset_y,
        } | statistics.image_statistics(pixels, geometry, *size)


def way_of(preprocessing: Mapping[str, Any]) -> dict[str, Any]:
    """All that decides the pixels of a photo, and what is measured of them."""
    used = {name: preprocessing[name] for name in ("size", "resize")}
    if preprocessing["resize"] == "letterbox":
        used["fill"] = preprocessing["fill"]
    return used | {"decoder": decoder_version()}


@cache
def decoder_version() -> str:
    """Changes with Pillow, the decoders in it, and our own code that decodes, resizes and measures."""
    import PIL
    from PIL import features

    parts = [PIL.__version__, *(str(features.version(name)) for name in ("libjpeg_turbo", "jpg", "zlib", "webp"))]
    code = [Path(str(module.__file__)).read_bytes() for module in (photos, resize, statistics)]
    return hashlib.sha256(b"\0".join([*(part.encode() for part in parts), *code])).hexdigest()[:16]


def _refuse(faults: Sequence[str]) -> None:
    if faults:
        raise DataError(f"{len(faults)} photos cannot be read: {listed(faults)}", hint="remove or replace these files")
