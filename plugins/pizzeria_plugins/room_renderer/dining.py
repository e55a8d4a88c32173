"""Tables and chairs. Each style is a function of a random generator and the home's wood colour."""

from __future__ import annotations

from random import Random

from pizzeria_plugins.room_renderer.palette import BLACK, STEEL, WHITE, fabric
from pizzeria_plugins.room_renderer.solids import Colour, Solid, box, cylinder, front, legs, rounded, tint


def plank_table(rng: Random, wood: Colour) -> list[Solid]:
    w, d, h = rng.uniform(1.1, 1.6), rng.uniform(0.7, 0.85), rng.uniform(0.70, 0.76)
    parts = [
        *legs(w / 2 - 0.04, d / 2 - 0.04, h - 0.05, 0.07, tint(wood, 0.85)),
        box(-w / 2, w / 2, h - 0.05, h, -d / 2, d / 2, wood),
    ]
    return parts + _laid(rng, h)


def round_table(rng: Random, wood: Colour) -> list[Solid]:
    r, h = rng.uniform(0.5, 0.65), rng.uniform(0.70, 0.76)
    foot = rng.choice((WHITE, BLACK, wood))
    parts = [
        cylinder(0, 0, 0.0, 0.04, 0.3, foot, sides=16),
        cylinder(0, 0, 0.04, h - 0.04, 0.06, foot, sides=8),
        cylinder(0, 0, h - 0.04, h, r, wood, sides=22),
    ]
    return parts + _laid(rng, h)


def trestle_table(rng: Random, wood: Colour) -> list[Solid]:
    w, d, h = rng.uniform(1.2, 1.6), rng.uniform(0.7, 0.85), rng.uniform(0.70, 0.76)
    parts = [
        box(x, x + 0.09, 0.05, h - 0.06, -d / 2 + 0.22, d / 2 - 0.22, tint(wood, 0.85))
        for x in (-w / 2 + 0.15, w / 2 - 0.24)
    ]
    parts += [
        box(x - 0.02, x + 0.11, 0.0, 0.05, -d / 2 + 0.06, d / 2 - 0.06, tint(wood, 0.8))
        for x in (-w / 2 + 0.15, w / 2 - 0.24)
    ]
    parts += [box(-w / 2 + 0.24, w / 2 - 0.24, 0.25, 0.34, -0.03, 0.03, tint(wood, 0.85))]
    return [*parts, box(-w / 2, w / 2, h - 0.06, h, -d / 2, d / 2, wood), *_laid(rng, h)]


def glass_table(rng: Random, wood: Colour) -> list[Solid]:
    w, d, h = rng.uniform(1.1, 1.5), rng.uniform(0.7, 0.85), 0.74
    parts = legs(w / 2 - 0.05, d / 2 - 0.05, h - 0.02, 0.035, STEEL)
    return [*parts, box(-w / 2, w / 2, h - 0.02, h, -d / 2, d / 2, (178, 206, 206)), *_laid(rng, h)]


def block_table(rng: Random, wood: Colour) -> list[Solid]:
    w, d, h = rng.uniform(1.1, 1.5), rng.uniform(0.7, 0.85), 0.74
    colour = rng.choice((WHITE, (70, 72, 80), (206, 110, 84)))
    parts = [box(x, x + 0.1, 0.0, h - 0.09, -d / 2, d / 2, colour) for x in (-w / 2, w / 2 - 0.1)]
    return [*parts, box(-w / 2, w / 2, h - 0.09, h, -d / 2, d / 2, tint(colour, 1.05)), *_laid(rng, h)]


def coffee_table(rng: Random, wood: Colour) -> list[Solid]:
    w, d, h = rng.uniform(0.85, 1.15), rng.uniform(0.5, 0.6), rng.uniform(0.4, 0.46)
    parts = [
        *legs(w / 2 - 0.03, d / 2 - 0.03, h - 0.05, 0.06, tint(wood, 0.85)),
        box(-w / 2, w / 2, h - 0.05, h, -d / 2, d / 2, wood),
    ]
    return parts + _laid(rng, h)


