"""Paints a scene of solids from back to front, and says which part of each piece of furniture stays visible.

Everything is drawn once, into an RGBA image at twice the size of the photo: the alpha channel carries the number of the
piece that owns the pixel, so the visible extent falls out of the same drawing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import cos, sin
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

from pizzeria_plugins.room_renderer.order import back_to_front
from pizzeria_plugins.room_renderer.solids import Colour, Solid, Vertex, extent

SCALE = 2
"""Drawn pixels for each pixel of the photo, in each direction."""
_NOBODY = 255
"""Alpha of what is no labelled thing; opaque, so that Pillow blends shadows over it."""
_NEAR = 0.08
"""Metres before the camera where polygons are cut off."""


@dataclass
class Thing:
    """Something that stands or hangs in the room.

    Attributes:
        solids: its parts, in its own frame.
        x, y, z: where its frame's origin is in the room, metres.
        turn: turn around the vertical, radians; 0 faces the camera, positive turns the front to the left.
        label: class of the box drawn around it, or None for clutter.
    """

    solids: Sequence[Solid]
    x: float = 0.0
    y: float = 0.0
    z: float = 0.0
    turn: float = 0.0
    label: str | None = None

    def bounds(self) -> tuple[Vertex, Vertex]:
        """Low and high corner of its bounding box in the room."""
        low, high = extent(self.solids)
        corners = [self.place(x, z) for x in (low[0], high[0]) for z in (low[2], high[2])]
        xs, zs = [c[0] for c in corners], [c[1] for c in corners]
        return (min(xs), low[1] + self.y, min(zs)), (max(xs), high[1] + self.y, max(zs))

    def place(self, x: float, z: float) -> tuple[float, float]:
        """Where a point of its own floor plan is in the room's."""
        c, s = cos(self.turn), sin(self.turn)
        return self.x + c * x + s * z, self.z - s * x + c * z


class Polygon(NamedTuple):
    """A flat piece of the room itself: floor boards, walls, rugs. Already in the colour that it will have."""

    corners: Sequence[Vertex]
    colour: Colour


class Camera(NamedTuple):
    """A camera held level: verticals stay vertical, as in photos of estate agents.

    Attributes:
        x, y, z: where it is, metres.
        turn: where it looks, radians; 0 is straight at the back wall, positive to the right.
        focal: focal length in pixels of the photo.
        width, height: of the photo, pixels.
        horizon: height of the horizon, pixels from the top.
    """

    x: float
    y: float
    z: float
    turn: float
    focal: float
    width: int
    height: int
    horizon: float


@dataclass
class Scene:
    """A room ready to be painted."""

    shell: list[Polygon] = field(default_factory=list)
    things: list[Thing] = field(default_factory=list)
    sun: list[list[Vertex]] = field(default_factory=list)
    """Polygons on the floor or walls that the sun falls on."""
    light: Vertex = (0.3, 0.8, -0.5)
    """Unit vector towards the light."""
    ambient: float = 0.55
    """Share of light that comes from everywhere, 0 to 1."""


class Seen(NamedTuple):
    """A labelled thing as the photo shows it.

    Attributes:
        label: its class.
        box: x_min, y_min, x_max, y_max of its visible extent, pixels of the photo.
        visible: visible share of its whole outline, what lies outside the photo included, 0 to 1.
    """

    label: str
    box: tuple[float, float, float, float]
    visible: float


