"""Figures of drift: all columns at a glance, those that strayed furthest, and what their values became."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from pizzeria_plugins.monitors.chunks import Part
from pizzeria_plugins.monitors.instruments import Reading

if TYPE_CHECKING:
    from pizzeria_plugins.monitors.drift import Drift

INK, VALUE, ALERT, BAND = "#1f2937", "#3b0280", "#dd4040", "rgba(59, 2, 128, 0.12)"
LATEST = 200
"""Chunks that a figure shows."""
ROWS, COLUMNS = 30, 3
"""Columns of the heatmap, and those with a figure of their own, the furthest strayed first."""


def draw(drift: Drift, readings: Sequence[tuple[Part, Reading]]) -> dict[str, Any]:
    """Title to plotly figure, over the latest chunks; none without any."""
    latest = [(part.name, reading["columns"]) for part, reading in readings[-LATEST:]]
    if not latest:
        return {}
    ratio = {name: [_ratio(drift, name, columns.get(name)) for _, columns in latest] for name in drift.distances}
    order = sorted(ratio, key=lambda name: -max((r for r in ratio[name] if r is not None), default=0.0))
    figures = {"Drift: all columns at a glance": _heatmap(latest, {name: ratio[name] for name in order[:ROWS]})}
    for name in order[:COLUMNS]:
        figures[f"Drift: {name}, among the furthest strayed"] = _line(drift, name, latest)
    worst = order[0]
    figures[f"Drift: values of {worst}, the furthest strayed"] = _values(drift, worst, latest)
    return figures


def _ratio(drift: Drift, name: str, found: Any) -> float | None:
    """Distance as a multiple of its limit."""
    if found is None or found["value"] is None:
        return None
    limit = drift.limit(name, found)
    return round(found["value"] / limit, 3) if limit > 0 else (2.0 if found["value"] > 0 else 0.0)


def _heatmap(latest: Sequence[tuple[str, Any]], ratio: dict[str, list[float | None]]) -> Any:
    """How far each column strayed, as a multiple of its limit: 1 and more has drifted."""
    from plotly import graph_objects as go

    names = list(ratio)[::-1]
    figure = go.Figure(
        go.Heatmap(
            x=[chunk for chunk, _ in latest],
            y=names,
            z=[ratio[name] for name in names],
            hovertemplate="%{y}, chunk %{x}: %{z} times the limit<extra></extra>",
            zmin=0,
            zmax=2,
            colorscale=[[0, "#f8fafc"], [0.5, "#fde68a"], [0.5, "#f97316"], [1, "#b91c1c"]],
            colorbar={"title": {"text": "of limit"}, "thickness": 12},
            xgap=1,
            ygap=2,
        )
    )
    return figure.update_layout(
        height=120 + 22 * len(names), xaxis={"title": "Chunk", "type": "category"}, yaxis={"automargin": True}
    )


def line(
    chunks: Sequence[str],
    values: Sequence[float | None],
    lows: Sequence[float | None],
    highs: Sequence[float | None],
    name: str,
) -> Any:
    """A value over the chunks, its limits, and the chunks beyond them marked.

    Args:
        chunks: P names.
        lows: By chunk; None where there is no limit.
    """
    from plotly import graph_objects as go

    over = [
        value is not None and ((low is not None and value < low) or (high is not None and value > high))
        for value, low, high in zip(values, lows, highs, strict=True)
    ]
    figure = go.Figure()
    figure.add_scatter(
        x=chunks, y=values, mode="lines+markers", name=name.replace("_", " "), line={"color": VALUE, "width": 2},
        marker={"size": [11 if one else 5 for one in over], "color": [ALERT if one else VALUE for one in over],
                "symbol": ["diamond" if one else "circle" for one in over]},
    )  # fmt: skip
    for i, limits in enumerate((lows, highs)):
        if any(limit is not None for limit in limits):
            dashed = {"color": ALERT, "width": 2, "dash": "dash"}
            shown = [None if limit is None or math.isinf(limit) else limit for limit in limits]
            figure.add_scatter(
                x=chunks, y=shown, mode="lines", name="alert", line=dashed, showlegend=i == 1, legendgroup="alert"
            )
    return figure.update_layout(
        height=280, xaxis={"title": "Chunk", "type": "category"}, yaxis={"title": name.replace("_", " ")}
    )


def _line(drift: Drift, name: str, latest: Sequence[tuple[str, Any]]) -> Any:
    """The distance of one column and its limit."""
    found = [columns.get(name) for _, columns in latest]
    values = [None if one is None else one["value"] for one in found]
    highs = [None if one is None or one["value"] is None else drift.limit(name, one) for one in found]
    figure = line([chunk for chunk, _ in latest], values, [None] * len(found), highs, drift.distances[name].method)
    return figure.update_layout(yaxis={"rangemode": "tozero"})


def _values(drift: Drift, name: str, latest: Sequence[tuple[str, Any]]) -> Any:
    """A box for each chunk, or a bar of shares where the column is a category; the reference comes first."""
    from plotly import graph_objects as go

    distance = drift.distances[name]
    shown = [("reference", distance.usual)]
    shown += [(chunk, c[name]["shown"]) for chunk, c in latest if c.get(name) and c[name]["value"] is not None]
    chunks = [chunk for chunk, _ in shown]
    figure = go.Figure()
    if distance.known is not None:
        for i, code in enumerate(distance.often):
            figure.add_bar(x=chunks, y=[values[i] for _, values in shown], name=distance.known[code])
        rest = [max(0.0, 1 - math.fsum(values)) for _, values in shown]
        figure.add_bar(x=chunks, y=[round(value, 6) for value in rest], name="others", marker={"color": "#94a3b8"})
        figure.update_layout(barmode="stack", yaxis={"title": "share", "range": [0, 1]})
    else:
        low, q1, median, q3, high = (list(column) for column in zip(*(values for _, values in shown), strict=True))
        figure.add_box(
            x=chunks, lowerfence=low, q1=q1, median=median, q3=q3, upperfence=high, line={"color": VALUE},
            fillcolor=BAND, name="5, 25, 50, 75 and 95 % of the values", showlegend=True,
        )  # fmt: skip
    return figure.update_layout(height=320, xaxis={"title": "Chunk", "type": "category"})
