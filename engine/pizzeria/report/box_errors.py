"""The section on a detector's errors: by size of box, by kind with what each kind costs, and by class."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pizzeria.report.figures import Figure, axes, label
from pizzeria.report.run_folder import RunFolder
from pizzeria.report.wording import metric_meaning, metric_title

KINDS = {
    "missed": ("missed", "var:faint", "a true box that nothing found"),
    "background": ("invented", "var:bad", "a box where nothing is"),
    "localisation": ("wrong place", "var:third", "the right class, and too little overlap"),
    "class": ("wrong class", "var:second", "the right place, and another class"),
    "duplicate": ("found twice", "var:info", "a second box on what a surer one found"),
    "both": ("wrong class and place", "var:muted", "neither class nor place is right"),
}
"""Kinds of errors as the evaluator names them: in words, their colour, and what they are."""
_SIZES = {
    "small": "up to 32 x 32 pixels of the photo",
    "medium": "up to 96 x 96 pixels",
    "large": "larger",
}
_COLUMNS = ("map", "map_50", "map_75", "mar_1", "mar_10", "mar_100")


def section(run: RunFolder) -> dict[str, Any] | None:
    """None where the evaluator told nothing of sizes and kinds."""
    report = run.json("evaluate", "metrics.json") or {}
    sizes, errors = report.get("sizes"), report.get("errors")
    if not sizes and not errors:
        return None
    by_class = (report.get("curves") or {}).get("errors_by_class") or {}
    figures = [_costs(errors or {}), _by_class(by_class)]
    return {
        "sizes": _size_table(run, report.get("metrics") or {}, sizes) if sizes else None,
        "kinds": [{"name": words, "meaning": meaning} for words, _, meaning in KINDS.values()],
        "figures": [figure for figure in figures if figure is not None],
    }


def in_size_table(report: Mapping[str, Any]) -> set[str]:
    """Metrics that the table of sizes shows."""
    if not report.get("sizes"):
        return set()
    sized = {f"{name}_{size}" for name in ("map", "mar") for size in _SIZES}
    return sized | {"mar_1", "mar_10", "mar_100"}


def _size_table(run: RunFolder, metrics: Mapping[str, Any], sizes: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    rows = [
        {
            "name": "all",
            "meaning": "boxes of any size",
            "boxes": _boxes(run),
            "cells": [{"metric": name, "value": metrics.get(name)} for name in _COLUMNS],
        }
    ]
    for size, found in sizes.items():
        known = {"map": f"map_{size}", "mar_100": f"mar_{size}"}
        cells = [{"metric": known.get(name), "value": found.get(name), "lacks": name not in found} for name in _COLUMNS]
        rows.append({"name": size, "meaning": _SIZES.get(size, ""), "boxes": found.get("boxes"), "cells": cells})
    columns = [{"title": metric_title(name), "meaning": metric_meaning(run.task, name)} for name in _COLUMNS]
    return {"columns": columns, "rows": rows}


def _boxes(run: RunFolder) -> int | None:
    truth = run.truth("test")
    return None if truth is None or truth.boxes is None else sum(len(boxes.labels) for boxes in truth.boxes)


def _costs(errors: Mapping[str, Mapping[str, Any]]) -> Figure | None:
    """What each kind costs, dearest on top."""
    known = {kind: one for kind, one in errors.items() if kind in KINDS and one.get("cost") is not None}
    if not known:
        return None
    ordered = sorted(known, key=lambda kind: float(known[kind]["cost"]))
    costs = [round(float(known[kind]["cost"]), 4) for kind in ordered]
    bar = {
        "type": "bar",
        "orientation": "h",
        "x": costs,
        "y": [KINDS[kind][0] for kind in ordered],
        "marker": {"color": [KINDS[kind][1] for kind in ordered]},
        "text": [f"{cost:.3f}" for cost in costs],
        "textposition": "outside",
        "cliponaxis": False,
        "customdata": [[known[kind]["count"], KINDS[kind][2]] for kind in ordered],
        "hovertemplate": "%{customdata[1]}: %{customdata[0]:,}, costs %{x:.3f}<extra></extra>",
    }
    room = 1.18 * max(0.01, *costs)
    layout = axes(
        "average precision lost", "", xaxis={"range": [0, room]}, yaxis={"type": "category"}, hovermode="closest"
    )
    note = "What average precision would gain if this kind alone were put right, over all boxes however unsure (TIDE)."
    return Figure("What each kind of error costs", [bar], layout, note, height=340)


def _by_class(counts: Mapping[str, Mapping[str, int]]) -> Figure | None:
    """Errors of each class among the boxes that the service tells."""
    names = [name for name, one in counts.items() if any(one.values())]
    if not names:
        return None
    data = [
        {
            "type": "bar",
            "orientation": "h",
            "x": [counts[name].get(kind, 0) for name in names],
            "y": [label(name) for name in names],
            "name": words,
            "marker": {"color": shade},
            "hovertemplate": "%{x:,}",
        }
        for kind, (words, shade, _) in KINDS.items()
        if any(counts[name].get(kind) for name in names)
    ]
    up = {"type": "category", "autorange": "reversed", "dtick": 1}
    layout = axes("boxes", "", yaxis=up, barmode="stack", hovermode="y unified", bargap=0.25)
    note = "At the thresholds of the service: wrong boxes by the class that was said, missed ones by their own."
    return Figure("Errors by class", data, layout, note, height=max(340, 130 + 26 * len(names)))
