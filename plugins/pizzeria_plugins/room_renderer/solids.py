"""Convex solids, of which all furniture is built.

Lengths are metres. A piece of furniture has its own frame: x to the right, y up from the floor, z away from whoever
looks at its front; it stands around x = 0, z = 0, and its front faces -z. Colours are (red, green, blue), 0 to 255.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from math import cos, hypot, pi, sin
from typing import NamedTuple

Colour = tuple[int, int, int]
Vertex = tuple[float, float, float]


class Face(NamedTuple):
    """One flat face: indices of its vertices, its outward normal, its colour, and whether light shades it."""

    corners: tuple[int, ...]
    normal: Vertex
    colour: Colour
    lit: bool = True


class Solid(NamedTuple):
    """A convex solid (or a single face) with its bounding box."""

    vertices: Sequence[Vertex]
    faces: Sequence[Face]
    low: Vertex
    high: Vertex


_BOX_FACES = (
    ((0, 1, 3, 2), (-1.0, 0.0, 0.0)),
    ((4, 5, 7, 6), (1.0, 0.0, 0.0)),
    ((0, 1, 5, 4), (0.0, -1.0, 0.0)),
    ((2, 3, 7, 6), (0.0, 1.0, 0.0)),
    ((0, 2, 6, 4), (0.0, 0.0, -1.0)),
    ((1, 3, 7, 5), (0.0, 0.0, 1.0)),
)


def tint(colour: Colour, factor: float) -> Colour:
    """The colour made lighter (factor above 1) or darker, kept within 0 to 255.

    Example:
        >>> tint((100, 200, 50), 1.5)
        (150, 255, 75)
    """
    return (
        min(255, max(0, int(colour[0] * factor))),
        min(255, max(0, int(colour[1] * factor))),
        min(255, max(0, int(colour[2] * factor))),
    )


def box(x0: float, x1: float, y0: float, y1: float, z0: float, z1: float, colour: Colour, *, lit: bool = True) -> Solid:
    """An axis-aligned box.

    Example:
        >>> box(0, 1, 0, 2, 0, 3, (200, 200, 200)).high
        (1, 2, 3)
    """
    vertices = [(x, y, z) for x in (x0, x1) for y in (y0, y1) for z in (z0, z1)]
    return Solid(vertices, [Face(c, n, colour, lit) for c, n in _BOX_FACES], (x0, y0, z0), (x1, y1, z1))


def rounded(
    x0: float, x1: float, y0: float, y1: float, z0: float, z1: float, colour: Colour, *, along: str = "x", radius: float
) -> Solid:
    """A box whose four edges along one axis are rounded: upholstery, mattresses, pillows."""
    spans = {"x": (x0, x1), "y": (y0, y1), "z": (z0, z1)}
    low, high = spans.pop(along)
    (u0, u1), (v0, v1) = spans.values()
    radius = min(radius, (u1 - u0) / 2.001, (v1 - v0) / 2.001)
    centres = (
        (u1 - radius, v1 - radius),
        (u0 + radius, v1 - radius),
        (u0 + radius, v0 + radius),
        (u1 - radius, v0 + radius),
    )
    outline = []
    for quarter, (u, v) in enumerate(centres):
        for step in range(3):
            c, s = _direction(quarter * 2 + step, 8)
            outline.append((u + radius * c, v + radius * s))
    return prism(outline, along, low, high, colour)


def cylinder(
    x: float,
    z: float,
    y0: float,
    y1: float,
    radius: float,
    colour: Colour,
    *,
    top: float | None = None,
    sides: int = 12,
) -> Solid:
    """An upright cylinder, or with another `top` radius a frustum: legs, lamp shades, pots, round table tops."""
    top = radius if top is None else top
    ring = [_direction(i, sides) for i in range(sides)]
    vertices = [(x + radius * c, y0, z + radius * s) for c, s in ring] + [
        (x + top * c, y1, z + top * s) for c, s in ring
    ]
    slope = (radius - top) / max(y1 - y0, 1e-6)
    length = hypot(1.0, slope)
    faces = [
        Face(tuple(range(sides, 2 * sides)), (0.0, 1.0, 0.0), colour),
        Face(tuple(range(sides)), (0.0, -1.0, 0.0), colour),
    ]
    for i in range(sides):
        c, s = _direction(2 * i + 1, 2 * sides)
        j = (i + 1) % sides
        faces.append(Face((i, j, sides + j, sides + i), (c / length, slope / length, s / length), colour))
    wide = max(radius, top)
    return Solid(vertices, faces, (x - wide, y0, z - wide), (x + wide, y1, z + wide))


def prism(outline: Sequence[tuple[float, float]], along: str, low: float, high: float, colour: Colour) -> Solid:
    """A convex outline pulled along an axis; it lies in the other two axes, in the order x, y, z, anticlockwise."""
    place = _PLACE[along]
    n = len(outline)
    vertices = [place(u, v, low) for u, v in outline] + [place(u, v, high) for u, v in outline]
    faces = [
        Face(tuple(range(n)), place(0.0, 0.0, -1.0), colour),
        Face(tuple(range(n, 2 * n)), place(0.0, 0.0, 1.0), colour),
    ]
    for i in range(n):
        j = (i + 1) % n
        du, dv = outline[j][0] - outline[i][0], outline[j][1] - outline[i][1]
        length = hypot(du, dv)
        if length > 1e-9:
            faces.append(Face((i, j, n + j, n + i), place(dv / length, -du / length, 0.0), colour))
    us, vs = [u for u, _ in outline], [v for _, v in outline]
    return Solid(vertices, faces, place(min(us), min(vs), low), place(max(us), max(vs), high))


def front(x0: float, x1: float, y0: float, y1: float, z: float, colour: Colour, *, lit: bool = True) -> Solid:
    """A flat rectangle that faces the front: doors, screens, handles, pictures."""
    return _flat([(x0, y0, z), (x1, y0, z), (x1, y1, z), (x0, y1, z)], (0.0, 0.0, -1.0), colour, lit)


def top(x0: float, x1: float, z0: float, z1: float, y: float, colour: Colour) -> Solid:
    """A flat rectangle that faces up: the inside of a basin, a cooktop."""
    return _flat([(x0, y, z0), (x1, y, z0), (x1, y, z1), (x0, y, z1)], (0.0, 1.0, 0.0), colour, True)


def disc(x: float, z: float, radius: float, y: float, colour: Colour) -> Solid:
    """A flat disc that faces up: burners, plates."""
    ring = [(x + radius * c, y, z + radius * s) for c, s in (_direction(i, 14) for i in range(14))]
    return _flat(ring, (0.0, 1.0, 0.0), colour, True)


def dial(x: float, y: float, radius: float, z: float, colour: Colour) -> Solid:
    """A flat disc that faces the front: knobs, clocks, round mirrors."""
    ring = [(x + radius * c, y + radius * s, z) for c, s in (_direction(i, 14) for i in range(14))]
    return _flat(ring, (0.0, 0.0, -1.0), colour, True)


def legs(half_x: float, half_z: float, height: float, thickness: float, colour: Colour) -> list[Solid]:
    """Four square legs whose outer edges are at +-half_x and +-half_z."""
    t = thickness
    return [box(x, x + t, 0.0, height, z, z + t, colour) for x in (-half_x, half_x - t) for z in (-half_z, half_z - t)]


def extent(solids: Sequence[Solid]) -> tuple[Vertex, Vertex]:
    """The bounding box of several solids, as its low and its high corner."""
    low = tuple(min(s.low[i] for s in solids) for i in range(3))
    high = tuple(max(s.high[i] for s in solids) for i in range(3))
    return (low[0], low[1], low[2]), (high[0], high[1], high[2])


def moved(solids: Sequence[Solid], x: float = 0.0, y: float = 0.0, z: float = 0.0) -> list[Solid]:
    """The solids, each moved by the same way."""
    return [
        Solid(
            [(a + x, b + y, c + z) for a, b, c in s.vertices],
            s.faces,
            (s.low[0] + x, s.low[1] + y, s.low[2] + z),
            (s.high[0] + x, s.high[1] + y, s.high[2] + z),
        )
        for s in solids
    ]


def _flat(corners: list[Vertex], normal: Vertex, colour: Colour, lit: bool) -> Solid:
    low = (min(c[0] for c in corners), min(c[1] for c in corners), min(c[2] for c in corners))
    high = (max(c[0] for c in corners), max(c[1] for c in corners), max(c[2] for c in corners))
    return Solid(corners, [Face(tuple(range(len(corners))), normal, colour, lit)], low, high)


@cache
def _direction(step: int, steps: int) -> tuple[float, float]:
    angle = 2 * pi * step / steps
    return cos(angle), sin(angle)


_PLACE: Mapping[str, Callable[[float, float, float], Vertex]] = {
    "x": lambda u, v, w: (w, u, v),
    "y": lambda u, v, w: (u, w, v),
    "z": lambda u, v, w: (u, v, w),
}
