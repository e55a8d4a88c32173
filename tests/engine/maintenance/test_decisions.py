"""What maintenance decides, pass by pass, with real stages and the target `replay`."""

from __future__ import annotations

import json

import pytest

from pizzeria import clock
from pizzeria.errors import DataError, NotFoundError, PluginError
from pizzeria.maintenance.approval import approve
from pizzeria.maintenance.decisions import _told_to_end, maintain
from pizzeria.progress import PlainProgress
from pizzeria.report import render

from .conftest import Place, new_world, old_world, turned_world, write


def test_no_alarm_no_model(place: Place) -> None:
    assert "not been monitored yet" in place.maintain().why
    place.traffic(old_world(40, 5))
    place.ring(False)
    found = place.maintain()
    assert (found.action, found.why) == ("kept", "no open alert on performance or drift or concept")
    assert place.decided() == ["kept", "kept"]
    with pytest.raises(NotFoundError, match="nothing named 'price'"):
        maintain("price", place.store, PlainProgress())


def test_it_waits_then_lacks_labels(place: Place) -> None:
    place.traffic(new_world(100, 6), labelled=False)
    place.ring()
    waiting = place.maintain()
    assert waiting.action == "waiting"
    assert "at most every 12h" in waiting.why
    place.later(hours=12)
    lacking = place.maintain()
    assert lacking.action == "lacking", lacking.why
    assert "pizzeria labels" in lacking.why
    assert place.decided() == ["waiting", "lacking"]


def test_a_challenger_takes_over_and_settles(promoted: Place) -> None:
    [row] = promoted.ledger.entries("prices", "decided")
    evidence = row.detail["evidence"]
    assert row.detail["action"] == "promoted"
    assert promoted.sha256() == evidence["sha256"] != row.sha256 == evidence["instead_of"]
    assert evidence["window"]["low"] > 0
    assert evidence["frozen"]["rows"] == 75
    assert (evidence["version"]["new"], evidence["version"]["window"]) == (300, 90)
    assert (evidence["incidents"][0]["text"], evidence["reasons"]) == ("the bell rings", ["drift"])
    assert promoted.ledger.entries("prices", "sent") != []

    # The alarm that went on belongs to the former; on probation the new one is left alone, and then it has settled.
    promoted.traffic(new_world(100, 8))
    promoted.ring()
    watched = promoted.maintain()
    assert watched.action == "kept"
    assert "on probation until" in watched.why
    assert watched.evidence["how"] == "side by side"
    promoted.ring(False)
    promoted.later(days=2)
    settled = promoted.maintain()
    assert settled.action == "settled"
    assert "does no worse" in settled.why
    assert promoted.maintain().why == "no open alert on performance or drift or concept"


def test_what_is_refused_is_not_trained_again(place: Place) -> None:
    """It got old, and the new labels teach nothing new.

    `memory` holds what is learnt at one size, and new labels are new labels all the same.
    """
    place.settings(retrain_on=[], retrain_every="30d", memory=100)
    place.traffic(old_world(200, 9))
    assert place.maintain().why == "it is not time yet"
    place.later(days=31)
    assert place.maintain(dry_run=True).action == "would train"
    found = place.maintain()
    assert found.action == "refused", found.why
    assert place.last()["evidence"]["reasons"] == ["30d have passed since 2026-03-01 00:00 UTC"]
    assert place.maintain().why == "it is not time yet"
    trained = len(place.ledger.entries("prices", "run_finished"))
    place.later(days=31)
    again = place.maintain()
    assert again.action == "lacking"
    assert "which was refused" in again.why
    assert len(place.ledger.entries("prices", "run_finished")) == trained
    place.traffic(old_world(60, 10))
    more = place.maintain()
    assert more.action == "refused", more.why
    assert more.evidence["version"]["number"] == 2


