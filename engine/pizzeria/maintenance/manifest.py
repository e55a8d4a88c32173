"""What a version of the data says of itself: counts by source, class, day and model, what was left out, and hashes."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pizzeria.clock import now
from pizzeria.maintenance.champion_rows import Lineage
from pizzeria.maintenance.sides import FORGOTTEN, FROZEN
from pizzeria.spec.spec import Spec

if TYPE_CHECKING:
    import pandas as pd

MANIFEST = "manifest.json"


def describe(
    number: int,
    key: str,
    spec: Spec,
    before: Lineage,
    examples: pd.DataFrame,
    sides: pd.DataFrame,
    unusable: Mapping[str, int],
    doubts: Sequence[str],
    folder: Path,
) -> dict[str, Any]:
    """The manifest of a version.

    Args:
        examples: All that could be learnt from, with their `split` and `why`.
        sides: Of `settle`: of all rows.
        unusable: Labelled predictions that cannot be learnt from, by reason.
        doubts: What was seen of labels that are left out because they are not believed.
        folder: Whose files are there but for the manifest.
    """
    learnt = examples[examples["split"] != "none"]
    window = learnt[learnt["split"] == "test"]
    numbers = spec.problem.target is not None and not spec.problem.classes
    tests = sides[sides["split"] == "test"]
    why = Counter(text for text in examples["why"] if text)
    return {
        "number": number,
        "made": now(),
        "key": key,
        "name": spec.name,
        "champion": {"run": before.run.id, "version": before.version},
        "counts": {
            "labels": len(learnt),
            "known": len(learnt) + why[FORGOTTEN],
            "new": int(learnt["new"].sum()),
            "window": len(window),
            "frozen": int((tests["part"] == FROZEN).sum()),
            **{side: int((sides["split"] == side).sum()) for side in ("train", "validation", "test")},
            "by_source": _counts(learnt["source"].replace("", "(not said)")),
            "by_class": _by_class(learnt["truth"], numbers=numbers),
            "by_day": _counts(learnt["predicted_at"].str[:10]),
            "by_model": _counts(learnt["model"].str[:12]),
        },
        "left_out": {**unusable, **why, **_forgotten_base(sides)},
        "doubts": list(doubts),
        "window_since": None if window.empty else window["predicted_at"].min(),
        "sha256": _hashes(folder),
    }


def _forgotten_base(sides: pd.DataFrame) -> dict[str, int]:
    """How many of the champion's own rows `maintenance.memory` leaves out."""
    count = int(((sides["was"] != "") & (sides["was"] != "none") & (sides["split"] == "none")).sum())
    return {f"{FORGOTTEN}, of the data before": count} if count else {}


def _counts(values: pd.Series[str]) -> dict[str, int]:
    return {str(name): int(count) for name, count in values.value_counts().sort_index().items()}


def _by_class(truths: pd.Series[str], *, numbers: bool) -> dict[str, int]:
    """How many examples show each class; none for values."""
    found: Counter[str] = Counter()
    for truth in () if numbers else truths:
        said = json.loads(truth)
        found.update(said["classes"] if "classes" in said else [said["class"]])
    return dict(sorted(found.items()))


def _hashes(folder: Path) -> dict[str, str]:
    out = {}
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            with open(path, "rb") as stream:
                out[str(path.relative_to(folder))] = hashlib.file_digest(stream, "sha256").hexdigest()
    return out
