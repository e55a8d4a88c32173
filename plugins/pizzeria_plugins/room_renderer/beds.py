"""Beds. Each style is a function of a random generator and the home's wood colour; the head is at +z."""

from __future__ import annotations

from random import Random

from pizzeria_plugins.room_renderer.palette import BLACK, STEEL, WHITE, fabric, jitter
from pizzeria_plugins.room_renderer.solids import Colour, Solid, box, legs, moved, rounded, tint


def _bedding(rng: Random, w: float, d: float, base: float) -> list[Solid]:
    """Mattress, blanket and pillows on a base of height `base`; the head is at +z."""
    blanket, sheet = fabric(rng), jitter(rng, WHITE, 6)
    fold = d / 2 - rng.uniform(0.62, 0.85)
    parts = [
        rounded(-w / 2, w / 2, base, base + 0.22, fold, d / 2, sheet, along="x", radius=0.06),
        rounded(
            -w / 2 - 0.02, w / 2 + 0.02, base - 0.08, base + 0.25, -d / 2 - 0.02, fold, blanket, along="x", radius=0.08
        ),
    ]
    pillows = 2 if w > 1.2 else 1
    width = (w - 0.16) / pillows
    for i in range(pillows):
        x = -w / 2 + 0.08 + i * width
        z = d / 2 - 0.48
        pillow = rounded(
            x + 0.03, x + width - 0.03, base + 0.22, base + 0.40, z, z + 0.42, WHITE, along="x", radius=0.09
        )
        parts.append(pillow)
    if rng.random() < 0.5:
        throw = tint(fabric(rng), 1.05)
        parts.append(box(-w / 2 - 0.03, w / 2 + 0.03, base + 0.25, base + 0.275, -d / 2, -d / 2 + 0.5, throw))
    return parts


def _bed_size(rng: Random) -> tuple[float, float]:
    return rng.choice((1.2, 1.4, 1.6, 1.8)), rng.uniform(1.95, 2.1)


def platform_bed(rng: Random, wood: Colour) -> list[Solid]:
    w, d = _bed_size(rng)
    high = rng.uniform(0.85, 1.15)
    return [
        box(-w / 2 - 0.05, w / 2 + 0.05, 0.05, 0.28, -d / 2 - 0.04, d / 2, wood),
        box(-w / 2 - 0.08, w / 2 + 0.08, 0.0, high, d / 2 + 0.01, d / 2 + 0.08, tint(wood, 0.9)),
        *_bedding(rng, w, d, 0.36),
    ]


def barred_bed(rng: Random, wood: Colour) -> list[Solid]:
    w, d = _bed_size(rng)
    metal = rng.choice((BLACK, (196, 188, 170), STEEL))
    high, z = rng.uniform(1.0, 1.25), d / 2 + 0.02
    parts = [*legs(w / 2, d / 2, 0.26, 0.05, metal), box(-w / 2, w / 2, 0.26, 0.28, -d / 2, d / 2, metal)]
    parts += [box(x, x + 0.05, 0.0, high, z, z + 0.05, metal) for x in (-w / 2 - 0.05, w / 2)]
    parts += [box(-w / 2, w / 2, y, y + 0.04, z, z + 0.04, metal) for y in (high - 0.06, 0.62)]
    steps = 7
    for i in range(1, steps):
        x = -w / 2 + w * i / steps
        parts.append(box(x, x + 0.025, 0.66, high - 0.06, z, z + 0.025, metal))
    return parts + _bedding(rng, w, d, 0.36)


def upholstered_bed(rng: Random, wood: Colour) -> list[Solid]:
    w, d = _bed_size(rng)
    cloth = fabric(rng)
    high = rng.uniform(1.05, 1.35)
    parts = [box(-w / 2 - 0.06, w / 2 + 0.06, 0.06, 0.3, -d / 2 - 0.06, d / 2, cloth)]
    panels = 4
    for i in range(panels):
        x, step = -w / 2 - 0.06 + i * (w + 0.12) / panels, (w + 0.12) / panels
        shade = tint(cloth, 1.0 if i % 2 else 0.94)
        parts.append(
            rounded(x + 0.005, x + step - 0.005, 0.1, high, d / 2 + 0.01, d / 2 + 0.12, shade, along="y", radius=0.05)
        )
    return parts + _bedding(rng, w, d, 0.38)


def four_poster_bed(rng: Random, wood: Colour) -> list[Solid]:
    w, d = _bed_size(rng)
    t, high = 0.07, 2.05
    frame = [box(-w / 2 - t, w / 2 + t, 0.2, 0.3, -d / 2 - t, d / 2 + t, wood)]
    frame += [box(x, x + t, 0.3, high, z, z + t, wood) for x in (-w / 2 - t, w / 2) for z in (-d / 2 - t, d / 2)]
    frame += [box(-w / 2 - t, w / 2 + t, high, high + t, z, z + t, wood) for z in (-d / 2 - t, d / 2)]
    frame += [box(x, x + t, high, high + t, -d / 2, d / 2, wood) for x in (-w / 2 - t, w / 2)]
    return frame + _bedding(rng, w - 0.08, d - 0.1, 0.4)


def bunk_bed(rng: Random, wood: Colour) -> list[Solid]:
    w, d = 0.95, 1.95
    parts = [
        box(x, x + 0.07, 0.0, 1.85, z, z + 0.07, wood) for x in (-w / 2 - 0.07, w / 2) for z in (-d / 2 - 0.07, d / 2)
    ]
    for base in (0.3, 1.3):
        parts.append(box(-w / 2, w / 2, base - 0.1, base, -d / 2, d / 2, wood))
        parts += moved(_bedding(rng, w - 0.06, d - 0.1, 0.09), y=base)
    return parts
