"""The section on data: how much there is of what, on which side of the split, and what the expectations found."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from pizzeria.datasets import SPLITS
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
    out = [(name, len(frame)) for name, frame in tables.present()]
    renamed = [("photos" if name == "images" else name, count) for name, count in out]
    if tables.images is not None and "readable" in tables.images and not tables.images["readable"].all():
        renamed.append(("not readable", int((~tables.images["readable"].astype(bool)).sum())))
    return renamed


def _splits(run: RunFolder) -> list[dict[str, Any]]:
    if run.splits is None or not len(run.splits):
        return []
    group = ((run.spec.get("data") or {}).get("split") or {}).get("group_by")
    main = run.tables.images if run.tables.images is not None else run.tables.rows
    out = []
    for name in SPLITS:
        keys = run.splits.index[run.splits == name]
        groups = None
        if main is not None and group in main:
            key = "image_id" if "image_id" in main else "row_id"
            groups = int(main.loc[main[key].astype(str).isin(keys), group].nunique())
        out.append({"name": name, "count": len(keys), "share": len(keys) / len(run.splits), "groups": groups})
    return [{**entry, "group": str(group).removesuffix("_id") + "s" if group else ""} for entry in out]


def _left_out(run: RunFolder) -> list[tuple[str, int]]:
    """Rows of no side, by reason."""
    facts = run.facts("split")
    return [(name, int(count)) for name, count in facts.items() if name not in SPLITS]


def _fold(run: RunFolder) -> str:
    split = (run.spec.get("data") or {}).get("split") or {}
    return f"Fold {split.get('fold', 0)} of {split['folds']} is the test." if split.get("folds") else ""


def balance(run: RunFolder) -> dict[str, Any] | None:
    """Per class and split: boxes (detection), photos or rows that hold it."""
    if not run.classes or run.splits is None:
        return None
    held = _held(run)
    if held is None:
        return None
    unit, frame = held
    splits = frame["key"].map(run.splits)
    rows: list[dict[str, Any]] = []
    for name in run.classes:
        here = frame["class_name"] == name
        by_split = {split: int((here & (splits == split)).sum()) for split in SPLITS}
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
    target = run.problem.get("target")
    if tables.rows is not None and target in tables.rows:
        rows = tables.rows
        return "rows", pd.DataFrame({"key": rows["row_id"].astype(str), "class_name": rows[target].astype(str)})
    return None


def _target_figure(run: RunFolder) -> Figure | None:
    """Regression: how the target is spread in each split."""
    import pandas as pd

    rows, target = run.tables.rows, run.problem.get("target")
    if run.task != "tabular_regression" or rows is None or target not in rows or run.splits is None:
        return None
    values = pd.to_numeric(rows[target], errors="coerce")
    splits = rows["row_id"].astype(str).map(run.splits)
    shades = {"train": "var:muted", "validation": "var:second", "test": "var:accent"}
    groups = {
        split: (values[(splits == split) & values.notna()].to_numpy(float), shade) for split, shade in shades.items()
    }
    there = {split: pair for split, pair in groups.items() if len(pair[0])}
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
