"""Plotly figures as plain data, in one restrained style.

Colours are written as `var:<name>`: the page's script puts the style sheet's colour of that name there, and again when
the reader's colour scheme changes. Text is escaped, because plotly reads some HTML.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pizzeria.atomic import finite
from pizzeria.report.measures import Floats

_MARKUP = re.compile(r"<(?!/?(?:b|i|br|em|strong|sub|sup|extra)\s*/?>)", re.IGNORECASE)


@dataclass(frozen=True)
class Figure:
    """A plot with its heading and a line that says how to read it."""

    title: str
    data: Sequence[Mapping[str, Any]]
    layout: Mapping[str, Any]
    note: str = ""
    height: int = 300
    wide: bool = False

    @property
    def json(self) -> str:
        """The figure for a `<script>` element: no `<` in it, so that nothing can end the element."""
        text = json.dumps({"data": finite(list(self.data)), "layout": finite(dict(self.layout))}, separators=(",", ":"))
        return text.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")


def safe(value: Any) -> Any:
    """The same plain data with `<` escaped in every text, but for the markup that plotly's own texts use.

    Example:
        >>> safe({"text": "<b>bed</b> <script>"})
        {'text': '<b>bed</b> &lt;script>'}
    """
    if isinstance(value, str):
        return _MARKUP.sub("&lt;", value)
    if isinstance(value, Mapping):
        return {str(key): safe(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [safe(item) for item in value]
    return value


def label(name: str) -> str:
    """A name as plotly text: all of it is escaped."""
    return name.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def line(x: Sequence[Any], y: Sequence[Any], name: str, colour: str, **more: Any) -> dict[str, Any]:
    """A line trace; `more` goes into the trace."""
    style = {"color": colour, "width": 2, **more.pop("line", {})}
    return {"type": "scatter", "mode": "lines", "x": list(x), "y": list(y), "name": label(name), "line": style, **more}


def axes(x: str, y: str, **more: Any) -> dict[str, Any]:
    """A layout with titled axes; `more` goes into the layout, `xaxis` and `yaxis` into those."""
    across, up = {"title": x, **more.pop("xaxis", {})}, {"title": y, **more.pop("yaxis", {})}
    return {"xaxis": across, "yaxis": up, **more}


def precision_recall(curves: Mapping[str, Mapping[str, Any]], colours: Mapping[str, str], note: str) -> Figure | None:
    """One line for each class that has a curve; None when no class has."""
    data = []
    for name, curve in curves.items():
        recall, precision = curve.get("recall") or [], curve.get("precision") or []
        if recall and len(recall) == len(precision):
            # Evaluators fill up with zeros behind the highest recall that was reached.
            reached = max((i + 1 for i, value in enumerate(precision) if value), default=1)
            at = _thin(reached)
            points = ([_short(recall[i]) for i in at], [_short(precision[i]) for i in at])
            shade = colours.get(name, "var:accent")
            data.append(line(*points, name, shade, hovertemplate="%{y:.2f}"))
    layout = axes("recall", "precision", xaxis={"range": [0, 1.01]}, yaxis={"range": [0, 1.03]})
    return Figure("Precision and recall", data, layout, note, height=380) if data else None


def reliability(after: Mapping[str, Any], before: Mapping[str, Any] | None) -> Figure | None:
    """Said against true, before and after calibration; a point grows with its count. None without any answer."""
    data = [line([0, 1], [0, 1], "perfect", "var:faint", line={"dash": "dot", "width": 1.5}, hoverinfo="skip")]
    for name, bins, shade in (("before calibration", before, "var:muted"), ("calibrated", after, "var:accent")):
        counts = (bins or {}).get("count") or []
        if bins and counts:
            data.append(
                line(
                    [_short(p) for p in bins["confidence"]],
                    [_short(share) for share in bins["frequency"]],
                    name,
                    shade,
                    mode="lines+markers",
                    line={"width": 1},
                    marker={"size": [5 + 12 * (n / max(counts)) ** 0.5 for n in counts], "color": shade},
                    customdata=counts,
                    hovertemplate="said %{x:.2f}, true %{y:.2f} (%{customdata:,} answers)",
                )
            )
    layout = axes("probability said", "share that is true", xaxis={"range": [0, 1.02]}, yaxis={"range": [-0.02, 1.04]})
    note = "On the dotted line, what is said with 70% is true in 70 of 100 cases. Larger points hold more answers."
    figure = Figure("Calibration", data, {**layout, "hovermode": "closest"}, note, height=380)
    return figure if len(data) > 1 else None


def confusion(matrix: Sequence[Sequence[int]], rows: Sequence[str], columns: Sequence[str], note: str) -> Figure:
    """A heat map, coloured by the share of its row; numbers are counts, and the shares where they fit."""
    import numpy as np

    counts = np.asarray(matrix)
    total = counts.sum(1, keepdims=True)
    share = np.divide(counts, total, out=np.zeros(counts.shape), where=total > 0)
    # Numbers only where they fit: very large matrices show them on hover.
    text = None
    if len(rows) <= 16:
        small = len(rows) <= 10
        text = [
            [
                (f"{int(n)}<br><i>{part:.0%}</i>" if small else f"{int(n)}") if n else ""
                for n, part in zip(*both, strict=True)
            ]
            for both in zip(counts, share, strict=True)
        ]
    heat = {
        "type": "heatmap",
        "z": share.round(4).tolist(),
        "customdata": counts.tolist(),
        "x": [label(name) for name in columns],
        "y": [label(name) for name in rows],
        "colorscale": [[0, "var:sunk"], [1, "var:accent"]],
        "zmin": 0,
        "zmax": 1,
        "showscale": False,
        "xgap": 2,
        "ygap": 2,
        "hovertemplate": "true: %{y}<br>said: %{x}<br>%{customdata} (%{z:.0%} of the row)<extra></extra>",
    }
    if text is not None:
        heat |= {"text": text, "texttemplate": "%{text}", "textfont": {"color": "var:ink"}}
    layout = axes(
        "said",
        "true",
        xaxis={"type": "category", "showgrid": False, "dtick": 1},
        yaxis={"type": "category", "autorange": "reversed", "showgrid": False, "dtick": 1},
        hovermode="closest",
    )
    tall = max(380, 110 + (42 if len(rows) <= 10 else 30) * len(rows))
    return Figure("Confusion", [heat], layout, note, height=tall, wide=len(rows) > 6)


def scatter(true: Floats, said: Floats, target: str) -> Figure:
    """Predicted against true values."""
    low, high = float(min(true.min(), said.min())), float(max(true.max(), said.max()))
    points = {
        "type": "scatter",
        "mode": "markers",
        "x": _rounded(true),
        "y": _rounded(said),
        "name": "rows",
        "marker": {"color": "var:accent", "size": 5, "opacity": 0.45},
        "hovertemplate": "true %{x:,.4g}, predicted %{y:,.4g}<extra></extra>",
    }
    perfect = line([low, high], [low, high], "perfect", "var:ink", line={"dash": "dot", "width": 1.5}, hoverinfo="skip")
    layout = axes(f"true {label(target)}", f"predicted {label(target)}", showlegend=False, hovermode="closest")
    return Figure("Predicted and true", [points, perfect], layout, "Each point is a row of the test split.", height=360)


def residuals(true: Floats, said: Floats, target: str) -> Figure:
    """How far each prediction is off, against what was said: a slope or a funnel shows what the model does not see."""
    points = {
        "type": "scatter",
        "mode": "markers",
        "x": _rounded(said),
        "y": _rounded(said - true),
        "name": "rows",
        "marker": {"color": "var:second", "size": 5, "opacity": 0.45},
        "hovertemplate": "predicted %{x:,.4g}, off by %{y:,.4g}<extra></extra>",
    }
    ends = [float(said.min()), float(said.max())]
    level = line(ends, [0, 0], "right", "var:ink", line={"dash": "dot", "width": 1.5}, hoverinfo="skip")
    layout = axes(f"predicted {label(target)}", "predicted minus true", showlegend=False, hovermode="closest")
    note = "A cloud without a slope around zero is what is wanted."
    return Figure("Residuals against predictions", [points, level], layout, note, height=360)


def histogram(groups: Mapping[str, tuple[Floats, str]], title: str, x: str, note: str, bins: int = 40) -> Figure:
    """The share of each group's values in bins that the groups have in common."""
    import numpy as np

    whole = np.concatenate([values for values, _ in groups.values()])
    # A few far-off values would flatten the rest: the ends of the axis gather them.
    low, high = (float(v) for v in np.percentile(whole, [0.5, 99.5]))
    edges = np.linspace(low, high if high > low else low + 1, bins + 1)
    middle = _rounded((edges[1:] + edges[:-1]) / 2)
    data: list[dict[str, Any]] = []
    for name, (values, shade) in groups.items():
        counts = np.histogram(np.clip(values, edges[0], edges[-1]), edges)[0] / max(1, len(values))
        shape = {"color": shade, "width": 2, "shape": "hvh"}
        fill = {"fill": "tozeroy"} if len(groups) == 1 else {}
        data.append(line(middle, _rounded(counts), name, shade, line=shape, hovertemplate="%{y:.1%}", **fill))
    layout = axes(x, "share of rows", yaxis={"tickformat": ".0%", "rangemode": "tozero"}, showlegend=len(groups) > 1)
    return Figure(title, data, layout, note)


