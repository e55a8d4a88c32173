"""Whole listings: a home, its photos, and what its owner declares."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import floor
from random import Random

from pizzeria_plugins.room_renderer import CLASSES, Shift
from pizzeria_plugins.room_renderer.light import blurred, darker, daylight, expose
from pizzeria_plugins.room_renderer.painter import Camera, Seen, paint
from pizzeria_plugins.room_renderer.palette import Palette, palette
from pizzeria_plugins.room_renderer.rooms import ROOMS
from pizzeria_plugins.room_renderer.styles import KNOWN, NEW

LEAST_VISIBLE = 0.25
"""A thing of which less shows gets no box."""
_LEAST_PIXELS = 7
"""Nor does one whose box is narrower or lower than this."""


@dataclass(frozen=True)
class Photo:
    """One rendered photo.

    Attributes:
        name: file name, such as `000012-1-kitchen.jpg`.
        room: bedroom, living_room, kitchen, dining_room or bathroom.
        jpeg: the file's bytes.
        width, height: pixels.
        boxes: what is seen, with the visible extent in pixels.
    """

    name: str
    room: str
    jpeg: bytes
    width: int
    height: int
    boxes: tuple[Seen, ...]

    @property
    def shows(self) -> frozenset[str]:
        """Classes of which at least one box is in the photo."""
        return frozenset(box.label for box in self.boxes)


@dataclass(frozen=True)
class Listing:
    """One home: its photos and what its owner declares, which may be false or miss something."""

    listing_id: str
    photos: tuple[Photo, ...]
    declared: tuple[str, ...]

    @property
    def in_photos(self) -> tuple[str, ...]:
        """Classes that its photos show, in the order of `CLASSES`."""
        return tuple(name for name in CLASSES if any(name in photo.shows for photo in self.photos))


def render_listings(
    count: int,
    *,
    seed: int = 0,
    photos_per_listing: int = 3,
    shift: Shift = "none",
    false_declarations: float = 0.15,
    missing_declarations: float = 0.1,
    first: int = 0,
) -> Iterator[Listing]:
    """Render listings `first` to `first + count - 1` of a seed, one after another.

    Listing k of a seed is always the same, whatever `first` and `count` are. A shift leaves the homes as they are
    and changes how they are photographed (dark, blur) or furnished (styles), or all of it.

    Args:
        count: number of listings.
        seed: 0 or more.
        photos_per_listing: 1 or more.
        shift: what is different from ordinary traffic.
        false_declarations: expected share of declared amenities that no photo shows, in [0, 1).
        missing_declarations: share of shown amenities that are not declared, in [0, 1].
        first: index of the first listing.

    Example:
        >>> [home] = render_listings(1, seed=3)
        >>> home.listing_id, [photo.room for photo in home.photos]
        ('000000', ['bedroom', 'kitchen', 'bathroom'])
    """
    for index in range(first, first + count):
        yield render_listing(
            index,
            seed=seed,
            photos_per_listing=photos_per_listing,
            shift=shift,
            false_declarations=false_declarations,
            missing_declarations=missing_declarations,
        )


def render_listing(
    index: int,
    *,
    seed: int,
    photos_per_listing: int,
    shift: Shift,
    false_declarations: float,
    missing_declarations: float,
) -> Listing:
    """Render listing `index` of a seed; see `render_listings`."""
    rng = Random(f"{seed}/{index}")
    colours = palette(rng)
    rooms = _rooms(rng, photos_per_listing)
    name = f"{index:06d}"
    photos = tuple(
        _photo(f"{name}-{i}-{room}.jpg", room, colours, f"{seed}/{index}/{i}", shift) for i, room in enumerate(rooms)
    )
    shown = frozenset(label for photo in photos for label in photo.shows)
    declared = _declared(Random(f"{seed}/{index}/declared"), shown, false_declarations, missing_declarations)
    return Listing(name, photos, declared)


def _rooms(rng: Random, count: int) -> list[str]:
    """Every home has a bedroom and a kitchen first, then most often a living room, then others, then more of each."""
    rest = ["living_room"] * 5 + ["dining_room"] * 2 + ["bathroom"]
    rng.shuffle(rest)
    rooms = ["bedroom", "kitchen", *dict.fromkeys(rest)]
    while len(rooms) < count:
        rooms.append(rng.choice(list(ROOMS)))
    return rooms[:count]


def _photo(name: str, room: str, colours: Palette, key: str, shift: Shift) -> Photo:
    rng = Random(key)
    styles = NEW if shift in ("styles", "all") else KNOWN
    furnished = ROOMS[room](Random(f"{key}/room"), colours, styles)
    width, height = rng.choice(((320, 240), (352, 264), (384, 256), (384, 288), (416, 312), (448, 300)))
    x = furnished.width / 2 + rng.uniform(-0.5, 0.5)
    camera = Camera(
        x=x,
        y=rng.uniform(1.35, 1.7),
        z=rng.uniform(-1.4, -0.7),
        turn=rng.uniform(-0.12, 0.12) - 0.16 * (x - furnished.width / 2),
        focal=width * rng.uniform(0.76, 0.95),
        width=width,
        height=height,
        horizon=height * rng.uniform(0.31, 0.40),
    )
    image, seen = paint(furnished.scene, camera)
    light = daylight(rng)
    other = Random(f"{key}/shift")
    if shift in ("dark", "all"):
        light = darker(light, other)
    if shift in ("blur", "all"):
        light = blurred(light, other)
    return Photo(
        name, room, expose(image, light, Random(f"{key}/grain")), width, height, tuple(s for s in seen if _counts(s))
    )


def _counts(seen: Seen) -> bool:
    x0, y0, x1, y1 = seen.box
    return seen.visible >= LEAST_VISIBLE and x1 - x0 >= _LEAST_PIXELS and y1 - y0 >= _LEAST_PIXELS


def _declared(rng: Random, shown: frozenset[str], false: float, missing: float) -> tuple[str, ...]:
    draws = {name: rng.random() for name in CLASSES}
    true = [name for name in CLASSES if name in shown and draws[name] >= missing]
    wanted = len(true) * false / (1 - false)
    count = floor(wanted) + (rng.random() < wanted - floor(wanted))
    absent = [name for name in CLASSES if name not in shown]
    invented = set(rng.sample(absent, min(count, len(absent))))
    return tuple(name for name in CLASSES if name in true or name in invented)
