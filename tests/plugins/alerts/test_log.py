"""The alert log: one line of JSON per alarm, in the log and, when asked, safely in a file."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from pizzeria.conformance.alerts import AlertSuite, Place, notices
from pizzeria.errors import PizzeriaError
from pizzeria_plugins.alerts import log

FIRING, RESOLVED, DECIDED = notices()


class TestSuite(AlertSuite):
    plugin = log

    @contextmanager
    def receiver(self, folder: Path) -> Iterator[Place]:
        path = folder / "alerts.jsonl"
        yield Place({"path": path}, heard=path.read_text)

    @contextmanager
    def broken(self, folder: Path) -> Iterator[Place]:
        (folder / "file").write_text("")
        yield Place({"path": folder / "file" / "alerts.jsonl"})


def test_each_alarm_is_one_warning(caplog: pytest.LogCaptureFixture, tmp_path: Path) -> None:
    log.send(log.Options(), FIRING)
    assert [(record.name, record.levelno) for record in caplog.records] == [("pizzeria.alerts", logging.WARNING)] * 2
    lines = [json.loads(record.getMessage()) for record in caplog.records]
    assert [line["alert"] for line in lines] == [alarm.text for alarm in FIRING.alarms]
    assert [line["kind"] for line in lines] == ["performance", "drift"]
    for line in lines:
        assert {key: line[key] for key in ("time", "name", "state", "report")} == {
            "time": FIRING.at,
            "name": "amenities",
            "state": "firing",
            "report": "r.html",
        }
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("notice", [RESOLVED, DECIDED], ids=["resolved", "decided"])
def test_what_is_over_or_decided_is_information(caplog: pytest.LogCaptureFixture, notice: log.Notice) -> None:
    caplog.set_level(logging.INFO)
    log.send(log.Options(), notice)
    (record,) = caplog.records
    assert record.levelno == logging.INFO
    assert json.loads(record.getMessage())["state"] == notice.state


def test_file_grows_by_a_line_for_each_alarm(tmp_path: Path) -> None:
    path = tmp_path / "new" / "alerts.jsonl"
    for notice in (FIRING, DECIDED):
        log.send(log.Options(path=path), notice)
    lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    assert [line["alert"] for line in lines] == [*(alarm.text for alarm in FIRING.alarms), DECIDED.text]
    assert lines[2]["kind"] is None


def test_a_file_that_cannot_be_written_is_named_after_the_log_has_it(
    caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(PizzeriaError, match=r"cannot be written to .*alerts"):
        log.send(log.Options(path=tmp_path / "file" / "alerts.jsonl"), FIRING)
    assert len(caplog.records) == 2