def foreign(title: str, text: str | Mapping[str, Any]) -> Figure | None:
    """A figure that a plugin drew, in the page's style; None when there is nothing in it."""
    try:
        figure = json.loads(text) if isinstance(text, str) else dict(text)
    except ValueError:
        return None
    if not isinstance(figure, dict) or not figure.get("data"):
        return None
    layout = safe(dict(figure.get("layout") or {}))
    height = layout.pop("height", None)
    for name in ("template", "width", "paper_bgcolor", "plot_bgcolor", "images", "title", "autosize"):
        layout.pop(name, None)
    if figure["data"][0].get("type") == "heatmap":
        layout["yaxis"] = {**(layout.get("yaxis") or {}), "dtick": 1}  # no row without its name
    for name in ("font", "margin", "hoverlabel", "colorway"):
        layout.pop(name, None)
    for name, own in layout.items():
        if re.fullmatch(r"[xy]axis\d*", name) and isinstance(own, dict):
            for key in ("gridcolor", "linecolor", "zerolinecolor", "tickfont", "zeroline"):
                own.pop(key, None)
    tall = int(height) if isinstance(height, int | float) else 340
    return Figure(title, safe(figure["data"]), layout, height=max(260, min(tall, 900)), wide=True)


def _rounded(values: Floats) -> list[float]:
    return [_short(v) for v in values]


def _short(value: Any) -> float:
    """Five digits: more can not be seen, and only make the file larger."""
    return float(f"{value:.5g}")


def _thin(count: int, most: int = 300) -> list[int]:
    """Indices that keep a curve's shape in at most `most` points."""
    import numpy as np

    return [int(i) for i in np.unique(np.linspace(0, count - 1, min(most, count)).astype(int))]
