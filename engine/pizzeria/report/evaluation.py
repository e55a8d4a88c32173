"""The section on the test split: headline metrics, the table of classes, and the plots behind them."""

from __future__ import annotations

from typing import Any

from pizzeria.drawing import colour
from pizzeria.report import beside, box_errors, evaluation_figures, measures
from pizzeria.report.measures import Tested
from pizzeria.report.run_folder import RunFolder
from pizzeria.report.wording import higher_is_better, metric_meaning, metric_title
from pizzeria.tasks import NAMES, task

MAX_F1 = "max_f1"
"""The wish that needs no words; see `pizzeria.spec.thresholds`."""


def section(run: RunFolder, test: Tested | None) -> dict[str, Any] | None:
    """None before evaluation."""
    report = run.json("evaluate", "metrics.json")
    if not report and test is None:
        return None
    metrics = (report or {}).get("metrics") or {}
    main = task(run.task).MAIN_METRIC if run.task in NAMES else ""
    intervals, trivial = (report or {}).get("intervals") or {}, (report or {}).get("baseline") or {}
    elsewhere = box_errors.in_size_table(report or {})
    tiles = [
        {
            "name": name,
            "title": metric_title(name),
            "value": value,
            "meaning": metric_meaning(run.task, name),
            "main": name == main,
            "interval": intervals.get(name),
            "baseline": (trivial.get("metrics") or {}).get(name),
        }
        for name, value in metrics.items()
        if name not in elsewhere and (value is None or isinstance(value, int | float))
    ]
    return {
        "unit": "rows" if run.task.startswith("tabular") else "photos",
        "count": None if test is None else len(test.keys),
        "tiles": tiles,
        **beside.sentences(run, report or {}),
        "parts": _parts(run),
        "classes": _class_table(run, report or {}, test),
        "figures": evaluation_figures.plots(run, report or {}, test),
    }


_PARTS = {
    "frozen": "The test rows of the first model, on which all its successors are compared",
    "window": "The newest labelled predictions, which no model has learnt from",
}


def _parts(run: RunFolder) -> dict[str, Any] | None:
    """One row for each part of the test split, where it has parts: what was, and what is now."""
    parts = run.json("evaluate", "parts.json")
    if not parts:
        return None
    names = list(dict.fromkeys(name for part in parts.values() for name in part["metrics"]))
    plain = [
        name
        for name in names
        if all(isinstance(part["metrics"].get(name), int | float | None) for part in parts.values())
    ]
    return {
        "judged": next((name for name, part in parts.items() if part.get("gate")), ""),
        "columns": [{"title": metric_title(name), "meaning": metric_meaning(run.task, name)} for name in plain],
        "rows": [
            {
                "name": name,
                "meaning": _PARTS.get(name, ""),
                "count": part["count"],
                "values": [part["metrics"].get(metric) for metric in plain],
            }
            for name, part in parts.items()
        ],
    }


def _class_table(run: RunFolder, report: dict[str, Any], test: Tested | None) -> dict[str, Any] | None:
    """One row for each class, one column for each metric that any class has."""
    per_class = report.get("per_class") or {}
    if not per_class:
        return None
    names = [name for name in run.classes if name in per_class] + [n for n in per_class if n not in run.classes]
    found = [column for name in names for column in per_class[name]]
    preferred = list(task(run.task).METRICS) if run.task in NAMES else []
    hidden = ("support", "threshold", *(name for name in preferred if name.startswith("mar_")))
    columns = [c for c in ("map_50", *preferred, *found) if c in found and c not in hidden]
    # A size that no box of the test split has would fill a column with nothing.
    columns = [c for c in dict.fromkeys(columns) if any(per_class[name].get(c) is not None for name in names)]
    counts = measures.support(test) if test is not None and test.classes else []
    thresholds = {} if test is None else test.calibration.get("thresholds") or {}
    wishes = {} if test is None else test.calibration.get("wishes") or {}
    if all(one.get("wish") == MAX_F1 for one in wishes.values()):
        wishes = {}
    rows = []
    for name in names:
        known = run.classes.index(name) if name in run.classes else None
        rows.append(
            {
                "name": name,
                "colour": colour(name, run.classes),
                "values": [per_class[name].get(column) for column in columns],
                **beside.of_class(run, report, name, columns),
                "threshold": thresholds.get(name, per_class[name].get("threshold")),
                "wish": wishes.get(name),
                "support": counts[known] if known is not None and known < len(counts) else {},
            }
        )
    return {
        "columns": [
            {"title": metric_title(c), "meaning": metric_meaning(run.task, c), "bar": higher_is_better(run.task, c)}
            for c in columns
        ],
        "rows": rows,
        "trivial": beside.class_metric(run, report),
        "wishes": bool(wishes),
        "thresholds": any(row["threshold"] is not None for row in rows),
        "supports": sorted({key for row in rows for key in row["support"]}),
    }
