"""The alert log: one line of JSON per alert, in the log and, when asked, safely in a file."""

from __future__ import annotations

import json
import logging
from datetime import UTC, datetime
from pathlib import Path

import pytest

from pizzeria.contracts import Verdict
from pizzeria.errors import PizzeriaError
from pizzeria_plugins.alerts import log

VERDICT = Verdict((), ("2 columns drifted in chunk 1", "f1 is \N{EN DASH} 0.2\nlow"), (), {}, ("performance", "drift"))


def test_each_alert_is_one_warning(caplog: pytest.LogCaptureFixture, tmp_path: Path) -> None:
    log.send(log.Options(), "amenities", VERDICT, tmp_path / "report.html")
    assert [(record.name, record.levelno) for record in caplog.records] == [("pizzeria.alerts", logging.WARNING)] * 2
    lines = [json.loads(record.getMessage()) for record in caplog.records]
    assert [line["alert"] for line in lines] == list(VERDICT.alerts)
    assert all("\n" not in record.getMessage() for record in caplog.records)
    for line in lines:
        assert line["name"] == "amenities"
        assert line["reasons"] == ["performance", "drift"]
        assert line["report"] == str(tmp_path / "report.html")
        assert abs((datetime.now(UTC) - datetime.fromisoformat(line["time"])).total_seconds()) < 60
    assert list(tmp_path.iterdir()) == []


def test_file_grows_by_a_line_for_each_alert(tmp_path: Path) -> None:
    path = tmp_path / "new" / "alerts.jsonl"
    for _ in range(2):
        log.send(log.Options(path=path), "amenities", VERDICT, None)
    lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    assert [line["alert"] for line in lines] == list(VERDICT.alerts) * 2
    assert lines[0]["report"] is None


def test_no_alert_leaves_no_trace(caplog: pytest.LogCaptureFixture, tmp_path: Path) -> None:
    log.send(log.Options(path=tmp_path / "alerts.jsonl"), "amenities", Verdict((), (), ("no rows",)), None)
    assert caplog.records == []
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_cannot_be_written_is_named_after_the_log_has_it(
    caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(PizzeriaError, match=r"cannot be written to .*alerts"):
        log.send(log.Options(path=tmp_path / "file" / "alerts.jsonl"), "amenities", VERDICT, None)
    assert len(caplog.records) == 2
