from __future__ import annotations

import struct
import zlib
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pizzeria.errors import RequestError
from pizzeria.inference.photos import decode, size_of
from pizzeria.inference.resize import needed_size, resize
from pizzeria.inference.statistics import image_statistics


def encoded(image: Image.Image, kind: str, **options: object) -> bytes:
    stream = BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def noise(size: tuple[int, int] = (64, 48)) -> Image.Image:
    return Image.fromarray(np.random.default_rng(0).integers(0, 255, (size[1], size[0], 3), np.uint8))


def refused(data: bytes, max_megapixels: float = 1) -> RequestError:
    with pytest.raises(RequestError) as caught:
        decode(data, max_megapixels=max_megapixels)
    assert caught.value.hint
    return caught.value


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_the_three_formats_come_back_as_rgb(kind: str) -> None:
    image = decode(encoded(Image.new("RGB", (30, 20), (200, 40, 40)), kind), max_megapixels=1).image
    assert (image.mode, image.size) == ("RGB", (30, 20))
    np.testing.assert_allclose(np.asarray(image)[10, 15], (200, 40, 40), atol=6)


@pytest.mark.parametrize("data", [b"GIF89a" + bytes(20), b"%PDF-1.7", b"<svg></svg>", b"hello", b"BM" + bytes(60)])
def test_other_formats_are_415_by_their_bytes(data: bytes) -> None:
    assert (refused(data).status, refused(data).code) == (415, "not_a_photo")


def test_nothing_is_400() -> None:
    assert (refused(b"").status, refused(b"").code) == (400, "empty_body")


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize("kept", [0.05, 0.5, 0.95])
def test_cut_off_photos_are_400(kind: str, kept: float) -> None:
    data = encoded(noise(), kind)
    assert refused(data[: max(12, int(len(data) * kept))]).status == 400


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_any_damage_is_answered_with_a_photo_or_a_4xx(kind: str) -> None:
    whole, random = encoded(noise((24, 16)), kind), np.random.default_rng(1)
    for _ in range(300):
        data = bytearray(whole)
        for position in random.integers(0, len(data), random.integers(1, 8)):
            data[position] = random.integers(0, 256)
        status = 200
        try:
            decode(bytes(data), max_megapixels=1)
        except RequestError as error:
            status = error.status
        assert status in (200, 400, 413, 415)


def test_pixels_are_counted_from_the_header_before_decoding() -> None:
    header = struct.pack(">IIBBBBB", 50_000, 50_000, 8, 2, 0, 0, 0)
    chunk = b"IHDR" + header
    bomb = b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + chunk + struct.pack(">I", zlib.crc32(chunk))
    bomb += struct.pack(">I", 4) + b"IDAT" + bytes(4) + struct.pack(">I", zlib.crc32(b"IDAT" + bytes(4)))
    error = refused(bomb, 40)
    assert (error.status, error.code) == (413, "too_many_pixels")
    assert "2500.0 megapixels" in error.message


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_one_pixel_too_many_is_413(kind: str) -> None:
    data = encoded(Image.new("RGB", (100, 101)), kind)
    assert refused(data, 0.01).status == 413
    assert decode(data, max_megapixels=0.0101).image.size == (100, 101)


def test_a_webp_that_claims_the_largest_canvas_is_413() -> None:
    canvas = (16_382).to_bytes(3, "little") * 2
    chunk = b"VP8X" + struct.pack("<I", 10) + bytes([2, 0, 0, 0]) + canvas
    assert refused(b"RIFF" + struct.pack("<I", 4 + len(chunk)) + b"WEBP" + chunk, 40).status == 413


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_applied(orientation: int) -> None:
    upright = Image.new("RGB", (20, 10), "white")
    upright.paste((255, 0, 0), (0, 0, 10, 5))  # red in the top left
    undo = {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }
    stored = upright.transpose(undo[orientation]) if orientation > 1 else upright
    exif = Image.Exif()
    exif[0x0112] = orientation
    for kind in ("PNG", "JPEG"):
        image = decode(encoded(stored, kind, exif=exif), max_megapixels=1).image
        assert image.size == (20, 10)
        np.testing.assert_allclose(image.getpixel((3, 1)), (255, 0, 0), atol=30)
        np.testing.assert_allclose(image.getpixel((17, 8)), (255, 255, 255), atol=30)


