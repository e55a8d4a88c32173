"""What the plots of an evaluation hold, point by point, from the figures that the evaluator left."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pizzeria.report import box_errors, figures, render, threshold_figures
from pizzeria.report.run_folder import RunFolder

COLOURS = {"bed": "#111111", "tv": "#222222"}


def drawn(path: Path) -> dict[str, dict[str, Any]]:
    """The figures of a report by title, as the page's script reads them."""
    text = render(path).read_text()
    found = re.findall(r'aria-label="([^"]+)"><script type="application/json">(.*?)</script>', text)
    return {title: json.loads(figure) for title, figure in found}


def report_of(run: Any) -> dict[str, Any]:
    return json.loads((run.path / "stages/evaluate/metrics.json").read_text())


@pytest.fixture(scope="module")
def detection(build: Any, tmp_path_factory: pytest.TempPathFactory) -> Any:
    return build["detection"](tmp_path_factory.mktemp("figures") / "amenities")


def test_roc_names_each_class_with_its_area() -> None:
    curves = {"bed": {"false": [0, 0.2, 1], "true": [0, 0.7, 1]}, "tv": {"false": [], "true": []}}
    figure = threshold_figures.roc(curves, COLOURS, {"bed": 0.7512})
    assert figure is not None
    chance, bed = figure.data
    assert chance["x"] == chance["y"] == [0, 1]
    assert (bed["name"], bed["x"], bed["y"]) == ("bed 0.751", [0, 0.2, 1], [0, 0.7, 1])
    assert threshold_figures.roc({"tv": curves["tv"]}, COLOURS, {}) is None


def test_the_menu_shows_all_f1_or_one_class_with_its_threshold() -> None:
    at = [0.0, 0.5, 1.0]
    line = {"precision": [0.3, 0.8, 1.0], "recall": [1.0, 0.6, 0.0], "f1": [0.5, 0.7, 0.0]}
    found = {"thresholds": at, "classes": {"bed": line | {"chosen": 0.25}, "tv": line | {"chosen": None}}}
    figure = threshold_figures.by_threshold(found, COLOURS)
    assert figure is not None
    menu = figure.layout["updatemenus"][0]["buttons"]
    assert [button["label"] for button in menu] == ["F1 of all", "bed", "tv"]
    names = [trace.get("name", "mark") for trace in figure.data]
    assert names == ["bed", "mark", "precision", "recall", "F1", "tv", "mark", "precision", "recall", "F1"]

    def seen(button: dict[str, Any]) -> list[str]:
        return [f"{i // 5}{name}" for i, name in enumerate(names) if button["args"][0]["visible"][i]]

    assert seen(menu[0]) == ["0bed", "0mark", "1tv", "1mark"]
    assert seen(menu[1]) == ["0precision", "0recall", "0F1"]
    assert menu[1]["args"][1]["shapes"][0]["x0"] == 0.25
    assert menu[2]["args"][1]["shapes"] == []
    assert (figure.data[1]["x"], figure.data[1]["y"]) == ([0.25], [0.6])
    assert [trace.get("visible", True) for trace in figure.data[:5]] == [True, True, False, False, False]


def test_confusion_has_counts_and_shares() -> None:
    [heat] = figures.confusion([[3, 1], [0, 0]], ["a", "b"], ["a", "b"], "").data
    assert heat["text"] == [["3<br><i>75%</i>", "1<br><i>25%</i>"], ["", ""]]
    assert heat["z"] == [[0.75, 0.25], [0, 0]]
    [large] = figures.confusion(np.eye(12, dtype=int).tolist(), list("abcdefghijkl"), list("abcdefghijkl"), "").data
    assert large["text"][0][0] == "1"


def test_residuals_lie_over_what_was_said() -> None:
    points, level = figures.residuals(np.array([1.0, 2.0]), np.array([1.5, 1.0]), "price").data
    assert (points["x"], points["y"]) == ([1.5, 1.0], [0.5, -1.0])
    assert level["y"] == [0, 0]


def test_histogram_of_scores_has_shares_of_each_kind() -> None:
    figure = threshold_figures.scores({"true": [0, 1, 3], "false": [8, 2, 0]})
    assert figure is not None
    assert [trace["y"] for trace in figure.data] == [[0, 0.25, 0.75], [0.8, 0.2, 0]]
    assert threshold_figures.scores({"true": [0, 0], "false": [1, 1]}) is None


