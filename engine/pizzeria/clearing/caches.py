"""The user's caches: what can be fetched or made again, and nobody used for long."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from pizzeria.cache_folder import caches
from pizzeria.clearing.leftovers import Leftover, idle_s
from pizzeria.clearing.temporaries import temporaries
from pizzeria.holding import held_if_free, is_held

LONG_S = 30 * 86400.0
"""What was not used for so long goes, unless something else is asked for."""
_ENTRIES = ("fetched/blobs/*/*", "fetched/trees/[0-9a-f]*", "fetched/partial/*")
_KEPT_WHOLE = "fetched"


def left_in_caches(older_than_s: float | None) -> Iterator[Leftover]:
    """What killed processes left there; downloads that were cut off are gone on with, unless they are so old."""
    root = caches()
    yield from temporaries(root)
    for path in root.glob("fetched/partial/*"):
        if older_than_s is not None and idle_s(path) >= older_than_s and not is_held(path):
            yield Leftover.at(path, "download that was cut off")


def unused_caches(older_than_s: float, keep: Callable[[str], object]) -> Iterator[Leftover]:
    """What was not read or written for so long, while no run of this user is at work."""
    root = caches()
    with held_if_free(root) as free:
        if not free:
            keep("caches: a run is at work")
            return
        entries = [path for pattern in _ENTRIES for path in root.glob(pattern)]
        entries += [path for path in root.glob("*/*") if path.parent.name != _KEPT_WHOLE]
        for path in sorted(entries):
            if idle_s(path, read=True) >= older_than_s:
                yield Leftover.at(path, f"cache {path.relative_to(root).parts[0]}")
