"""Where things lie that can be made or fetched again, and are kept for all runs of a user: by content, so that they are
right for whoever asks."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from pizzeria.holding import held

VARIABLE = "PIZZERIA_CACHE"


def cache_folder(name: str) -> Path:
    """The folder of one kind of thing, such as `photos`; made if need be.

    It lies in `PIZZERIA_CACHE`, else in `~/.cache/pizzeria` (`XDG_CACHE_HOME` is heeded). Everything in it may be
    deleted while nothing runs.
    """
    folder = caches() / name
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def caches() -> Path:
    """The folder of all of them, which may not be there yet."""
    root = os.environ.get(VARIABLE)
    base = Path(root) if root else Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "pizzeria"
    return base.expanduser().absolute()


@contextmanager
def using_caches() -> Iterator[None]:
    """Say that what lies in the caches is in use by this process, so that `pizzeria gc --caches` leaves it alone."""
    with ExitStack() as stack:
        with suppress(OSError):  # where nothing can be kept, nothing is cleared away
            stack.enter_context(held(cache_folder(""), shared=True))
        yield
