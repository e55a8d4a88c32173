"""Figures of performance: each judged metric with its band, its rule and its alarms, and the classes that fell most."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from pizzeria_plugins.monitors.chunks import Part
from pizzeria_plugins.monitors.estimates import Usual
from pizzeria_plugins.monitors.metrics import ERRORS

if TYPE_CHECKING:
    from pizzeria_plugins.monitors.instruments import Reading
    from pizzeria_plugins.monitors.performance import Limits

INK, ESTIMATED, REALISED, ALERT, BAND = "#1f2937", "#3b0280", "#3bb273", "#dd4040", "rgba(59, 2, 128, 0.12)"
LATEST = 200
"""Chunks that a figure shows."""
CLASSES = 2
"""Classes with a figure of their own, the most fallen first."""


def draw(
    metric: str,
    parts: Sequence[Part],
    rows: Sequence[Mapping[str, Any]],
    limits: Sequence[Limits],
    broken: Sequence[Mapping[str, float]],
    usual: Usual,
) -> dict[str, Any]:
    """Title to plotly figure, over the latest chunks; none where nothing is known.

    Args:
        limits: Of the estimate.
        broken: By chunk, the values that raised an alarm, by whether they are estimated or realised.
    """
    parts, rows, limits, broken = parts[-LATEST:], rows[-LATEST:], limits[-LATEST:], broken[-LATEST:]
    known = [row.get("value") is not None or row.get("realised") is not None for row in rows]
    if not any(known):
        return {}
    title = f"Performance: {metric} estimated without labels, and realised where labels are known"
    return {title: _figure(metric, parts, rows, limits, broken, usual)}


def classes(readings: Sequence[tuple[Part, Reading]], usual: Mapping[str, Usual], metric: str) -> dict[str, Any]:
    """The classes whose estimate fell most below what it was on the reference."""
    latest = readings[-LATEST:]
    fallen: dict[str, float] = {}
    for subject, one in usual.items():
        values = [reading["metrics"].get(subject, {}).get("value") for _, reading in latest]
        found = [value for value in values if value is not None and math.isfinite(value)]
        if found and one.metric == metric and subject != metric:
            fallen[subject] = min(found) - one.estimated
    parts = [part for part, _ in latest]
    return {
        f"Performance: {subject}, among the most fallen": _figure(
            metric, parts, [reading["metrics"].get(subject, {}) for _, reading in latest], (), (), usual[subject]
        )
        for subject in sorted(fallen, key=fallen.__getitem__)[:CLASSES]
    }


def _figure(
    metric: str,
    parts: Sequence[Part],
    rows: Sequence[Mapping[str, Any]],
    limits: Sequence[Limits],
    broken: Sequence[Mapping[str, float]],
    usual: Usual,
) -> Any:
    """The estimate in a band of three sampling errors, the realised value, the reference, the rule and its alarms."""
    from plotly import graph_objects as go

    names = [part.name for part in parts]
    values, realised = [_round(row.get("value")) for row in rows], [_round(row.get("realised")) for row in rows]
    errors = [3 * (row.get("error") or 0.0) for row in rows]
    highest = math.inf if metric in ERRORS else 1.0
    figure = go.Figure()
    for sign, fill in ((1, None), (-1, "tonexty")):
        edge = [
            None if value is None else _round(min(max(value + sign * error, 0.0), highest))
            for value, error in zip(values, errors, strict=True)
        ]
        figure.add_scatter(
            x=names, y=edge, mode="lines", line={"width": 0}, fill=fill, fillcolor=BAND,
            hoverinfo="skip", showlegend=fill is not None, name="three sampling errors",
        )  # fmt: skip
    figure.add_scatter(x=names, y=values, mode="lines+markers", name="estimated", line={"color": ESTIMATED, "width": 2})
    if any(value is not None for value in realised):
        figure.add_scatter(
            x=names, y=realised, mode="lines+markers", name="realised",
            line={"color": REALISED, "width": 2}, marker={"symbol": "diamond", "size": 9},
        )  # fmt: skip
    for bound in ([one.low for one in limits], [one.high for one in limits]):
        if bound and all(math.isfinite(one) for one in bound):
            figure.add_scatter(
                x=names, y=[_round(one) for one in bound], mode="lines", name="limit",
                line={"color": ALERT, "width": 2, "dash": "dash"},
            )  # fmt: skip
    alerts = [(name, value) for name, ones in zip(names, broken, strict=False) for value in ones.values()]
    if alerts:
        figure.add_scatter(
            x=[name for name, _ in alerts], y=[_round(value) for _, value in alerts],
            mode="markers", name="alert", marker={"color": ALERT, "size": 12, "symbol": "x"},
        )  # fmt: skip
    if math.isfinite(usual.realised):
        line = {"color": INK, "width": 1, "dash": "dot"}
        figure.add_scatter(x=names, y=[_round(usual.realised)] * len(names), mode="lines", name="reference", line=line)
    return figure.update_layout(height=320, xaxis={"title": "Chunk", "type": "category"}, yaxis={"title": metric})


def _round(value: float | None) -> float | None:
    return None if value is None or not math.isfinite(value) else round(float(value), 5)
