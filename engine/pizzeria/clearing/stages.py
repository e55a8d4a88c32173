"""Stages in the store: those that were cut off, and complete ones that no run has."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

from pizzeria.clearing.leftovers import Leftover, idle_s
from pizzeria.clearing.temporaries import abandoned
from pizzeria.graph import stages
from pizzeria.holding import held_if_free
from pizzeria.runs.ledger import Ledger
from pizzeria.runs.store import Store
from pizzeria.runs.working import Work, works

_UNLESS = ", and --older-than removes it if it is so old"
COMPLETE = re.compile(r"[0-9a-f]{16,}")
_NAME = re.compile(r"(?P<fingerprint>[0-9a-f]{16,})(?P<end>|\.partial|\.fetched\.partial|\.old)")


def unused_stages(store: Store, older_than_s: float | None, keep: Callable[[str], object]) -> Iterator[Leftover]:
    """Stages that nothing points at and nobody is at work on.

    A cut-off run may have a training that is worth going on with, and complete stages that are not linked yet: those
    stay, unless they are older than that.

    Args:
        keep: Told of what stays although it is cut off.
    """
    with held_if_free(store.cache) as free:
        if not free:
            keep("stages: a run begins just now, or another gc is at work")
            return
        needed = _pointed_at(store) | _served(store)
        going_on = works(store)
        resumed = {stage.NAME for stage in stages() if stage.RESUMES}
        alive = {fingerprint for one in going_on if one.alive for fingerprint in one.stages.values()}
        for path in sorted(store.cache.iterdir()):
            name = _NAME.fullmatch(path.name)
            if name is None or (name["fingerprint"] in alive and name["end"] != ".old"):
                continue
            cut = _cut_off(going_on, name["fingerprint"])
            old = older_than_s is not None and idle_s(path) >= older_than_s
            if name["end"] == "":
                if name["fingerprint"] in needed:
                    continue
                if cut and not old:
                    keep(f"a complete {cut[1]}: {cut[0].told()}{_UNLESS}")
                else:
                    yield Leftover.at(path, "stage that no run points at")
            elif abandoned(path):
                if name["end"] == ".partial" and cut and cut[1] in resumed and not old:
                    keep(f"a {cut[1]} that is cut off: {cut[0].told()}{_UNLESS}")
                else:
                    yield Leftover.at(path, "stage that was cut off" if name["end"] != ".old" else "stage's old copy")


def dead_notes(store: Store, older_than_s: float | None) -> Iterator[Leftover]:
    """What runs that were cut off said of themselves: so old; or of one that was not killed, and has nothing left."""
    for one in works(store):
        old = older_than_s is not None and idle_s(one.path) >= older_than_s
        if not one.alive and (old or (one.ended and not one.at)):
            yield Leftover.at(one.path, "note of a run that was cut off")


def _cut_off(found: list[Work], fingerprint: str) -> tuple[Work, str] | None:
    """The dead work that has such a stage, and the stage's name."""
    for one in reversed(found):
        if not one.alive:
            for stage, theirs in one.stages.items():
                if theirs == fingerprint:
                    return one, stage
    return None


def _pointed_at(store: Store) -> set[str]:
    """Fingerprints that runs have."""
    links = (path for path in store.root.glob("*/stages/*") if path.is_symlink())
    return {Path(path.readlink()).name for path in links}


def _served(store: Store) -> set[str]:
    """Fingerprints of bundles that names with a champion, or with a change under way, have been at."""
    ledger = Ledger(store.root)
    out = set()
    for name in ledger.names():
        if ledger.champion(name) is None and ledger.interrupted(name) is None:
            continue
        for entry in ledger.entries(name, ("deploying", "promoted", "rolled_back")):
            out.add(Path(str(entry.detail.get("bundle", ""))).parent.name)
    return out
