"""Damage to one file, undone afterwards."""

from __future__ import annotations

import random
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

_PAGE = 4096
_HOWS = ("flip",) * 17 + ("cut", "zero", "swap")


@contextmanager
def damaged(path: Path, others: Sequence[Path], place: Path, chance: random.Random) -> Iterator[str]:
    """Damage a file of a folder, `place`; says what was done. Afterwards it is as it was.

    Args:
        others: Files of the same kind, whose content may be swapped in.
    """
    data = path.read_bytes()
    changed, how = _changed(data, [one for one in others if one != path], chance)
    path.write_bytes(changed)
    try:
        yield f"{how} of {path.relative_to(place)}"
    finally:
        path.write_bytes(data)


@contextmanager
def kept_as_it_is(place: Path) -> Iterator[None]:
    """Afterwards a folder is as it was, whoever changed what in it."""
    kept = place.with_name(f"{place.name}.kept")
    shutil.copytree(place, kept, symlinks=True)
    try:
        yield
    finally:
        shutil.rmtree(place)
        kept.rename(place)


def _changed(data: bytes, others: Sequence[Path], chance: random.Random) -> tuple[bytes, str]:
    """Other bytes, and what was done."""
    how = chance.choice(_HOWS)
    if how == "swap" and others:
        other = chance.choice(others)
        if (found := other.read_bytes()) != data:
            return found, f"the content of {other.name} in the place"
    if how == "cut" and data:
        size = chance.randrange(len(data))
        return data[:size], f"all after byte {size}"
    if how == "zero":
        at = chance.randrange(0, len(data), _PAGE)
        changed = data[:at] + bytes(len(data[at : at + _PAGE])) + data[at + _PAGE :]
        if changed != data:
            return changed, f"zeros from byte {at}"
    at, bit = chance.randrange(len(data)), chance.randrange(8)
    return data[:at] + bytes([data[at] ^ 1 << bit]) + data[at + 1 :], f"bit {bit} of byte {at}"
