"""The section on the test split: headline metrics, the table of classes, and the plots behind them."""

from __future__ import annotations

from typing import Any

import numpy as np

from pizzeria.drawing import colour
from pizzeria.report import figures, measures
from pizzeria.report.figures import Figure
from pizzeria.report.measures import Tested
from pizzeria.report.run_folder import RunFolder
from pizzeria.report.wording import higher_is_better, metric_meaning, metric_title
from pizzeria.tasks import NAMES, task

SINGLE_LABEL = ("image_classification", "tabular_classification")


def section(run: RunFolder, test: Tested | None) -> dict[str, Any] | None:
    """None before evaluation."""
    report = run.json("evaluate", "metrics.json")
    if not report and test is None:
        return None
    metrics = (report or {}).get("metrics") or {}
    main = task(run.task).MAIN_METRIC if run.task in NAMES else ""
    tiles = [
        {
            "name": name,
            "title": metric_title(name),
            "value": value,
            "meaning": metric_meaning(run.task, name),
            "main": name == main,
        }
        for name, value in metrics.items()
        if value is None or isinstance(value, int | float)
    ]
    return {
        "unit": "rows" if run.task.startswith("tabular") else "photos",
        "count": None if test is None else len(test.keys),
        "tiles": tiles,
        "parts": _parts(run),
        "classes": _class_table(run, (report or {}).get("per_class") or {}, test),
        "figures": _figures(run, (report or {}).get("curves") or {}, test),
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


def _class_table(run: RunFolder, per_class: dict[str, Any], test: Tested | None) -> dict[str, Any] | None:
    """One row for each class, one column for each metric that any class has."""
    if not per_class:
        return None
    names = [name for name in run.classes if name in per_class] + [n for n in per_class if n not in run.classes]
    found = [column for name in names for column in per_class[name]]
    preferred = list(task(run.task).METRICS) if run.task in NAMES else []
    columns = [c for c in ("map_50", *preferred, *found) if c in found and c not in ("support", "threshold")]
    columns = list(dict.fromkeys(columns))
    counts = measures.support(test) if test is not None and test.classes else []
    thresholds = {} if test is None else test.calibration.get("thresholds") or {}
    rows = []
    for name in names:
        known = run.classes.index(name) if name in run.classes else None
        rows.append(
            {
                "name": name,
                "colour": colour(name, run.classes),
                "values": [per_class[name].get(column) for column in columns],
                "threshold": thresholds.get(name, per_class[name].get("threshold")),
                "support": counts[known] if known is not None and known < len(counts) else {},
            }
        )
    return {
        "columns": [
            {"title": metric_title(c), "meaning": metric_meaning(run.task, c), "bar": higher_is_better(run.task, c)}
            for c in columns
        ],
        "rows": rows,
        "thresholds": any(row["threshold"] is not None for row in rows),
        "supports": sorted({key for row in rows for key in row["support"]}),
    }


def _figures(run: RunFolder, curves: dict[str, Any], test: Tested | None) -> list[Figure]:
    detection = run.task == "object_detection"
    shades = {name: colour(name, run.classes) for name in run.classes}
    out: list[Figure | None] = []
    if curves.get("precision_recall"):
        note = "Boxes that overlap a true one by half or more." if detection else "Each class against the rest."
        out.append(figures.precision_recall(curves["precision_recall"], shades, note))
    if curves.get("reliability"):
        out.append(figures.reliability(curves["reliability"], _before(run, test)))
    confusion = curves.get("confusion") or {}
    if confusion.get("matrix"):
        labels = [str(name) for name in confusion["labels"]]
        rows, columns = list(labels), list(labels)
        note = "Rows are the truth, columns what was said; darker is a larger share of the row."
        if len(labels) == len(run.classes) + 1:
            rows[-1], columns[-1] = "nothing there", "missed"
            note = "Boxes at the thresholds of the service, rows are the truth; darker is a larger share of the row."
        out.append(figures.confusion(confusion["matrix"], rows, columns, note))
    scatter = curves.get("scatter") or {}
    if scatter.get("true"):
        target = str(run.problem.get("target") or "value")
        out.append(figures.scatter(np.array(scatter["true"], float), np.array(scatter["predicted"], float), target))
    out.append(_residuals(test))
    return [figure for figure in out if figure is not None]


def _before(run: RunFolder, test: Tested | None) -> dict[str, Any] | None:
    """How reliable the scores were that calibration began with; None where there is no calibration."""
    if test is None or not test.classes or test.calibration.get("method", "none") == "none":
        return None
    if run.task in SINGLE_LABEL:
        return measures.reliability(test.raw.max(1), test.raw.argmax(1) == test.true.argmax(1))
    return measures.reliability(test.raw.ravel(), test.true.ravel())


def _residuals(test: Tested | None) -> Figure | None:
    if test is None or test.predictions.values is None or test.truth.values is None:
        return None
    residuals = test.predictions.values.astype(float) - test.truth.values
    residuals = residuals[np.isfinite(residuals)]
    note = "Right of zero is too high. The outer bins hold what lies beyond."
    if not len(residuals):
        return None
    return figures.histogram({"residual": (residuals, "var:accent")}, "Residuals", "predicted minus true", note)
