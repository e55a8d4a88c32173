"""kill -9 at any moment: the next pass goes on, trains nothing twice, decides nothing twice, and one model is live."""

from __future__ import annotations

import pytest
from click.testing import CliRunner

from pizzeria import clock
from pizzeria.cli import main
from pizzeria.deployments import turn
from pizzeria.maintenance import begun
from pizzeria.progress import PlainProgress

from .conftest import Place, new_world, smallest_flats


@pytest.mark.slow
def test_killed_while_it_trains_compares_and_promotes(due: Place) -> None:
    first = due.sha256()
    due.kill_at("train: ")
    left = begun.load("prices", due.store)
    assert left is not None
    assert left.phase == "training"
    due.traffic(new_world(50, 8))  # more labels come meanwhile: what was begun is ended first
    due.kill_at("comparing both models")
    due.kill_at("before put_live")
    left = begun.load("prices", due.store)
    assert left is not None
    assert left.phase == "promoting"
    assert due.sha256() == first
    due.kill_at("after put_live")
    assert due.sha256() == left.sha256
    assert due.decided() == []
    due.kill_at("after record")
    assert due.decided() == ["promoted"]
    assert due.maintain().action == "kept"  # on probation
    assert due.decided() == ["promoted", "kept"]
    assert begun.load("prices", due.store) is None

    row = due.ledger.entries("prices", "decided")[0]
    assert row.sha256 == first
    assert row.detail["evidence"]["sha256"] == due.sha256()
    assert row.detail["evidence"]["version"]["new"] == 300
    assert len(due.ledger.entries("prices", "promoted")) == 2  # deployed at first, and promoted once
    assert len(list(due.store.cache.glob("*.partial"))) == 0
    finished = due.ledger.entries("prices", "run_finished")
    assert len({one.run for one in finished}) == len(finished)  # no run was trained twice


@pytest.mark.slow
def test_killed_on_the_way_back(promoted: Place) -> None:
    promoted.settings(compare={"no_worse_by": 0.0, "resamples": 200})
    second = promoted.sha256()
    promoted.traffic(smallest_flats(300, 21))
    promoted.kill_at("after roll_back")
    assert promoted.sha256() != second
    assert promoted.decided() == ["promoted"]
    back = promoted.maintain()
    assert back.action == "rolled back"
    assert promoted.decided() == ["promoted", "rolled back"]
    assert promoted.ledger.entries("prices", "decided")[-1].sha256 == second
    assert len(promoted.ledger.entries("prices", "rolled_back")) == 1


def test_what_was_begun_against_another_champion_is_dropped(place: Place) -> None:
    left = begun.Begun("x", "training", "0" * 64, "drift")
    begun.save(left, "prices", place.store)
    assert place.maintain().action == "kept"
    assert begun.load("prices", place.store) is None


def test_one_at_a_time(place: Place) -> None:
    with turn("prices", "maintain prices", place.store, PlainProgress(), of="maintain"), clock.at(place.at):
        done = CliRunner().invoke(main, ["maintain", "prices", "--no-wait"])
    assert done.exit_code == 8
    assert "`pizzeria maintain prices` (process" in done.output
    with clock.at(place.at):
        assert CliRunner().invoke(main, ["maintain", "prices", "--no-wait"]).exit_code == 0
