"""Versions of collected data (`runs/.collected/<name>/<number>`) that no run learnt from."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import suppress

from pizzeria.clearing.leftovers import Leftover
from pizzeria.deployments.turn import holder
from pizzeria.holding import held_if_free
from pizzeria.runs.store import Store

_NAMED = re.compile(r"\.collected/([^/\s'\"]+)/(\d+)(?!\d)")


def unused_versions(store: Store) -> Iterator[Leftover]:
    """Those that no run's spec names, nor what maintenance has begun; the newest stays, whose number counts on."""
    for root in [path for path in store.root.glob(".collected/*") if path.is_dir()]:
        with held_if_free(root) as free:
            if not free or holder(root.name, store, of="maintain") is not None:
                continue
            found = sorted((path for path in root.iterdir() if path.name.isdigit()), key=lambda path: int(path.name))
            named = _named(store) if len(found) > 1 else set()  # only now: maintenance that comes later waits
            for path in found[:-1]:
                if (root.name, path.name) not in named:
                    yield Leftover.at(path, "data version that no run has")


def _named(store: Store) -> set[tuple[str, str]]:
    """(name, number) of versions that specs of runs name, or of later versions, or of what maintenance has begun."""
    found: set[tuple[str, str]] = set()
    for pattern in ("*/spec.yaml", ".maintenance/*/*", ".collected/*/*/spec.yaml"):
        for path in store.root.glob(pattern):
            if path.is_file():
                own = (path.parents[1].name, path.parent.name)
                with suppress(FileNotFoundError):  # of maintenance, which removed it just now and has its turn still
                    found |= {one for one in _NAMED.findall(path.read_text(errors="replace")) if one != own}
    return found
