"""Stoves, fridges, sinks and television sets. Each style is a function of a random generator and a wood colour."""

from __future__ import annotations

from random import Random

from pizzeria_plugins.room_renderer.palette import BLACK, STEEL, WHITE, fabric, jitter
from pizzeria_plugins.room_renderer.solids import Colour, Solid, box, cylinder, dial, disc, front, rounded, tint, top

_GAP = 0.004


def _stove(body: Colour, cooktop: Colour, window: Colour, w: float, *, round_burners: bool = True) -> list[Solid]:
    d, h = 0.6, 0.9
    z = -d / 2 - _GAP
    parts = [
        box(-w / 2, w / 2, 0.0, h, -d / 2, d / 2, body),
        top(-w / 2 + 0.02, w / 2 - 0.02, -d / 2 + 0.03, d / 2 - 0.02, h + _GAP, cooktop),
    ]
    for x in (-w / 4, w / 4):
        for at in (-0.14, 0.14):
            ring = tint(cooktop, 2.2) if sum(cooktop) < 250 else BLACK
            if round_burners:
                parts += [disc(x, at, 0.1, h + 2 * _GAP, ring), disc(x, at, 0.055, h + 3 * _GAP, BLACK)]
    parts += [
        front(-w / 2 + 0.07, w / 2 - 0.07, 0.24, 0.6, z, window),
        front(-w / 2 + 0.07, w / 2 - 0.07, 0.655, 0.685, z - 0.02, tint(STEEL, 1.1)),
    ]
    parts += [
        front(-w / 2, w / 2, 0.12, 0.135, z, tint(body, 0.7)),
        front(-w / 2, w / 2, 0.72, 0.735, z, tint(body, 0.75)),
    ]
    return parts


def _knobs(w: float, count: int, colour: Colour) -> list[Solid]:
    return [dial(-w / 2 + w * (i + 1) / (count + 1), 0.81, 0.032, -0.3 - 2 * _GAP, colour) for i in range(count)]


def white_stove(rng: Random, wood: Colour) -> list[Solid]:
    w = rng.uniform(0.6, 0.72)
    parts = _stove(WHITE, (58, 58, 62), (52, 54, 60), w) + _knobs(w, 5, (60, 60, 64))
    return [*parts, box(-w / 2, w / 2, 0.905, 1.08, 0.26, 0.3, tint(WHITE, 0.97))]


def steel_stove(rng: Random, wood: Colour) -> list[Solid]:
    w = rng.uniform(0.62, 0.8)
    grates = [box(x - 0.12, x + 0.12, 0.93, 0.95, -0.22, 0.22, BLACK) for x in (-w / 4, w / 4)]
    return _stove(STEEL, (64, 66, 70), (36, 38, 44), w) + _knobs(w, 6, (52, 52, 56)) + grates


def black_stove(rng: Random, wood: Colour) -> list[Solid]:
    w = rng.uniform(0.6, 0.7)
    parts = _stove((52, 53, 58), (30, 30, 34), (92, 88, 84), w) + _knobs(w, 4, (210, 208, 204))
    return [*parts, box(-w / 2, w / 2, 0.91, 1.05, 0.26, 0.3, (60, 61, 66))]


def retro_stove(rng: Random, wood: Colour) -> list[Solid]:
    w, body = rng.uniform(0.75, 0.9), rng.choice(((168, 206, 196), (196, 74, 64), (236, 214, 160)))
    parts = _stove(body, (70, 70, 74), (240, 236, 226), w) + _knobs(w, 4, WHITE)
    return [*parts, box(-w / 2, w / 2, 0.905, 1.2, 0.24, 0.3, tint(body, 1.05)), dial(0, 1.06, 0.06, 0.235, WHITE)]


def induction_stove(rng: Random, wood: Colour) -> list[Solid]:
    w = rng.uniform(0.6, 0.7)
    parts = _stove(tint(wood, 1.0), (24, 24, 30), (20, 20, 24), w, round_burners=False)
    return [*parts, *(disc(x, z, 0.09, 0.91, (120, 60, 60)) for x in (-0.15, 0.15) for z in (-0.13, 0.13))]


