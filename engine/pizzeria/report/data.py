"""The section on data: how much there is of what, on which side of the split, and what the expectations found."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from pizzeria.datasets import SPLITS
from pizzeria.report import row_sides
from pizzeria.report.figures import Figure, histogram
from pizzeria.report.run_folder import RunFolder
from pizzeria.report.wording import metric_title

if TYPE_CHECKING:
    import pandas as pd


def section(run: RunFolder) -> dict[str, Any] | None:
    """Counts, class balance and expectations; None before anything was collected."""
    counts, expectations = _counts(run), _expectations(run)
    if not counts and not expectations:
        return None
    figure = _target_figure(run)
    return {
        "source": " and ".join(_sources(run.spec.get("data") or {})),
        "counts": counts,
        "splits": _splits(run),
        "left_out": _left_out(run),
        "fold": _fold(run),
        "balance": balance(run),
        "figures": [figure] if figure else [],
        "expectations": expectations,
    }


def _sources(data: dict[str, Any]) -> list[str]:
    """Each plugin once."""
    return list(dict.fromkeys(str(one["use"]) for one in (data, *(data.get("also") or ())) if one.get("use")))


def _counts(run: RunFolder) -> list[tuple[str, int]]:
    tables = run.tables
    out = list(tables.counts().items())
    renamed = [("photos" if name == "images" else name, count) for name, count in out]
    if tables.images is not None and "readable" in tables.images and not tables.images["readable"].all():
        renamed.append(("not readable", int((~tables.images["readable"].astype(bool)).sum())))
    return renamed


def _splits(run: RunFolder) -> list[dict[str, Any]]:
    group = ((run.spec.get("data") or {}).get("split") or {}).get("group_by")
    in_file = run.tables.rows_file is not None
    counts = row_sides.side_counts(run, group) if in_file else _photo_sides(run, group)
    total = sum(count for count, _ in counts.values())
    if not total:
        return []
    out = []
    for name in SPLITS:
        count, groups = counts.get(name, (0, None))
        out.append({"name": name, "count": count, "share": count / total, "groups": groups})
    return [{**entry, "group": str(group).removesuffix("_id") + "s" if group else ""} for entry in out]


def _photo_sides(run: RunFolder, group: str | None) -> dict[str, tuple[int, int | None]]:
    """Photos of each side of the split, and their groups."""
    if run.splits is None:
        return {}
    images, out = run.tables.images, {}
    for name in SPLITS:
        keys = run.splits.index[run.splits == name]
        groups = None
        if images is not None and group in images:
            groups = int(images.loc[images["image_id"].astype(str).isin(keys), group].nunique())
        out[name] = (len(keys), groups)
    return out


def _left_out(run: RunFolder) -> list[tuple[str, int]]:
    """Rows of no side, by reason."""
    facts = run.facts("split")
    return [(name, int(count)) for name, count in facts.items() if name not in SPLITS]


def _fold(run: RunFolder) -> str:
    split = (run.spec.get("data") or {}).get("split") or {}
    return f"Fold {split.get('fold', 0)} of {split['folds']} is the test." if split.get("folds") else ""


def balance(run: RunFolder) -> dict[str, Any] | None:
    """Per class and split: boxes (detection), photos or rows that hold it."""
    if not run.classes:
        return None
    if run.tables.rows_file is not None:
        unit, counts = "rows", row_sides.class_counts(run, str(run.problem.get("target")))
    else:
        held = _held(run)
        if held is None or run.splits is None:
            return None
        unit, frame = held
        sides = frame["key"].map(run.splits)
        counts = {
            (name, split): int(((frame["class_name"] == name) & (sides == split)).sum())
            for name in run.classes
            for split in SPLITS
        }
    rows: list[dict[str, Any]] = []
    for name in run.classes:
        by_split = {split: counts.get((name, split), 0) for split in SPLITS}
        rows.append({"name": name, **by_split, "total": sum(by_split.values()), "shares": _shares_of(by_split)})
    most = max((row["total"] for row in rows), default=0)
    return {"unit": unit, "rows": rows, "most": most} if most else None


def _shares_of(by_split: dict[str, int]) -> dict[str, float]:
    """Which part of a class is on each side; what a stratified split makes alike for all classes."""
    total = sum(by_split.values())
    return {name: count / total if total else 0.0 for name, count in by_split.items()}


def _held(run: RunFolder) -> tuple[str, pd.DataFrame] | None:
    """(unit, frame with key and class_name), one line for each thing that has a class."""
    import pandas as pd

    tables = run.tables
    if run.task == "object_detection" and tables.boxes is not None:
        boxes = tables.boxes
        return "boxes", pd.DataFrame(
            {"key": boxes["image_id"].astype(str), "class_name": boxes["class_name"].astype(str)}
        )
    if tables.images is not None and "labels" in tables.images:
        many = tables.images[["image_id", "labels"]].explode("labels")
        return "photos", pd.DataFrame({"key": many["image_id"].astype(str), "class_name": many["labels"].astype(str)})
    if tables.images is not None and "label" in tables.images:
        one = tables.images
        return "photos", pd.DataFrame({"key": one["image_id"].astype(str), "class_name": one["label"].astype(str)})
    return None


def _target_figure(run: RunFolder) -> Figure | None:
    """Regression: how the target is spread in each split."""
    target = run.problem.get("target")
    if run.task != "tabular_regression":
        return None
    values = row_sides.target_values(run, str(target))
    shades = {"train": "var:muted", "validation": "var:second", "test": "var:accent"}
    there = {split: (values[split], shade) for split, shade in shades.items() if len(values.get(split, ()))}
    if not there:
        return None
    return histogram(
        there, f"{metric_title(str(target))} in each split", str(target), "The outer bins hold what lies beyond."
    )


def _expectations(run: RunFolder) -> dict[str, Any] | None:
    found = run.json("validate", "expectations.json")
    if not found:
        return None
    rank = {False: 0, None: 1, True: 2}
    weight = {"critical": 0, "warning": 1, "info": 2}
    rows = [
        {
            "table": entry.get("table", ""),
            "name": entry.get("name", ""),
            "arguments": _arguments(entry.get("arguments") or {}),
            "success": entry.get("success"),
            "severity": entry.get("severity") or "critical",
            "evaluated": entry.get("evaluated"),
            "unexpected": entry.get("unexpected"),
            "examples": [str(example) for example in entry.get("examples") or ()],
        }
        for entry in found
    ]
    rows.sort(key=lambda row: (row["success"] is True, weight.get(row["severity"], 0), rank.get(row["success"], 1)))
    passed = sum(row["success"] is True for row in rows)
    unmet = [row for row in rows if row["success"] is not True]
    docs = "data_docs/index.html"
    return {
        "rows": rows,
        "passed": passed,
        "failed": sum(row["success"] is False for row in rows),
        "count": len(rows),
        "warnings": sum(row["severity"] != "critical" for row in unmet),
        "docs": f"stages/validate/{docs}" if run.file("validate", docs) else "",
    }


def _arguments(arguments: dict[str, Any]) -> str:
    parts = [f"{key}: {value if isinstance(value, str) else json.dumps(value)}" for key, value in arguments.items()]
    text = ", ".join(parts)
    return text if len(text) <= 160 else text[:157] + "..."
