"""The empty room: floor, walls, ceiling, windows, rugs, and where the sun falls."""

from __future__ import annotations

from collections.abc import Callable
from math import cos, pi, sin
from random import Random

from pizzeria_plugins.room_renderer.painter import Polygon, Scene
from pizzeria_plugins.room_renderer.palette import WHITE, Palette, fabric
from pizzeria_plugins.room_renderer.solids import Colour, Vertex, tint

FRONT = -3.0
"""Where the side walls, floor and ceiling end, behind the camera."""


def add_shell(
    scene: Scene, rng: Random, width: float, depth: float, height: float, colours: Palette, *, tiled: bool
) -> None:
    """Floor from x = 0 to `width`, back wall at z = `depth`, ceiling at y = `height`, all in metres."""
    wall, back = colours.wall, colours.accent if rng.random() < 0.22 and not tiled else tint(colours.wall, 0.97)
    scene.shell.append(Polygon(_level(0, width, FRONT, depth, height), tint(WHITE, 0.97)))
    scene.shell.append(Polygon(_facing(0, width, 0, height, depth), back))
    scene.shell.append(Polygon(_side(0, FRONT, depth, 0, height), tint(wall, 0.90 + 0.05 * scene.light[0])))
    scene.shell.append(Polygon(_side(width, FRONT, depth, 0, height), tint(wall, 0.90 - 0.05 * scene.light[0])))
    if tiled:
        _tiles(scene, width, depth, colours)
    else:
        _boards(scene, rng, width, depth, colours.floor)
    skirting = tint(WHITE, 0.95)
    scene.shell.append(Polygon(_facing(0, width, 0, 0.09, depth), skirting))
    scene.shell.append(Polygon(_side(0, FRONT, depth, 0, 0.09), tint(skirting, 0.93)))
    scene.shell.append(Polygon(_side(width, FRONT, depth, 0, 0.09), tint(skirting, 0.93)))


def add_tiled_wall(scene: Scene, width: float, depth: float, low: float, high: float, colour: Colour) -> None:
    """Tiles on the back wall: a kitchen's splashback, a bathroom's lower half."""
    scene.shell.append(Polygon(_facing(0, width, low, high, depth), colour))
    joint = tint(colour, 0.9)
    rows = int((high - low) / 0.15)
    for i in range(1, rows):
        y = low + i * (high - low) / rows
        scene.shell.append(Polygon(_facing(0, width, y, y + 0.008, depth), joint))
    columns = int(width / 0.3)
    for i in range(1, columns):
        x = i * width / columns
        scene.shell.append(Polygon(_facing(x, x + 0.008, low, high, depth), joint))


def add_back_window(scene: Scene, rng: Random, x0: float, x1: float, y0: float, y1: float, depth: float) -> None:
    """A window in the back wall, with sky, a frame and sometimes curtains; the sun falls through it onto the floor."""
    _window(scene, rng, lambda a, b, low, high: _facing(a, b, low, high, depth), x0, x1, y0, y1)
    lean, reach = scene.light[0] * -1.1, rng.uniform(0.5, 1.2)
    near, far = depth - reach - 1.1, depth - reach
    scene.sun.append(
        [(x0 + lean, 0.0, far), (x1 + lean, 0.0, far), (x1 + 1.6 * lean, 0.0, near), (x0 + 1.6 * lean, 0.0, near)]
    )


def add_side_window(scene: Scene, rng: Random, x: float, z0: float, z1: float, y0: float, y1: float) -> None:
    """A window in the side wall at `x`."""
    _window(scene, rng, lambda a, b, low, high: _side(x, a, b, low, high), z0, z1, y0, y1)
    inward = 1 if x < 0.1 else -1
    a, b = x + inward * 0.5, x + inward * 1.7
    scene.sun.append([(a, 0.0, z0), (a, 0.0, z1), (b, 0.0, z1 - 0.3), (b, 0.0, z0 - 0.3)])