def two_door_fridge(rng: Random, wood: Colour) -> list[Solid]:
    w, h, colour = rng.uniform(0.64, 0.74), rng.uniform(1.65, 1.85), rng.choice((WHITE, STEEL, (226, 224, 216)))
    cut = h * rng.choice((0.36, 0.66))
    return [
        *_cold(w, h, colour),
        *_seam(w, cut, colour),
        _handle(-w / 2 + 0.06, cut + 0.06, min(h - 0.08, cut + 0.5)),
        _handle(-w / 2 + 0.06, max(0.1, cut - 0.5), cut - 0.06),
    ]


def french_fridge(rng: Random, wood: Colour) -> list[Solid]:
    w, h, colour = rng.uniform(0.82, 0.92), rng.uniform(1.72, 1.88), rng.choice((STEEL, WHITE, (200, 202, 204)))
    parts = [
        *_cold(w, h, colour),
        *_seam(w, 0.62, colour),
        front(-0.006, 0.006, 0.62, h, -0.33 - _GAP, tint(colour, 0.55)),
    ]
    return [
        *parts,
        _handle(-0.07, 0.8, h - 0.3),
        _handle(0.045, 0.8, h - 0.3),
        box(-w / 3, w / 3, 0.53, 0.555, -0.37, -0.34, tint(STEEL, 0.8)),
    ]


def rounded_fridge(rng: Random, wood: Colour) -> list[Solid]:
    w, h, colour = 0.64, rng.uniform(1.5, 1.7), rng.choice((WHITE, (226, 230, 226), (214, 208, 196)))
    parts = [
        rounded(-w / 2, w / 2, 0.06, h, -0.32, 0.32, colour, along="z", radius=0.12),
        box(-w / 2 + 0.04, w / 2 - 0.04, 0.0, 0.055, -0.28, 0.3, BLACK),
    ]
    return [
        *parts,
        front(-w / 2 + 0.01, w / 2 - 0.01, h * 0.68, h * 0.68 + 0.012, -0.325, tint(colour, 0.6)),
        _handle(-w / 2 + 0.07, h * 0.5, h * 0.64),
    ]


def black_fridge(rng: Random, wood: Colour) -> list[Solid]:
    w, h, colour = 0.9, 1.8, (50, 52, 58)
    parts = [
        *_cold(w, h, colour),
        front(-0.006, 0.006, 0.08, h, -0.33 - _GAP, (20, 20, 22)),
        _handle(-0.07, 0.5, 1.5),
        _handle(0.045, 0.5, 1.5),
    ]
    return [*parts, front(-0.33, -0.14, 1.05, 1.4, -0.33 - _GAP, (120, 150, 170))]


def coloured_fridge(rng: Random, wood: Colour) -> list[Solid]:
    w, h, colour = 0.62, rng.uniform(1.3, 1.5), rng.choice(((150, 200, 190), (206, 84, 74), (240, 206, 110)))
    parts = [rounded(-w / 2, w / 2, 0.05, h, -0.31, 0.31, colour, along="z", radius=0.16)]
    return [*parts, _handle(-w / 2 + 0.08, h * 0.55, h * 0.75), front(-0.1, 0.1, h * 0.82, h * 0.86, -0.315, STEEL)]


def _cold(w: float, h: float, colour: Colour) -> list[Solid]:
    return [
        box(-w / 2, w / 2, 0.05, h, -0.33, 0.33, colour),
        box(-w / 2 + 0.02, w / 2 - 0.02, 0.0, 0.05, -0.29, 0.31, BLACK),
    ]


def _seam(w: float, y: float, colour: Colour) -> list[Solid]:
    return [front(-w / 2, w / 2, y - 0.008, y + 0.008, -0.33 - _GAP, tint(colour, 0.55))]


def _handle(x: float, low: float, high: float) -> Solid:
    return box(x, x + 0.028, low, high, -0.375, -0.345, (132, 134, 138))


def _tap(x: float, y: float, z: float, high: float, metal: Colour = STEEL) -> list[Solid]:
    """An arched tap behind a basin; its spout points to the front."""
    shade = tint(metal, 0.85)
    return [
        box(x - 0.02, x + 0.02, y, y + high, z, z + 0.04, shade),
        box(x - 0.02, x + 0.02, y + high, y + high + 0.04, z - 0.2, z + 0.04, metal),
        box(x - 0.02, x + 0.02, y + high - 0.08, y + high, z - 0.2, z - 0.16, shade),
        box(x + 0.06, x + 0.12, y, y + 0.09, z, z + 0.03, shade),
    ]