def test_errors_of_a_detector_are_those_of_the_evaluation(detection: Any) -> None:
    report, plots = report_of(detection), drawn(detection.path)
    [bar] = plots["What each kind of error costs"]["data"]
    told = dict(zip(bar["y"], zip(bar["x"], bar["customdata"], strict=True), strict=True))
    for kind, one in report["errors"].items():
        cost, (count, _) = told[box_errors.KINDS[kind][0]]
        assert (cost, count) == (pytest.approx(one["cost"], abs=1e-4), one["count"])
    assert bar["x"] == sorted(bar["x"])
    stacked = {
        trace["name"]: dict(zip(trace["y"], trace["x"], strict=True)) for trace in plots["Errors by class"]["data"]
    }
    for name, counts in report["curves"]["errors_by_class"].items():
        for kind, count in counts.items():
            assert stacked.get(box_errors.KINDS[kind][0], {}).get(name, 0) == count
    section = box_errors.section(RunFolder(detection.path))
    assert section is not None
    rows = {row["name"]: row for row in section["sizes"]["rows"]}
    assert rows["large"]["cells"][0]["value"] == report["metrics"]["map_large"]
    assert rows["all"]["boxes"] == sum(one["boxes"] for size, one in report["sizes"].items())


def test_a_detector_has_all_plots_and_the_worst_photos(detection: Any) -> None:
    plots, text = drawn(detection.path), (detection.path / "report.html").read_text()
    titles = {"Precision and recall", "ROC", "F1, precision and recall by threshold", "Calibration", "Confusion"}
    assert titles | {"Probabilities of what is true and what is not"} <= plots.keys()
    names = [trace["name"] for trace in plots["Calibration"]["data"]]
    assert names == ["perfect", "before calibration", "calibrated"]
    thresholds = json.loads((detection.path / "stages/evaluate/calibration.json").read_text())["thresholds"]
    marks = [
        trace["x"] for trace in plots["F1, precision and recall by threshold"]["data"] if trace["mode"] == "markers"
    ]
    assert [x for [x] in marks] == pytest.approx(list(thresholds.values()), abs=1e-4)
    assert "Worst photos" in text
    worst = report_of(detection)["curves"]["worst_photos"][0]
    words = ", ".join(f"{count} {box_errors.KINDS[kind][0]}" for kind, count in worst["errors"].items())
    assert f"<b>{words}</b>" in text
    wrong = next(one for one in worst["found"] if one["kind"])
    assert f"{wrong['class']} {wrong['score']:.2f}: {box_errors.KINDS[wrong['kind']][0]}</text>" in text
    assert sum(len(json.dumps(plot)) for plot in plots.values()) < 250_000


def test_a_wish_for_a_threshold_stands_in_the_table(detection: Any) -> None:
    path = detection.path / "stages/evaluate/calibration.json"
    before = path.read_text()
    assert "Wished" not in render(detection.path).read_text()
    calibration = json.loads(before)
    calibration["wishes"]["bed"] = {"wish": "precision at least 0.9", "kept": False, "precision": 0.81, "recall": None}
    path.write_text(json.dumps(calibration))
    text = render(detection.path).read_text()
    path.write_text(before)
    assert "Wished" in text
    assert re.search(r'precision at least 0.9 <span class="state bad">not kept</span>', text)
    assert "precision 0.81, recall \N{EN DASH}" in text
    assert "highest F1" in text


@pytest.mark.parametrize("kind", ["tabular_regression", "tabular_classification"])
def test_rows(build: Any, tmp_path: Path, kind: str) -> None:
    run = build["rows"](tmp_path / "rows", kind)
    plots = drawn(run.path)
    if kind == "tabular_regression":
        assert {"Predicted and true", "Residuals against predictions", "Residuals"} <= plots.keys()
        return
    assert {"ROC", "F1, precision and recall by threshold", "Confusion"} <= plots.keys()
    confusion = report_of(run)["curves"]["confusion"]
    assert plots["Confusion"]["data"][0]["z"] == confusion["normalised"]
    assert "chosen" not in json.dumps(plots["F1, precision and recall by threshold"]["layout"])


def test_an_evaluation_without_the_newer_figures_is_shown(build: Any, tmp_path: Path) -> None:
    run = build["detection"](tmp_path / "older")
    path = run.path / "stages/evaluate/metrics.json"
    report = json.loads(path.read_text())
    for name in ("sizes", "errors"):
        del report[name]
    for name in ("roc", "f1_by_threshold", "scores", "reliability_before", "errors_by_class", "worst_photos"):
        del report["curves"][name]
    path.write_text(json.dumps(report))
    plots = drawn(run.path)
    assert "Confusion" in plots
    assert "ROC" not in plots
    assert 'id="errors"' not in (run.path / "report.html").read_text()
