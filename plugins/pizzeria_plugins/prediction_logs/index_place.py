"""Where the index of a log lies that others write: beside the log, or where a monitor may write."""

from __future__ import annotations

import hashlib
import tempfile
from pathlib import Path

from pizzeria.cache_folder import cache_folder


def index_folder(folder: Path) -> Path | None:
    """The log's folder; where that is read-only, as a volume of another machine may be, one in the user's cache.

    Returns:
        None where neither can be written: an index is then made for one look.
    """
    for place in (lambda: folder, lambda: _cached(folder)):
        try:
            found = place()
            found.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=found):
                return found
        except OSError:
            continue
    return None


def _cached(folder: Path) -> Path:
    return cache_folder("prediction-logs") / hashlib.sha256(str(folder.absolute()).encode()).hexdigest()[:16]
