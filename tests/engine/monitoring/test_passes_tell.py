"""Passes by the command: exit codes and lines while an alert opens, goes on and ends, and `pizzeria alerts`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml
from click.testing import CliRunner, Result
from prometheus_client.parser import text_string_to_metric_families

from pizzeria.cli import main
from pizzeria.contracts import Verdict
from pizzeria.monitoring import telling
from pizzeria.runs.ledger import Ledger

from ...plugins.alerts.conftest import Receiver, receiving
from ..deployments import conftest as deployments
from ..deployments.conftest import Stall
from ..runs.sealed import reseal
from .test_incidents import verdict

packed_stall = deployments.packed_stall
stall = deployments.stall

MONITOR = '''
"""Says what a file says."""
import json
from pathlib import Path
from pizzeria.contracts import Alarm, Finding, Judged, Verdict
from pizzeria.spec.section import Options as PluginOptions

class Options(PluginOptions):
    """None."""

def judge(options, monitoring, problem, reference, traffic, memory, progress):
    said = json.loads(Path("verdict.json").read_text())
    parts = {"findings": Finding, "alerts": Alarm, "chunks": Judged}
    return Verdict(**said | {key: tuple(kind(**one) for one in said[key]) for key, kind in parts.items()})
'''


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Receiver]:
    monkeypatch.setattr(telling, "AGAIN_S", 0)
    with receiving() as server:
        yield server


@pytest.fixture
def live(stall: Stall, server: Receiver) -> Stall:
    """A deployed run, with a monitor that says what verdict.json says."""
    (stall.folder / "plugins" / "monitors").mkdir()
    (stall.folder / "plugins" / "monitors" / "script.py").write_text(MONITOR)
    (stall.folder / "metrics").mkdir()
    for run in stall.runs.values():
        plain = yaml.safe_load((run.folder / "spec.yaml").read_text())
        channels = [{"use": "webhook", "url": server.address}, {"use": "prometheus", "folder": "metrics"}]
        plain["monitoring"] = {"use": "script", "alerts": channels}
        (run.folder / "spec.yaml").write_text(yaml.safe_dump(plain, sort_keys=False))
        pd.DataFrame({"area": [1.0]}).to_parquet(run.stage("package") / "reference.parquet")
        reseal(run.folder / "stages" / "package")
    assert pizzeria("deploy", "prices-a").exit_code == 0
    return stall


def pizzeria(*arguments: str) -> Result:
    return CliRunner().invoke(main, list(arguments))


def monitor(found: Verdict) -> tuple[int, list[str]]:
    plain: dict[str, Any] = asdict(found)
    Path("verdict.json").write_text(json.dumps(plain))
    done = pizzeria("monitor", "prices")
    assert done.exception is None or isinstance(done.exception, SystemExit), done.output
    return done.exit_code, done.output.splitlines()


def shown() -> dict[str, float]:
    """The metric of open incidents by kind."""
    text = Path("metrics/pizzeria_prices.prom").read_text()
    families = {family.name: family for family in text_string_to_metric_families(text)}
    return {sample.labels["kind"]: sample.value for sample in families["pizzeria_incidents_open"].samples}


def test_an_alert_opens_goes_on_and_ends(live: Stall, server: Receiver) -> None:
    code, lines = monitor(verdict({0: "."}))
    assert (code, lines) == (0, ["500 predictions judged", "no alert"])
    code, lines = monitor(verdict({1: "x"}))
    assert (code, lines) == (10, ["500 predictions judged", "alert: f1 is low in chunk 1"])
    assert shown()["performance"] == 1
    code, lines = monitor(verdict({}))
    assert (code, lines[1:]) == (10, ["still open, since chunk 1: f1 is low in chunk 1"])
    done = pizzeria("alerts", "prices")
    assert done.exit_code == 0
    first, second, *told = done.output.splitlines()
    assert first.startswith("performance  since 20")
    assert second == "    f1 is low in chunk 1"
    assert [line.split("  ")[1:4] for line in told] == [
        ["webhook", "firing", "sent"],
        ["prometheus", "firing", "sent"],
    ]
    code, lines = monitor(verdict({2: "."}))
    assert (code, lines[1:]) == (0, ["over: f1 is low in chunk 1: chunk 2 is without it", "no alert"])
    assert shown()["performance"] == 0
    assert [json.loads(request.body)["state"] for request in server.requests] == ["firing", "resolved"]
    events = [entry.event for entry in Ledger(live.store.root).entries("prices")]
    assert events[-10:] == [
        *("monitored", "monitored", "alerted", "sent", "sent"),
        *("monitored", "monitored", "recovered", "sent", "sent"),
    ]
    found = json.loads(pizzeria("alerts", "prices", "--json").output)
    assert found["open"] == []
    assert [one["state"] for one in found["deliveries"]] == ["firing"] * 2 + ["resolved"] * 2


def test_what_was_not_told_is_said_and_sent_later(live: Stall, server: Receiver) -> None:
    server.status, server.answer = 500, b"the oven is off"
    code, lines = monitor(verdict({0: "x"}))
    assert code == 10
    assert lines[-1] == f"not told: webhook: {server.address} answered 500: the oven is off; it is tried again"
    done = pizzeria("alerts", "prices", "--send")
    assert done.exit_code == 1
    assert "waits" in done.output
    assert "answered 500: the oven is off; tried again from 20" in done.output
    assert pizzeria("alerts", "prices", "--test").exit_code == 1
    server.status = 200
    done = pizzeria("alerts", "prices", "--send")
    assert (done.exit_code, "waits" in done.output) == (0, False)
    done = pizzeria("alerts", "prices", "--test")
    assert (done.exit_code, done.output) == (0, "webhook: sent\nprometheus: sent\n")


def test_undecided_is_no_alert(live: Stall, server: Receiver) -> None:
    found = verdict({0: "?"})
    assert monitor(Verdict(found.findings, (), ("f1 in chunk 0: one class",), chunks=found.chunks))[0] == 11
    assert server.requests == []


def test_a_pass_for_itself_tells_nobody(live: Stall, server: Receiver) -> None:
    Path("verdict.json").write_text(json.dumps(asdict(verdict({0: "x"}))))
    done = pizzeria("monitor", "prices", "--since", "2026-01-01")
    assert done.exit_code == 10
    assert "alert: f1 is low in chunk 0" in done.output
    assert server.requests == []
    assert pizzeria("alerts", "prices").output == "no alert of prices is open\n"


def test_an_unknown_name_is_a_message() -> None:
    done = pizzeria("alerts", "pricess")
    assert done.exit_code == 2
    assert "there is no run 'pricess'" in done.output
