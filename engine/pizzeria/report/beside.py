"""What stands beside a figure: its interval, and what a trivial model has."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pizzeria.report.run_folder import RunFolder
from pizzeria.report.wording import metric_title, number, plural
from pizzeria.tasks import NAMES, task


def sentences(run: RunFolder, report: Mapping[str, Any]) -> dict[str, str]:
    """`interval`, `trivial` and `not_better`: how intervals were made, what the trivial model is, and where the model
    is no better; empty where there is nothing to say."""
    bootstrap, trivial = report.get("bootstrap") or {}, report.get("baseline") or {}
    out = {"interval": "", "trivial": "", "not_better": ""}
    if report.get("intervals"):
        out["interval"] = (
            f"Below a figure the interval that holds the true one in {100 * bootstrap['confidence']:g} of 100 cases: "
            f"bootstrap, {number(bootstrap['resamples'])} draws from {_drawn(bootstrap)}."
        )
    if trivial.get("name"):
        out["trivial"] = f"The trivial model does not look: {trivial['name']}."
    if worse := report.get("not_better"):
        of = [
            f"{metric_title(name)} ({number(report['metrics'][name])}, trivial {number(trivial['metrics'][name])})"
            for name in worse
        ]
        out["not_better"] = f"No better than a model that does not look: {', '.join(of)}."
    return out


def _drawn(bootstrap: Mapping[str, Any]) -> str:
    unit, count = str(bootstrap["unit"]), int(bootstrap["groups"])
    if unit in ("photo", "row", "listing"):
        return plural(count, unit)
    return f"{plural(count, 'group')} of one {unit} each"


def class_metric(run: RunFolder, report: Mapping[str, Any]) -> str:
    """Title of the metric whose trivial figure each class shows; empty where there is none."""
    name = _class_metric(run, report)
    return metric_title(name) if name else ""


def of_class(run: RunFolder, report: Mapping[str, Any], name: str, columns: Sequence[str]) -> dict[str, Any]:
    """`intervals` of the columns of one class, None where there is none, and its `trivial` figure."""
    intervals = (report.get("per_class_intervals") or {}).get(name) or {}
    each = ((report.get("baseline") or {}).get("per_class") or {}).get(name) or {}
    return {
        "intervals": [intervals.get(column) for column in columns],
        "trivial": each.get(_class_metric(run, report)),
    }


def _class_metric(run: RunFolder, report: Mapping[str, Any]) -> str:
    """The main metric, or F1 where it has no classes."""
    if run.task not in NAMES:
        return ""
    classes = ((report.get("baseline") or {}).get("per_class") or {}).values()
    there = {name for one in classes for name, value in one.items() if value is not None}
    return next((name for name in (task(run.task).MAIN_METRIC, "f1") if name in there), "")
