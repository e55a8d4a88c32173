"""The plots of the section on the test split, as far as the evaluator left what they need."""

from __future__ import annotations

from typing import Any

import numpy as np

from pizzeria.drawing import colour
from pizzeria.report import figures, threshold_figures
from pizzeria.report.figures import Figure
from pizzeria.report.measures import Tested
from pizzeria.report.run_folder import RunFolder


def plots(run: RunFolder, report: dict[str, Any], test: Tested | None) -> list[Figure]:
    """In the order of the page.

    Args:
        run: The run.
        report: `evaluate/metrics.json`.
        test: The test split; residuals are of all its rows.
    """
    curves = report.get("curves") or {}
    shades = {name: colour(name, run.classes) for name in run.classes}
    presence = run.task == "object_detection"
    area = "presence_auroc" if presence else "auroc"
    areas = {name: one.get(area) for name, one in (report.get("per_class") or {}).items()}
    out: list[Figure | None] = []
    if curves.get("precision_recall"):
        note = "Boxes that overlap a true one by half or more." if presence else "Each class against the rest."
        out.append(figures.precision_recall(curves["precision_recall"], shades, note))
    out.append(threshold_figures.roc(curves.get("roc") or {}, shades, areas))
    out.append(threshold_figures.by_threshold(curves.get("f1_by_threshold") or {}, shades))
    if curves.get("reliability"):
        out.append(figures.reliability(curves["reliability"], _before(curves, test)))
    out.append(threshold_figures.scores(curves.get("scores") or {}))
    out.append(_confusion(run, curves.get("confusion") or {}))
    target = str(run.problem.get("target") or "value")
    scatter = curves.get("scatter") or {}
    if scatter.get("true"):
        true, said = np.array(scatter["true"], float), np.array(scatter["predicted"], float)
        out += [figures.scatter(true, said, target), figures.residuals(true, said, target)]
    out.append(_residuals(test))
    return [figure for figure in out if figure is not None]


def _before(curves: dict[str, Any], test: Tested | None) -> dict[str, Any] | None:
    """How reliable the scores were that calibration began with; None where there is no calibration."""
    if test is None or test.calibration.get("method", "none") == "none":
        return None
    before: dict[str, Any] | None = curves.get("reliability_before")
    return before


def _confusion(run: RunFolder, confusion: dict[str, Any]) -> Figure | None:
    if not confusion.get("matrix"):
        return None
    labels = [str(name) for name in confusion["labels"]]
    rows, columns = list(labels), list(labels)
    note = "Rows are the truth, columns what was said; darker is a larger share of the row."
    if len(labels) == len(run.classes) + 1:
        rows[-1], columns[-1] = "nothing there", "missed"
        note = "Boxes at the thresholds of the service, rows are the truth; darker is a larger share of the row."
    return figures.confusion(confusion["matrix"], rows, columns, note)


def _residuals(test: Tested | None) -> Figure | None:
    if test is None or test.predictions.values is None or test.truth.values is None:
        return None
    residuals = test.predictions.values.astype(float) - test.truth.values
    residuals = residuals[np.isfinite(residuals)]
    note = "Right of zero is too high. The outer bins hold what lies beyond."
    if not len(residuals):
        return None
    return figures.histogram({"residual": (residuals, "var:accent")}, "Residuals", "predicted minus true", note)