def paint(scene: Scene, camera: Camera) -> tuple[Image.Image, list[Seen]]:
    """Draw the scene.

    Returns:
        The RGB image [height, width] in even light, and every labelled thing of which at least one pixel shows.
    """
    size = (camera.width * SCALE, camera.height * SCALE)
    canvas = Image.new("RGBA", size, (190, 190, 188, _NOBODY))
    draw = ImageDraw.Draw(canvas)
    for polygon in scene.shell:
        _fill(draw, _project(polygon.corners, camera), (*polygon.colour, _NOBODY), SCALE)
    _soften(canvas, scene, camera)
    draw = ImageDraw.Draw(canvas)
    labelled: list[tuple[int, Thing, list[_Drawn]]] = []
    for thing in _in_order(scene.things, camera):
        number = len(labelled) + 1 if thing.label else _NOBODY
        faces = _visible_faces(thing, scene, camera)
        for points, colour in faces:
            _fill(draw, points, (*colour, number), SCALE)
        if thing.label:
            labelled.append((number, thing, faces))
    owners = np.asarray(canvas.getchannel("A"))
    seen = [s for number, thing, faces in labelled if (s := _seen(owners, number, thing, faces, camera))]
    return canvas.convert("RGB").reduce(SCALE), seen


_Points = list[tuple[float, float]]
_Drawn = tuple[_Points, Colour]


def _fill(draw: ImageDraw.ImageDraw, points: _Points, colour: tuple[int, ...], scale: float) -> None:
    if len(points) >= 3:
        draw.polygon([(x * scale, y * scale) for x, y in points], fill=colour, outline=colour)


def _project(corners: Sequence[Vertex], camera: Camera) -> _Points:
    """Pixels of a polygon given in the room, cut off where it comes too close to the camera."""
    c, s = cos(camera.turn), sin(camera.turn)
    moved = []
    for x, y, z in corners:
        dx, dz = x - camera.x, z - camera.z
        moved.append((c * dx - s * dz, y - camera.y, s * dx + c * dz))
    return _to_pixels(moved, camera)


def _to_pixels(corners: Sequence[Vertex], camera: Camera) -> _Points:
    if any(v[2] < _NEAR for v in corners):
        corners = _cut(corners)
    f, u, v = camera.focal, camera.width / 2, camera.horizon
    return [(u + f * x / z, v - f * y / z) for x, y, z in corners]


def _cut(corners: Sequence[Vertex]) -> list[Vertex]:
    out: list[Vertex] = []
    for a, b in zip(corners, (*corners[1:], corners[0]), strict=True):
        if a[2] >= _NEAR:
            out.append(a)
        if (a[2] >= _NEAR) != (b[2] >= _NEAR):
            t = (_NEAR - a[2]) / (b[2] - a[2])
            out.append((a[0] + t * (b[0] - a[0]), a[1] + t * (b[1] - a[1]), _NEAR))
    return out


def _visible_faces(thing: Thing, scene: Scene, camera: Camera) -> list[_Drawn]:
    """Faces of a thing that look at the camera, shaded, from back to front."""
    c, s = cos(thing.turn), sin(thing.turn)
    dx, dz = camera.x - thing.x, camera.z - thing.z
    eye = (c * dx - s * dz, camera.y - thing.y, s * dx + c * dz)
    lx, ly, lz = scene.light
    light = (c * lx - s * lz, ly, s * lx + c * lz)
    # From the thing's frame to the camera's in one turn and one move.
    total = camera.turn - thing.turn
    ct, st = cos(total), sin(total)
    ex, ey, ez = eye
    drawn: list[_Drawn] = []
    for index in back_to_front([solid.low for solid in thing.solids], [solid.high for solid in thing.solids], eye):
        solid = thing.solids[index]
        seen = [(ct * (x - ex) - st * (z - ez), y - ey, st * (x - ex) + ct * (z - ez)) for x, y, z in solid.vertices]
        for corners, (nx, ny, nz), colour, lit in solid.faces:
            x, y, z = solid.vertices[corners[0]]
            if nx * (ex - x) + ny * (ey - y) + nz * (ez - z) <= 0:
                continue
            if lit:
                toward = 0.5 + 0.5 * (nx * light[0] + ny * light[1] + nz * light[2])
                shade = scene.ambient + (1.08 - scene.ambient) * toward
                r, g, b = colour
                colour = (min(255, int(r * shade)), min(255, int(g * shade)), min(255, int(b * shade)))
            drawn.append((_to_pixels([seen[i] for i in corners], camera), colour))
    return drawn


