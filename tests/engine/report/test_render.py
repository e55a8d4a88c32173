"""The report as HTML text: what is in it, what is left out, and that nothing in a run can act."""

from __future__ import annotations

import json
import re
import time
from pathlib import Path
from typing import Any

import pytest

from pizzeria.errors import DataError, NotFoundError
from pizzeria.report import render


def sections(text: str) -> list[str]:
    return re.findall(r'<h2 id="([a-z-]+)"', text)


def values(text: str, attribute: str) -> dict[str, float]:
    found = re.findall(rf'{attribute}="([^"]+)" data-value="([^"]+)"', text)
    return {name: float(value) for name, value in found}


@pytest.fixture(scope="module")
def deployed(build: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build["detection"](tmp_path_factory.mktemp("runs") / "amenities").path


@pytest.fixture(scope="module")
def text(deployed: Path) -> str:
    return render(deployed).read_text()


def test_a_whole_run_has_all_sections_and_its_badge(text: str) -> None:
    names = "data training evaluation errors photos mistakes listings monitoring cost parity lineage spec"
    assert sections(text) == names.split()
    assert re.search(r'class="badge good">Deployed<', text)
    for word in ("trust-and-safety", "Guests lose trust.", "A photo of a room"):
        assert word in text


def test_numbers_are_those_of_the_evaluation(deployed: Path, text: str) -> None:
    metrics = json.loads((deployed / "stages/evaluate/metrics.json").read_text())["metrics"]
    assert values(text, "data-metric") == {name: value for name, value in metrics.items() if value is not None}
    gate = json.loads((deployed / "stages/evaluate/gate.json").read_text())
    assert values(text, "data-criterion") == {entry["metric"]: entry["value"] for entry in gate}
    assert f"passed by {metrics['map_50'] - 0.2:.3f}" in text


def test_photos_carry_found_and_true_boxes(text: str) -> None:
    assert text.count('<figure class="card') >= 12
    assert 'class="true"' in text
    assert re.search(r">bed 0\.\d\d</text>", text)


def test_listing_verdicts_are_those_of_the_service(text: str) -> None:
    assert "8 listings of the test split" in text
    assert "Declared and confirmed" in text
    counts = re.search(r"(\d+) of (\d+) true ones were", text)
    assert counts is not None
    assert 0 < int(counts[1]) <= int(counts[2])


def test_realised_verdicts_stand_beside_the_table(deployed: Path, text: str) -> None:
    figures = json.loads((deployed / "stages/evaluate/metrics.json").read_text())["verdicts"]
    assert figures["listings"] == 8
    assert f"{100 * figures['precision']:.1f} % of {figures['confirmed']} <em>confirmed</em>" in text
    assert f"and {figures['uncertain']} stay <em>uncertain</em>" in text


def test_monitoring_shows_the_newest_pass_first(text: str) -> None:
    assert text.index("2026-11-23 19:20 UTC") < text.index("2026-11-23 19:10 UTC")
    assert "f1 is estimated at 0.66, below 0.80, in 6 of 6 chunks" in text
    assert "the reference has no tv" in text


def test_it_is_one_small_file_made_fast(deployed: Path) -> None:
    started = time.process_time()  # others may have the processor meanwhile
    path = render(deployed)
    assert time.process_time() - started < 4
    assert path.stat().st_size < 8e6
    text = path.read_text().partition("<script>")[0]
    assert not re.search(r'(?:src|href)="(?!data:|#)', text)
    assert [item.name for item in deployed.iterdir() if item.name.startswith(".")] == []


def test_plotly_is_inlined_once_and_only_for_a_figure(text: str, build: Any, tmp_path: Path) -> None:
    assert text.count("plotly.js v") == 1
    empty = build["empty"](tmp_path / "empty", {"need": "Why.", "task": "object_detection"})
    small = render(empty.path)
    assert small.stat().st_size < 60_000
    assert sections(small.read_text()) == ["spec"]
    assert "Unfinished" in small.read_text()


def test_a_folder_with_nothing_in_it_has_a_report(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    assert "nothing has run" in render(tmp_path / "run").read_text()


def test_a_run_stopped_at_the_gate_says_by_how_much(build: Any, tmp_path: Path) -> None:
    run = build["detection"](tmp_path / "strict", gate=0.99)
    value = json.loads((run.path / "stages/evaluate/metrics.json").read_text())["metrics"]["map_50"]
    text = render(run.path).read_text()
    assert "Stopped at the gate" in text
    assert f"missed by {0.99 - value:.3f}" in text
    assert "train longer" in text
    assert "parity" not in sections(text)
    assert "monitoring" not in sections(text)


def test_failed_expectations_come_first_with_their_rows(build: Any, tmp_path: Path) -> None:
    problem = {"need": "Why.", "owner": "me", "task": "object_detection", "classes": ["bed"], "success": []}
    run = build["empty"](tmp_path / "bad", problem)
    outcome = {"table": "boxes", "arguments": {"column": "relative_area"}, "evaluated": 40, "unexpected": 2}
    failed = {
        "name": "expect_column_values_to_be_between",
        "success": False,
        "examples": ["img-12: width 0"],
        **outcome,
    }
    undecided = {"name": "expect_nothing", "success": None, "examples": [], **outcome}
    run.expectations(failed, undecided)
    text = render(run.path).read_text()
    assert "Expectations failed" in text
    assert "2 of 4" in text
    assert "img-12: width 0" in text
    assert text.index("expect_column_values_to_be_between") < text.index("expect_column_values_to_be_unique")
    assert "undecided" in text


def test_null_is_undecided_and_never_a_crash(build: Any, tmp_path: Path) -> None:
    run = build["detection"](tmp_path / "nulls")
    path = run.path / "stages/evaluate/metrics.json"
    report = json.loads(path.read_text())
    report["metrics"]["map_75"] = None
    report["per_class"]["bed"]["map_50"] = None
    report["curves"]["precision_recall"]["bed"] = {"recall": [], "precision": []}
    path.write_text(json.dumps(report).replace("null", "NaN", 1))
    criterion = {"metric": "map_75", "of_class": None, "at_least": 0.5, "at_most": None, "value": None, "passed": None}
    run.json("evaluate", "gate.json", [criterion])
    text = render(run.path).read_text()
    assert re.search(r'data-metric="map_75"><em>undecided</em>', text)
    assert "undecided: nothing to measure it on" in text
    assert "NaN" not in text.split("<script>")[0]


def test_photos_that_are_gone_are_left_out(build: Any, tmp_path: Path) -> None:
    run = build["detection"](tmp_path / "gone")
    for photo in (run.path / "stages/collect/photos").iterdir():
        photo.unlink() if photo.name[0] in "01" else photo.write_bytes(b"no photo")
    found = sections(render(run.path).read_text())
    assert "photos" not in found
    assert "mistakes" not in found
    assert "evaluation" in found


@pytest.mark.parametrize("task", ["tabular_regression", "tabular_classification"])
def test_tables(build: Any, tmp_path: Path, task: str) -> None:
    run = build["rows"](tmp_path / "rows", task)
    text = render(run.path).read_text()
    assert sections(text) == ["data", "training", "evaluation", "mistakes", "cost", "parity", "lineage", "spec"]
    titles = set(re.findall(r'role="img" aria-label="([^"]+)"', text))
    both = {"Loss", "Learning rate"}
    own = {"Predicted and true", "Residuals", "Delay in each split"}
    if task == "tabular_classification":
        own = {"Precision and recall", "Calibration", "Confusion"}
    assert both | own <= titles
    assert "Packaged" in text


@pytest.mark.parametrize("task", ["image_classification", "multilabel_classification"])
def test_classified_photos(build: Any, tmp_path: Path, task: str) -> None:
    text = render(build["photos"](tmp_path / "photos", task).path).read_text()
    assert "photos" in sections(text)
    assert text.count('<figure class="card') >= 12


def test_hostile_names_are_inert(build: Any, tmp_path: Path) -> None:
    evil = ["<script>alert(1)</script>", '"><img src=x onerror=alert(2)>', "</script><b>x", "{{ 7 * 7 }}", "a&b", "tv"]
    run = build["detection"](tmp_path / "evil", classes=evil, need="<script>alert(3)</script> javascript:alert(4)")
    photos = run.path / "stages/collect/photos"
    name = "<svg onload=alert(5)>.jpg"
    (photos / "0_0.jpg").rename(photos / name)
    import pandas as pd

    table = pd.read_parquet(run.path / "stages/collect/images.parquet")
    table.loc[table["path"] == "photos/0_0.jpg", "path"] = f"photos/{name}"
    table.to_parquet(run.path / "stages/collect/images.parquet", index=False)
    verdict = next(run.path.glob("monitoring/*/verdict.json"))
    told = json.loads(verdict.read_text())
    told["alerts"] = ["<script>alert(6)</script>"]
    figure = {"data": [{"y": [1], "name": "</script><script>alert(7)</script>"}], "layout": {}}
    told["plots"] = {"<script>alert(8)</script>": json.dumps(figure)}
    verdict.write_text(json.dumps(told))

    text = render(run.path).read_text()
    assert len(re.findall(r"<script>", text)) == 2, "plotly.js and the page's own, and no other"
    page = text[: text.index("<script>")]
    assert not re.search(r"<script(?! type=\"application/json\")", page)
    assert not re.search(r"<(img src=x|svg onload)", page)
    assert "{{ 7 * 7 }}" in page
    assert "&lt;script&gt;alert(3)&lt;/script&gt;" in page


def test_a_missing_run_and_a_broken_file_are_named(build: Any, tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="no run in"):
        render(tmp_path / "nowhere")
    run = build["empty"](tmp_path / "broken", {"need": "Why."})
    run.stage("evaluate").joinpath("gate.json").write_text("{")
    with pytest.raises(DataError, match=r"gate\.json is not JSON"):
        render(run.path)
    assert not (run.path / "report.html").exists()