@pytest.mark.filterwarnings("ignore:Corrupt EXIF data")
def test_broken_exif_is_no_reason_to_refuse() -> None:
    data = encoded(Image.new("RGB", (8, 8)), "JPEG", exif=b"Exif\x00\x00MM\x00*\xff\xff\xff\xff")
    assert decode(data, max_megapixels=1).image.size == (8, 8)


def test_cmyk_becomes_rgb() -> None:
    data = encoded(Image.new("RGB", (16, 16), (220, 30, 30)).convert("CMYK"), "JPEG", quality=95)
    red, green, blue = decode(data, max_megapixels=1).image.getpixel((8, 8))
    assert red > 180 > 90 > max(green, blue)


def test_16_bit_greys_are_scaled_not_clipped() -> None:
    ramp = Image.fromarray(np.linspace(0, 65535, 256).astype(np.uint16).reshape(16, 16))
    values = np.asarray(decode(encoded(ramp, "PNG"), max_megapixels=1).image)[..., 0].ravel()
    np.testing.assert_allclose(values, np.arange(256), atol=1)


def test_transparent_parts_are_white() -> None:
    clear = Image.new("RGBA", (8, 8), (255, 0, 0, 0))
    half = Image.new("RGBA", (8, 8), (0, 0, 0, 128))
    for kind in ("PNG", "WEBP"):
        assert decode(encoded(clear, kind, lossless=True), max_megapixels=1).image.getpixel((4, 4)) == (255, 255, 255)
    assert decode(encoded(half, "PNG"), max_megapixels=1).image.getpixel((4, 4))[0] == pytest.approx(127, abs=2)
    palette = Image.new("P", (8, 8), 0)
    palette.putpalette([255, 0, 0, 0, 255, 0])
    assert decode(encoded(palette, "PNG"), max_megapixels=1).image.getpixel((4, 4)) == (255, 0, 0)
    assert decode(encoded(palette, "PNG", transparency=0), max_megapixels=1).image.getpixel((4, 4)) == (255, 255, 255)


def test_bilevel_and_grey_alpha() -> None:
    assert decode(encoded(Image.new("1", (8, 8), 1), "PNG"), max_megapixels=1).image.getpixel((0, 0)) == (255, 255, 255)
    assert (
        decode(encoded(Image.new("LA", (8, 8), (9, 0)), "PNG"), max_megapixels=1).image.getpixel((0, 0)) == (255,) * 3
    )


@pytest.mark.parametrize("kind", ["PNG", "WEBP"])
def test_of_an_animation_the_first_frame_counts(kind: str) -> None:
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "blue")]
    options = {"lossless": True} if kind == "WEBP" else {}
    data = encoded(frames[0], kind, save_all=True, append_images=frames[1:], **options)
    assert decode(data, max_megapixels=1).image.getpixel((4, 4)) == (255, 0, 0)


def test_real_photos_decode() -> None:
    folder = Path(__file__).resolve().parents[3] / "../shared/data/listings/photos"
    if not folder.is_dir():
        pytest.skip("../shared/data/listings is absent: no real photo is decoded")
    for path in sorted(folder.rglob("*.*"))[:20]:
        assert decode(path.read_bytes(), max_megapixels=40).image.mode == "RGB"


LETTERBOX = {"kind": "photos", "size": [256, 256], "resize": "letterbox", "fill": 114}


