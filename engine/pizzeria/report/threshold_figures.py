"""Figures of probabilities beside the truth: ROC, what each threshold would do, and how far the scores keep apart."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pizzeria.report.figures import Figure, axes, label, line

MOST = 20
"""Classes drawn in one figure; more could not be told apart."""


def roc(curves: Mapping[str, Any], colours: Mapping[str, str], areas: Mapping[str, float | None]) -> Figure | None:
    """One line for each class, with the area below it in its name; None when no class has both kinds of examples."""
    data = [line([0, 1], [0, 1], "chance", "var:faint", line={"dash": "dot", "width": 1.5}, hoverinfo="skip")]
    for name, curve in list(curves.items())[:MOST]:
        if curve.get("true"):
            area = areas.get(name)
            title = name if area is None else f"{name} {area:.3f}"
            hover = "%{y:.1%} of the true, %{x:.1%} of the others"
            shade = colours.get(name, "var:accent")
            data.append(line(curve["false"], curve["true"], title, shade, hovertemplate=hover))
    across, up = {"range": [-0.01, 1.01], "tickformat": ".0%"}, {"range": [0, 1.03], "tickformat": ".0%"}
    layout = axes("share of the others that is said", "share of the true", xaxis=across, yaxis=up, hovermode="closest")
    note = "Each class against the rest, at every threshold; the number is the area below the line."
    return Figure("ROC", data, layout, note, height=380) if len(data) > 1 else None


def by_threshold(found: Mapping[str, Any], colours: Mapping[str, str]) -> Figure | None:
    """F1 of each class at every threshold, and by a menu precision, recall and F1 of one; None without a class."""
    at = found.get("thresholds") or []
    classes = {name: one for name, one in (found.get("classes") or {}).items() if one.get("f1")}
    names = list(classes)[:MOST]
    if not names or not at:
        return None
    data: list[dict[str, Any]] = []
    for name in names:
        one, shade = classes[name], colours.get(name, "var:accent")
        data.append(line(at, one["f1"], name, shade, hovertemplate="F1 %{y:.2f}"))
        data.append(_chosen(at, one, shade))
        for figure, colour in (("precision", "var:second"), ("recall", "var:third"), ("f1", "var:accent")):
            title = "F1" if figure == "f1" else figure
            data.append(line(at, one[figure], title, colour, visible=False, hovertemplate="%{y:.2f}"))
    parts = len(data) // len(names)
    buttons = [_button("F1 of all", [i % parts < 2 for i in range(len(data))], [])]
    for k, name in enumerate(names):
        shown = [i // parts == k and i % parts >= 2 for i in range(len(data))]
        buttons.append(_button(label(name), shown, _upright(classes[name].get("chosen"))))
    layout = axes(
        "threshold",
        "",
        xaxis={"range": [0, 1]},
        yaxis={"range": [0, 1.03]},
        margin={"l": 40, "r": 14, "t": 22, "b": 62},
    )
    layout |= {"updatemenus": [{**_MENU, "buttons": buttons}]}
    some = any(classes[name].get("chosen") is not None for name in names)
    note = "Marked: the threshold of the service, chosen on the validation split." if some else ""
    return Figure(
        "F1, precision and recall by threshold", data, layout, f"On the test split. {note}".strip(), height=420
    )


def scores(histogram: Mapping[str, Sequence[int]]) -> Figure | None:
    """The share of what is true, and of what is not, in each bin of the probabilities; None without either."""
    groups = [("true", "var:good"), ("not true", "var:faint")]
    counts = [histogram.get("true") or [], histogram.get("false") or []]
    if not all(sum(one) for one in counts):
        return None
    bins = len(counts[0])
    middle = [round((i + 0.5) / bins, 4) for i in range(bins)]
    data = [
        {
            "type": "bar",
            "x": middle,
            "y": [round(n / sum(of), 4) for n in of],
            "name": name,
            "marker": {"color": shade},
            "customdata": list(of),
            "hovertemplate": "%{y:.1%} (%{customdata:,})",
        }
        for (name, shade), of in zip(groups, counts, strict=True)
    ]
    layout = axes("probability said", "share of each", yaxis={"tickformat": ".0%"}, bargap=0.12)
    note = "The further apart the two lie, the less a threshold has to trade."
    return Figure("Probabilities of what is true and what is not", data, layout, note, height=380)


_MENU: Mapping[str, Any] = {
    "type": "dropdown",
    "direction": "up",
    "x": 1,
    "xanchor": "right",
    "y": 0,
    "yanchor": "top",
    "pad": {"t": 26},
    "bgcolor": "var:surface",
    "bordercolor": "var:line",
    "font": {"color": "var:ink", "size": 12},
    "active": 0,
}


def _button(title: str, visible: list[bool], shapes: list[dict[str, Any]]) -> dict[str, Any]:
    return {"label": title, "method": "update", "args": [{"visible": visible}, {"shapes": shapes}]}


def _chosen(at: Sequence[float], one: Mapping[str, Any], shade: str) -> dict[str, Any]:
    """A mark on the line of F1 at the threshold of the service; an empty trace where there is none."""
    import numpy as np

    chosen = one.get("chosen")
    x = [] if chosen is None else [round(float(chosen), 4)]
    y = [round(float(np.interp(value, at, one["f1"])), 4) for value in x]
    style = {"color": shade, "size": 11, "symbol": "diamond", "line": {"color": "var:surface", "width": 1.5}}
    hover = "threshold %{x:.3f}<extra></extra>"
    return {
        "type": "scatter",
        "mode": "markers",
        "x": x,
        "y": y,
        "marker": style,
        "showlegend": False,
        "hovertemplate": hover,
    }


def _upright(chosen: float | None) -> list[dict[str, Any]]:
    """A dotted line at a threshold."""
    if chosen is None:
        return []
    style = {"color": "var:ink", "width": 1.5, "dash": "dot"}
    x = round(float(chosen), 4)
    return [{"type": "line", "x0": x, "x1": x, "y0": 0, "y1": 1, "yref": "paper", "line": style}]
