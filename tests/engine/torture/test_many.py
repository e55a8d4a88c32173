"""The trial `many` sees what it claims to see: breaks are planted."""

from __future__ import annotations

from pathlib import Path

import pytest

from pizzeria.conformance.asking import Quiet
from pizzeria.deployments import turn
from pizzeria.holding import held
from pizzeria.runs.store import Store
from pizzeria.runs.working import at_work
from pizzeria.torture import many, shelf
from pizzeria.torture.trial import Tally


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "runs")


def seen(store: Store) -> list[str]:
    tally = Tally()
    many._nothing_held(store, tally)
    assert tally.tried == 3
    return tally.broken


def test_locks_that_are_left_are_seen(store: Store) -> None:
    run = store.open_run("shelf-1", "name: shelf\n")
    with turn(shelf.NAME, "deploy shelf-1", store, Quiet()):
        assert seen(store)[0] == "no turn is taken: turn is"
    assert seen(store) == []
    with held(store.cache):
        assert seen(store) == [f"no lock is left: {store.cache}"]
    with at_work(run, shelf.NAME, {"train": "a" * 64}):
        assert [text.partition(":")[0] for text in seen(store)] == [
            "no lock is left",
            "no run is said to be at work",
        ]


@pytest.mark.parametrize(
    ("code", "said", "told"),
    [
        (0, "done", False),
        (2, "error: no", True),
        (0, "Traceback (most recent call last):", True),
        (0, "sqlite3.OperationalError: database is locked", True),
    ],
)
def test_what_no_user_may_see_is_seen(code: int, said: str, told: bool) -> None:
    assert bool(many._trouble(code, said)) == told
