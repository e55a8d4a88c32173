"""Sends rows to train, validation and test, always the same way for the same spec and data."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from pizzeria.errors import PizzeriaError
from pizzeria.spec.spec import Spec
from pizzeria.spec.split import CLASSES
from pizzeria.splitting import assign
from pizzeria.splitting.fixed import parts_of
from pizzeria.stages.stage import Job, Outcome, framing
from pizzeria.tables import read_tables

NAME = "split"
INPUTS = ("collect",)
AFTER: tuple[str, ...] = ("validate",)
RESUMES = False
REFUSAL: type[PizzeriaError] | None = None

PARTS = "parts.parquet"
"""Key and part of the test rows, where `data.split.fixed` tells parts apart."""
LEAST_WINDOW = 300
"""With fewer rows the newest part of the test split says too little alone: the gate and the monitor take all of it."""


def reads(spec: Spec) -> dict[str, Any]:
    split = spec.data.split
    plain = split.model_dump(mode="json")
    if split.fixed is not None:
        plain["fixed"] = split.fixed.name  # what it holds is what decides, wherever it lies
    found: dict[str, Any] = {"data": {"split": plain}}
    if split.stratify_by == CLASSES:
        found |= framing(spec)
    if split.group_near_duplicates:
        found["data"]["leakage"] = {"distance": spec.data.leakage.distance}
    return found


def plugins(spec: Spec) -> Sequence[tuple[str, str]]:
    return []


def data(spec: Spec) -> Sequence[Path]:
    """Lists that say who is where, and sides that were settled before."""
    files = spec.data.split.files
    named = [files.train, files.validation, files.test] if files is not None else [spec.data.split.fixed]
    return [path for path in named if isinstance(path, Path)]


def test_parts(folder: Path) -> dict[str, tuple[str, ...]]:
    """The keys of each part of the test split, by the part's name; empty where it has no parts.

    Args:
        folder: Of this stage.
    """
    if not (folder / PARTS).exists():
        return {}
    import pandas as pd

    found = pd.read_parquet(folder / PARTS)
    return {str(name): tuple(one["key"].astype(str)) for name, one in found.groupby("part", sort=True)}


def newest_part(parts: Mapping[str, Sequence[str]], there: Collection[str]) -> tuple[str, ...]:
    """The keys of the part `window`, the newest labels, where they are enough to judge by; empty where they are not.

    Args:
        parts: As of `test_parts`.
        there: Keys that can be judged.

    Example:
        >>> keys = [str(i) for i in range(LEAST_WINDOW)]
        >>> len(newest_part({"frozen": ["a"], "window": keys}, keys)), newest_part({"window": keys}, keys[1:])
        (300, ())
    """
    known = set(there)
    found = tuple(key for key in parts.get("window", ()) if key in known)
    return found if len(found) >= LEAST_WINDOW else ()


def run(job: Job) -> Outcome:
    split = job.spec.data.split
    tables = read_tables(job.inputs["collect"].folder)
    distance = job.spec.data.leakage.distance
    with assign(tables, split, job.spec.problem, distance=distance, folder=job.folder) as assigned:
        assigned.write(job.folder / "splits.parquet")
        parts = parts_of(split.fixed) if split.fixed is not None else None
        if parts is not None:
            parts.to_parquet(job.folder / PARTS, index=False)
        return Outcome({**assigned.counts, **assigned.left_out})