def scene(width: int, height: int) -> Image.Image:
    """Smooth shapes and edges, as photos have them."""
    x, y = np.meshgrid(np.linspace(0, 9, width), np.linspace(0, 7, height))
    waves = [128 + 100 * np.sin(x * f) * np.cos(y * g) for f, g in ((1, 1), (0.7, 1.9), (2.1, 0.4))]
    pixels = np.stack(waves, axis=2)
    pixels[height // 3 : height // 2, width // 4 : width // 2] = (220, 30, 60)
    return Image.fromarray(pixels.astype(np.uint8))


@pytest.mark.parametrize("size", [(640, 480), (480, 640), (2000, 1500), (1023, 777)])
@pytest.mark.parametrize("how", [LETTERBOX, LETTERBOX | {"size": [224, 224], "resize": "crop"}])
def test_a_large_jpeg_is_decoded_smaller_and_the_network_sees_the_same(
    size: tuple[int, int], how: dict[str, object]
) -> None:
    data = encoded(scene(*size), "JPEG", quality=92)
    whole, small = decode(data, max_megapixels=40), decode(data, max_megapixels=40, preprocessing=how)
    assert (small.width, small.height) == size == whole.image.size
    assert small.image.width < size[0]
    assert min(small.image.size) >= min(needed_size(size, how))
    (wanted, geometry), (found, small_geometry) = (
        resize(photo.image, how, (photo.width, photo.height)) for photo in (whole, small)
    )
    assert geometry == small_geometry
    assert np.abs(wanted.astype(int) - found).mean() < 2
    was, now = (image_statistics(pixels, geometry, *size) for pixels in (wanted, found))
    assert now.pop("sharpness") == pytest.approx(was.pop("sharpness"), abs=0.5)  # of 13; a logarithm
    assert now == pytest.approx(was, abs=0.05)


@pytest.mark.parametrize("orientation", [1, 3, 6, 8])
def test_a_turned_jpeg_is_decoded_smaller_too(orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = encoded(scene(900, 400), "JPEG", quality=92, exif=exif)
    whole, small = decode(data, max_megapixels=40), decode(data, max_megapixels=40, preprocessing=LETTERBOX)
    size = (400, 900) if orientation in (6, 8) else (900, 400)
    assert (whole.width, whole.height) == (small.width, small.height) == whole.image.size == size
    assert max(256, max(size) // 4) <= max(small.image.size) < max(size)
    wanted, found = (resize(photo.image, LETTERBOX, size)[0] for photo in (whole, small))
    assert np.abs(wanted.astype(int) - found).mean() < 2


def test_a_small_jpeg_and_a_png_are_never_decoded_smaller() -> None:
    assert decode(encoded(scene(300, 200), "JPEG"), max_megapixels=1, preprocessing=LETTERBOX).image.size == (300, 200)
    assert decode(encoded(scene(900, 600), "PNG"), max_megapixels=1, preprocessing=LETTERBOX).image.size == (900, 600)


def test_formats_that_are_not_welcome_are_415() -> None:
    data = encoded(Image.new("RGB", (8, 8)), "PNG")
    with pytest.raises(RequestError, match="PNG is not welcome here") as caught:
        decode(data, max_megapixels=1, formats=("JPEG",))
    assert (caught.value.status, caught.value.hint) == (415, "send JPEG")


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF"])
@pytest.mark.parametrize("orientation", [1, 6])
def test_the_size_of_a_file_is_that_of_the_upright_photo(tmp_path: Path, kind: str, orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    turns = orientation == 6 and kind not in ("BMP", "GIF")
    Image.new("RGB", (30, 20)).save(tmp_path / "photo", kind, **({"exif": exif} if turns else {}))
    assert size_of(tmp_path / "photo") == ((20, 30) if turns else (30, 20))


@pytest.mark.parametrize("data", [b"", b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"II*\0", b"BM", b"%PDF-1.7"])
def test_a_file_that_is_no_photo_has_no_size(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "photo").write_bytes(data)
    assert size_of(tmp_path / "photo") == (0, 0)
    assert size_of(tmp_path / "none") == (0, 0)
