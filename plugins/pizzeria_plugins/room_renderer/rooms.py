"""Furnishes rooms: which things stand where, for each kind of room."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from random import Random

from pizzeria_plugins.room_renderer import clutter, shell
from pizzeria_plugins.room_renderer.kitchen import kitchen
from pizzeria_plugins.room_renderer.palette import Palette
from pizzeria_plugins.room_renderer.room import TURNS, Room, add_chairs, add_television, add_window, empty_room
from pizzeria_plugins.room_renderer.solids import extent, tint
from pizzeria_plugins.room_renderer.styles import Style


def bedroom(rng: Random, colours: Palette, styles: Mapping[str, Sequence[Style]]) -> Room:
    room = empty_room(rng, colours, styles, (3.4, 4.4), (3.3, 4.2))
    add_window(room, back_share=0.45)
    wall = rng.choice(("back", "back", "back", "left", "right"))
    bed = room.make("bed")
    half = extent(bed)[1][0]
    at = (
        rng.uniform(half + 0.3, room.width - half - 0.3)
        if wall == "back"
        else room.depth - half - rng.uniform(0.15, 0.6)
    )
    if room.chance(0.6):
        x, z = (at, room.depth - 1.6) if wall == "back" else (room.width / 2, at)
        shell.add_rug(room.scene, rng, x, z, 2.6, 2.0)
    room.against(wall, bed, at, kind="bed")
    for side in (-1, 1):
        if room.chance(0.75):
            stand = clutter.drawers(rng, colours.wood, 0.45, 0.5, 0.4, 2)
            if room.against(wall, stand, at + side * (half + 0.32)) and room.chance(0.7):
                base = room.scene.things[-1]
                room.put(clutter.table_lamp(rng), base.x, base.z, y=0.502)
    other = "right" if wall == "left" else "left" if wall == "right" else rng.choice(("left", "right"))
    if room.chance(0.35 if wall == "back" else 0.85):
        if wall != "back":
            add_television(room, "back", room.width * (0.68 if wall == "left" else 0.32))
        else:
            add_television(room, other, rng.uniform(1.7, 2.2))
    if room.chance(0.4):
        room.against(other, clutter.wardrobe(rng, tint(colours.wood, 1.1)), room.depth - 0.75)
    if room.chance(0.5):
        x = rng.choice((0.6, room.width - 0.6))
        room.put(
            room.make("chair"),
            x,
            rng.uniform(1.5, 2.2),
            turn=(-0.9 if x < 1 else 0.9) + rng.uniform(-0.3, 0.3),
            kind="chair",
        )
    room.hang()
    room.decorate()
    return room


def living_room(rng: Random, colours: Palette, styles: Mapping[str, Sequence[Style]]) -> Room:
    room = empty_room(rng, colours, styles, (3.8, 4.8), (3.5, 4.4))
    add_window(room, back_share=0.5)
    wall = rng.choice(("back", "back", "left", "right"))
    sofa = room.make("sofa")
    half = extent(sofa)[1][0]
    if wall == "back":
        at = rng.uniform(half + 0.15, room.width - half - 0.15)
        middle = (at, room.depth - 1.95)
    else:
        at = room.depth - half - rng.uniform(0.3, 0.7)
        middle = (1.9 if wall == "left" else room.width - 1.9, at)
    if room.chance(0.7):
        shell.add_rug(room.scene, rng, *middle, 2.3, 1.7)
    room.against(wall, sofa, at, kind="sofa")
    if room.chance(0.75):
        room.put(room.make("coffee table"), *middle, turn=TURNS[wall] + rng.uniform(-0.1, 0.1), kind="coffee table")
    if room.chance(0.45 if wall == "back" else 0.9):
        if wall == "back":
            add_television(room, rng.choice(("left", "right")), rng.uniform(1.5, 2.0))
        else:
            add_television(room, "back", room.width * (0.64 if wall == "left" else 0.36))
    if room.chance(0.65):
        side = rng.choice((-1, 1))
        x = min(room.width - 0.5, max(0.5, room.width / 2 + side * rng.uniform(1.0, 1.5)))
        room.put(room.make("chair"), x, rng.uniform(1.8, 2.5), turn=side * rng.uniform(0.5, 1.2), kind="chair")
    if room.chance(0.4):
        room.against(rng.choice(("left", "right", "back")), clutter.bookshelf(rng, colours.wood), rng.uniform(1.2, 3.0))
    room.hang(0.8)
    room.decorate()
    return room


def dining_room(rng: Random, colours: Palette, styles: Mapping[str, Sequence[Style]]) -> Room:
    room = empty_room(rng, colours, styles, (3.6, 4.4), (3.3, 4.0))
    add_window(room, back_share=0.6)
    table = room.make("table")
    x, z = room.width / 2 + rng.uniform(-0.3, 0.3), rng.uniform(1.6, 2.1)
    if room.chance(0.7):
        shell.add_rug(room.scene, rng, x, z, 2.5, 2.0)
    room.put(table, x, z, turn=rng.uniform(-0.1, 0.1), kind="table")
    add_chairs(room, table, x, z, rng.randint(2, 5))
    if room.chance(0.6):
        room.put(clutter.pendant(rng, rng.uniform(0.6, 0.9)), x, z, y=room.height - 0.001)
    if room.chance(0.35):
        add_television(room, "back", rng.uniform(1.0, room.width - 1.0))
    elif room.chance(0.6):
        room.against("back", clutter.drawers(rng, colours.wood, 1.4, 0.8, 0.42, 3), rng.uniform(0.9, room.width - 0.9))
    room.hang(0.8)
    room.decorate()
    return room


def bathroom(rng: Random, colours: Palette, styles: Mapping[str, Sequence[Style]]) -> Room:
    room = empty_room(rng, colours, styles, (2.4, 3.1), (2.4, 3.0), tiled=True)
    shell.add_tiled_wall(room.scene, room.width, room.depth, 0.0, rng.uniform(1.2, 2.1), tint(colours.tile, 1.12))
    left = room.chance(0.5)
    at = rng.uniform(0.55, room.width * 0.45) if left else rng.uniform(room.width * 0.55, room.width - 0.55)
    if room.chance(0.94):
        sink = room.make("bathroom sink")
        if extent(sink)[0][1] > 0.7:
            room.against("back", clutter.drawers(rng, colours.wood, 0.8, 0.775, 0.5, 2), at)
        room.against("back", sink, at, kind="bathroom sink")
        room.against("back", clutter.picture(rng, round_mirror=True), at, y=1.3, gap=0.0)
    other = room.width - 0.5 if left else 0.5
    wall = "right" if left else "left"
    kind = rng.randrange(3)
    if kind == 0:
        room.against(wall, clutter.bathtub(rng), room.depth - 0.85)
    elif kind == 1:
        room.against("back", clutter.toilet(rng), other)
    else:
        room.against(wall, clutter.toilet(rng), rng.uniform(1.3, room.depth - 0.5))
    if room.chance(0.5):
        room.against("back", clutter.towel(rng), other, y=0.95, gap=0.0)
    if room.chance(0.5):
        shell.add_rug(room.scene, rng, at, room.depth - 1.0, 0.9, 0.6)
    if room.chance(0.4):
        room.put(clutter.plant(rng), other, room.depth - 0.4)
    return room


ROOMS: Mapping[str, Callable[[Random, Palette, Mapping[str, Sequence[Style]]], Room]] = {
    "bedroom": bedroom,
    "living_room": living_room,
    "kitchen": kitchen,
    "dining_room": dining_room,
    "bathroom": bathroom,
}