def _laid(rng: Random, h: float) -> list[Solid]:
    """What lies on a table: a bowl, a vase, a book, or nothing."""
    what = rng.randrange(4)
    x, z = rng.uniform(-0.2, 0.2), rng.uniform(-0.1, 0.1)
    if what == 0:
        return [cylinder(x, z, h, h + 0.08, 0.08, fabric(rng), top=0.14)]
    if what == 1:
        return [
            cylinder(x, z, h, h + 0.2, 0.05, WHITE, top=0.035, sides=8),
            cylinder(x, z, h + 0.2, h + 0.36, 0.03, (110, 150, 90), top=0.11, sides=8),
        ]
    if what == 2:
        return [box(x - 0.12, x + 0.12, h, h + 0.05, z - 0.09, z + 0.09, fabric(rng))]
    return []


def ladder_chair(rng: Random, wood: Colour) -> list[Solid]:
    s, h, high = rng.uniform(0.21, 0.24), 0.46, rng.uniform(0.9, 1.02)
    t = 0.045
    parts = [box(x, x + t, 0.0, h - 0.04, -s, -s + t, wood) for x in (-s, s - t)]
    parts += [box(x, x + t, 0.0, high, s, s + t, wood) for x in (-s, s - t)]
    parts += [box(-s, s, h - 0.04, h, -s, s - 0.005, fabric(rng) if rng.random() < 0.4 else tint(wood, 1.08))]
    return parts + [box(-s + t, s - t, y, y + 0.08, s + 0.01, s + 0.03, wood) for y in (0.58, 0.72, high - 0.1)]


def padded_chair(rng: Random, wood: Colour) -> list[Solid]:
    s, cloth = rng.uniform(0.23, 0.26), fabric(rng)
    parts = legs(s - 0.01, s - 0.01, 0.38, 0.04, tint(wood, 0.9))
    parts += [rounded(-s, s, 0.38, 0.49, -s, s - 0.07, cloth, along="x", radius=0.04)]
    return [
        *parts,
        rounded(-s, s, 0.38, rng.uniform(0.92, 1.04), s - 0.06, s + 0.04, tint(cloth, 0.96), along="z", radius=0.08),
    ]


def shell_chair(rng: Random, wood: Colour) -> list[Solid]:
    s, shell = 0.24, rng.choice((WHITE, (70, 72, 78), (214, 176, 80), (110, 150, 150)))
    parts = [
        cylinder(x, z, 0.0, 0.42, 0.018, wood, sides=6) for x in (-s + 0.05, s - 0.05) for z in (-s + 0.05, s - 0.05)
    ]
    parts += [rounded(-s, s, 0.42, 0.49, -s, s - 0.05, shell, along="y", radius=0.1)]
    parts += [rounded(-s, s, 0.44, 0.86, s - 0.04, s + 0.03, tint(shell, 0.95), along="z", radius=0.12)]
    return parts


def swivel_chair(rng: Random, wood: Colour) -> list[Solid]:
    cloth = rng.choice((BLACK, (60, 66, 80), (200, 80, 70)))
    parts = [box(-0.3, 0.3, 0.03, 0.07, -0.03, 0.03, STEEL), box(-0.03, 0.03, 0.03, 0.07, -0.3, -0.035, STEEL)]
    parts += [box(-0.03, 0.03, 0.03, 0.07, 0.035, 0.3, STEEL), cylinder(0, 0, 0.07, 0.42, 0.03, STEEL, sides=8)]
    parts += [rounded(-0.26, 0.26, 0.42, 0.52, -0.26, 0.2, cloth, along="x", radius=0.04)]
    return [*parts, rounded(-0.23, 0.23, 0.58, 1.08, 0.21, 0.29, tint(cloth, 1.1), along="z", radius=0.1)]


def bar_stool_chair(rng: Random, wood: Colour) -> list[Solid]:
    metal = rng.choice((BLACK, (190, 150, 90), (196, 70, 60)))
    parts = [*legs(0.19, 0.19, 0.62, 0.03, metal), box(-0.19, 0.19, 0.25, 0.275, -0.18, -0.155, metal)]
    parts += [cylinder(0, 0, 0.62, 0.68, 0.22, wood, sides=14)]
    return [*parts, front(-0.17, 0.17, 0.82, 0.96, 0.19, metal), box(-0.17, 0.17, 0.82, 0.96, 0.195, 0.225, metal)]
