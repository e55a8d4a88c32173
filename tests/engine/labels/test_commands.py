"""The commands of docs/data/labels.md in their order, and a monitoring pass that is given the labels of the log."""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path

import pytest
from click.testing import CliRunner

from pizzeria.cli import main
from pizzeria.cli.labels import labels
from pizzeria.conformance.asking import Quiet

from ..runs.sealed import seal
from .conftest import Kitchen, picture

PAGE = Path(__file__).parents[3] / "docs" / "data" / "labels.md"
MONITOR = '''
"""Says what it was given."""
from pizzeria.contracts import Finding, Judged, Verdict
from pizzeria.spec.section import Options as PluginOptions

class Options(PluginOptions):
    """None."""

def judge(options, monitoring, problem, reference, traffic, memory, progress):
    rows, told = 0, []
    for piece in traffic.batches():
        rows += len(piece)
        told += piece["true"].dropna().tolist() if "true" in piece else []
    finding = Finding("performance", ",".join(told), "1", "", "", None, "", None, float(len(told)))
    return Verdict((finding,), (), (), {}, (Judged("1", "", "", rows, len(told), True),))
'''


def run(kitchen: Kitchen, line: str) -> str:
    done = CliRunner().invoke(main, ["--store", str(kitchen.store.root), *line.split()[1:]], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.output


def test_the_commands_of_the_page(detection: Kitchen, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PIZZERIA_STORE", "")  # `--store` sets it
    ids = [detection.photo(f"{i}.png", picture(i)) for i in range(3)]
    box = [{"class": "bed", "x_min": 1, "y_min": 2, "x_max": 30, "y_max": 40}]
    with open("labels.csv", "w", newline="") as stream:
        csv.writer(stream).writerows([["prediction_id", "boxes"], [ids[0], json.dumps(box)], ["later", "[]"]])
    blocks = re.findall(r"^```bash\n(pizzeria .*?)\n```", PAGE.read_text(), re.M | re.S)
    assert [block.split()[2] for block in blocks] == ["add", "queue", "suggest", "export"]
    said = [run(detection, block) for block in blocks]
    assert said[0].splitlines() == [
        "2 new, 0 changed, 0 same",
        "1 of no prediction in the log; kept, and joined when it comes",
    ]
    assert Path("ask/queue.csv").is_file()
    assert "2 of 3 predictions, with 2 photos; 1 have labels already" in said[1]
    assert json.loads(Path("ask/tasks.json").read_text())[0]["predictions"]
    assert "{use: coco, root: new}" in said[3]
    assert len(json.loads(Path("new/annotations.json").read_text())["annotations"]) == 1


def test_a_fault_is_a_message_and_an_exit_code(detection: Kitchen, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIZZERIA_STORE", str(detection.store.root))
    (detection.folder / "labels.csv").write_text("prediction_id,classes\n1,moat\n")
    done = CliRunner().invoke(main, ["labels", "add", "amenities", str(detection.folder / "labels.csv")])
    assert done.exit_code == 4
    assert "labels.csv:2: classes[0]: there is no class 'moat'" in done.output
    assert "Traceback" not in done.output
    assert {"add", "queue", "suggest", "export"} == set(labels.commands)


def test_monitoring_is_given_the_kept_labels_and_those_of_a_file_before_them(
    classification: Kitchen, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from pizzeria.monitoring.passes import monitor

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PIZZERIA_STORE", "")  # `--store` sets it
    plugin = tmp_path / "plugins" / "monitors" / "echo.py"
    plugin.parent.mkdir(parents=True)
    plugin.write_text(MONITOR)
    spec = classification.store.run("amenities").folder / "spec.yaml"
    spec.write_text(spec.read_text().partition("\n")[2] + "monitoring: {use: echo}\n")
    for i in range(3):
        classification.photo(f"{i}.png", picture(i))
    Path("kept.csv").write_text("input_id,class\n0.png,bed\n1.png,bed\n")
    run(classification, "pizzeria labels add amenities kept.csv")
    served = classification.served
    seal(served.package, sha256=served.bundle.sha256)
    (classification.store.cache / "package").parent.mkdir(parents=True, exist_ok=True)
    (classification.store.cache / served.package.name).symlink_to(served.package)
    found = monitor(served.spec, served.run, classification.store, Quiet()).verdict.findings[0]
    assert (found.subject, found.realised) == ("bed,bed", 2)
    Path("file.csv").write_text("input_id,true\n1.png,sofa\n2.png,sofa\n")
    done = monitor(served.spec, served.run, classification.store, Quiet(), labels=Path("file.csv"))
    assert (done.verdict.findings[0].subject, done.verdict.judged) == ("bed,sofa,sofa", 3)
