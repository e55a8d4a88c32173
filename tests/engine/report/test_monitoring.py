"""The section on monitoring: from a real history, and with photos of a real log."""

from __future__ import annotations

import io
import json
import re
from dataclasses import asdict, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from PIL import Image, ImageEnhance

from pizzeria.contracts import Alarm, Backtest, Finding, Judged, Verdict
from pizzeria.loading import load_spec
from pizzeria.monitoring import incidents
from pizzeria.monitoring.history import History, folder_of
from pizzeria.monitoring.watched import watched
from pizzeria.report import render
from pizzeria.runs.store import Store
from pizzeria_plugins.prediction_logs import sqlite

SHA256 = "12" * 32
"""That of the built run's bundle."""
FIRST = datetime(2026, 11, 1, tzinfo=UTC)
AT = "2026-11-24T08:00:00.000+00:00"


def verdict(chunks: int, dark_from: int, shown: tuple[str, ...], usual: tuple[str, ...]) -> Verdict:
    """Hours of traffic; from one on brightness has drifted."""
    findings, alarms, judged = [], [], []
    for i in range(1, chunks + 1):
        start, end = ((FIRST + timedelta(hours=i + more)).isoformat() for more in (0, 1))
        where, dark = (str(i), start, end), i >= dark_from
        judged.append(Judged(str(i), start, end, 100, 40, i == chunks))
        value = 0.6 if dark else 0.08 + 0.02 * (i % 3)
        f1 = 0.9 - 0.2 * dark
        rule = ("jensen_shannon", None, 0.25)
        findings += [
            Finding("drift", "brightness", *where, value, "above 0.25", dark, None, *rule),
            Finding("performance", "f1", *where, f1, "below 0.8", f1 < 0.8, f1 - 0.02, "CBPE", 0.8, None, 0.02),
            Finding("performance", "f1 of tv", *where, None, "none", None),
        ]
        if dark:
            text = f"2 columns drifted in chunk {i} (100 rows): brightness {value} (jensen_shannon)"
            alarms.append(Alarm("drift", "columns", *where, text, ("brightness", "<b>contrast</b>"), shown, usual))
    backtest = Backtest("f1", 20, 0.021, 0.06)
    figure = {"data": [{"type": "scatter", "y": [1, 2]}], "layout": {}}
    return Verdict(tuple(findings), tuple(alarms), (), {"Drift: all": json.dumps(figure)}, tuple(judged), 0, backtest)


@pytest.fixture(scope="module")
def monitored(build: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A deployed run of photos with 230 hours of traffic, of which the last 12 are dark."""
    run = build["detection"](tmp_path_factory.mktemp("runs") / "amenities", listings=8, gate=0.0)
    spec = load_spec(["experiment=amenities", "serving.log.photos=true"]).resolved()
    success = [{"metric": "map_50", "at_least": 0.0}]
    spec |= {"name": "amenities", "problem": spec["problem"] | {"classes": run.problem["classes"], "success": success}}
    (run.path / "spec.yaml").write_text(yaml.safe_dump(spec))
    store = Store(run.path.parent)

    photo = Image.open(next((run.path / "stages/collect/photos").glob("*.jpg")))
    records = []
    for i in range(5):
        data = io.BytesIO()
        ImageEnhance.Brightness(photo).enhance(0.1 + 0.05 * i).save(data, "JPEG")
        when = (FIRST + timedelta(seconds=i)).isoformat()
        records.append({"timestamp": when, "sha256": SHA256, "prediction_id": f"p{i}", "photo": data.getvalue()})
    sqlite.writer(sqlite.Options(), store.root / ".predictions" / "amenities")(records)

    found = verdict(230, 219, tuple(f"p{i}" for i in range(5)), ("0-0", "1-1", "2-2", "3-0", "no such photo"))
    history = History(folder_of(store, "amenities"))

    def follow(connection: Any) -> None:
        incidents.update(connection, found, sha256=SHA256, run=run.path.name, at=AT, champion=True)

    history.record(found, sha256=SHA256, run=run.path.name, at=AT, then=follow)
    folder = run.path / "monitoring" / "2026-11-24T080000.000Z"
    folder.mkdir()
    (folder / "verdict.json").write_text(json.dumps(asdict(found) | {"at": AT, "judged": 23_000, "alone": False}))
    return Path(run.path)


@pytest.fixture(scope="module")
def text(monitored: Path) -> str:
    page = render(monitored, watched(monitored)).read_text()
    return page[page.index('id="monitoring"') : page.index('id="cost"')]


def test_shows_the_latest_chunks_of_the_history(text: str) -> None:
    assert text.count("<i class=") - text.count("cell") == 200
    assert "the latest 200 of 230 chunks" in text
    assert len(re.findall(r'<i class="bad[ "]', text)) == 12
    assert "chunk 230, 100 predictions from 2026-11-10 14:00 UTC: 1 alarm, still open" in text
    assert "was 0.021 from what they say on average" in text
    assert "Drift: all" in text
    for subject, alerts in (
        ("brightness", "12 of 200 alert"),
        ("f1", "12 of 200 alert"),
        ("f1 of tv", "200 undecided"),
    ):
        assert re.search(rf"<tr><th>{subject}</th>(?:(?!</tr>).)*{alerts}", text)


def test_shows_incidents_with_their_causes(text: str) -> None:
    assert "1 open incident" in text
    assert "Likely behind it: brightness, &lt;b&gt;contrast&lt;/b&gt;" in text
    assert "2026-11-24 08:00 UTC" in text


def test_shows_photos_of_the_drift_beside_usual_ones(text: str) -> None:
    """Once: all the alarms show the same five here. A photo that is gone is left out."""
    assert text.count('<figure class="sight">') == 1
    assert text.count("<img src=") == 9
    assert "In chunk 230" in text


def test_a_look_for_itself_stands_beside_the_history(monitored: Path) -> None:
    found = replace(verdict(1, 1, (), ()), plots={})
    folder = monitored / "monitoring" / "2026-11-24T090000.000Z"
    folder.mkdir()
    (folder / "verdict.json").write_text(json.dumps(asdict(found) | {"at": AT, "judged": 100, "alone": True}))
    page = render(monitored, watched(monitored)).read_text()
    assert "Looks at a time, or with labels of their own" in page
    assert page.count('<details class="pass"') == 1


def test_without_a_history_the_passes_are_shown(build: Any, tmp_path: Path) -> None:
    run = build["detection"](tmp_path / "amenities", listings=8, gate=0.0)
    assert watched(run.path) is None
    page = render(run.path, watched(run.path)).read_text()
    assert page.count('<details class="pass"') == 2
    assert "f1 is estimated at 0.66, below 0.80, in 6 of 6 chunks" in page
    assert watched(build["empty"](tmp_path / "empty", {"need": "Why.", "task": "object_detection"}).path) is None
