"""Where things lie that can be made or fetched again, and are kept for all runs of a user: by content, so that they are
right for whoever asks."""

from __future__ import annotations

import os
from pathlib import Path

VARIABLE = "PIZZERIA_CACHE"


def cache_folder(name: str) -> Path:
    """The folder of one kind of thing, such as `photos`; made if need be.

    It lies in `PIZZERIA_CACHE`, else in `~/.cache/pizzeria` (`XDG_CACHE_HOME` is heeded). Everything in it may be
    deleted while nothing runs.
    """
    root = os.environ.get(VARIABLE)
    base = Path(root) if root else Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "pizzeria"
    folder = base.expanduser().absolute() / name
    folder.mkdir(parents=True, exist_ok=True)
    return folder
