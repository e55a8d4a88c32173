"""The trial `state` sees what it claims to see: a `status` that believes in the dead is told."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pizzeria.runs.store import Store
from pizzeria.runs.working import at_work, works
from pizzeria.torture import state
from pizzeria.torture.bench import Bench
from pizzeria.torture.trial import Tally


class Place(state.Watched):
    """Asks this process what runs there are."""

    def status(self) -> dict[str, Any]:
        runs = [one.plain() for one in works(self.store)]
        return {"state": "absent", "commands": [], "runs": runs}


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(Bench(tmp_path, True, random.Random(0)), None, tmp_path, Tally(), {})  # type: ignore[arg-type]


def dead(told: dict[str, Any]) -> bool:
    return [one["state"] for one in told["runs"]] == ["dead"]


def noted(place: Place, true: Callable[[dict[str, Any]], object]) -> list[str]:
    place.known("a run", time.monotonic(), true)
    assert place._tally.tried == 1
    return place._tally.broken


def test_a_run_that_is_said_to_live_is_told(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """As one whose file somebody holds still."""
    monkeypatch.setattr(state, "KNOWN_WITHIN_S", 0.3)
    run = Store(place.folder / "runs").open_run("tiny-1", "name: tiny\n")
    with at_work(run, "tiny", {"train": "a" * 64}):
        [broken] = noted(place, dead)
    assert "kill -9 a run: status: " in broken
    assert "'state': 'running'" in broken


def test_a_dead_run_is_known_at_once(place: Place) -> None:
    run = Store(place.folder / "runs").open_run("tiny-1", "name: tiny\n")
    with at_work(run, "tiny", {"train": "a" * 64}):
        [path] = (run.folder / ".at_work").iterdir()
        text = path.read_text()
    path.parent.mkdir()
    path.write_text(text)
    assert noted(place, dead) == []
