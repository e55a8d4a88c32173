"""Data versions that maintenance collected out of labelled predictions, as their manifests tell of them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pizzeria.runs.store import Store

_MOST = 30
_MANIFEST = "manifest.json"


@dataclass(frozen=True)
class Collected:
    """One of them.

    Attributes:
        counts: Of rows, by what they are used for.
        more: By source, class, day and model; what was left out, and what is doubted.
    """

    number: str
    made: str
    champion: str
    counts: Mapping[str, int]
    more: Mapping[str, Any]


def collected(store: Store, name: str) -> list[Collected]:
    """The newest versions, the newest first."""
    root = store.root / ".collected" / name
    if not root.is_dir():
        return []
    folders = [path for path in root.iterdir() if path.is_dir() and path.name.isdigit()]
    folders.sort(key=lambda path: -int(path.name))
    return [_read(path) for path in folders[:_MOST]]


def _read(folder: Path) -> Collected:
    try:
        plain = json.loads((folder / _MANIFEST).read_bytes())
    except (OSError, ValueError):
        return Collected(folder.name, "", "", {}, {})
    counts = plain.get("counts") or {}
    single = {key: value for key, value in counts.items() if isinstance(value, int)}
    several = {key: value for key, value in counts.items() if not isinstance(value, int)}
    others = {key: plain[key] for key in ("window_since", "left_out", "doubts") if plain.get(key)}
    champion = (plain.get("champion") or {}).get("run") or ""
    return Collected(folder.name, str(plain.get("made", "")), str(champion), single, several | others)
