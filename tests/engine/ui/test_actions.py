"""Actions end to end, on the shelf of `replay`: asked, confirmed, done beside the pages, and in the ledger."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import httpx
import pytest

from pizzeria import clock
from pizzeria.errors import PizzeriaError
from pizzeria.runs.store import Store
from pizzeria.ui.jobs import Jobs

from .conftest import Served
from .pantry import Pantry, prices


@pytest.fixture
def kitchen(tmp_path: Path, tabular_bundle: Path, former_bundle: Path) -> Iterator[tuple[Pantry, Served, httpx.Client]]:
    """A store of its own, the application with actions, and somebody who opened its link."""
    pantry = Pantry(Store(tmp_path / "runs"), {"tabular_regression": tabular_bundle, "former": former_bundle})
    prices(pantry, runs=1)
    served = Served(pantry.store, actions=True)
    with served.client(follow_redirects=True) as client:
        client.get(f"/-/in?token={served.access.token}")
        yield pantry, served, client
    served.close()


def confirm(client: httpx.Client, href: str, **more: str) -> str:
    """Open the question, send its form, and wait for the end; returns the action's page."""
    question = client.get(href)
    assert question.status_code == 200, question.text
    fields = dict(re.findall(r'<input type="hidden" name="(word|to|sha256)" value="([^"]*)"', question.text))
    answer = client.post(href.partition("?")[0], data=fields | more)
    assert answer.status_code == 200, answer.text
    until = time.monotonic() + 60
    while "at work" in answer.text and time.monotonic() < until:
        time.sleep(0.1)
        answer = client.get(str(answer.url))
    return answer.text


def test_roll_back(kitchen: tuple[Pantry, Served, httpx.Client]) -> None:
    pantry, _, client = kitchen
    former, present = (entry.sha256 for entry in pantry.ledger.entries("prices", "promoted"))
    page = client.get("/prices/deployment").text
    assert "actions on" in page
    [href] = re.findall(r'href="(/prices/act/rollback\?to=[^"]+)"', page)
    told = confirm(client, href)
    assert f"prices is back at {former[:12]}" in told
    champion = pantry.ledger.champion("prices")
    assert champion is not None
    assert (champion.event, champion.sha256) == ("rolled_back", former)
    assert re.findall(r"rollback\?to=([0-9a-f]+)", client.get("/prices/deployment").text) == [present]


def test_approve_and_decline(kitchen: tuple[Pantry, Served, httpx.Client]) -> None:
    pantry, _, client = kitchen
    champion = pantry.ledger.champion("prices")
    assert champion is not None
    run = pantry.store.run(champion.run)
    evidence = {"sha256": pantry.ledger.entries("prices", "promoted")[0].sha256, "challenger_run": "prices-aaaa0001"}
    why = "mae on the window is 0.41 instead of 0.50"
    for action, event in (("decline", "declined"), ("approve", "approved")):
        at = clock.utcnow() - timedelta(minutes=1)
        pantry.decide(run, champion.sha256, at, "awaiting approval", why, **evidence)
        assert "waits for approval" in client.get("/prices").text
        page = client.get("/prices/deployment").text
        assert why in page
        [href] = re.findall(rf'href="(/prices/act/{action}\?[^"]+)"', page)
        told = confirm(client, href, reason="seen by <b>me</b>")
        assert "failed" not in told, told
        [entry] = pantry.ledger.entries("prices", event)  # type: ignore[arg-type]
        assert entry.detail["reason"] == "seen by <b>me</b>"
        assert entry.detail["who"].endswith("in pizzeria ui")
        assert "waits for approval" not in client.get("/prices/deployment").text
    live = pantry.ledger.champion("prices")
    assert live is not None
    assert live.sha256 == evidence["sha256"]
    assert "seen by &lt;b&gt;me&lt;/b&gt;" in client.get("/prices/decisions").text


def test_what_fails_says_why(kitchen: tuple[Pantry, Served, httpx.Client]) -> None:
    import shutil

    pantry, _, client = kitchen
    former = pantry.ledger.entries("prices", "promoted")[0]
    shutil.rmtree(pantry.store.cache / "prices-aaaa0001-package" / "bundle")
    told = confirm(client, f"/prices/act/rollback?to={former.sha256}")
    assert "failed" in told
    champion = pantry.ledger.champion("prices")
    assert champion is not None
    assert champion.sha256 != former.sha256


def test_one_action_at_a_time_for_each_name() -> None:
    jobs, go = Jobs(), threading.Event()

    def work(progress: object) -> str:
        go.wait(30)
        return "done so"

    first = jobs.start("prices", "Roll back", work)
    other = jobs.start("rooms", "Roll back", work)
    with pytest.raises(PizzeriaError, match="is at work on prices"):
        jobs.start("prices", "Approve", work)
    go.set()
    jobs.wait()
    assert (first.state, first.told, other.state) == ("done", "done so", "done")
    assert jobs.at_work("prices") is None
