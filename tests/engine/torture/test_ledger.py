"""The trial `ledger` sees what it claims to see: breaks are planted."""

from __future__ import annotations

import json
import random
import sqlite3
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from pizzeria.cli import main
from pizzeria.conformance.asking import Quiet
from pizzeria.deployments import packed, put_live
from pizzeria.loading import load_resolved
from pizzeria.runs.ledger import Ledger
from pizzeria.torture import shelf
from pizzeria.torture.bench import Bench
from pizzeria.torture.ledger import Shelf, contradictions, read


class Place(Shelf):
    """Runs commands in this process."""

    def command(self, *arguments: str) -> tuple[int, str]:
        done = CliRunner().invoke(main, ["--store", str(self.folder / "runs"), *arguments])
        return done.exit_code, done.stdout


@pytest.fixture(scope="module")
def text(tmp_path_factory: pytest.TempPathFactory) -> str:
    return shelf.spec_text(tmp_path_factory.mktemp("spec"), {"use": "replay"})


@pytest.fixture
def place(tmp_path: Path, text: str, monkeypatch: pytest.MonkeyPatch) -> Place:
    monkeypatch.setenv("PIZZERIA_STORE", str(tmp_path / "runs"))
    place = Place(Bench(tmp_path, True, random.Random(0)), None, tmp_path, {"use": "replay"})  # type: ignore[arg-type]
    for version in ("older", "newer"):
        run = shelf.register(place.store, text, version)
        found = packed(run, load_resolved(run.folder / "spec.yaml"), place.store)
        put_live(found.spec, run, found.bundle, found.sha256, place.store, Quiet())
        place.runs.append(run.id)
    return place


def test_nothing_is_wrong_after_nothing(place: Place) -> None:
    assert place.trouble() == ""
    assert place.left_over() == ""


def test_another_bundle_that_serves_is_seen(place: Place) -> None:
    path = place.folder / "runs" / ".deployments" / shelf.NAME / "shelf.json"
    lies = json.loads(path.read_text())
    path.write_text(json.dumps(lies | {"sha256": "0" * 64}))
    assert "status ended with 1" in place.trouble()


def test_a_damaged_ledger_is_seen(place: Place) -> None:
    path = place.folder / "runs" / "ledger.sqlite"
    with sqlite3.connect(path) as connection:
        connection.execute("pragma wal_checkpoint(truncate)")
    connection.close()
    content = bytearray(path.read_bytes())
    content[4096:4600] = b"\xff" * 504
    path.write_bytes(content)
    assert "the ledger cannot be read" in place.trouble()


def test_a_change_that_nothing_closes_is_seen(place: Place) -> None:
    Ledger(place.store.root).add("deploying", shelf.NAME, detail={"action": "deploy"})
    Ledger(place.store.root).add("deploying", shelf.NAME, detail={"action": "deploy"})
    assert "begins a change while that of entry" in place.trouble()


def _entry(id: int, event: str, **detail: Any) -> dict[str, Any]:
    return {"id": id, "event": event, "name": "shelf", "run": "", "sha256": "", "detail": detail}


@pytest.mark.parametrize(
    ("entries", "told"),
    [
        ([_entry(1, "deploying"), _entry(2, "promoted", intent=1)], ""),
        ([_entry(1, "deploying"), _entry(3, "promoted", intent=1)], "entries are missing"),
        ([_entry(1, "deploying")], "stays open"),
        ([_entry(1, "deploying"), _entry(2, "failed", intent=1)], "there is no champion"),
        ([_entry(1, "deploying"), _entry(2, "promoted", intent=7)], "closes a change that is not open"),
        ([_entry(1, "deploying"), _entry(2, "promoted", intent=1), _entry(3, "failed", intent=1)], "not open"),
    ],
)
def test_what_does_not_fit_is_told(entries: list[dict[str, Any]], told: str) -> None:
    found = contradictions(entries, open_ones=0)
    assert told in found
    assert bool(found) == bool(told)


def test_something_left_behind_is_seen(place: Place) -> None:
    """By whoever is not `gc`: what it does not find is found."""
    (place.folder / "runs" / shelf.NAME).mkdir()
    (place.folder / "runs" / shelf.NAME / "no-dot.tmp").touch()
    assert "no-dot.tmp was left" in place.left_over()
    assert read(place.folder / "runs" / "ledger.sqlite")
