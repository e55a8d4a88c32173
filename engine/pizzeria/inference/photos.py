"""Decodes photos that strangers send: by their bytes, never by what a header or a file name claims."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import IO, Any

import numpy as np
from PIL import Image, ImageFile, JpegImagePlugin, PngImagePlugin, WebPImagePlugin

from pizzeria.errors import RequestError
from pizzeria.inference.resize import needed_size

FORMATS = ("JPEG", "PNG", "WebP")
_ORIENTATION = 0x0112
_MOST_PIXELS = 100_000_000  # of a PNG that is decoded to learn whether it is turned
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


@dataclass(frozen=True)
class Photo:
    """A decoded photo.

    Attributes:
        image: 8-bit RGB, upright; of a large JPEG perhaps only as large as the model needs it.
        width, height: Of the upright original, in pixels.
    """

    image: Image.Image
    width: int
    height: int


def decode(
    data: bytes,
    *,
    max_megapixels: float,
    preprocessing: Mapping[str, Any] | None = None,
    formats: Sequence[str] = FORMATS,
) -> Photo:
    """One photo, upright (EXIF orientation applied), in 8-bit RGB.

    Transparent parts lie over white; of an animation the first frame counts.

    Args:
        data: A whole JPEG, PNG or WebP file.
        max_megapixels: Millions of pixels, read from the file's header before anything is decoded.
        preprocessing: With it a JPEG may be decoded by a half, a quarter or an eighth, where that is still as large as
            `pizzeria.inference.resize` needs. It is faster, and no worse: the decoder leaves out
            what resizing would average away. Training must do the same as serving.
        formats: Those that are welcome, of `FORMATS`.

    Raises:
        RequestError: 400 empty, damaged or cut off; 413 too many pixels; 415 another format.

    Example:
        >>> stream = BytesIO()
        >>> Image.new("L", (8, 4), 200).save(stream, "PNG")
        >>> decode(stream.getvalue(), max_megapixels=1).image.getpixel((0, 0))
        (200, 200, 200)
    """
    wanted = ", ".join(formats)
    if not data:
        raise RequestError(400, "empty_body", "no bytes came where a photo should be", hint="send a photo as the body")
    kind = format_of(data)
    if kind is None:
        raise RequestError(
            415, "not_a_photo", f"the bytes begin with {data[:8]!r}, which is no photo", hint=f"send {wanted}"
        )
    if kind not in formats:
        raise RequestError(415, "format_not_allowed", f"{kind} is not welcome here", hint=f"send {wanted}")
    try:
        image = open_stored(kind, BytesIO(data))
        width, height = image.size
    except Image.DecompressionBombError as error:  # WebP checks Pillow's own limit before it allocates anything
        raise RequestError(
            413, "too_many_pixels", str(error), hint=f"send at most {max_megapixels:g} megapixels"
        ) from None
    except MemoryError:
        raise
    except Exception as error:  # what Pillow raises for damaged files has no common class
        raise _undecodable(kind, error) from None
    if width * height > max_megapixels * 1e6:
        raise RequestError(
            413,
            "too_many_pixels",
            f"the photo has {width} x {height} = {width * height / 1e6:.1f} megapixels",
            hint=f"send at most {max_megapixels:g} megapixels",
        )
    try:
        orientation = orientation_of(image)
        turned = orientation >= 5  # a quarter turn: its sides change places
        if preprocessing is not None and kind == "JPEG":
            needed = needed_size((height, width) if turned else (width, height), preprocessing)
            image.draft(None, needed[::-1] if turned else needed)
        image.load()
        found = upright(rgb_of(image), orientation)
    except MemoryError:
        raise
    except Exception as error:
        raise _undecodable(kind, error) from None
    return Photo(found, height, width) if turned else Photo(found, width, height)


def format_of(data: bytes) -> str | None:
    """`JPEG`, `PNG` or `WebP` by the first bytes; None for anything else.

    Example:
        >>> format_of(b"RIFF\\x00\\x00\\x00\\x00WEBPVP8 "), format_of(b"GIF89a")
        ('WebP', None)
    """
    if data[:3] == b"\xff\xd8\xff":
        return "JPEG"
    if data[:8] == b"\x89PNG\r\n\x1a\n":
        return "PNG"
    return "WebP" if data[:4] == b"RIFF" and data[8:12] == b"WEBP" else None


def size_of(path: Path) -> tuple[int, int]:
    """Width and height of a photo file once it stands upright, in pixels, by its header; (0, 0) where it tells none.

    Besides `FORMATS`, BMP, GIF and TIFF are known: data for training may be of these.
    """
    return header_of(path)[:2]


def header_of(path: Path) -> tuple[int, int, int]:
    """As `size_of`, and the orientation by which it was turned to stand upright: EXIF's, 1 to 8."""
    try:
        with open(path, "rb") as stream:
            kind = stored_format_of(stream.read(16))
            if kind is None:
                return 0, 0, 1
            stream.seek(0)
            image = open_stored(kind, stream)
            width, height = image.size
            if width * height > _MOST_PIXELS:  # the EXIF data of a PNG may come last, and then all of it is decoded
                return width, height, 1
            orientation = orientation_of(image)
            turned = orientation >= 5 and kind != "TIFF"  # Pillow turns a TIFF by itself
            return (height, width, orientation) if turned else (width, height, orientation)
    except MemoryError:
        raise
    except Exception:  # what Pillow raises for damaged files has no common class
        return 0, 0, 1


