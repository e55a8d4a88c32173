"""A room that is being furnished, and what several kinds of rooms have in common."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import hypot, pi
from random import Random

from pizzeria_plugins.room_renderer import clutter, shell
from pizzeria_plugins.room_renderer.painter import Scene, Thing
from pizzeria_plugins.room_renderer.palette import Palette
from pizzeria_plugins.room_renderer.solids import Solid, extent, tint
from pizzeria_plugins.room_renderer.styles import Style

TURNS = {"back": 0.0, "left": -pi / 2, "right": pi / 2}


class Room:
    """A room that is being furnished: width along x, depth along z, height along y, in metres."""

    def __init__(
        self, rng: Random, colours: Palette, styles: Mapping[str, Sequence[Style]], width: float, depth: float
    ) -> None:
        self.rng, self.colours, self.styles = rng, colours, styles
        self.width, self.depth, self.height = width, depth, rng.uniform(2.45, 2.8)
        self.windows: list[tuple[float, float]] = []
        slant, tall, front = rng.uniform(-0.6, 0.6), rng.uniform(0.7, 1.0), rng.uniform(-0.7, -0.3)
        length = hypot(slant, tall, front)
        self.scene = Scene(light=(slant / length, tall / length, front / length), ambient=rng.uniform(0.5, 0.64))

    def chance(self, share: float) -> bool:
        """True in this share of draws."""
        return self.rng.random() < share

    def make(self, kind: str) -> list[Solid]:
        """A piece of furniture of this kind, in one of the styles at hand."""
        return self.rng.choice(self.styles[kind])(self.rng, self.colours.wood)

    def put(
        self,
        solids: Sequence[Solid],
        x: float,
        z: float,
        *,
        y: float = 0.0,
        turn: float = 0.0,
        kind: str = "",
        force: bool = False,
    ) -> bool:
        """Place something, unless it would stand in something else or outside the room."""
        thing = Thing(solids, x, y, z, turn, kind.split()[-1] if kind else None)
        (x0, y0, z0), (x1, y1, z1) = thing.bounds()
        if not force:
            if x0 < -0.01 or x1 > self.width + 0.01 or z1 > self.depth + 0.01:
                return False
            for other in self.scene.things:
                (a0, b0, c0), (a1, b1, c1) = other.bounds()
                if x0 < a1 and a0 < x1 and y0 < b1 and b0 < y1 and z0 < c1 and c0 < z1:
                    return False
        self.scene.things.append(thing)
        return True

    def against(
        self, wall: str, solids: Sequence[Solid], at: float, *, y: float = 0.0, kind: str = "", gap: float = 0.03
    ) -> bool:
        """Place something with its back to a wall, its middle at `at` along that wall."""
        back = extent(solids)[1][2] + gap
        spot = {"back": (at, self.depth - back), "left": (back, at), "right": (self.width - back, at)}[wall]
        return self.put(solids, *spot, y=y, turn=TURNS[wall], kind=kind)

    def decorate(self) -> None:
        """Plants, lamps and boxes in what corners are left."""
        rng = self.rng
        for make, share in ((clutter.plant, 0.5), (clutter.floor_lamp, 0.25), (clutter.cartons, 0.22)):
            if self.chance(share):
                x = rng.choice((0.32, self.width - 0.32))
                self.put(make(rng), x, rng.uniform(1.4, self.depth - 0.35))

    def hang(self, share: float = 0.7) -> None:
        """A picture on the back wall, where there is room."""
        at, y = self.rng.uniform(0.6, self.width - 0.6), self.rng.uniform(1.35, 1.55)
        if self.chance(share) and not any(x0 - 0.8 < at < x1 + 0.8 for x0, x1 in self.windows):
            self.against("back", clutter.picture(self.rng), at, y=y, gap=0.0)

    def window(self, x0: float, x1: float, y0: float, y1: float) -> None:
        """A window in the back wall."""
        shell.add_back_window(self.scene, self.rng, x0, x1, y0, y1, self.depth)
        self.windows.append((x0, x1))


def empty_room(
    rng: Random,
    colours: Palette,
    styles: Mapping[str, Sequence[Style]],
    width: tuple[float, float],
    depth: tuple[float, float],
    *,
    tiled: bool = False,
) -> Room:
    """Floor, walls and ceiling, of a size drawn from the given ranges in metres."""
    room = Room(rng, colours, styles, rng.uniform(*width), rng.uniform(*depth))
    shell.add_shell(room.scene, rng, room.width, room.depth, room.height, colours, tiled=tiled)
    return room


def add_window(room: Room, *, back_share: float) -> None:
    """A window in the back wall, in `back_share` of the draws, or in a side wall."""
    rng = room.rng
    if room.chance(back_share):
        w, x = rng.uniform(0.9, 1.5), rng.uniform(0.9, room.width - 0.9)
        room.window(x - w / 2, x + w / 2, rng.uniform(0.95, 1.2), rng.uniform(2.0, 2.25))
    else:
        z = rng.uniform(1.2, room.depth - 1.6)
        shell.add_side_window(
            room.scene, rng, rng.choice((0.0, room.width)), z, z + 1.1, rng.uniform(0.9, 1.1), rng.uniform(2.0, 2.2)
        )


def add_television(room: Room, wall: str, at: float) -> None:
    """A television set on or above a low cabinet that stands at a wall, where there is room for it."""
    rng = room.rng
    tv = room.make("tv")
    stand = clutter.drawers(rng, tint(room.colours.wood, 0.95), rng.uniform(1.3, 1.6), rng.uniform(0.42, 0.55), 0.4, 1)
    top, back = extent(stand)[1][1], extent(stand)[1][2]
    if not room.against(wall, stand, at):
        return
    base = room.scene.things[-1]
    hung = extent(tv)[0][1] >= 0 and extent(tv)[1][2] < 0.05
    y = top + (rng.uniform(0.2, 0.4) if hung and room.chance(0.7) else 0.002)
    x, z = base.place(0.0, back - 0.08 if hung else 0.0)
    room.put(tv, x, z, y=y, turn=base.turn, kind="tv")


def add_chairs(room: Room, table: Sequence[Solid], x: float, z: float, count: int) -> None:
    """Up to `count` chairs of one look around a table that stands at (x, z), each facing it."""
    rng = room.rng
    (x0, _, z0), (x1, _, z1) = extent(table)
    style, look = rng.choice(room.styles["chair"]), rng.random()
    spots = [(x + x0 - 0.32, z, -pi / 2), (x + x1 + 0.32, z, pi / 2)]
    wide = (x1 - x0) / 4
    spots += [
        (x - wide, z + z1 + 0.34, 0.0),
        (x + wide, z + z1 + 0.34, 0.0),
        (x - wide, z + z0 - 0.3, pi),
        (x + wide, z + z0 - 0.3, pi),
    ]
    # Those at the short sides are seen best, so they are taken first more often than not.
    spots.sort(key=lambda spot: rng.random() + 0.5 * (spot[2] in (0.0, pi)))
    for px, pz, turn in spots[:count]:
        room.put(style(Random(look), room.colours.wood), px, pz, turn=turn + rng.uniform(-0.25, 0.25), kind="chair")
