"""What was made of photos before, by their content: packs in the user's cache, which all runs share.

Several processes may fill a cache at once: one makes a pack at a time, and the next looks first what has come. Each
pack is there when it is whole, so a kill costs no more than the pack that was being made.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pizzeria.cache_folder import cache_folder
from pizzeria.contracts import Progress
from pizzeria.errors import DataError, PizzeriaError
from pizzeria.holding import in_turn
from pizzeria.inference.predictor import usable_cores
from pizzeria.packs import SUFFIX, Pack, open_pack, write_pack

LIMIT_VARIABLE = "PIZZERIA_CACHE_GB"
_LIMIT_GB = 20.0
_IN_USE_S = 86_400.0
_MOST, _MOST_BYTES = 256, 1 << 26


class Place(NamedTuple):
    """Where the array of a key lies."""

    pack: Pack
    slot: int

    @property
    def facts(self) -> Mapping[str, Any]:
        """What is known besides of it."""
        return self.pack.facts[self.slot]

    @property
    def array(self) -> NDArray[Any]:
        """The array itself, memory-mapped."""
        found: NDArray[Any] = self.pack.arrays()[self.slot]
        return found


class Made(NamedTuple):
    """What was made for some keys; those that could not be are left out."""

    keys: Sequence[str]
    arrays: NDArray[Any]
    facts: Sequence[Mapping[str, Any]]


class PackCache:
    """The packs of one kind that were made in one way.

    Args:
        kind: Such as `photos`; names the folder.
        how: All that decides what is made of a key.
        progress: Told of damaged packs.
    """

    def __init__(self, kind: str, how: Mapping[str, Any], progress: Progress) -> None:
        text = json.dumps(how, sort_keys=True, separators=(",", ":"))
        self.folder = cache_folder(kind) / hashlib.sha256(text.encode()).hexdigest()[:24]
        self.folder.mkdir(exist_ok=True)
        self._progress = progress
        self._known: dict[str, Pack | None] = {}
        """Packs by file name; None where one is damaged."""
        self._places: dict[str, Place] = {}
        """Of each key of the packs that were read whole."""

    def find(self, keys: Iterable[str]) -> dict[str, Place]:
        """Where those lie that are there; each pack was read and found intact. A damaged one is deleted."""
        self._look(set(keys))
        return {key: self._places[key] for key in keys if key in self._places}

    def fill(self, keys: Sequence[str], at_once: int, make: Callable[[Sequence[str]], Made]) -> dict[str, Place]:
        """As `find`, and what is missing is made first, at most `at_once` keys to a pack."""
        wanted = list(dict.fromkeys(keys))
        self._look(set(wanted))
        tried: set[str] = set()
        while missing := [key for key in wanted if key not in self._places and key not in tried]:
            with in_turn(self.folder / ".lock"):
                self._look(set(missing))
                chunk = [key for key in missing if key not in self._places][:at_once]
                tried.update(chunk)
                made = make(chunk) if chunk else None
                if made is not None and len(made.keys):
                    self._add(write_pack(self.folder, made.keys, made.arrays, made.facts))
        found = self.find(wanted)
        for name in {place.pack.path.name for place in found.values()}:
            with contextlib.suppress(OSError):  # what was used lately is deleted last
                os.utime(self.folder / name)
        return found

    def _look(self, wanted: set[str]) -> None:
        """Take up packs that have come, and read those of the wanted keys whole."""
        for path in sorted(self.folder.glob(f"*{SUFFIX}")):
            if path.name not in self._known:
                try:
                    self._known[path.name] = open_pack(path)
                except DataError:
                    self._give_up(path)
        lost = wanted - self._places.keys()
        needed = [pack for pack in self._known.values() if pack is not None and not lost.isdisjoint(pack.keys)]
        with ThreadPoolExecutor(usable_cores()) as pool:
            for pack, intact in zip(needed, pool.map(_intact, needed), strict=True):
                if intact:
                    self._add(pack)
                else:
                    self._give_up(pack.path)

    def _add(self, pack: Pack) -> None:
        self._known[pack.path.name] = pack
        for slot, key in enumerate(pack.keys):
            self._places[key] = Place(pack, slot)

    def _give_up(self, path: Path) -> None:
        self._known[path.name] = None
        self._progress.say(f"{path} is damaged or cut off: it is made again")
        path.unlink(missing_ok=True)


def at_once(bytes_each: int) -> int:
    """Arrays in one pack: 256, or as many as fit 64 MiB.

    Example:
        >>> at_once(224 * 224 * 3), at_once(2048 * 2048 * 3)
        (256, 5)
    """
    return max(1, min(_MOST, _MOST_BYTES // bytes_each))


def prune(kind: str) -> int:
    """Keep a kind of packs within its limit: what was not used for longest goes first.

    The limit is `PIZZERIA_CACHE_GB`, or 20 GB, for packs that no run holds; those that a run holds take no room of
    their own. What was used within a day stays, so that nothing is taken from a run that is going on.

    Returns:
        Bytes that were freed.

    Raises:
        PizzeriaError: the variable is no number.
    """
    left = _limit()
    now, freed = time.time(), 0
    for path in cache_folder(kind).glob("*/.*.tmp"):  # of a process that was killed
        with contextlib.suppress(OSError):
            if now - path.stat().st_mtime > _IN_USE_S:
                path.unlink()
    found = []
    for path in cache_folder(kind).glob(f"*/*{SUFFIX}"):
        with contextlib.suppress(OSError):
            stat = path.stat()
            if stat.st_nlink == 1:
                found.append((stat.st_mtime, stat.st_size, path))
    for used, size, path in sorted(found, reverse=True):
        left -= size
        if left < 0 and now - used > _IN_USE_S:
            with contextlib.suppress(OSError):
                path.unlink()
                freed += size
    return freed


def _limit() -> float:
    """Bytes."""
    text = os.environ.get(LIMIT_VARIABLE, "")
    try:
        found = float(text) if text else _LIMIT_GB
    except ValueError:
        found = float("nan")
    if not found >= 0:
        raise PizzeriaError(f"{LIMIT_VARIABLE} is {text!r}", hint="write a number of gigabytes, such as 50")
    return found * 1e9


def _intact(pack: Pack) -> bool:
    try:
        return pack.intact()
    except OSError:
        return False


def stacked(places: Sequence[Place]) -> NDArray[Any]:
    """[N, ...]: the arrays at these places, copied into one."""
    mapped: dict[Path, NDArray[Any]] = {}
    for place in places:
        if place.pack.path not in mapped:
            mapped[place.pack.path] = place.pack.arrays()
    return np.stack([mapped[place.pack.path][place.slot] for place in places])
