"""Looks at one photo: what it is, whether all of it can be decoded, and what it looks like in numbers."""

from __future__ import annotations

from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageFile

from pizzeria.inference.photos import open_stored, orientation_of, rgb_of, stored_format_of, upright
from pizzeria.inference.resize import Geometry
from pizzeria.inference.statistics import image_statistics
from pizzeria.intake.hashes import dhash, phash

VERSION = 1
"""Counts up when the same bytes would give other answers, so that what is kept of earlier versions is not used."""
MEASURES = ("brightness", "contrast", "saturation", "sharpness", "entropy")
DARK, BRIGHT = 10, 245
"""Luma of 255 up to which a pixel is dark, and from which it is bright."""
SERVED = ("JPEG", "PNG", "WebP")
"""Formats that stay as they are."""
_MEASURED_SIDE = 512
_FLOATING = "F"


@dataclass(frozen=True)
class Inspection:
    """What was seen of one file, by its bytes alone.

    Attributes:
        width, height: Pixels of the upright photo; 0 where they are not known.
        problem: Why it is not readable; empty where it is.
        format: `JPEG`, `PNG`, `WebP`, `BMP`, `GIF` or `TIFF`; empty where it is none of them.
        mode: Pillow's: `RGB`, `CMYK`, `P` ...
        depth: Bits of each colour, 8 or 16.
        frames: More than 1 for an animation, or several pages.
        orientation: EXIF's, 1 to 8.
        measures: `MEASURES`, dark_share and bright_share; empty where it is not readable.
        phash, dhash: 16 hex digits; empty where it is not readable.
    """

    sha256: str = ""
    bytes: int = 0
    width: int = 0
    height: int = 0
    problem: str = ""
    format: str = ""
    mode: str = ""
    depth: int = 8
    transparent: bool = False
    frames: int = 1
    orientation: int = 1
    measures: dict[str, float] = field(default_factory=dict)
    phash: str = ""
    dhash: str = ""


def inspect(data: bytes, digest: str, max_megapixels: float) -> Inspection:
    """Look at the bytes of one file; never raises for what they are.

    A large JPEG is decoded smaller than it is: all of it is read, and damage is found, sooner.

    Args:
        digest: sha256 of the bytes, as hex digits.
        max_megapixels: A photo with more million pixels is not decoded.

    Example:
        >>> inspect(b"", "e3b0...", 100).problem
        'is empty (0 bytes)'
    """
    seen: dict[str, Any] = {"sha256": digest, "bytes": len(data)}
    if not data:
        return Inspection(**seen, problem="is empty (0 bytes)")
    kind = stored_format_of(data)
    if kind is None:
        return Inspection(**seen, problem=f"is no JPEG, PNG, WebP, BMP, GIF or TIFF: it begins with {data[:8]!r}")
    try:
        image = open_stored(kind, BytesIO(data))
        seen |= {"width": image.width, "height": image.height, "format": kind, "mode": image.mode}
        if image.width * image.height > max_megapixels * 1e6:
            return Inspection(**seen, problem=f"has too many pixels: more than {max_megapixels:g} million")
        seen |= _header(image, kind, data)
        if image.mode.startswith(_FLOATING) or (image.mode == "I" and seen["depth"] > 16):
            return Inspection(**seen, problem=f"cannot be decoded: what is white in mode {image.mode} is not known")
        if kind == "PNG":  # it has check sums, and Pillow would show black where they do not hold
            open_stored(kind, BytesIO(data)).verify()
        image.draft(None, _smaller(image))
        image.load()
        # The orientation was read before: once a TIFF is loaded, Pillow has turned it.
        upright_rgb = upright(rgb_of(image), 1 if kind == "TIFF" else seen["orientation"])
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        return Inspection(**seen, problem="has too many pixels: more than Pillow decodes")
    except MemoryError:
        raise
    except Exception as error:  # what Pillow raises for damaged files has no common class
        return Inspection(**seen, problem=f"cannot be decoded: {str(error) or type(error).__name__}")
    return Inspection(
        **seen,
        measures=_measures(upright_rgb, seen["width"], seen["height"]),
        phash=f"{phash(upright_rgb):016x}",
        dhash=f"{dhash(upright_rgb):016x}",
    )


def decoded(path: Path) -> Image.Image:
    """A whole photo, upright and in 8-bit RGB, that `inspect` found readable."""
    with open(path, "rb") as stream:
        kind = stored_format_of(stream.read(16))
        assert kind is not None
        stream.seek(0)
        image = open_stored(kind, stream)
        orientation = 1 if kind == "TIFF" else orientation_of(image)
        image.load()
        return upright(rgb_of(image), orientation)


def _header(image: ImageFile.ImageFile, kind: str, data: bytes) -> dict[str, Any]:
    """What the header tells; of a PNG without EXIF data, Pillow decodes all to see whether they come last."""
    width, height = image.size
    orientation = orientation_of(image)
    if orientation >= 5 and kind != "TIFF":  # Pillow says the size of a TIFF as it turns it
        width, height = height, width
    return {
        "width": width,
        "height": height,
        "depth": _depth(image, kind, data),
        "transparent": "A" in image.getbands() or "transparency" in image.info,
        "frames": _frames(image),
        "orientation": orientation,
    }


def _frames(image: ImageFile.ImageFile) -> int:
    try:
        return int(getattr(image, "n_frames", 1))
    except Exception:  # the frames behind the first may be damaged, and are not used
        return 1


def _depth(image: ImageFile.ImageFile, kind: str, data: bytes) -> int:
    """Bits of each colour; Pillow's mode says it of greys alone."""
    if kind == "PNG" and len(data) > 24:
        return max(8, data[24])
    if kind == "TIFF":
        bits = getattr(image, "tag_v2", {}).get(258, 8)
        return max(8, *map(int, bits if isinstance(bits, tuple) else (bits,)))
    return 8


def _smaller(image: Image.Image) -> tuple[int, int]:
    scale = min(1.0, _MEASURED_SIDE / max(image.size))
    return max(1, round(image.width * scale)), max(1, round(image.height * scale))


def _measures(image: Image.Image, width: int, height: int) -> dict[str, float]:
    """On about 512 pixels along the longer side."""
    size = _smaller(image)
    seen = image if size == image.size else image.resize(size, Image.Resampling.BILINEAR, reducing_gap=2.0)
    pixels = np.asarray(seen)
    found = image_statistics(pixels, Geometry(1, 1, 0, 0), seen.width, seen.height)
    luma = np.asarray(seen.convert("L"))
    shares = {"dark_share": float((luma <= DARK).mean()), "bright_share": float((luma >= BRIGHT).mean())}
    return {name: found[name] for name in MEASURES} | {name: round(share, 6) for name, share in shares.items()}
