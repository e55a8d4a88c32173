"""Things that make a room look lived in, and that no box is drawn around."""

from __future__ import annotations

from math import cos, pi, sin
from random import Random

from pizzeria_plugins.room_renderer.palette import BLACK, GREEN, STEEL, WHITE, fabric, jitter
from pizzeria_plugins.room_renderer.solids import Colour, Solid, box, cylinder, dial, front, rounded, tint


def plant(rng: Random) -> list[Solid]:
    """A pot with leaves, 0.7 to 1.4 m high."""
    high, pot = rng.uniform(0.7, 1.4), rng.choice(((196, 112, 80), WHITE, (90, 92, 98)))
    parts = [
        cylinder(0, 0, 0.0, 0.28, 0.12, pot, top=0.17, sides=10),
        cylinder(0, 0, 0.28, high * 0.5, 0.02, (110, 84, 60), sides=5),
    ]
    for i in range(5):
        angle, r = 2 * pi * i / 5 + rng.random(), rng.uniform(0.06, 0.14)
        y, green = high * 0.45 + (high * 0.42) * i / 5, tint(jitter(rng, GREEN, 22), 0.85 + 0.06 * i)
        x, z = r * cos(angle), r * sin(angle)
        size = rng.uniform(0.13, 0.2)
        parts.append(cylinder(x, z, y, y + high * 0.1, size * 0.35, green, top=size, sides=7))
        parts.append(cylinder(x, z, y + high * 0.1, y + high * 0.22, size, tint(green, 1.08), top=size * 0.25, sides=7))
    return parts


def floor_lamp(rng: Random) -> list[Solid]:
    shade = rng.choice(((250, 236, 200), (240, 224, 190), (226, 206, 170)))
    parts = [cylinder(0, 0, 0.0, 0.03, 0.14, BLACK), cylinder(0, 0, 0.03, 1.35, 0.015, BLACK, sides=6)]
    return [*parts, cylinder(0, 0, 1.35, 1.65, 0.2, shade, top=0.14, sides=14)]


def table_lamp(rng: Random) -> list[Solid]:
    body = fabric(rng)
    return [
        cylinder(0, 0, 0.0, 0.2, 0.07, body, top=0.03, sides=10),
        cylinder(0, 0, 0.2, 0.42, 0.14, (250, 238, 206), top=0.09, sides=12),
    ]


def pendant(rng: Random, drop: float) -> list[Solid]:
    """A lamp that hangs `drop` metres from the ceiling; its origin is at the ceiling."""
    shade = rng.choice((fabric(rng), BLACK, (236, 226, 200)))
    return [
        cylinder(0, 0, -drop, 0.0, 0.008, BLACK, sides=4),
        cylinder(0, 0, -drop - 0.22, -drop - 0.001, 0.2, shade, top=0.06, sides=14),
    ]


def drawers(rng: Random, wood: Colour, w: float, h: float, d: float, rows: int) -> list[Solid]:
    """A chest, nightstand or sideboard."""
    z = -d / 2 - 0.004
    parts = [
        box(-w / 2, w / 2, 0.06, h, -d / 2, d / 2, wood),
        box(-w / 2 + 0.03, w / 2 - 0.03, 0.0, 0.06, -d / 2 + 0.03, d / 2 - 0.03, tint(wood, 0.6)),
    ]
    step = (h - 0.1) / rows
    for i in range(rows):
        y = 0.08 + i * step
        parts += [
            front(-w / 2 + 0.03, w / 2 - 0.03, y + 0.015, y + step - 0.01, z, tint(wood, 1.1)),
            front(-0.06, 0.06, y + step / 2, y + step / 2 + 0.02, z - 0.01, BLACK),
        ]
    return parts


def wardrobe(rng: Random, wood: Colour) -> list[Solid]:
    w, h, d = rng.uniform(0.9, 1.3), rng.uniform(1.9, 2.15), 0.55
    z, parts = -d / 2 - 0.004, [box(-w / 2, w / 2, 0.0, h, -d / 2, d / 2, wood)]
    for x0, x1, handle in ((-w / 2 + 0.03, -0.01, -0.07), (0.01, w / 2 - 0.03, 0.05)):
        parts += [
            front(x0, x1, 0.1, h - 0.05, z, tint(wood, 1.08)),
            front(handle, handle + 0.02, 0.95, 1.15, z - 0.01, BLACK),
        ]
    return parts


