"""What the light of the day and the camera do to a rendered room, and what darkness and blur do to traffic."""

from __future__ import annotations

from functools import cache
from io import BytesIO
from random import Random
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageChops, ImageFilter

_TILE = 512


class Light(NamedTuple):
    """One photo's light and camera.

    Attributes:
        gains: of red, green and blue; warmer light has more red and less blue.
        gamma: above 1 darkens the middle tones.
        glow: where the light comes from in the photo, x and y as shares of its size.
        fall: how much darker the photo is far from there, 0 to 1.
        vignette: how much darker its corners are, 0 to 1.
        softness: radius of the lens's blur, pixels.
        noise: standard deviation of the sensor's noise, levels of 255.
        quality: of the JPEG, 1 to 95.
    """

    gains: tuple[float, float, float]
    gamma: float
    glow: tuple[float, float]
    fall: float
    vignette: float
    softness: float
    noise: float
    quality: int


def daylight(rng: Random) -> Light:
    """Light and camera of an ordinary photo."""
    warmth, exposure = rng.gauss(0.02, 0.045), rng.uniform(0.94, 1.12)
    gains = (exposure * (1 + warmth), exposure, exposure * (1 - warmth))
    return Light(
        gains=gains,
        gamma=rng.uniform(0.9, 1.12),
        glow=(rng.uniform(-0.1, 1.1), rng.uniform(0.1, 0.6)),
        fall=rng.uniform(0.08, 0.3),
        vignette=rng.uniform(0.05, 0.22),
        softness=rng.choice((0.0, 0.0, 0.0, 0.5)),
        noise=rng.uniform(1.5, 5.0),
        quality=rng.randint(72, 93),
    )


def darker(light: Light, rng: Random) -> Light:
    """The same photo taken in the evening: a third of the light, warmer, noisier."""
    exposure = rng.uniform(0.30, 0.46)
    red, green, blue = light.gains
    gains = (red * exposure * 1.06, green * exposure, blue * exposure * 0.88)
    return light._replace(gains=gains, gamma=light.gamma * 1.15, vignette=0.35, noise=light.noise + rng.uniform(4, 7))


def blurred(light: Light, rng: Random) -> Light:
    """The same photo out of focus, and saved small."""
    return light._replace(softness=rng.uniform(2.2, 3.4), quality=rng.randint(30, 50))


def expose(image: Image.Image, light: Light, rng: Random) -> bytes:
    """Turn an evenly lit RGB render into a JPEG."""
    size = image.size
    image = ImageChops.multiply(image, _falloff(light).resize(size, Image.Resampling.BICUBIC))
    ramp = np.linspace(0.0, 1.0, 256) ** light.gamma * 255
    table = [round(float(v)) for gain in light.gains for v in np.clip(_shoulder(ramp * gain), 0, 255)]
    image = image.point(table)
    if light.softness:
        image = image.filter(ImageFilter.GaussianBlur(light.softness))
    x, y = rng.randrange(_TILE - size[0]), rng.randrange(_TILE - size[1])
    grain = _noise(round(light.noise * 2)).crop((x, y, x + size[0], y + size[1]))
    image = ImageChops.add(image, grain, 1.0, -128)
    stream = BytesIO()
    image.save(stream, "JPEG", quality=light.quality)
    return stream.getvalue()


def _shoulder(levels: NDArray[np.float64]) -> NDArray[np.float64]:
    """Roll the highlights off instead of clipping them."""
    knee = 205.0
    over = np.maximum(levels - knee, 0)
    rolled: NDArray[np.float64] = np.minimum(levels, knee) + over / (1 + over / 62.0)
    return rolled


def _falloff(light: Light) -> Image.Image:
    y, x = np.mgrid[0:1:24j, 0:1:32j]
    from_glow = np.hypot(x - light.glow[0], (y - light.glow[1]) * 0.8)
    from_middle = (x - 0.5) ** 2 + (y - 0.5) ** 2
    level = 1.0 - light.fall * np.clip(from_glow, 0, 1.2) - light.vignette * 2 * from_middle
    warm = light.fall * np.exp(-((from_glow / 0.45) ** 2))
    channels = np.stack([level + 0.02 * warm, level, level - 0.25 * warm * light.fall], axis=-1)
    return Image.fromarray(np.clip(channels * 255, 0, 255).astype(np.uint8), "RGB")


@cache
def _noise(twice: int) -> Image.Image:
    """Grain around 128 with a standard deviation of `twice / 2` levels, mostly the same in all channels."""
    rng = np.random.default_rng(twice)
    grey = rng.normal(0, 0.85, (_TILE, _TILE, 1))
    colour = rng.normal(0, 0.5, (_TILE, _TILE, 3))
    return Image.fromarray(np.clip((grey + colour) * twice / 2 + 128, 0, 255).astype(np.uint8), "RGB")