def test_that_the_world_has_turned_is_not_believed_of_strangers(place: Place) -> None:
    """Else whoever sends enough labels could replace the champion by a model that has learnt his lies."""
    champion = place.sha256()
    place.settings(memory=400, trust={"contradicting": 0.99}, window=0.3)  # so that nobody doubts them before
    place.traffic(turned_world(1100, 11))
    (place.folder / "meaning").touch()
    place.ring()
    place.later(hours=12)
    found = place.maintain()
    assert found.action == "awaiting approval", found.why
    assert "is said by tests, not in maintenance.trust.trusted, so a person decides" in found.why
    assert found.evidence["frozen"]["high"] < 0 < found.evidence["window"]["low"]
    assert place.sha256() == champion
    with clock.at(place.at):
        assert approve("prices", place.store, PlainProgress(), who="Anna").action == "promoted"
    assert place.sha256() == found.evidence["sha256"]


def test_a_world_that_turns_over_is_learnt(place: Place) -> None:
    """The frozen test set shows what is true no more: it is no veto, nor is the gate asked of it."""
    place.settings(memory=400, trust={"trusted": ["tests"]}, window=0.3)
    place.traffic(turned_world(1100, 11))
    (place.folder / "meaning").touch()
    place.ring()
    place.later(hours=12)
    assert place.maintain(dry_run=True).evidence["meaning_changed"] == ["larger flats cost less now"]
    found = place.maintain()
    assert found.action == "promoted", found.why
    assert found.evidence["reasons"] == ["concept", "drift"]
    assert found.evidence["window"]["low"] > 0
    assert found.evidence["frozen"]["high"] < 0
    assert "no veto" in found.why
    evaluated = place.store.run(found.evidence["challenger_run"]).stage("evaluate")
    parts = json.loads((evaluated / "parts.json").read_text())
    assert (parts["window"]["count"], parts["window"]["gate"], parts["frozen"]["gate"]) == (330, True, False)
    [criterion] = json.loads((evaluated / "gate.json").read_text())
    assert criterion["value"] == parts["window"]["metrics"]["r2"] > 0.3 > parts["frozen"]["metrics"]["r2"]
    page = render(place.store.run(found.evidence["challenger_run"]).folder).read_text()
    assert "were asked of the part <em>window</em> alone" in page


def test_labels_that_are_not_believed_train_nothing(due: Place) -> None:
    due.traffic(old_world(200, 9), truth=500.0)
    trained = len(due.ledger.entries("prices", "run_started"))
    assert due.maintain().action == "refused"
    assert "not believed" in due.last()["why"]
    assert due.last()["evidence"]["doubts"] != []
    assert len(due.ledger.entries("prices", "run_started")) == trained


def test_failures_wait_longer_and_longer(due: Place) -> None:
    first = due.sha256()
    (due.folder / "prices.csv").unlink()
    for _ in range(3):
        due.later(days=3)
        with pytest.raises(DataError, match=r"prices\.csv"):
            due.maintain()
        assert due.maintain().action == "waiting"
    assert "longer after 3 failures in a row" in due.last()["why"]
    assert due.decided() == ["failed", "waiting"] * 3
    assert due.sha256() == first


def test_changed_data_of_the_spec_are_new_data_too(place: Place) -> None:
    first = place.sha256()
    place.traffic(new_world(100, 6), labelled=False)
    place.ring()
    place.later(hours=12)
    write(place.folder / "prices.csv", old_world(500, 1) + new_world(400, 3))
    found = place.maintain()
    assert found.action == "promoted", found.why
    assert {"frozen", "window"} <= set(found.evidence)  # rows that the champion never had are the window
    assert place.sha256() != first


def test_to_be_told_to_end_is_no_failure() -> None:
    class SIGTERMException(Exception):
        """What Lightning raises on SIGTERM."""

    def fail() -> None:
        try:
            raise SIGTERMException
        except SIGTERMException as error:
            raise PluginError("the trainer failed") from error

    with pytest.raises(PluginError) as found:
        fail()
    assert _told_to_end(found.value)
    assert not _told_to_end(PluginError("the trainer failed"))
