"""Hostile archives, photos and data: each is made on the spot, and goes in by a door that strangers use."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Attack:
    """One file or folder, and the door that it goes in by.

    Attributes:
        door: A function of `pizzeria.torture.hostile_archives.kitchen`.
        what: The attack, so that somebody can do it again.
        make: Writes it into an empty folder, and returns what is given to the door.
        taken: Whether it may be taken as well: it is odd, and what comes of it is bounded.
        heavy: Whether it takes seconds; left out of a short trial.
    """

    door: str
    what: str
    make: Callable[[Path], Path]
    taken: bool = False
    heavy: bool = False


def attacks() -> Iterator[Attack]:
    """All of them."""
    from pizzeria.torture.hostile_archives import data, photos, tars, zips

    for module in (zips, tars, data, photos):
        yield from module.attacks()
