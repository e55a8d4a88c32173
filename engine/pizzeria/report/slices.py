"""The section on slices: the main metric of each, with its interval, beside that of the whole test split."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from pizzeria.report.figures import Figure, axes, label
from pizzeria.report.run_folder import RunFolder
from pizzeria.report.wording import higher_is_better, metric_meaning, metric_title, number, plural
from pizzeria.tasks import NAMES, task

_COLUMNS = 5
"""Metrics in the table, with the main one."""
_TOLD = 4


def section(run: RunFolder) -> dict[str, Any] | None:
    """None before evaluation, and where nothing was cut into slices."""
    report = run.json("evaluate", "metrics.json") or {}
    slices: Mapping[str, Any] = report.get("slices") or {}
    if not slices or run.task not in NAMES:
        return None
    main = task(run.task).MAIN_METRIC
    whole = (report.get("metrics") or {}).get(main)
    metrics = _metrics(run, slices, main)
    figures = [_figure(run, column, values, main, whole) for column, values in slices.items()]
    return {
        "main": metric_title(main),
        "unit": "rows" if run.task.startswith("tabular") else "photos",
        "drawn": (report.get("bootstrap") or {}).get("unit") or "",
        "confidence": round(100 * (report.get("bootstrap") or {}).get("confidence", 0.95)),
        "sentence": _sentence(run, slices, main, whole),
        "columns": [{"title": metric_title(name), "meaning": metric_meaning(run.task, name)} for name in metrics],
        "tables": [
            {"column": column, "rows": [_row(name, entry, metrics, main) for name, entry in values.items()]}
            for column, values in slices.items()
        ],
        "figures": [figure for figure in figures if figure is not None],
    }


def _metrics(run: RunFolder, slices: Mapping[str, Any], main: str) -> list[str]:
    """The main metric, those of the criteria, and then the task's first ones that any slice has."""
    known = {name for _, _, entry in _entries(slices) for name, value in entry["metrics"].items() if value is not None}
    asked = [str(one.get("metric")) for one in run.problem.get("success") or ()]
    ordered = dict.fromkeys([main, *asked, *task(run.task).METRICS])
    return [name for name in ordered if name in known][:_COLUMNS] or [main]


def _entries(slices: Mapping[str, Any]) -> Iterator[tuple[str, str, Mapping[str, Any]]]:
    for column, values in slices.items():
        for name, entry in values.items():
            yield column, name, entry


def _row(name: str, entry: Mapping[str, Any], metrics: list[str], main: str) -> dict[str, Any]:
    return {
        "name": name,
        "range": entry.get("range") or "",
        "count": entry["count"],
        "undecided": entry.get("undecided") or "",
        "values": [entry["metrics"].get(metric) for metric in metrics],
        "intervals": [entry["intervals"].get(metric) for metric in metrics],
        "baseline": (entry.get("baseline") or {}).get(main),
    }


def _sentence(run: RunFolder, slices: Mapping[str, Any], main: str, whole: float | None) -> str:
    """Which slices are surely worse than the whole, or that none is."""
    judged = [(column, name, entry) for column, name, entry in _entries(slices) if _value(entry, main) is not None]
    if not judged or whole is None:
        return "No slice is large enough to be judged."
    sign = 1 if higher_is_better(run.task, main) else -1
    judged.sort(key=lambda one: sign * entry_value(one[2], main))
    worse = [one for one in judged if (found := _end(one[2], main, sign)) is not None and sign * found < sign * whole]
    title = metric_title(main)
    if worse:
        told = "; ".join(f"{column} {name} {_words(entry, main)}" for column, name, entry in worse[:_TOLD])
        more = f"; and {plural(len(worse) - _TOLD, 'other')}" if len(worse) > _TOLD else ""
        return f"Surely worse than the whole test split ({title} {number(float(whole))}): {told}{more}."
    column, name, entry = judged[0]
    lowest = f"The worst figure has {column} {name}: {_words(entry, main)}."
    return f"No slice is surely worse than the whole ({title} {number(float(whole))}). {lowest}"


def entry_value(entry: Mapping[str, Any], metric: str) -> float:
    """The figure of a slice that has one."""
    return float(entry["metrics"][metric])


def _value(entry: Mapping[str, Any], metric: str) -> Any:
    return (entry.get("metrics") or {}).get(metric)


def _end(entry: Mapping[str, Any], metric: str, sign: int) -> float | None:
    """The better end of the interval; None where there is none."""
    found = entry["intervals"].get(metric)
    return None if found is None else float(found[1] if sign > 0 else found[0])


def _words(entry: Mapping[str, Any], metric: str) -> str:
    interval = entry["intervals"].get(metric)
    return number(entry_value(entry, metric)) + ("" if interval is None else f" ({_between(interval)})")


def _between(interval: Any) -> str:
    return f"{number(float(interval[0]))} to {number(float(interval[1]))}"


def _figure(run: RunFolder, column: str, values: Mapping[str, Any], main: str, whole: float | None) -> Figure | None:
    """Dots with their intervals, one line for each slice, and a dotted line where the whole lies."""
    rows = [(name, entry) for name, entry in values.items() if _value(entry, main) is not None][::-1]
    if not rows:
        return None
    x = [entry_value(entry, main) for _, entry in rows]
    ends = [entry["intervals"].get(main) or [value, value] for (_, entry), value in zip(rows, x, strict=True)]
    names = [label(name) for name, _ in rows]
    dots = {
        "type": "scatter",
        "mode": "markers",
        "x": x,
        "y": names,
        "marker": {"color": "var:accent", "size": 10},
        "error_x": {
            "type": "data",
            "symmetric": False,
            "array": [max(0.0, end[1] - value) for end, value in zip(ends, x, strict=True)],
            "arrayminus": [max(0.0, value - end[0]) for end, value in zip(ends, x, strict=True)],
            "color": "var:muted",
            "thickness": 1.5,
            "width": 4,
        },
        "customdata": [
            f"{number(entry['count'])}, {_between(end)}" for (_, entry), end in zip(rows, ends, strict=True)
        ],
        "hovertemplate": "%{y}: %{x:.3f} (%{customdata})<extra></extra>",
        "showlegend": False,
    }
    trivial = [(entry.get("baseline") or {}).get(main) for _, entry in rows]
    data = [dots]
    if any(one is not None for one in trivial):
        mark = {"symbol": "line-ns-open", "size": 12, "color": "var:second", "line": {"width": 2}}
        hover = "trivial model: %{x:.3f}<extra></extra>"
        data.append({**dots, "x": trivial, "marker": mark, "error_x": {}, "customdata": [], "hovertemplate": hover})
    lines = []
    if whole is not None:
        style = {"color": "var:ink", "width": 1.5, "dash": "dot"}
        lines = [{"type": "line", "x0": whole, "x1": whole, "y0": 0, "y1": 1, "yref": "paper", "line": style}]
    layout = axes(
        metric_title(main),
        "",
        yaxis={"type": "category", "showgrid": False, "dtick": 1},
        hovermode="closest",
        shapes=lines,
    )
    note = "The dotted line is the whole test split, the tick a trivial model."
    return Figure(label(column), data, layout, note, height=120 + 34 * len(rows))
