"""A challenger that waits for a human."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from pizzeria import clock
from pizzeria.cli import main
from pizzeria.deployments import put_live
from pizzeria.errors import NotFoundError
from pizzeria.loading import load_resolved
from pizzeria.maintenance.approval import approve, decline, pending
from pizzeria.progress import PlainProgress

from .conftest import Place, copied, inside


@pytest.fixture(scope="module")
def packed_waiting(packed_challenger: Place, tmp_path_factory: pytest.TempPathFactory) -> Place:
    found = copied(packed_challenger, tmp_path_factory.mktemp("waiting"))
    with inside(found.folder):
        found.settings(approval=True)
        decision = found.maintain()
    assert decision.action == "awaiting approval", decision.why
    return found


@pytest.fixture
def waiting(packed_waiting: Place, tmp_path: Path) -> Iterator[Place]:
    """A challenger waits."""
    found = copied(packed_waiting, tmp_path)
    with inside(found.folder):
        yield found


def command(place: Place, *arguments: str, said: str = "") -> Result:
    with clock.at(place.at):
        return CliRunner().invoke(main, arguments, input=said)


def test_yes_no_and_neither_twice(waiting: Place) -> None:
    first = waiting.sha256()
    again = waiting.maintain()
    assert again.action == "waiting"
    assert "pizzeria approve prices" in again.why
    assert waiting.decided() == ["awaiting approval", "waiting"]

    shown = command(waiting, "approve", "prices", said="n\n")
    assert shown.exit_code != 0
    assert "trained because of drift: the bell rings" in shown.stdout
    assert "newest labels, 90 rows:" in shown.stdout
    assert waiting.sha256() == first

    done = command(waiting, "approve", "prices", "--reason", "looks right", said="y\n")
    assert "prices: promoted" in done.stdout, done.output
    assert waiting.sha256() != first
    [row] = waiting.ledger.entries("prices", "approved")
    assert row.detail["reason"] == "looks right"
    assert row.detail["who"]
    assert waiting.last()["evidence"]["approved_by"] == row.detail["who"]
    assert waiting.decided()[-1] == "promoted"

    twice = command(waiting, "approve", "prices", "--yes")
    assert twice.exit_code == 2
    assert "no challenger of prices waits" in twice.output
    waiting.ring()
    assert "on probation" in waiting.maintain().why  # an approved one is watched as well


def test_no(waiting: Place) -> None:
    first = waiting.sha256()
    done = command(waiting, "approve", "prices", "--decline", "--reason", "not in December")
    assert done.exit_code == 0, done.output
    assert waiting.sha256() == first
    assert pending("prices", waiting.store) is None
    assert waiting.ledger.entries("prices", "declined")[0].detail["reason"] == "not in December"
    waiting.later(hours=13)
    assert waiting.maintain().action == "lacking"  # and it is not trained again from the same labels


def test_what_is_stale_is_refused(waiting: Place) -> None:
    found = pending("prices", waiting.store)
    assert found is not None
    with pytest.raises(NotFoundError, match="which is newer"):
        approve("prices", waiting.store, PlainProgress(), sha256="0" * 64)
    with clock.at(waiting.at.replace(year=2027)), pytest.raises(NotFoundError, match="approve_within is 14d"):
        approve("prices", waiting.store, PlainProgress())
    run = waiting.store.run(found.run)
    with clock.at(waiting.at):
        spec = load_resolved(Path(run.folder / "spec.yaml"))
        put_live(spec, run, run.stage("package") / "bundle", found.sha256, waiting.store, PlainProgress())
        with pytest.raises(NotFoundError, match="it is live already"):
            approve("prices", waiting.store, PlainProgress())
        assert decline("prices", waiting.store, PlainProgress()).sha256 == found.sha256


@pytest.mark.slow
def test_killed_while_it_takes_over(waiting: Place) -> None:
    waiting.kill_at("after put_live", "approve")
    assert waiting.decided() == ["awaiting approval"]
    with clock.at(waiting.at), pytest.raises(NotFoundError, match="it is live already"):
        approve("prices", waiting.store, PlainProgress())
    assert waiting.maintain().action == "promoted"
    assert waiting.decided() == ["awaiting approval", "promoted"]
    assert len(waiting.ledger.entries("prices", "approved")) == 1
