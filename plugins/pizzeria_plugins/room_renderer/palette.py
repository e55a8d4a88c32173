"""Colours of one home: its walls, floor, wood and fabrics, drawn once for all photos of a listing."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

from pizzeria_plugins.room_renderer.solids import Colour

WALLS: tuple[Colour, ...] = (
    (236, 232, 224), (226, 222, 212), (214, 222, 212), (208, 218, 226), (232, 218, 206), (222, 224, 228),
    (200, 210, 196), (240, 236, 230), (230, 214, 190), (196, 206, 214), (232, 220, 222),
)  # fmt: skip
ACCENTS: tuple[Colour, ...] = (
    (92, 120, 118),
    (70, 88, 112),
    (176, 120, 96),
    (128, 142, 112),
    (150, 116, 128),
    (198, 168, 120),
)
FLOORS: tuple[Colour, ...] = (
    (196, 160, 116),
    (168, 126, 86),
    (132, 96, 68),
    (206, 184, 152),
    (150, 138, 124),
    (186, 178, 168),
)
TILES: tuple[Colour, ...] = ((206, 204, 200), (178, 180, 182), (220, 214, 202), (150, 158, 164), (192, 198, 194))
WOODS: tuple[Colour, ...] = (
    (190, 146, 98),
    (150, 106, 68),
    (112, 76, 50),
    (214, 180, 134),
    (232, 226, 214),
    (84, 66, 54),
)
FABRICS: tuple[Colour, ...] = (
    (206, 160, 62), (54, 116, 120), (62, 80, 124), (172, 86, 62), (142, 144, 148), (104, 128, 96), (208, 158, 152),
    (96, 92, 100), (188, 172, 150), (116, 76, 92), (78, 130, 160),
)  # fmt: skip
CABINETS: tuple[Colour, ...] = (
    (236, 234, 228),
    (116, 134, 120),
    (84, 100, 122),
    (206, 188, 160),
    (172, 176, 176),
    (222, 214, 196),
)
COUNTERS: tuple[Colour, ...] = ((226, 222, 214), (96, 94, 94), (186, 160, 124), (200, 200, 202))
WHITE: Colour = (244, 243, 240)
STEEL: Colour = (186, 190, 196)
BLACK: Colour = (40, 40, 44)
GREEN: Colour = (84, 134, 76)


@dataclass(frozen=True)
class Palette:
    """The colours of one home."""

    wall: Colour
    accent: Colour
    floor: Colour
    tile: Colour
    wood: Colour
    cabinet: Colour
    counter: Colour


def palette(rng: Random) -> Palette:
    """Draw the colours of a home."""
    lists = (WALLS, ACCENTS, FLOORS, TILES, WOODS, CABINETS, COUNTERS)
    return Palette(*(jitter(rng, rng.choice(colours), 10) for colours in lists))


def jitter(rng: Random, colour: Colour, amount: int) -> Colour:
    """The colour with each channel moved by up to `amount`, most of it together."""
    shift = rng.uniform(-amount, amount)
    red, green, blue = (min(255, max(0, round(c + shift + rng.uniform(-3, 3)))) for c in colour)
    return red, green, blue


def fabric(rng: Random) -> Colour:
    """The colour of something upholstered or woven."""
    return jitter(rng, rng.choice(FABRICS), 12)
