"""How the figures of a pass look: white, as wide as the page, and small."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

INK, GRID = "#1f2937", "#e5e7eb"
MOST = 12
"""Figures of a pass."""


def as_json(figures: Mapping[str, Any]) -> dict[str, str]:
    """Title to plotly JSON, of the first `MOST`."""
    return {title: _styled(figure).to_json() for title, figure in list(figures.items())[:MOST]}


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
    return figure