def apron_sink(rng: Random, wood: Colour) -> list[Solid]:
    w = rng.uniform(0.74, 0.9)
    parts = [rounded(-w / 2, w / 2, 0.60, 0.93, -0.33, 0.16, WHITE, along="y", radius=0.04)]
    parts += [
        top(-w / 2 + 0.05, w / 2 - 0.05, -0.28, 0.11, 0.934, (176, 182, 186)),
        top(-w / 2 + 0.07, w / 2 - 0.07, -0.2, 0.09, 0.938, (146, 152, 158)),
    ]
    return parts + _tap(0.0, 0.93, 0.2, rng.uniform(0.26, 0.36), rng.choice((STEEL, (196, 164, 96), (90, 92, 96))))


def steel_sink(rng: Random, wood: Colour) -> list[Solid]:
    w = rng.uniform(0.8, 1.0)
    parts = [box(-w / 2, w / 2, 0.68, 0.93, -0.33, 0.16, (198, 203, 210))]
    for x0, x1 in ((-w / 2 + 0.04, -0.02), (0.02, w / 2 - 0.04)):
        parts += [
            top(x0, x1, -0.29, 0.12, 0.934, (116, 122, 130)),
            top(x0 + 0.03, x1 - 0.03, -0.24, 0.1, 0.938, (92, 98, 106)),
        ]
    return parts + _tap(0.0, 0.93, 0.2, rng.uniform(0.28, 0.38))


def dark_sink(rng: Random, wood: Colour) -> list[Solid]:
    w = rng.uniform(0.74, 0.9)
    parts = [rounded(-w / 2, w / 2, 0.66, 0.93, -0.33, 0.16, (128, 136, 144), along="y", radius=0.06)]
    parts += [top(-w / 2 + 0.05, w / 2 - 0.05, -0.28, 0.11, 0.934, (70, 74, 80))]
    return parts + _tap(0.0, 0.93, 0.2, rng.uniform(0.28, 0.36), STEEL)


def pedestal_sink(rng: Random, wood: Colour) -> list[Solid]:
    w = rng.uniform(0.56, 0.68)
    parts = [
        cylinder(0, 0.02, 0.0, 0.62, 0.13, WHITE, top=0.1),
        rounded(-w / 2, w / 2, 0.64, 0.86, -0.26, 0.22, WHITE, along="y", radius=0.14),
    ]
    parts += [
        top(-w / 2 + 0.09, w / 2 - 0.09, -0.2, 0.1, 0.864, (176, 184, 190)),
        disc(0, -0.06, 0.03, 0.868, (110, 114, 118)),
    ]
    return parts + _tap(0.0, 0.86, 0.16, rng.uniform(0.14, 0.22))


def vessel_sink(rng: Random, wood: Colour) -> list[Solid]:
    r = rng.uniform(0.22, 0.27)
    bowl = rng.choice((WHITE, (206, 210, 208), (120, 128, 132)))
    parts = [cylinder(0, 0, 0.84, 1.0, r * 0.62, bowl, top=r, sides=16), disc(0, 0, r * 0.86, 1.004, tint(bowl, 0.74))]
    return [
        *parts,
        box(-0.3, 0.3, 0.78, 0.84, -0.27, 0.29, WHITE),
        *_tap(0.0, 0.84, r + 0.01, 0.34, rng.choice((STEEL, (196, 164, 96)))),
    ]


def wall_sink(rng: Random, wood: Colour) -> list[Solid]:
    w = rng.uniform(0.66, 0.9)
    parts = [
        box(-w / 2, w / 2, 0.68, 0.88, -0.26, 0.24, WHITE),
        top(-w / 2 + 0.08, w / 2 - 0.08, -0.2, 0.12, 0.884, (172, 180, 186)),
    ]
    return parts + _tap(0.0, 0.88, 0.17, rng.uniform(0.16, 0.24))


def stone_sink(rng: Random, wood: Colour) -> list[Solid]:
    stone = rng.choice(((92, 96, 92), (176, 150, 120), (60, 62, 66)))
    parts = [cylinder(0, 0, 0.0, 0.9, 0.2, stone, top=0.28, sides=14), disc(0, 0, 0.23, 0.904, tint(stone, 0.6))]
    return parts + _tap(0.0, 0.9, 0.29, 0.26, (196, 164, 96))


