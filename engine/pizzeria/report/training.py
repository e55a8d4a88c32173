"""The section on training: curves and what the trainer says of itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pizzeria.report.figures import Figure, axes, line
from pizzeria.report.run_folder import RunFolder
from pizzeria.report.wording import metric_title, rows_of

if TYPE_CHECKING:
    import pandas as pd

SHADES = ("var:accent", "var:second", "var:third", "var:muted", "var:ink")


def section(run: RunFolder) -> dict[str, Any] | None:
    """Curves of loss, metrics and learning rate; None before training."""
    import pandas as pd

    path = run.file("train", "curves.csv")
    facts = run.facts("train")
    figures: list[Figure] = []
    if path is not None:
        curves = pd.read_csv(path)
        if len(curves):
            figures = _figures(curves, facts.get("best_epoch"))
    if not figures and not facts:
        return None
    model, training = run.spec.get("model") or {}, run.spec.get("training") or {}
    return {
        "figures": figures,
        "facts": rows_of(facts),
        "settings": {"model": rows_of(model), "training": rows_of(training)},
    }


def _figures(curves: pd.DataFrame, best: Any) -> list[Figure]:
    epochs = curves["epoch"] if "epoch" in curves else curves.index.to_series()
    names_of = [str(name) for name in curves]
    losses = [name for name in names_of if name.endswith("loss")]
    others = [name for name in names_of if name not in (*losses, "epoch", "learning_rate", "seconds")]
    groups: tuple[tuple[str, list[str], str, dict[str, Any]], ...] = (
        ("Loss", losses, "loss", {}),
        ("Validation metric" if len(others) == 1 else "Validation metrics", others, "value", {}),
        ("Learning rate", [n for n in ("learning_rate",) if n in curves], "learning rate", {"rangemode": "tozero"}),
    )
    out = []
    for title, names, unit, y_axis in groups:
        data = []
        for shade, name in zip(SHADES * 3, names, strict=False):
            known = curves[name].notna()
            if known.any():
                y = [float(f"{v:.5g}") for v in curves.loc[known, name]]
                few = {"mode": "lines+markers"} if known.sum() < 25 else {}
                data.append(line(epochs[known].tolist(), y, _title(name), shade, marker={"size": 4}, **few))
        if data:
            layout = axes("epoch", unit, yaxis=y_axis, showlegend=len(data) > 1, hovermode="x unified")
            if isinstance(best, int | float):
                layout |= _best_epoch(best)
            alone = f": {_title(names[0])}" if len(data) == 1 and title != "Learning rate" else ""
            out.append(Figure(title + alone, data, layout, height=280))
    return out


def _title(name: str) -> str:
    bare = name.removeprefix("validation_").removeprefix("val_")
    if name.endswith("loss"):
        return {"train_loss": "training", "validation_loss": "validation"}.get(name, name.replace("_", " "))
    return metric_title(bare)


def _best_epoch(epoch: float) -> dict[str, Any]:
    mark = {"color": "var:muted", "width": 1, "dash": "dot"}
    return {
        "shapes": [{"type": "line", "x0": epoch, "x1": epoch, "yref": "paper", "y0": 0, "y1": 1, "line": mark}],
        "annotations": [
            {
                "x": epoch, "yref": "paper", "y": 1, "yanchor": "bottom", "text": f"best: {epoch:g}",
                "showarrow": False, "font": {"size": 11, "color": "var:muted"},
            }
        ],
    }  # fmt: skip
