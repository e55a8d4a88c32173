"""The wheel says what has happened, what is at work and what needs somebody."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from pizzeria.conformance.asking import Quiet
from pizzeria.deployments import turn
from pizzeria.runs.store import Store
from pizzeria.runs.working import at_work
from pizzeria.ui.access import Access
from pizzeria.ui.shop import Shop

from .conftest import Served
from .pantry import BEGIN, Pantry


@pytest.fixture
def pantry(tmp_path: Path) -> Pantry:
    return Pantry(Store(tmp_path / "runs"), {})


def states(pantry: Pantry) -> dict[str, str]:
    shop = Shop(pantry.store, Access())
    shop.runs.read_all()
    return {phase.title: phase.state for phase in shop.project("prices").phases}


def test_a_run_at_work(pantry: Pantry) -> None:
    run = pantry.store.open_run("prices-01", "name: prices\nproblem:\n  need: Why.\n  task: tabular_regression\n")
    with at_work(run, "prices", {"collect": "a" * 64}):
        found = states(pantry)
    assert (found["Need"], found["Data"], found["Train"], found["Deploy"]) == ("done", "running", "never", "never")


def test_a_killed_run_is_not_at_work(pantry: Pantry) -> None:
    """Even where its process number is somebody else's by now."""
    run = pantry.store.open_run("prices-01", "name: prices\n")
    with at_work(run, "prices", {"collect": "a" * 64}):
        [said] = (run.folder / ".at_work").iterdir()
        text = said.read_text()
    (run.folder / ".at_work").mkdir()
    said.write_text(text)
    found = states(pantry)
    assert (found["Data"], found["Train"]) == ("attention", "never")


def test_a_missed_gate_needs_attention(pantry: Pantry) -> None:
    run = pantry.run("prices", "01", "tabular_regression", BEGIN)
    path = run.folder / "stages" / "evaluate" / "result.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"refusal": {"message": "missed", "hint": ""}}))
    found = states(pantry)
    assert (found["Evaluate"], found["Train"], found["Package"]) == ("attention", "done", "never")


def test_a_command_at_work_is_seen_and_one_that_was_killed_is_not(pantry: Pantry) -> None:
    pantry.run("prices", "01", "tabular_regression", BEGIN)
    with turn("prices", "deploy prices", pantry.store, Quiet()):
        assert states(pantry)["Deploy"] == "running"
    assert states(pantry)["Deploy"] == "never"
    with turn("prices", "monitor prices", pantry.store, Quiet(), of="pass"):
        assert states(pantry)["Monitor"] == "running"
    left = {"what": "maintain prices", "pid": os.getpid(), "since": "2026-05-01T00:00:00.000+00:00"}
    (pantry.store.root / ".deployments" / ".prices.maintain").write_text(json.dumps(left))
    assert states(pantry)["Maintain"] == "never"


def test_a_failed_change_needs_attention(pantry: Pantry) -> None:
    run = pantry.run("prices", "01", "tabular_regression", BEGIN)
    intent = pantry.ledger.add("deploying", "prices", run=run.id, sha256="a" * 64, detail={"action": "deploy"})
    assert states(pantry)["Deploy"] == "attention"
    pantry.ledger.add("failed", "prices", run=run.id, sha256="a" * 64, detail={"intent": intent.id, "why": "no"})
    assert states(pantry)["Deploy"] == "attention"


def test_a_damaged_history_is_told_and_spoils_no_other_page(pantry: Pantry) -> None:
    pantry.run("prices", "01", "tabular_regression", BEGIN)
    folder = pantry.store.root / ".monitoring" / "prices"
    folder.mkdir(parents=True)
    (folder / "history.sqlite").write_bytes(b"no database" * 1000)
    assert states(pantry)["Monitor"] == "attention"
    served = Served(pantry.store)
    with served.client() as client:
        for tab in ("", "prices", "prices/monitoring", "prices/deployment"):
            answer = client.get(f"/{tab}")
            assert answer.status_code == 200, answer.text
        told = client.get("/prices/monitoring").text
        assert "history.sqlite is damaged" in told
        assert "set it aside" in told
    served.close()


def test_only_what_is_packed_is_offered_for_deployment(tmp_path: Path, tabular_bundle: Path) -> None:
    pantry = Pantry(Store(tmp_path / "runs"), {"tabular_regression": tabular_bundle})
    pantry.store.open_run("prices-01", "name: prices\n")
    run = pantry.run("rents", "01", "tabular_regression", BEGIN)
    pantry.pack(run, "tabular_regression")
    served = Served(pantry.store)
    with served.client() as client:
        begun, whole = client.get("/prices").text, client.get("/rents").text
    served.close()
    assert "is unfinished" in begun
    assert "pizzeria deploy" not in begun
    assert "<pre>pizzeria deploy rents-01</pre>" in whole
