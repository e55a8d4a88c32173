"""Data versions that maintenance collected out of labelled predictions: their manifests, as far as they are there."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pizzeria.report.wording import rows_of
from pizzeria.runs.store import Store

_MOST = 30
MANIFEST = "manifest.json"


@dataclass(frozen=True)
class Collected:
    """One of them.

    Attributes:
        facts: Of its manifest, flat, without lists of files.
    """

    number: str
    facts: list[tuple[str, Any]]


def collected(store: Store, name: str) -> list[Collected]:
    """The newest versions, the newest first."""
    root = store.root / ".collected" / name
    if not root.is_dir():
        return []
    folders = [path for path in root.iterdir() if path.is_dir() and path.name.isdigit()]
    folders.sort(key=lambda path: -int(path.name))
    return [Collected(path.name, _facts(path)) for path in folders[:_MOST]]


def _facts(folder: Path) -> list[tuple[str, Any]]:
    try:
        plain = json.loads((folder / MANIFEST).read_bytes())
    except (OSError, ValueError):
        return []
    return [(name, value) for name, value in rows_of(plain) if not name.startswith("files")][:40]