def bookshelf(rng: Random, wood: Colour) -> list[Solid]:
    w, h, d, levels = rng.uniform(0.7, 1.0), rng.uniform(1.6, 2.0), 0.3, 4
    parts = [box(x, x + 0.03, 0.0, h, -d / 2, d / 2, wood) for x in (-w / 2, w / 2 - 0.03)]
    parts += [box(-w / 2 + 0.03, w / 2 - 0.03, 0.0, h, d / 2 - 0.02, d / 2, tint(wood, 0.8))]
    for i in range(levels + 1):
        y = i * (h - 0.03) / levels
        parts.append(box(-w / 2 + 0.03, w / 2 - 0.03, y, y + 0.03, -d / 2, d / 2 - 0.02, wood))
        x = -w / 2 + 0.05
        while i < levels and x < w / 2 - 0.2:
            thick, tall = rng.uniform(0.04, 0.12), rng.uniform(0.2, 0.3)
            parts.append(box(x, x + thick, y + 0.031, y + tall, -d / 2 + 0.04, d / 2 - 0.03, fabric(rng)))
            x += thick + rng.choice((0.005, 0.005, 0.12))
    return parts


def picture(rng: Random, *, round_mirror: bool = False) -> list[Solid]:
    """Something framed; its origin is the middle of its lower edge, its back at z = 0."""
    if round_mirror:
        r = rng.uniform(0.28, 0.38)
        return [dial(0, r, r, -0.02, BLACK), dial(0, r, r - 0.025, -0.024, (206, 220, 228))]
    w, h = rng.choice(((0.5, 0.66), (0.7, 0.5), (0.9, 0.6), (0.4, 0.4)))
    frame, ground, mark = rng.choice((BLACK, WHITE, (176, 136, 90))), jitter(rng, (236, 228, 212), 10), fabric(rng)
    parts = [
        box(-w / 2, w / 2, 0.0, h, -0.03, 0.0, frame),
        front(-w / 2 + 0.04, w / 2 - 0.04, 0.04, h - 0.04, -0.034, ground),
    ]
    if rng.random() < 0.5:
        return [*parts, dial(0, h * 0.5, h * 0.24, -0.038, mark)]
    return [
        *parts,
        front(-w / 3, w / 3, h * 0.2, h * 0.5, -0.038, mark),
        front(-w / 4, w / 3.4, h * 0.5, h * 0.7, -0.038, fabric(rng)),
    ]


def cartons(rng: Random) -> list[Solid]:
    """One or two cardboard boxes or a basket."""
    card = jitter(rng, (190, 154, 108), 14)
    w = rng.uniform(0.32, 0.5)
    parts = [
        box(-w / 2, w / 2, 0.0, w * 0.8, -w / 2, w / 2, card),
        box(-0.04, 0.04, w * 0.8, w * 0.8 + 0.004, -w / 2, w / 2, (222, 206, 170)),
    ]
    if rng.random() < 0.4:
        parts.append(box(-w / 3, w / 4, w * 0.81, w * 1.3, -w / 3, w / 3, tint(card, 1.08)))
    return parts


def toilet(rng: Random) -> list[Solid]:
    return [
        rounded(-0.17, 0.17, 0.0, 0.36, -0.36, 0.16, WHITE, along="y", radius=0.14),
        rounded(-0.2, 0.2, 0.365, 0.42, -0.4, 0.16, tint(WHITE, 0.97), along="y", radius=0.16),
        box(-0.22, 0.22, 0.3, 0.85, 0.17, 0.36, WHITE),
        box(-0.06, 0.06, 0.855, 0.87, 0.23, 0.29, STEEL),
    ]


