"""The figures of one pass: NannyML's own plots, and three of ours that show everything at a glance.

Each is plotly JSON under a title that says what it shows; white, as wide as the page, at most eight.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from pizzeria_plugins.monitors.chunks import Part
from pizzeria_plugins.monitors.performance import Limits

if TYPE_CHECKING:
    from pizzeria_plugins.monitors.before_drift import Drift
    from pizzeria_plugins.monitors.performance import Performance

INK, GRID, ESTIMATED, REALISED, ALERT = "#1f2937", "#e5e7eb", "#3b0280", "#3bb273", "#dd4040"
"""The last three are NannyML's own colours."""
CLASSES, COLUMNS, HEATMAP_COLUMNS, CATEGORIES = 2, 3, 30, 6
"""Classes and columns with a plot of their own, the worst first; rows of the heatmap; the most frequent categories."""


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
        nowhere = Limits(np.full(len(parts), -np.inf), np.full(len(parts), np.inf), "")
        for one in sorted(known, key=lambda one: float(np.nanmin(one.values - one.expected)))[:CLASSES]:
            _mark(one.result, performance.metric, nowhere, reference_parts)
            figures[f"Performance: {one.subject}, among the most fallen"] = _drawn(one.result)
    if drift.result is not None:
        figures["Drift: all columns at a glance"] = _heatmap(drift, parts)
        worst = [drift.names[k] for k in _order(drift)[:COLUMNS]]
        together = drift.result.filter(period="all", column_names=worst)
        figures["Drift: the columns that strayed furthest"] = _drawn(together, kind="drift")
        reference, analysis = drift.result.reference_data[worst[0]], drift.result.analysis_data[worst[0]]
        samples = [("reference", reference), *((p.name, analysis.iloc[p.first : p.stop]) for p in parts)]
        figures[f"Drift: values of {worst[0]}, the furthest strayed"] = _distribution(samples)
    if multivariate is not None:
        figures["Drift: do columns still go together? Reconstruction error"] = _drawn(multivariate)
    return {title: _styled(figure).to_json() for title, figure in figures.items() if figure is not None}


def _drawn(result: Any, **kind: str) -> Any:
    """NannyML's own plot, or None where it cannot draw these data: a missing figure must not cost the verdict."""
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


def _distribution(samples: Sequence[tuple[str, Any]]) -> Any:
    """A box for each chunk, or a bar of shares where the column is a category."""
    from plotly import graph_objects as go

    names = [name for name, _ in samples]
    figure = go.Figure()
    if samples[0][1].dtype == object:
        shares = [values.value_counts(normalize=True) for _, values in samples]
        often = list(dict.fromkeys(value for share in shares for value in share.index[:CATEGORIES]))[: 2 * CATEGORIES]
        for value in often:
            figure.add_bar(x=names, y=[round(float(share.get(value, 0.0)), 4) for share in shares], name=str(value))
        figure.update_layout(barmode="stack", yaxis={"title": "share", "range": [0, 1]})
    else:
        fences = [values.quantile([0.05, 0.25, 0.5, 0.75, 0.95]).tolist() for _, values in samples]
        low, q1, median, q3, high = (list(figures) for figures in zip(*fences, strict=True))
        figure.add_box(
            x=names, lowerfence=low, q1=q1, median=median, q3=q3, upperfence=high, line={"color": ESTIMATED},
            fillcolor="rgba(59, 2, 128, 0.12)", name="5, 25, 50, 75 and 95 % of the values", showlegend=True,
        )  # fmt: skip
    return figure.update_layout(height=320, xaxis={"title": "Chunk", "type": "category"})


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
        margin={"l": 64, "r": 24, "t": 64, "b": 48},
        legend={"orientation": "h", "yref": "container", "y": 1, "yanchor": "top"},
    )
    figure.update_xaxes(gridcolor=GRID, zeroline=False)
    figure.update_yaxes(gridcolor=GRID, zeroline=False, automargin=True)
    if figure.layout.height is None:
        figure.update_layout(height=300)
    elif figure.layout.height >= 500:
        figure.update_layout(height=figure.layout.height * 0.6)  # NannyML's subplots are 500 high each.
    return figure