def copper_sink(rng: Random, wood: Colour) -> list[Solid]:
    copper, w = (184, 112, 72), rng.uniform(0.7, 0.85)
    parts = [
        rounded(-w / 2, w / 2, 0.62, 0.93, -0.34, 0.16, copper, along="y", radius=0.1),
        top(-w / 2 + 0.07, w / 2 - 0.07, -0.27, 0.1, 0.934, tint(copper, 0.6)),
    ]
    return parts + _tap(0.0, 0.93, 0.2, 0.3, (120, 78, 52))


def _picture(rng: Random, x0: float, x1: float, y0: float, y1: float, z: float) -> list[Solid]:
    """What a screen shows: nothing much when off, sky over land when on."""
    if rng.random() < 0.5:
        dark: Colour = (30, 33, 40)
        return [
            front(x0, x1, y0, y1, z, dark, lit=False),
            front(x0, x0 + (x1 - x0) * 0.4, y0 + (y1 - y0) * 0.5, y1, z - 0.002, (46, 50, 60), lit=False),
        ]
    sky, land = jitter(rng, rng.choice(((120, 176, 226), (236, 170, 120), (96, 120, 190))), 14), fabric(rng)
    y = y0 + (y1 - y0) * rng.uniform(0.3, 0.6)
    return [front(x0, x1, y, y1, z, sky, lit=False), front(x0, x1, y0, y, z, land, lit=False)]


def footed_tv(rng: Random, wood: Colour) -> list[Solid]:
    w = rng.uniform(0.95, 1.3)
    h = w * 0.57
    parts = [
        box(-w / 2, w / 2, 0.07, 0.07 + h, -0.03, 0.03, (26, 26, 30)),
        *_picture(rng, -w / 2 + 0.03, w / 2 - 0.03, 0.105, 0.045 + h, -0.034),
    ]
    return parts + [box(x, x + 0.05, 0.0, 0.07, -0.1, 0.1, BLACK) for x in (-w / 3, w / 3 - 0.05)]


def wall_tv(rng: Random, wood: Colour) -> list[Solid]:
    w = rng.uniform(1.0, 1.4)
    h = w * 0.57
    return [
        box(-w / 2, w / 2, 0.0, h, -0.03, 0.03, (24, 24, 28)),
        *_picture(rng, -w / 2 + 0.025, w / 2 - 0.025, 0.03, h - 0.025, -0.034),
    ]


def soundbar_tv(rng: Random, wood: Colour) -> list[Solid]:
    w = rng.uniform(0.95, 1.3)
    h = w * 0.57
    parts = [
        box(-w / 2, w / 2, 0.1, 0.1 + h, -0.03, 0.03, (34, 34, 38)),
        *_picture(rng, -w / 2 + 0.03, w / 2 - 0.03, 0.13, 0.07 + h, -0.034),
    ]
    return [
        *parts,
        box(-0.12, 0.12, 0.0, 0.1, -0.02, 0.06, BLACK),
        box(-w / 3, w / 3, 0.0, 0.07, -0.16, -0.06, (54, 54, 58)),
    ]


def framed_tv(rng: Random, wood: Colour) -> list[Solid]:
    w = rng.uniform(0.95, 1.3)
    h = w * 0.6
    return [
        box(-w / 2, w / 2, 0.0, h, -0.03, 0.03, tint(wood, 1.1)),
        *_picture(rng, -w / 2 + 0.07, w / 2 - 0.07, 0.07, h - 0.07, -0.034),
    ]


def tube_tv(rng: Random, wood: Colour) -> list[Solid]:
    body = rng.choice(((150, 150, 148), (120, 84, 58), (206, 96, 76)))
    parts = [
        box(-0.38, 0.38, 0.04, 0.66, -0.2, 0.0, body),
        box(-0.28, 0.28, 0.1, 0.6, 0.005, 0.18, tint(body, 0.8)),
        box(-0.3, 0.3, 0.0, 0.04, -0.18, 0.1, BLACK),
    ]
    parts += _picture(rng, -0.32, 0.2, 0.12, 0.6, -0.205)
    return [*parts, dial(0.29, 0.5, 0.03, -0.206, BLACK), dial(0.29, 0.38, 0.03, -0.206, BLACK)]
