"""Telling: each channel hears of each notice once and in order, also after failures and kills."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from pizzeria.clock import at
from pizzeria.loading import load_spec
from pizzeria.monitoring import telling
from pizzeria.monitoring.history import History, folder_of
from pizzeria.monitoring.incidents import Changes, update
from pizzeria.runs.ledger import Ledger
from pizzeria.runs.store import Store
from pizzeria.spec.spec import Spec

from ...plugins.alerts.conftest import Receiver, receiving
from .test_incidents import NAME, SHA, verdict

SPEC = """
defaults:
  - override /data: table
  - override /features: columns
  - override /model: tabular_network
name: prices
problem:
  need: Test.
  owner: tests
  task: tabular_regression
  target: price
  success: [{metric: r2, at_least: 0.5}]
data: {path: prices.csv}
"""
NOW = datetime(2026, 3, 1, tzinfo=UTC)


@pytest.fixture
def server() -> Iterator[Receiver]:
    with receiving() as server:
        yield server


@pytest.fixture
def store(working_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    monkeypatch.setattr(telling, "AGAIN_S", 0)
    return Store(working_folder / "runs")


def spec_with(*alerts: dict[str, Any], **monitoring: Any) -> Spec:
    Path("prices.yaml").write_text(SPEC + f"monitoring: {json.dumps({'alerts': alerts, **monitoring})}\n")
    Path("prices.csv").write_text("area,price\n1,2\n")
    return load_spec(["prices.yaml"])


def post(spec: Spec, store: Store, states: dict[int, str], *, when: datetime = NOW) -> None:
    """A pass, up to where its notices lie in the outbox."""
    found = verdict(states)
    stamp = when.isoformat(timespec="milliseconds")

    def follow(connection: sqlite3.Connection) -> None:
        changes: Changes = update(connection, found, sha256=SHA, run="prices-1", at=stamp, champion=True)
        telling.post_changes(connection, changes, spec, run="prices-1", sha256=SHA, at=stamp, report=Path("r.html"))

    with at(when):
        History(folder_of(store, NAME)).record(found, sha256=SHA, run="prices-1", at=stamp, then=follow)


def send(spec: Spec, store: Store, *, when: datetime = NOW) -> tuple[str, ...]:
    with at(when):
        return telling.send_waiting(spec, store)


def heard(server: Receiver) -> list[str]:
    return [json.loads(request.body)["state"] for request in server.requests]


def sent(store: Store) -> list[tuple[str, str, bool]]:
    """What the ledger says of deliveries."""
    entries = [one for one in Ledger(store.root).entries(NAME) if one.event in ("sent", "unsent")]
    return [(one.event, one.detail["channel"], one.detail.get("given_up", False)) for one in entries]


def test_each_channel_hears_once_when_it_begins_and_when_it_is_over(server: Receiver, store: Store) -> None:
    hook = {"use": "webhook", "url": server.address}
    spec = spec_with(hook, hook, {"use": "log"}, pages="https://pizzeria.example/")
    for chunk, state in enumerate("xxx.."):
        post(spec, store, {chunk: state})
        assert send(spec, store) == ()
    assert heard(server) == ["firing", "firing", "resolved", "resolved"]
    first, _, last, _ = [json.loads(request.body) for request in server.requests]
    assert first["text"] == "prices: f1 is low in chunk 0"
    assert first["alarms"][0]["subject"] == "f1"
    assert first["links"]["page"] == "https://pizzeria.example/prices"
    assert first["links"]["chunk"].startswith("https://pizzeria.example/prices/chunks/")
    assert last["text"] == "prices: f1 is low in chunk 2, since chunk 0: over, chunk 3 is without it"
    channels = [one.channel for one in telling.deliveries(store, NAME)]
    assert channels == ["webhook", "webhook 2", "log"] * 2
    assert sorted(sent(store)) == sorted([("sent", label, False) for label in ("webhook", "webhook 2", "log")] * 2)


def test_reminders(server: Receiver, store: Store) -> None:
    spec = spec_with({"use": "webhook", "url": server.address}, remind_every="1d")
    for hours in (0, 12, 23, 24, 47, 49):
        when = NOW + timedelta(hours=hours)
        post(spec, store, {hours: "x"}, when=when)
        send(spec, store, when=when)
    assert heard(server) == ["firing"] * 3
    assert len({json.loads(request.body)["key"] for request in server.requests}) == 3


def test_a_failure_is_tried_again_with_growing_pauses_and_in_order(server: Receiver, store: Store) -> None:
    spec = spec_with({"use": "webhook", "url": server.address}, {"use": "log"})
    server.status = 503
    post(spec, store, {0: "x"})
    assert send(spec, store) == ("webhook: http" + server.address[4:] + " answered 503: ok",)
    assert sent(store)[-2:].count(("unsent", "webhook", False)) == 1
    send(spec, store, when=NOW + timedelta(seconds=30))
    assert heard(server) == ["firing"] * 2, "too early for another try"
    send(spec, store, when=NOW + timedelta(seconds=61))
    send(spec, store, when=NOW + timedelta(seconds=200))
    assert heard(server) == ["firing"] * 4, "the second pause is longer"
    post(spec, store, {1: "."}, when=NOW + timedelta(seconds=400))
    server.status = 200
    assert send(spec, store, when=NOW + timedelta(seconds=400)) == ()
    assert heard(server) == ["firing"] * 5 + ["resolved"]
    assert len({json.loads(request.body)["key"] for request in server.requests}) == 2
    delivery = telling.deliveries(store, NAME)[0]
    assert (delivery.channel, delivery.tries, bool(delivery.sent_at)) == ("webhook", 3, True)


def test_after_a_day_it_is_given_up(server: Receiver, store: Store) -> None:
    spec = spec_with({"use": "webhook", "url": server.address})
    server.status = 500
    post(spec, store, {0: "x"})
    for hours in (0, 1, 12, 24, 25):
        send(spec, store, when=NOW + timedelta(hours=hours))
    assert len(server.requests) == 2 * 4
    (delivery,) = telling.deliveries(store, NAME)
    assert delivery.given_up_at
    assert not delivery.sent_at
    assert sent(store) == [("unsent", "webhook", False), ("unsent", "webhook", True)], "a line each at both ends"
    assert send(spec, store, when=NOW + timedelta(hours=30)) == ()


def test_a_channel_that_is_taken_out_of_the_spec_is_given_up(server: Receiver, store: Store) -> None:
    server.status = 500
    spec = spec_with({"use": "webhook", "url": server.address})
    post(spec, store, {0: "x"})
    send(spec, store)
    assert send(spec_with({"use": "log"}), store, when=NOW + timedelta(hours=1)) == ()
    (delivery,) = telling.deliveries(store, NAME)
    assert delivery.error == "it is not among monitoring.alerts any more"


PLUGINS = {
    "hangs": """
        import time
        def send(options, notice):
            time.sleep(3600)
        """,
    "blows_up": """
        import os
        def secrets(options):
            return ("BELL_KEY",)
        def send(options, notice):
            raise ValueError("the bell at " + os.environ["BELL_KEY"])
        """,
}


def test_plugins_that_hang_or_fail_take_nothing_with_them(
    server: Receiver, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(telling, "PATIENCE_S", 5.0)  # enough for the others, however busy the machine is
    monkeypatch.setenv("BELL_KEY", "very-secret")
    Path("plugins/alerts").mkdir(parents=True)
    head = '"""Test."""\nfrom pizzeria.spec.section import Options as Base\nclass Options(Base):\n    """None."""\n'
    for name, code in PLUGINS.items():
        Path(f"plugins/alerts/{name}.py").write_text(head + textwrap.dedent(code))
    spec = spec_with({"use": "hangs"}, {"use": "blows_up"}, {"use": "webhook", "url": server.address})
    post(spec, store, {0: "x"})
    unsent = dict(line.split(": ", 1) for line in send(spec, store))
    assert heard(server) == ["firing"]
    assert unsent["hangs"] == "it did not end within 5 s"
    assert "ValueError: the bell at [hidden]" in unsent["blows_up"]
    assert "very-secret" not in json.dumps([entry.detail for entry in Ledger(store.root).entries(NAME)])
    outcome = telling.try_channels(spec)
    assert (outcome["webhook"], outcome["hangs"]) == ("", "it did not end within 5 s")
    assert heard(server)[-1] == "decided"


def test_a_decision_is_told(server: Receiver, store: Store) -> None:
    spec = spec_with({"use": "webhook", "url": server.address})
    assert telling.tell_decision(spec, store, "prices: promoted\n b over a", run="prices-2", sha256="b" * 64) == ()
    body = json.loads(server.requests[0].body)
    assert (body["state"], body["text"], body["run"], body["alarms"]) == (
        "decided",
        "prices: promoted b over a",
        "prices-2",
        [],
    )


def test_a_kill_loses_nothing_and_a_crowd_sends_once(server: Receiver, store: Store) -> None:
    """Killed with the notice on its way, it is sent again with the same key; then several at a time send it once."""
    Path("plugins/alerts").mkdir(parents=True)
    Path("plugins/alerts/slow.py").write_text(
        '"""Test."""\nimport pathlib, time\n'
        "from pizzeria.spec.section import Options as Base\nclass Options(Base):\n"
        '    """None."""\n'
        "def send(options, notice):\n"
        "    with open('heard', 'a') as stream:\n        stream.write(notice.key + '\\n')\n"
        "    time.sleep(0 if pathlib.Path('go').exists() else 60)\n"
    )
    spec = spec_with({"use": "slow"})
    post(spec, store, {0: "x"})
    code = (
        "from pizzeria.loading import load_spec; from pizzeria.runs.store import Store\n"
        "from pizzeria.monitoring.telling import send_waiting; print(send_waiting(load_spec(['prices.yaml']), Store()))"
    )

    def begin() -> subprocess.Popen[bytes]:
        return subprocess.Popen([sys.executable, "-c", code], env=dict(os.environ))

    process = begin()
    while not Path("heard").exists() or not Path("heard").read_text():
        assert process.poll() is None
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    (waiting,) = telling.deliveries(store, NAME, waiting=True)
    assert waiting.tries == 0
    Path("go").touch()
    crowd = [begin() for _ in range(2)]
    assert [one.wait() for one in crowd] == [0, 0]
    keys = Path("heard").read_text().split()
    assert keys == [waiting.key] * 2
    assert telling.deliveries(store, NAME, waiting=True) == []
