"""The plot of a simulation: what policies achieved over time, and how near monitoring's estimates came to the truth."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np

from pizzeria import atomic
from pizzeria.simulation.results import Mark, Outcome

_COLOURS = ("#8a8f98", "#2f6fdb", "#e0592a", "#1a936f", "#a03ec0", "#b8860b")
_MARKS = {
    "promoted": ("triangle-up", 13, "a new model took over"),
    "rolled back": ("triangle-down", 13, "rolled back"),
    "refused": ("x", 9, "a challenger was refused"),
    "alert": ("line-ns", 12, "alert"),
}
"""Symbol, size and what the legend says."""
_GRID = "#e8e8ec"
_WIDTH, _TOP, _EACH, _MARGIN = 1100, 340, 190, 130


def figure(name: str, outcomes: Sequence[Outcome]) -> dict[str, Any]:
    """A plotly figure as plain data: one panel for all policies, and one for the estimates of each."""
    panels = [one for one in outcomes if one.tracked]
    heights = [_TOP, *[_EACH] * len(panels)]
    total = sum(heights) + _MARGIN * 2 // 2
    data: list[dict[str, Any]] = []
    layout: dict[str, Any] = {
        "paper_bgcolor": "white",
        "plot_bgcolor": "white",
        "width": _WIDTH,
        "height": total + _MARGIN,
        "title": {"text": f"{name}: what each policy achieved, by the truth", "x": 0.02, "font": {"size": 18}},
        "legend": {"orientation": "h", "y": 1.0, "yanchor": "bottom", "x": 0},
        "margin": {"l": 70, "r": 20, "t": 110, "b": 40},
        "font": {"family": "Inter, Helvetica, Arial, sans-serif", "size": 13},
        "annotations": [],
        "hovermode": "closest",
    }
    whole = sum(heights) + 60 * len(panels)
    top = 1.0
    span = _span(outcomes)
    for i, height in enumerate(heights, start=1):
        axis = "" if i == 1 else str(i)
        layout[f"yaxis{axis}"] = {
            "domain": [max(0.0, top - height / whole), top],
            "zeroline": False,
            "gridcolor": _GRID,
        }
        layout[f"xaxis{axis}"] = {"anchor": f"y{axis}", "type": "date", "range": span, "gridcolor": _GRID}
        top -= (height + 60) / whole
    layout["yaxis"]["title"] = {"text": outcomes[0].metric}
    shown: set[str] = set()
    for i, one in enumerate(outcomes):
        data += _achieved(one, _COLOURS[i % len(_COLOURS)], shown)
    for i, one in enumerate(panels, start=2):
        data += _estimates(one, _COLOURS[outcomes.index(one) % len(_COLOURS)], str(i), first=i == 2)
        layout[f"yaxis{i}"]["title"] = {"text": one.tracked[0].subject}
        layout["annotations"].append(
            {
                "text": f"{one.title}: estimated without labels, and what the labels said",
                **{"xref": "paper", "yref": "paper", "x": 0, "xanchor": "left", "yanchor": "bottom"},
                **{"y": layout[f"yaxis{i}"]["domain"][1], "showarrow": False},
            }
        )
    return {"data": data, "layout": layout}


def draw(name: str, outcomes: Sequence[Outcome], folder: Path) -> tuple[Path, Path | None]:
    """Write `plot.html`, which needs nothing else, and `plot.png` where plotly can make one; returns where."""
    import plotly.io

    found = figure(name, outcomes)
    page = folder / "plot.html"
    text = plotly.io.to_html(found, include_plotlyjs=True, full_html=True, validate=False)
    atomic.write_bytes(page, text.encode())
    try:
        picture = plotly.io.to_image(found, format="png", scale=2, validate=False)
    except Exception:  # kaleido is absent, or its browser does not start here
        return page, None
    atomic.write_bytes(folder / "plot.png", picture)
    return page, folder / "plot.png"


def _achieved(one: Outcome, colour: str, shown: set[str]) -> list[dict[str, Any]]:
    middles = [_middle(window.start, window.end) for window in one.windows]
    values = [window.value for window in one.windows]
    out: list[dict[str, Any]] = [
        {
            "type": "scatter",
            "mode": "lines+markers",
            "name": one.title,
            "x": [middle.isoformat() for middle in middles],
            "y": values,
            "line": {"color": colour, "width": 2.5},
            "marker": {"size": 4},
        }
    ]
    for what, (symbol, size, said) in _MARKS.items():
        by_time = {mark.at: mark for mark in one.marks if mark.what == what}  # one of several at once is enough to see
        marks = list(by_time.values())
        if not marks:
            continue
        out.append(
            {
                "type": "scatter",
                "mode": "markers",
                "name": said,
                "legendgroup": what,
                "showlegend": what not in shown,
                "x": [mark.at for mark in marks],
                "y": _on_line(marks, middles, values),
                "text": [mark.text[:120] for mark in marks],
                "marker": {"symbol": symbol, "size": size, "color": colour, "line": {"color": colour, "width": 2}},
            }
        )
        shown.add(what)
    return out


def _estimates(one: Outcome, colour: str, axis: str, *, first: bool) -> list[dict[str, Any]]:
    x = [_middle(chunk.start, chunk.end).isoformat() for chunk in one.tracked]
    place = {"type": "scatter", "xaxis": f"x{axis}", "yaxis": f"y{axis}", "x": x, "mode": "lines"}
    return [
        {
            **place,
            "y": [chunk.estimated for chunk in one.tracked],
            "name": "estimated",
            "showlegend": first,
            "line": {"color": "#444444", "width": 1.5, "dash": "dot"},
        },
        {
            **place,
            "y": [chunk.realised for chunk in one.tracked],
            "name": f"realised, {one.title}",
            "showlegend": False,
            "line": {"color": colour, "width": 2},
        },
    ]


def _on_line(marks: Sequence[Mark], middles: Sequence[datetime], values: Sequence[float]) -> list[float]:
    """Where marks lie on the policy's line."""
    seconds = np.array([middle.timestamp() for middle in middles])
    kept = np.isfinite(values)
    if not kept.any():
        return [float("nan")] * len(marks)
    at = [datetime.fromisoformat(mark.at).timestamp() for mark in marks]
    found: list[float] = np.interp(at, seconds[kept], np.asarray(values)[kept]).tolist()
    return found


def _span(outcomes: Sequence[Outcome]) -> list[str]:
    starts = [window.start for one in outcomes for window in one.windows]
    ends = [window.end for one in outcomes for window in one.windows]
    return [min(starts), max(ends)] if starts else []


def _middle(start: str, end: str) -> datetime:
    first, last = datetime.fromisoformat(start), datetime.fromisoformat(end)
    return first + (last - first) / 2
