"""Looks everywhere, and removes what may go."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from pizzeria.clearing import caches, stages, temporaries, versions
from pizzeria.clearing.leftovers import Leftover
from pizzeria.deployments import state_folder
from pizzeria.deployments.turn import holder
from pizzeria.runs.store import Store


@dataclass
class Cleared:
    """What went, or would.

    Attributes:
        kept: What stays although a process that was killed left it, and why: a sentence each.
        refused: What may not be removed, and why.
    """

    gone: list[Leftover] = field(default_factory=list)
    kept: list[str] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)

    @property
    def size(self) -> int:
        """Bytes."""
        return sum(one.size for one in self.gone)


def clear(
    store: Store, *, dry_run: bool = False, older_than_s: float | None = None, with_caches: bool = False
) -> Cleared:
    """Remove what nothing points at and no living process holds.

    Args:
        dry_run: Only say what would go.
        older_than_s: Also what could be gone on with, such as a training that was cut off, when it is so old; in the
            caches, what was not used for so long.
        with_caches: Also what was not used for long in the user's caches: a month, unless `older_than_s` says it.
    """
    out = Cleared()
    for found in _leftovers(store, older_than_s, with_caches, out):
        if not dry_run:
            try:
                found.remove()
            except OSError as error:
                out.refused.append(f"{found.path}: {error.strerror or error}")
                continue
        out.gone.append(found)
    return out


def _leftovers(store: Store, older_than_s: float | None, with_caches: bool, out: Cleared) -> Iterator[Leftover]:
    """One after the other; each stays locked until the next one is asked for."""
    state = state_folder(store)

    def leave(path: Path) -> bool:
        """A complete stage, in which nothing changes any more; and a name at which a command changes what is live."""
        if path.parent == store.cache:
            return stages.COMPLETE.fullmatch(path.name) is not None
        return path.parent == state and holder(path.name, store) is not None

    yield from stages.unused_stages(store, older_than_s, out.kept.append)
    yield from temporaries.temporaries(store.root, leave)
    yield from versions.unused_versions(store)
    yield from stages.dead_notes(store, older_than_s)
    yield from temporaries.in_temporary_folder(older_than_s)
    yield from caches.left_in_caches(older_than_s)
    if with_caches:
        yield from caches.unused_caches(caches.LONG_S if older_than_s is None else older_than_s, out.kept.append)
