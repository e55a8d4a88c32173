"""Parallel coordinates: one upright axis for each setting and one for the metric, one line for each member.

Drawn of plain lines, because plotly's own `parcoords` needs WebGL, and code made up in the browser, which the policy of
these pages does not let run.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pizzeria.report.figures import Figure, label
from pizzeria.report.wording import DASH, fact
from pizzeria.sweeping.comparing import Comparison
from pizzeria.sweeping.records import Member

MOST_AXES = 10
_MOST_NAMES = 12
_SPREAD = 50.0
"""Values further apart than this, as a ratio, are on a logarithmic axis."""
_READABLE = 0.05
"""Least distance of two ticks, as a share of the axis."""


@dataclass(frozen=True)
class Axis:
    """Where each value lies, 0 (below) to 1, and what is written beside it."""

    title: str
    places: Sequence[float]
    ticks: Sequence[tuple[float, str]]


def parallel_coordinates(comparison: Comparison) -> Figure | None:
    """The figure; None where fewer than two members were measured, or nothing was varied."""
    members = [member for member in comparison.members if comparison.value(member) is not None]
    keys = comparison.settings[:MOST_AXES]
    if len(members) < 2 or not keys:
        return None
    axes = [axis(key, [member.settings.get(key) for member in members]) for key in keys]
    axes.append(axis(comparison.metric, [comparison.value(m) for m in members], comparison.better == "lower"))
    ranks = range(len(members))
    data = [_line(comparison, members[rank], rank, len(members), axes) for rank in reversed(ranks)]  # the best on top
    left_out = len(comparison.settings) - len(keys)
    note = f"One line for each member; the thick one is the best. Up is better on the axis {comparison.metric}."
    note += " Dotted lines miss a success criterion." if any(member.state != "done" for member in members) else ""
    note += f" {left_out} more settings are not drawn." if left_out else ""
    return Figure("Settings and what came of them", data, _layout(axes), note, height=440, wide=True)


def axis(title: str, values: Sequence[Any], upside_down: bool = False) -> Axis:
    """Place values on an axis: numbers by their size, or its logarithm where they lie far apart; others by name.

    Args:
        upside_down: Whether the smallest number is at the top.

    Example:
        >>> axis("depth", [2, 3, 4]).places
        [0.0, 0.5, 1.0]
        >>> axis("learning_rate", [0.0001, 0.001, 0.01]).ticks
        [(0.0, '0.0001'), (0.5, '0.001'), (1.0, '0.01')]
        >>> axis("backbone", ["resnet18", "mobilenet"]).ticks
        [(0.0, 'mobilenet'), (1.0, 'resnet18')]
    """
    if all(isinstance(value, int | float) and not isinstance(value, bool) for value in values):
        return _of_numbers(title, [float(value) for value in values], upside_down)
    names = sorted({_name(value) for value in values})
    place = {name: i / (len(names) - 1) if len(names) > 1 else 0.5 for i, name in enumerate(names)}
    every = math.ceil(len(names) / _MOST_NAMES)
    return Axis(title, [place[_name(value)] for value in values], [(place[name], name) for name in names[::every]])


def _of_numbers(title: str, values: Sequence[float], upside_down: bool) -> Axis:
    low, high = min(values), max(values)
    logarithmic = low > 0 and high / low >= _SPREAD
    scale, back = (math.log, math.exp) if logarithmic else (float, float)
    span = scale(high) - scale(low)
    few = sorted(set(values))
    marks = few if len(few) <= 6 else [back(scale(low) + span * i / 4) for i in range(5)]

    def place(value: float) -> float:
        share = (scale(value) - scale(low)) / span if span else 0.5
        return round(1 - share if upside_down else share, 6)

    return Axis(title, [place(value) for value in values], _apart([(place(mark), f"{mark:.4g}") for mark in marks]))


def _apart(ticks: Sequence[tuple[float, str]]) -> list[tuple[float, str]]:
    """Those that can be read beside each other; both ends are among them."""
    kept = [ticks[0], ticks[-1]][: len(ticks)]
    for tick in ticks[1:-1]:
        if all(abs(tick[0] - other[0]) >= _READABLE for other in kept):
            kept.append(tick)
    return sorted(kept)


def _line(comparison: Comparison, member: Member, rank: int, count: int, axes: Sequence[Axis]) -> dict[str, Any]:
    best = comparison.best is member
    at = [axis.places[rank] for axis in axes]
    told = [f"<b>member {member.number + 1}</b>", f"{label(comparison.metric)} {fact(comparison.value(member))}"]
    told += [f"{label(key)} {label(_name(value))}" for key, value in member.settings.items()]
    return {
        "type": "scatter",
        "mode": "lines+markers",
        "x": list(range(len(axes))),
        "y": at,
        "name": f"member {member.number + 1}",
        "line": {
            "color": "var:accent" if best else "var:second",
            "width": 4 if best else 1.75,
            "dash": "solid" if member.state == "done" else "dot",
        },
        "marker": {"size": 7 if best else 4},
        "opacity": 1.0 if best else round(0.85 - 0.6 * rank / count, 3),
        "hovertemplate": "<br>".join(told) + "<extra></extra>",
        "showlegend": False,
    }


def _layout(axes: Sequence[Axis]) -> dict[str, Any]:
    last = len(axes) - 1
    upright = {"type": "line", "y0": 0, "y1": 1, "layer": "below", "line": {"color": "var:faint", "width": 1.5}}
    beside = {"showarrow": False, "xanchor": "right", "xshift": -7, "bgcolor": "var:surface", "font": {"size": 11}}
    return {
        "xaxis": {
            "tickvals": list(range(len(axes))),
            "ticktext": [label(axis.title).replace(".", ".<br>", 1) for axis in axes],
            "range": [-0.35, last + 0.2],
            "side": "top",
            "showgrid": False,
            "showline": False,
        },
        "yaxis": {"visible": False, "range": [-0.06, 1.06]},
        "hovermode": "closest",
        "margin": {"l": 20, "r": 30, "t": 56, "b": 10},
        "shapes": [{**upright, "x0": i, "x1": i} for i in range(len(axes))],
        "annotations": [
            {**beside, "x": i, "y": place, "text": label(text)}
            for i, axis in enumerate(axes)
            for place, text in axis.ticks
        ],
    }


def _name(value: Any) -> str:
    return DASH if value is None else str(value).lower() if isinstance(value, bool) else str(value)
