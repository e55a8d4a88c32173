"""Sofas. Each style is a function of a random generator and the home's wood colour."""

from __future__ import annotations

from math import cos, pi, sin
from random import Random

from pizzeria_plugins.room_renderer.palette import fabric
from pizzeria_plugins.room_renderer.solids import Colour, Solid, box, cylinder, legs, rounded, tint


def _cushions(rng: Random, w: float, y: float, z: float, count: int, colour: Colour) -> list[Solid]:
    step = w / count
    return [
        rounded(
            -w / 2 + i * step + 0.008,
            -w / 2 + (i + 1) * step - 0.008,
            y,
            y + 0.17,
            z,
            z + 0.62,
            colour,
            along="x",
            radius=0.05,
        )
        for i in range(count)
    ]


def _back_cushions(w: float, y: float, z: float, count: int, colour: Colour) -> list[Solid]:
    step = w / count
    return [
        rounded(
            -w / 2 + i * step + 0.01,
            -w / 2 + (i + 1) * step - 0.01,
            y,
            y + 0.42,
            z,
            z + 0.18,
            colour,
            along="x",
            radius=0.07,
        )
        for i in range(count)
    ]


def padded_sofa(rng: Random, wood: Colour) -> list[Solid]:
    w, cloth = rng.uniform(1.4, 2.0), fabric(rng)
    seats = 3 if w > 1.7 else 2
    parts = [box(-w / 2, w / 2, 0.06, 0.26, -0.36, 0.44, tint(cloth, 0.9))]
    parts += [
        rounded(x, x + 0.22, 0.04, 0.64, -0.40, 0.44, cloth, along="z", radius=0.1)
        for x in (-w / 2 - 0.225, w / 2 + 0.005)
    ]
    parts += [rounded(-w / 2 - 0.2, w / 2 + 0.2, 0.1, 0.84, 0.45, 0.62, tint(cloth, 0.95), along="x", radius=0.08)]
    parts += _cushions(rng, w, 0.265, -0.38, seats, tint(cloth, 1.06))
    return parts + _back_cushions(w, 0.44, 0.245, seats, tint(cloth, 1.03)) + _throw_pillows(rng, w)


def _throw_pillows(rng: Random, w: float) -> list[Solid]:
    parts = []
    for side in (-1, 1):
        if rng.random() < 0.6:
            x = side * (w / 2 - 0.24)
            parts.append(rounded(x - 0.2, x + 0.2, 0.44, 0.80, 0.10, 0.235, fabric(rng), along="z", radius=0.08))
    return parts


def boxy_sofa(rng: Random, wood: Colour) -> list[Solid]:
    w, cloth = rng.uniform(1.4, 2.0), fabric(rng)
    parts = legs(w / 2 + 0.1, 0.4, 0.16, 0.05, wood)
    parts += [box(-w / 2 - 0.12, w / 2 + 0.12, 0.16, 0.28, -0.42, 0.45, tint(cloth, 0.92))]
    parts += [box(x, x + 0.12, 0.285, 0.6, -0.42, 0.45, cloth) for x in (-w / 2 - 0.12, w / 2)]
    parts += [box(-w / 2 - 0.12, w / 2 + 0.12, 0.28, 0.82, 0.455, 0.58, cloth)]
    parts += _cushions(rng, w, 0.285, -0.40, 2, tint(cloth, 1.08))
    return parts + _back_cushions(w, 0.46, 0.255, 2, tint(cloth, 1.04)) + _throw_pillows(rng, w)


def corner_sofa(rng: Random, wood: Colour) -> list[Solid]:
    w, cloth = rng.uniform(1.5, 2.0), fabric(rng)
    side = rng.choice((-1, 1))
    x0, x1 = (w / 2 - 0.7, w / 2) if side > 0 else (-w / 2, -w / 2 + 0.7)
    parts = [box(-w / 2, w / 2, 0.05, 0.26, -0.36, 0.44, tint(cloth, 0.9))]
    parts += [box(x0, x1, 0.05, 0.26, -0.95, -0.39, tint(cloth, 0.9))]
    parts += [rounded(x0 + 0.01, x1 - 0.01, 0.265, 0.43, -0.97, -0.39, tint(cloth, 1.06), along="x", radius=0.05)]
    arm = -side * (w / 2 + 0.1)
    parts += [rounded(arm - 0.1, arm + 0.1, 0.04, 0.6, -0.40, 0.44, cloth, along="z", radius=0.06)]
    parts += [rounded(-w / 2 - 0.2, w / 2 + 0.05, 0.1, 0.82, 0.45, 0.62, tint(cloth, 0.95), along="x", radius=0.06)]
    parts += _cushions(rng, w, 0.265, -0.38, 3, tint(cloth, 1.06))
    return parts + _back_cushions(w, 0.44, 0.245, 3, tint(cloth, 1.03))


def futon_sofa(rng: Random, wood: Colour) -> list[Solid]:
    w, cloth = rng.uniform(1.7, 2.1), fabric(rng)
    parts = [box(x, x + 0.06, 0.0, 0.5, -0.45, 0.5, wood) for x in (-w / 2 - 0.06, w / 2)]
    parts += [box(-w / 2, w / 2, 0.15, 0.22, -0.45, 0.5, wood)]
    parts += [rounded(-w / 2, w / 2, 0.225, 0.38, -0.46, 0.34, cloth, along="x", radius=0.07)]
    return [*parts, rounded(-w / 2, w / 2, 0.3, 0.85, 0.345, 0.5, tint(cloth, 1.05), along="x", radius=0.07)]


def tub_sofa(rng: Random, wood: Colour) -> list[Solid]:
    w, cloth = rng.uniform(1.3, 1.6), fabric(rng)
    parts = [rounded(-w / 2, w / 2, 0.1, 0.42, -0.42, 0.3, tint(cloth, 1.1), along="y", radius=0.3)]
    steps = 9
    for i in range(steps):
        angle = pi * i / (steps - 1)
        x, z = cos(angle) * (w / 2 + 0.02), -0.1 + sin(angle) * 0.55
        parts.append(cylinder(x, z, 0.08, 0.78, 0.16, cloth, sides=10))
    return parts
