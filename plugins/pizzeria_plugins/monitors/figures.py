"""The figures of one pass: NannyML's own plots, and two of ours that show everything at a glance.

Each is plotly JSON under a title that says what it shows; white, as wide as the page, at most eight.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from pizzeria_plugins.monitors.chunks import Part

if TYPE_CHECKING:
    from pizzeria_plugins.monitors.drift import Drift
    from pizzeria_plugins.monitors.performance import Limits, Performance

INK, GRID, ESTIMATED, REALISED, ALERT = "#1f2937", "#e5e7eb", "#3b0280", "#3bb273", "#dd4040"
"""The last three are NannyML's own colours."""
CLASSES, COLUMNS, HEATMAP_COLUMNS = 2, 3, 30
"""So many classes and columns have a plot of their own, the worst first; and so many rows the heatmap shows."""


def draw(
    performance: Performance,
    bounds: tuple[Limits, Limits] | None,
    drift: Drift,
    multivariate: Any,
    parts: Sequence[Part],
    reference_parts: int,
) -> dict[str, str]:
    """Title to plotly figure as JSON; what could not be measured has no figure."""
    figures: dict[str, Any] = {}
    if performance.whole is not None and bounds is not None:
        title = f"Performance: {performance.metric} estimated without labels, and realised where labels are known"
        figures[title] = _performance(performance, bounds[0], parts)
        if performance.whole.result is not None:
            _mark(performance.whole.result, performance.metric, bounds[0], reference_parts)
            figures[f"Performance: {performance.metric} as NannyML draws it"] = _drawn(performance.whole.result)
        known = [one for one in performance.classes if np.isfinite(one.values).any()]
        for one in sorted(known, key=lambda one: float(np.nanmin(one.values - one.expected)))[:CLASSES]:
            figures[f"Performance: {one.subject}, among the most fallen"] = _drawn(one.result)
    if drift.result is not None:
        figures["Drift: all columns at a glance"] = _heatmap(drift, parts)
        worst = [drift.names[k] for k in _order(drift)[:COLUMNS]]
        together = drift.result.filter(period="all", column_names=worst)
        figures["Drift: the columns that strayed furthest"] = _drawn(together, kind="drift")
        alone = drift.result.filter(period="all", column_names=worst[:1])
        figures[f"Drift: distribution of {worst[0]}"] = _drawn(alone, kind="distribution")
    if multivariate is not None:
        figures["Drift: do columns still go together? Reconstruction error"] = _drawn(multivariate)
    return {title: _styled(figure).to_json() for title, figure in figures.items() if figure is not None}


def _drawn(result: Any, **kind: str) -> Any:
    """NannyML's own plot, or None where it cannot draw these data.

    Its density plot fails on a chunk whose values are all alike, for one. A missing figure must not cost the verdict.
    """
    try:
        return result.plot(**kind)
    except Exception as error:
        logging.getLogger(__name__).info("NannyML cannot draw %s: %s", kind or "its plot", error)
        return None


def _performance(performance: Performance, bounds: Limits, parts: Sequence[Part]) -> Any:
    """The estimate in a band of three sampling errors, the realised value, the reference and the rule."""
    from plotly import graph_objects as go

    whole = performance.whole
    assert whole is not None
    names = [part.name for part in parts]
    band = 3 * np.nan_to_num(whole.errors)
    figure = go.Figure()
    for edge, fill in ((whole.values + band, None), (whole.values - band, "tonexty")):
        figure.add_scatter(
            x=names, y=edge.tolist(), mode="lines", line={"width": 0}, fill=fill, fillcolor="rgba(59, 2, 128, 0.12)",
            hoverinfo="skip", showlegend=fill is not None, name="three sampling errors",
        )  # fmt: skip
    figure.add_scatter(
        x=names, y=whole.values.tolist(), mode="lines+markers", name="estimated", line={"color": ESTIMATED, "width": 2}
    )
    if np.isfinite(whole.realised).any():
        figure.add_scatter(
            x=names, y=whole.realised.tolist(), mode="lines+markers", name="realised",
            line={"color": REALISED, "width": 2}, marker={"symbol": "diamond", "size": 9},
        )  # fmt: skip
    for limit in (bounds.low, bounds.high):
        if np.isfinite(limit).all():
            figure.add_scatter(
                x=names, y=limit.tolist(), mode="lines", name="alert", line={"color": ALERT, "width": 2, "dash": "dash"}
            )
    if np.isfinite(whole.reference):
        line = {"color": INK, "width": 1, "dash": "dot"}
        figure.add_scatter(x=names, y=[whole.reference] * len(names), mode="lines", name="reference", line=line)
    return figure.update_layout(
        height=320, xaxis={"title": "Chunk", "type": "category"}, yaxis={"title": performance.metric}
    )


