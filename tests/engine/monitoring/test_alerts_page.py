"""docs/monitoring/alerts.md: its specs are valid, its commands exist, its receiver knows who wrote."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import yaml

from pizzeria.cli.alerts import alerts
from pizzeria.conformance.alerts import notices, standings
from pizzeria.loading import load_spec
from pizzeria_plugins.alerts import prometheus, webhook

from ...plugins.alerts.conftest import receiving
from .test_telling import SPEC

PAGE = (Path(__file__).parents[3] / "docs" / "monitoring" / "alerts.md").read_text()


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)\n```", PAGE, re.M | re.S)


@pytest.mark.parametrize("block", blocks("yaml"))
def test_specs_are_valid(working_folder: Path, block: str) -> None:
    Path("prices.yaml").write_text(f"{SPEC}{block}\n")
    Path("prices.csv").write_text("area,price\n1,2\n")
    spec = load_spec(["prices.yaml"])
    wanted = yaml.safe_load(block)["monitoring"]["alerts"]
    assert [alert.use for alert in spec.monitoring.alerts] == [one["use"] for one in wanted]


def test_every_channel_has_its_part() -> None:
    from pizzeria import registry

    headings = re.findall(r"^## (\w+)$", PAGE, re.M)
    assert sorted(headings) == sorted(registry.find("alerts"))


def test_commands_exist() -> None:
    (block,) = blocks("bash")
    for line in block.splitlines():
        words = shlex.split(line, comments=True)
        assert words[:2] == ["pizzeria", "alerts"]
        alerts.make_context("alerts", words[2:])


def test_a_receiver_knows_who_wrote(monkeypatch: pytest.MonkeyPatch) -> None:
    (block,) = blocks("python")
    defined: dict[str, Any] = {}
    exec(block, defined)
    monkeypatch.setenv("ALERT_KEY", "of ours")
    with receiving() as server:
        webhook.send(webhook.Options(url=server.address, signature_variable="ALERT_KEY"), notices()[0])
    (request,) = server.requests
    headers = {
        "-".join(part.capitalize() for part in name.split("-")): value for name, value in request.headers.items()
    }
    assert defined["is_genuine"]("of ours", headers, request.body)
    assert not defined["is_genuine"]("of others", headers, request.body)
    assert not defined["is_genuine"]("of ours", headers, request.body + b" ")


def test_every_metric_is_named(tmp_path: Path) -> None:
    prometheus.show(prometheus.Options(folder=tmp_path), standings()[1])
    prometheus.send(prometheus.Options(folder=tmp_path), notices()[0])
    shown = {name for path in tmp_path.iterdir() for name in re.findall(r"^# TYPE (\S+)", path.read_text(), re.M)}
    assert shown == set(re.findall(r"`(pizzeria_\w+)`(?=[,| ].*\|)", PAGE))
