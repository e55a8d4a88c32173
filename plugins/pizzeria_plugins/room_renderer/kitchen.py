"""Furnishes kitchens: a row of units along the back wall, and often a table before it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from random import Random

from pizzeria_plugins.room_renderer import clutter, shell
from pizzeria_plugins.room_renderer.palette import Palette
from pizzeria_plugins.room_renderer.room import Room, add_chairs, empty_room
from pizzeria_plugins.room_renderer.solids import Solid, extent, tint
from pizzeria_plugins.room_renderer.styles import Style


def kitchen(rng: Random, colours: Palette, styles: Mapping[str, Sequence[Style]]) -> Room:
    room = empty_room(rng, colours, styles, (3.2, 4.2), (3.3, 4.0), tiled=rng.random() < 0.6)
    shell.add_tiled_wall(room.scene, room.width, room.depth, 0.9, 1.5, tint(colours.tile, 1.1))
    units: list[str] = [kind for kind, share in (("stove", 0.85), ("kitchen sink", 0.85)) if room.chance(share)]
    units.append("counter")
    rng.shuffle(units)
    if room.chance(0.85):
        units.insert(rng.choice((0, len(units))), "fridge")
    made = [
        (
            kind,
            clutter.kitchen_unit(rng, 0.6, colours.cabinet, colours.counter) if kind == "counter" else room.make(kind),
        )
        for kind in units
    ]
    widths = [extent(solids)[1][0] * 2 + 0.02 for _, solids in made]
    spare = room.width - sum(widths) - 0.04
    grown = units.index("counter")
    if spare > 0:
        wide = min(spare, 1.6)
        made[grown] = ("counter", clutter.kitchen_unit(rng, 0.6 + wide, colours.cabinet, colours.counter))
        widths[grown] += wide
    x = max(0.02, (room.width - sum(widths)) * rng.random())
    for (kind, solids), w in zip(made, widths, strict=True):
        _kitchen_segment(room, kind, solids, x + w / 2, w)
        x += w
    if room.chance(0.65):
        table = room.make("table")
        tx, tz = rng.uniform(1.0, room.width - 1.0), rng.uniform(1.3, 1.8)
        if room.put(table, tx, tz, turn=rng.uniform(-0.08, 0.08), kind="table"):
            add_chairs(room, table, tx, tz, rng.randint(1, 3))
    elif room.chance(0.5):
        shell.add_rug(room.scene, rng, room.width / 2, room.depth - 1.2, 1.6, 0.9)
    room.decorate()
    return room


def _kitchen_segment(room: Room, kind: str, solids: Sequence[Solid], x: float, w: float) -> None:
    rng, colours, z = room.rng, room.colours, room.depth - 0.34
    above = rng.random()
    if kind == "fridge":
        room.put(solids, x, room.depth - 0.36, kind=kind, force=True)
        return
    if kind == "kitchen sink":
        under = clutter.kitchen_unit(rng, w - 0.02, colours.cabinet, colours.counter, h=0.59)
        room.put(under, x, z, force=True)
        room.put(solids, x, z, kind=kind, force=True)
        if above < 0.6:
            room.window(x - 0.5, x + 0.5, 1.3, 2.15)
        return
    if kind == "stove":
        room.put(solids, x, z, kind=kind, force=True)
        if above < 0.7:
            room.put(clutter.hood(rng), x, room.depth - 0.01, y=1.6)
        return
    room.put(solids, x, z, force=True)
    room.put(clutter.on_counter(rng), x + rng.uniform(-0.15, 0.15), z, y=0.902)
    if above < 0.7:
        room.put(clutter.wall_cabinet(rng, w - 0.04, colours.cabinet), x, room.depth - 0.01, y=1.52)