def _heatmap(drift: Drift, parts: Sequence[Part]) -> Any:
    """How far each column strayed, as a multiple of its limit: 1 and more has drifted."""
    from plotly import graph_objects as go

    rows = _order(drift)[:HEATMAP_COLUMNS][::-1]
    ratio = drift.values[rows] / drift.limits[rows]
    text = [
        [f"distance {v:.3f}, limit {limit:.3f}" for v, limit in zip(*pair, strict=True)]
        for pair in zip(drift.values[rows], drift.limits[rows], strict=True)
    ]
    figure = go.Figure(
        go.Heatmap(
            x=[part.name for part in parts],
            y=[drift.names[k] for k in rows],
            z=[[None if np.isnan(v) else round(float(v), 3) for v in row] for row in ratio],
            text=text,
            hovertemplate="%{y}, chunk %{x}: %{z} times the limit<br>%{text}<extra></extra>",
            zmin=0,
            zmax=2,
            colorscale=[[0, "#f8fafc"], [0.5, "#fde68a"], [0.5, "#f97316"], [1, "#b91c1c"]],
            colorbar={"title": {"text": "of limit"}, "thickness": 12},
            xgap=2,
            ygap=2,
        )
    )
    return figure.update_layout(
        height=120 + 22 * len(rows), xaxis={"title": "Chunk", "type": "category"}, yaxis={"automargin": True}
    )


def _order(drift: Drift) -> list[int]:
    """Columns, the furthest strayed first."""
    ratio = np.nan_to_num(drift.values / drift.limits)
    return [int(k) for k in np.argsort(-ratio.max(axis=1), kind="stable")]


def _mark(result: Any, metric: str, bounds: Limits, reference_parts: int) -> None:
    """Put our rule where NannyML's plot looks for its own thresholds."""
    for side, limit in (("lower_threshold", bounds.low), ("upper_threshold", bounds.high)):
        shown = np.where(np.isfinite(limit), limit, np.nan)
        result.data[(metric, side)] = np.concatenate([np.full(reference_parts, shown[0]), shown])
    values = result.data[(metric, "value")].to_numpy(float)[reference_parts:]
    broken = (values < bounds.low) | (values > bounds.high)
    result.data[(metric, "alert")] = np.concatenate([np.zeros(reference_parts, bool), broken])


def _styled(figure: Any) -> Any:
    """White, without a title of its own (the page has it) and without the kilobytes of a template."""
    figure.update_layout(
        template={},
        title=None,
        autosize=True,
        width=None,
        paper_bgcolor="white",
        plot_bgcolor="white",
        font={"family": "system-ui, sans-serif", "size": 12, "color": INK},
        margin={"l": 64, "r": 24, "t": 36, "b": 48},
        legend={"orientation": "h", "y": 1.02, "yanchor": "bottom"},
    )
    figure.update_xaxes(gridcolor=GRID, zeroline=False)
    figure.update_yaxes(gridcolor=GRID, zeroline=False, automargin=True)
    if figure.layout.height and figure.layout.height >= 500:
        figure.update_layout(height=figure.layout.height * 0.6)  # NannyML's subplots are 500 high each.
    return figure