def bathtub(rng: Random) -> list[Solid]:
    w, d = 1.55, 0.72
    side = rng.choice((WHITE, jitter(rng, (206, 214, 216), 8), (112, 132, 140)))
    t = 0.07
    parts = [box(-w / 2, w / 2, 0.0, 0.55, z, z + t, side) for z in (-d / 2, d / 2 - t)]
    parts += [box(x, x + t, 0.0, 0.55, -d / 2 + t, d / 2 - t, side) for x in (-w / 2, w / 2 - t)]
    return [*parts, box(-w / 2 + t, w / 2 - t, 0.2, 0.3, -d / 2 + t, d / 2 - t, (206, 226, 232))]


def towel(rng: Random) -> list[Solid]:
    """A towel on a rail; its origin is the middle of its lower edge, its back at z = 0."""
    cloth = fabric(rng)
    return [
        box(-0.3, 0.3, 0.62, 0.65, -0.07, -0.04, STEEL),
        box(-0.22, 0.22, 0.0, 0.66, -0.09, -0.075, cloth),
        front(-0.22, 0.22, 0.08, 0.16, -0.094, tint(cloth, 1.25)),
    ]


def kitchen_unit(rng: Random, w: float, colour: Colour, counter: Colour, *, h: float = 0.9) -> list[Solid]:
    """A counter with doors below, as deep as a stove."""
    parts = [
        box(-w / 2, w / 2, 0.08, h - 0.04, -0.3, 0.3, colour),
        box(-w / 2, w / 2, 0.0, 0.08, -0.25, 0.3, tint(colour, 0.5)),
    ]
    if h > 0.7:
        parts.append(box(-w / 2, w / 2, h - 0.04, h, -0.32, 0.3, counter))
    doors = max(1, round(w / 0.5))
    for i in range(doors):
        x0, x1 = -w / 2 + i * w / doors + 0.02, -w / 2 + (i + 1) * w / doors - 0.02
        parts += [
            front(x0, x1, 0.12, h - 0.08, -0.304, tint(colour, 1.07)),
            front((x0 + x1) / 2 - 0.06, (x0 + x1) / 2 + 0.06, h - 0.16, h - 0.14, -0.31, BLACK),
        ]
    return parts


def wall_cabinet(rng: Random, w: float, colour: Colour) -> list[Solid]:
    """A cabinet that hangs; its origin is the middle of its lower edge, its back at z = 0."""
    parts = [box(-w / 2, w / 2, 0.0, 0.65, -0.33, 0.0, colour)]
    doors = max(1, round(w / 0.5))
    for i in range(doors):
        x0, x1 = -w / 2 + i * w / doors + 0.02, -w / 2 + (i + 1) * w / doors - 0.02
        parts += [
            front(x0, x1, 0.03, 0.62, -0.334, tint(colour, 1.07)),
            front(x1 - 0.05, x1 - 0.03, 0.06, 0.2, -0.34, BLACK),
        ]
    return parts


def hood(rng: Random) -> list[Solid]:
    """An extractor; its origin is the middle of its lower edge, its back at z = 0."""
    return [box(-0.32, 0.32, 0.0, 0.1, -0.45, 0.0, STEEL), box(-0.13, 0.13, 0.105, 0.9, -0.26, 0.0, tint(STEEL, 0.95))]


def on_counter(rng: Random) -> list[Solid]:
    """Something small that stands on a counter."""
    what = rng.randrange(3)
    if what == 0:
        return [
            cylinder(0, 0, 0.0, 0.2, 0.07, fabric(rng), top=0.06, sides=8),
            box(-0.02, 0.02, 0.2, 0.36, -0.02, 0.02, (180, 140, 90)),
        ]
    if what == 1:
        return [
            rounded(
                -0.14, 0.14, 0.0, 0.2, -0.09, 0.09, rng.choice((STEEL, WHITE, (190, 80, 66))), along="x", radius=0.05
            )
        ]
    return [
        cylinder(0, 0, 0.0, 0.07, 0.08, WHITE, top=0.15, sides=10),
        cylinder(0, 0, 0.07, 0.13, 0.12, (220, 160, 60), top=0.04, sides=8),
    ]