def stored_format_of(data: bytes) -> str | None:
    """As `format_of`, and also BMP, GIF and TIFF, which are not served but may lie among data for training.

    Example:
        >>> stored_format_of(b"GIF89a"), stored_format_of(b"%PDF-1.7")
        ('GIF', None)
    """
    if data[:2] == b"BM":
        return "BMP"
    if data[:6] in (b"GIF87a", b"GIF89a"):
        return "GIF"
    return "TIFF" if data[:4] in (b"II*\0", b"MM\0*") else format_of(data)


def open_stored(kind: str, stream: IO[bytes]) -> ImageFile.ImageFile:
    """A photo of which only the header is read yet. Pillow's own limit of pixels does not hold: ask for its `size`.

    Args:
        kind: As `stored_format_of` says.
    """
    # Not Image.open: it warns of (or refuses) large photos by a process-wide limit, and here each caller has its own.
    if kind == "JPEG":
        return JpegImagePlugin.jpeg_factory(stream)
    if kind == "PNG":
        return PngImagePlugin.PngImageFile(stream)
    if kind == "WebP":
        return WebPImagePlugin.WebPImageFile(stream)
    from PIL import BmpImagePlugin, GifImagePlugin, TiffImagePlugin

    stored = {"BMP": BmpImagePlugin.BmpImageFile, "GIF": GifImagePlugin.GifImageFile}
    return stored.get(kind, TiffImagePlugin.TiffImageFile)(stream)


def rgb_of(image: Image.Image) -> Image.Image:
    """In 8-bit RGB: transparent parts lie over white, 16-bit greys keep their upper half."""
    if image.mode == "RGB" and "transparency" not in image.info:
        return image  # as it is; `convert` would copy it
    if image.mode.startswith("I"):  # 16-bit greys; Pillow's own conversion would clip them
        return Image.fromarray((np.asarray(image).astype(np.uint32) >> 8).astype(np.uint8)).convert("RGB")
    if "A" in image.getbands() or "transparency" in image.info:
        layer = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", layer.size, "white"), layer).convert("RGB")
    return image.convert("RGB")


def orientation_of(image: Image.Image) -> int:
    """EXIF's orientation, 1 (upright) to 8; from 5 on the sides change places."""
    try:
        found = int(image.getexif().get(_ORIENTATION, 1))
        return found if found in _TURNS else 1
    except Exception:  # a photo with broken EXIF data is still a photo
        return 1


def upright(image: Image.Image, orientation: int) -> Image.Image:
    """Turned (or mirrored) as `orientation` says."""
    turn = _TURNS.get(orientation)
    return image if turn is None else image.transpose(turn)


def _undecodable(kind: str, error: Exception) -> RequestError:
    return RequestError(
        400,
        "not_decodable",
        f"the {kind} cannot be decoded: {str(error) or type(error).__name__}",
        hint="the file is damaged or cut off; send it whole",
    )