def add_rug(scene: Scene, rng: Random, x: float, z: float, w: float, d: float) -> None:
    """A rug on the floor around (x, z): plain with a border, striped, or round."""
    colour = fabric(rng)
    kind = rng.randrange(3)
    if kind == 2:
        for r, shade in ((min(w, d) * 0.62, 1.0), (min(w, d) * 0.54, 1.18)):
            ring = [(x + r * cos(2 * pi * i / 24), 0.0, z + r * sin(2 * pi * i / 24)) for i in range(24)]
            scene.shell.append(Polygon(ring, tint(colour, shade)))
        return
    scene.shell.append(Polygon(_level(x - w / 2, x + w / 2, z - d / 2, z + d / 2, 0.0), colour))
    if kind == 0:
        scene.shell.append(
            Polygon(_level(x - w / 2 + 0.1, x + w / 2 - 0.1, z - d / 2 + 0.1, z + d / 2 - 0.1, 0.0), tint(colour, 1.2))
        )
    else:
        for i in range(0, 8, 2):
            z0 = z - d / 2 + d * i / 8
            scene.shell.append(Polygon(_level(x - w / 2, x + w / 2, z0, z0 + d / 8, 0.0), tint(colour, 1.22)))


def _window(
    scene: Scene,
    rng: Random,
    rectangle: Callable[[float, float, float, float], list[Vertex]],
    a: float,
    b: float,
    low: float,
    high: float,
) -> None:
    frame = tint(WHITE, 1.0)
    scene.shell.append(Polygon(rectangle(a - 0.06, b + 0.06, low - 0.06, high + 0.06), tint(frame, 0.9)))
    sky, horizon = rng.choice(
        (((150, 196, 236), (226, 238, 246)), ((206, 216, 226), (238, 240, 240)), ((236, 196, 150), (250, 230, 200)))
    )
    steps = 5
    for i in range(steps):
        t = i / (steps - 1)
        colour = tuple(round(h + (s - h) * t) for s, h in zip(sky, horizon, strict=True))
        y = low + (high - low) * i / steps
        scene.shell.append(Polygon(rectangle(a, b, y, y + (high - low) / steps), (colour[0], colour[1], colour[2])))
    if rng.random() < 0.6:
        scene.shell.append(
            Polygon(
                rectangle(a, b, low, low + (high - low) * rng.uniform(0.12, 0.3)),
                rng.choice(((122, 160, 110), (150, 160, 160))),
            )
        )
    middle = (a + b) / 2
    scene.shell.append(Polygon(rectangle(middle - 0.025, middle + 0.025, low, high), frame))
    if rng.random() < 0.5:
        scene.shell.append(Polygon(rectangle(a, b, (low + high) / 2 - 0.02, (low + high) / 2 + 0.02), frame))
    if rng.random() < 0.55:
        cloth = tint(fabric(rng), 1.25)
        for start in (a - 0.28, b - 0.02):
            for fold in range(4):
                x = start + fold * 0.075
                scene.shell.append(
                    Polygon(
                        rectangle(x, x + 0.075, max(0.05, low - 0.5), high + 0.14),
                        tint(cloth, 1.0 if fold % 2 else 0.9),
                    )
                )


def _boards(scene: Scene, rng: Random, width: float, depth: float, colour: Colour) -> None:
    scene.shell.append(Polygon(_level(0, width, FRONT, depth, 0.0), colour))
    count = int(width / 0.19)
    for i in range(count):
        x0, x1 = i * width / count, (i + 1) * width / count
        z = FRONT + rng.uniform(0.0, 1.5)
        while z < depth:
            end = min(depth, z + rng.uniform(1.4, 2.6))
            if end > -0.5:
                scene.shell.append(Polygon(_level(x0, x1, z, end, 0.0), tint(colour, rng.uniform(0.93, 1.06))))
            z = end
        scene.shell.append(Polygon(_level(x0, x0 + 0.008, FRONT, depth, 0.0), tint(colour, 0.84)))


def _tiles(scene: Scene, width: float, depth: float, colours: Palette) -> None:
    scene.shell.append(Polygon(_level(0, width, FRONT, depth, 0.0), colours.tile))
    joint, step = tint(colours.tile, 0.86), 0.45
    for i in range(1, int(width / step) + 1):
        scene.shell.append(Polygon(_level(i * step, i * step + 0.014, FRONT, depth, 0.0), joint))
    z = depth - step
    while z > -1.0:
        scene.shell.append(Polygon(_level(0, width, z, z + 0.014, 0.0), joint))
        z -= step


def _level(x0: float, x1: float, z0: float, z1: float, y: float) -> list[Vertex]:
    return [(x0, y, z0), (x1, y, z0), (x1, y, z1), (x0, y, z1)]


def _facing(x0: float, x1: float, y0: float, y1: float, z: float) -> list[Vertex]:
    return [(x0, y0, z), (x1, y0, z), (x1, y1, z), (x0, y1, z)]


def _side(x: float, z0: float, z1: float, y0: float, y1: float) -> list[Vertex]:
    return [(x, y0, z0), (x, y0, z1), (x, y1, z1), (x, y1, z0)]