def _in_order(things: Sequence[Thing], camera: Camera) -> list[Thing]:
    bounds = [thing.bounds() for thing in things]
    order = back_to_front([low for low, _ in bounds], [high for _, high in bounds], (camera.x, camera.y, camera.z))
    return [things[i] for i in order]


def _soften(canvas: Image.Image, scene: Scene, camera: Camera) -> None:
    """Lay soft shadows below the things, and soft sunlight, over the empty room."""
    size = (camera.width // 4, camera.height // 4)
    shade, sun = Image.new("L", size), Image.new("L", size)
    draw = ImageDraw.Draw(shade)
    away = (-scene.light[0] * 0.12, -scene.light[2] * 0.12)
    for thing in scene.things:
        if thing.y < 0.3:
            low, high = extent(thing.solids)
            x0, x1, z0, z1 = low[0] - 0.05, high[0] + 0.05, low[2] - 0.05, high[2] + 0.05
            ground = [thing.place(x, z) for x, z in ((x0, z0), (x1, z0), (x1, z1), (x0, z1))]
            _fill(draw, _project([(x + away[0], 0.0, z + away[1]) for x, z in ground], camera), (125,), 0.25)
    _blend(canvas, (28, 22, 20, _NOBODY), shade, 1.6)
    if scene.sun:
        draw = ImageDraw.Draw(sun)
        for polygon in scene.sun:
            _fill(draw, _project(polygon, camera), (105,), 0.25)
        _blend(canvas, (255, 244, 214, _NOBODY), sun, 0.9)


def _blend(canvas: Image.Image, colour: tuple[int, int, int, int], mask: Image.Image, blur: float) -> None:
    """Lay a colour over the canvas through a small, blurred mask, touching only where there is something."""
    mask = mask.filter(ImageFilter.GaussianBlur(blur))
    where = mask.getbbox()
    if where:
        scale = 4 * SCALE
        x0, y0, x1, y1 = (v * scale for v in where)
        large = mask.crop(where).resize((x1 - x0, y1 - y0), Image.Resampling.BILINEAR)
        canvas.paste(colour, (x0, y0, x1, y1), large)


def _seen(owners: NDArray[np.uint8], number: int, thing: Thing, faces: list[_Drawn], camera: Camera) -> Seen | None:
    points = [point for outline, _ in faces for point in outline]
    if not points:
        return None
    left = max(0, int(min(x for x, _ in points)) * SCALE - 2)
    above = max(0, int(min(y for _, y in points)) * SCALE - 2)
    right, below = (max(0, int(max(p[i] for p in points)) * SCALE + 2 * SCALE) for i in (0, 1))
    mine = owners[above:below, left:right] == number
    columns, rows = np.flatnonzero(mine.any(0)), np.flatnonzero(mine.any(1))
    if not len(columns):
        return None
    x0, x1 = (float(left + v) / SCALE for v in (columns[0], columns[-1] + 1))
    y0, y1 = (float(above + v) / SCALE for v in (rows[0], rows[-1] + 1))
    whole = _area(points, [outline for outline, _ in faces])
    visible = float(mine.sum()) / SCALE**2 / whole
    assert thing.label is not None
    return Seen(thing.label, (x0, y0, x1, y1), min(1.0, visible))


def _area(points: _Points, outlines: list[_Points]) -> float:
    """Area of the union of some polygons, in pixels of the photo, whether they lie inside it or not."""
    x0, y0 = min(x for x, _ in points), min(y for _, y in points)
    wide, high = max(x for x, _ in points) - x0, max(y for _, y in points) - y0
    # As finely as the scene itself is drawn, so that both areas err alike; coarser where little can be wrong.
    scale = min(float(SCALE), 320 / max(wide, high, 1.0))
    whole = Image.new("L", (int(wide * scale) + 2, int(high * scale) + 2))
    draw = ImageDraw.Draw(whole)
    for outline in outlines:
        _fill(draw, [(x - x0, y - y0) for x, y in outline], (255,), scale)
    return max(whole.histogram()[255], 1) / scale**2
