"""Looks for what is on two sides of the split and must not be; what is found and not allowed stops the run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from pizzeria import atomic
from pizzeria.errors import LeakageError, PizzeriaError
from pizzeria.leakage import Finding
from pizzeria.leakage.photos import photo_leaks
from pizzeria.leakage.same_things import group_leaks, row_leaks
from pizzeria.leakage.targets import target_leaks
from pizzeria.spec.leakage import Allowed, Leakage
from pizzeria.spec.spec import Spec
from pizzeria.splitting.row_store import opened, pattern, types
from pizzeria.sql_text import literal as text
from pizzeria.stages.stage import Job, Outcome, framing
from pizzeria.tables import Tables, read_tables

NAME = "leakage"
INPUTS = ("collect", "split")
AFTER: tuple[str, ...] = ()
RESUMES = False
REFUSAL: type[PizzeriaError] | None = LeakageError

_LISTING = "listing_id"
_EXAMPLES = 5
_TELLING = 0.9
"""Of the way from telling nothing to the limit: a column that comes so near is mentioned."""


def reads(spec: Spec) -> dict[str, Any]:
    split = spec.data.split
    options = spec.features.options
    names = ("drop", "numeric", "categorical", "dates", "text")
    return framing(spec) | {
        "data": {
            "leakage": spec.data.leakage.model_dump(mode="json"),
            "split": {"group_by": split.group_by, "order_by": split.order_by},
        },
        "features": {name: list(getattr(options, name, ()) or ()) for name in names},
    }


def plugins(spec: Spec) -> Sequence[tuple[str, str]]:
    return []


def run(job: Job) -> Outcome:
    spec = job.spec
    tables = read_tables(job.inputs["collect"].folder)
    found, facts = _look(spec, tables, job.inputs["split"].folder / "splits.parquet", job.folder)
    judged, idle = settle(found, spec.data.leakage)
    atomic.write_json(
        job.folder / "leakage.json",
        facts | {"findings": [asdict(finding) for finding in judged], "idle": [entry.model_dump() for entry in idle]},
    )
    for finding in judged:
        if finding.allowed is not None:
            job.progress.say(f"leakage, allowed: {finding.message}; {finding.allowed}")
    for entry in idle:
        job.progress.say(f"data.leakage.allow: nothing was found that {_named(entry)} would allow; take it out")
    for entry in facts["columns"]:
        if entry["near"]:
            job.progress.say(
                f"{entry['column']} alone tells the target with {entry['measure']} {entry['score']:.3f}: "
                "is it known at the moment of prediction?"
            )
    stops = [finding for finding in judged if finding.allowed is None]
    counts = {"leaks": len(stops), "allowed": len(judged) - len(stops)}
    return Outcome(counts, _refusal(stops) if stops else None)


def settle(found: Sequence[Finding], wanted: Leakage) -> tuple[list[Finding], list[Allowed]]:
    """The findings with the reason of what is allowed, and what the spec allows though nothing of it was found."""
    judged, used = [], set()
    for finding in found:
        fits = [
            (i, entry)
            for i, entry in enumerate(wanted.allow)
            if entry.what == finding.what and entry.column in (None, finding.column)
        ]
        used |= {i for i, _ in fits}
        judged.append(replace(finding, allowed=fits[0][1].reason if fits else None))
    return judged, [entry for i, entry in enumerate(wanted.allow) if i not in used]


def _look(spec: Spec, tables: Tables, splits: Path, folder: Path) -> tuple[list[Finding], dict[str, Any]]:
    import pandas as pd

    wanted, split = spec.data.leakage, spec.data.split
    facts: dict[str, Any] = {"distance": wanted.distance, "harmless": {}, "columns": [], "groups": []}
    found: list[Finding] = []
    images = tables.images
    key = "image_id" if images is not None else "row_id"
    if images is not None:
        sides = pd.read_parquet(splits).set_index("key")["split"]
        images = images[images["image_id"].astype(str).isin(sides.index)]
        group = next((name for name in (_LISTING, split.group_by) if name in images), None)
        found, facts["harmless"] = photo_leaks(images, sides, wanted.distance, group)
        facts["looked_at"] = len(images)
    source: Any = images if images is not None else tables.rows_file or tables.rows
    with opened(source, folder) as connection:
        connection.execute(f"CREATE VIEW sides AS FROM read_parquet({text(pattern(splits))})")
        groups = wanted.groups
        if groups is None:
            # With time as the order, the same thing comes again later: that is no leak by itself.
            usual = [_LISTING] if _LISTING in types(connection) and not split.order_by else []
            groups = tuple(dict.fromkeys([*usual, *([split.group_by] if split.group_by else [])]))
        facts["groups"] = list(groups)
        found += group_leaks(connection, key, groups)
        if images is None:
            found += row_leaks(connection, key, wanted.rows)
            leaks, facts["columns"] = target_leaks(connection, key, spec.problem, spec.features.options, wanted)
            found += leaks
            for entry in facts["columns"]:
                nothing = 0.5 if entry["measure"] == "AUC" else 0.0
                near = nothing + _TELLING * (entry["limit"] - nothing)
                entry["near"] = entry["score"] is not None and near <= entry["score"] < entry["limit"]
    return found, facts


def _refusal(stops: Sequence[Finding]) -> LeakageError:
    lines = []
    for finding in stops:
        lines.append(f"  {finding.message}")
        for pair in finding.pairs[:_EXAMPLES]:
            one, other = (f"{key} ({side})" for key, side in zip(pair.keys, pair.sides, strict=True))
            lines.append(f"    {one} and {other}{f': {pair.note}' if pair.note else ''}")
        more = finding.count - min(len(finding.pairs), _EXAMPLES)
        if finding.pairs and more > 0:
            lines.append(f"    and {more} more")
    hints = list(dict.fromkeys(finding.hint for finding in stops))
    return LeakageError(
        "what the model is judged on leaks into what it learns from:\n" + "\n".join(lines),
        hint="; or ".join(hints) if len(hints) == 1 else "\n".join(hints),
    )


def _named(entry: Allowed) -> str:
    return f"{entry.what} of {entry.column}" if entry.column else entry.what
