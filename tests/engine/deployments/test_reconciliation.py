"""What becomes of a change that was cut off, for each thing that may serve by then; asked of a real target."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from pizzeria.deployments.overview import deployed
from pizzeria.deployments.places import placement
from pizzeria.deployments.reconciliation import (
    INTERRUPTED,
    Concluded,
    Mode,
    canary_steps,
    conclude,
    look,
    plain_status,
    settle_interrupted,
)
from pizzeria.deployments.turn import turn
from pizzeria.loading import load_resolved
from pizzeria.runs.ledger import Entry, Event, Ledger

from .conftest import Stall

C = "c" * 64
HERE = "http://here"


class Said:
    """A progress that keeps what it is told."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def say(self, text: str) -> None:
        self.lines.append(text)


def enter(stall: Stall, event: Event, run: str, **detail: Any) -> Entry:
    where = placement(load_resolved(stall.runs[run].folder / "spec.yaml"))
    return stall.ledger.add(
        event, "prices", run=stall.runs[run].id, sha256=stall.sha256[run], detail=where | {"action": "deploy"} | detail
    )


def serve(what: str, stall: Stall, **more: Any) -> None:
    """What the target has: `a`, `b` or `c` live, `dead`, or `absent`."""
    state = {"sha256": "", "dead": True} if what == "dead" else {"sha256": stall.sha256.get(what, C), "port": 1}
    Path("here").mkdir(exist_ok=True)
    if what != "absent":
        Path("here", "prices.json").write_text(json.dumps(state | more))


def concluded(stall: Stall, intent: Entry, mode: Mode, why: str = INTERRUPTED) -> tuple[Concluded, list[str]]:
    said = Said()
    return conclude(intent, stall.store, said, why=why, mode=mode), said.lines  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("former", "serves", "mode", "event", "text"),
    [
        ("", "b", "look", "promoted", f"{{b}} is live at {HERE}, and is entered so"),
        ("", "absent", "look", "failed", "nothing is live under the name prices"),
        ("", "dead", "restore", "failed", "nothing is live under the name prices"),
        ("", "dead", "replace", "failed", "nothing is live under the name prices"),
        (
            *("", "dead", "look", None),
            "nothing was live before, and what was begun is dead (it ended by itself); deploy it again, or "
            "`pizzeria stop prices`",
        ),
        (
            "",
            "c",
            "look",
            None,
            "nothing was live before, and what was begun is live (port 1); deploy it again, or `pizzeria stop prices`",
        ),
        ("a", "b", "look", "promoted", f"{{b}} is live at {HERE}, and is entered so"),
        ("a", "a", "look", "failed", f"{{a}} keeps serving at {HERE}"),
        ("a", "a", "restore", "failed", f"{{a}} keeps serving at {HERE}"),
        ("b", "b", "look", "failed", f"{{b}} keeps serving at {HERE}, maybe with the former settings"),
        (
            *("a", "absent", "look", None),
            "the one before, {a}, is absent; `pizzeria rollback prices` or `pizzeria deploy RUN` brings one up",
        ),
        (
            *("a", "dead", "look", None),
            "the one before, {a}, is dead (it ended by itself); `pizzeria rollback prices` or `pizzeria deploy RUN` "
            "brings one up",
        ),
        ("a", "dead", "replace", "failed", "the one before, {a}, is dead (it ended by itself)"),
        ("a", "c", "replace", "failed", f"{HERE} answers with {C[:12]}, and {{a}} was live before"),
        ("a", "dead", "restore", "failed", f"the one before, {{a}}, was brought back and is live at {HERE}"),
        ("a", "absent", "restore", "failed", f"the one before, {{a}}, was brought back and is live at {HERE}"),
        ("a", "c", "restore", "failed", f"the one before, {{a}}, was brought back and is live at {HERE}"),
    ],
)
def test_a_deployment_is_entered_as_what_serves_says(
    stall: Stall, former: str, serves: str, mode: Mode, event: str | None, text: str
) -> None:
    if former:
        enter(stall, "promoted", former, address=HERE)
    intent = enter(stall, "deploying", "b")
    serve(serves, stall)
    found, said = concluded(stall, intent, mode)
    short = {name: sha256[:12] for name, sha256 in stall.sha256.items()}
    assert found.text == text.format(**short)
    assert (found.entry and found.entry.event) == event
    assert (stall.ledger.interrupted("prices") is None) == (event is not None)
    if found.entry is None:
        return
    assert (found.entry.run, found.entry.sha256) == (intent.run, intent.sha256)
    detail = dict(found.entry.detail)
    assert detail.pop("intent") == intent.id
    assert detail.pop("reconciled") is True
    assert {key: detail.pop(key) for key in ("target", "deployment", "log")} == {
        key: intent.detail[key] for key in ("target", "deployment", "log")
    }
    if event == "promoted":
        wanted = {"address": HERE, "trouble": INTERRUPTED}
        wanted |= {"instead_of": stall.sha256[former]} if former else {}
    else:
        wanted = {"why": INTERRUPTED}
        kept = former and (serves == former or mode == "restore")
        wanted |= {"serving": stall.sha256[former]} if kept else {}
    assert detail == wanted
    if mode == "restore" and former and serves != former:
        assert stall.serves()["sha256"] == stall.sha256["a"]
        assert [line for line in said if line.endswith("; bringing it back")]
        stall.agree()


def test_a_roll_back_ends_as_one_and_other_troubles_are_told(stall: Stall) -> None:
    enter(stall, "promoted", "a", address=HERE)
    intent = enter(stall, "deploying", "b", action="rollback")
    serve("b", stall)
    found, _ = concluded(stall, intent, "look", why="no room on the disk")
    assert found.entry is not None
    assert (found.entry.event, found.entry.detail["reconciled"]) == ("rolled_back", False)
    assert found.entry.detail["trouble"] == "no room on the disk"


def test_the_same_bundle_at_another_address_has_taken_over(stall: Stall) -> None:
    enter(stall, "promoted", "b", address="http://there")
    intent = enter(stall, "deploying", "b")
    serve("b", stall)
    found, _ = concluded(stall, intent, "look")
    assert (found.entry and found.entry.event) == "promoted"


def test_what_cannot_be_brought_back_is_told(stall: Stall, monkeypatch: pytest.MonkeyPatch) -> None:
    enter(stall, "promoted", "a", address=HERE)
    intent = enter(stall, "deploying", "b")
    serve("dead", stall)
    monkeypatch.setenv("BREAK_AT", "apply begins")
    found, _ = concluded(stall, intent, "restore")
    assert found.entry is not None
    assert found.text.startswith(f"the one before, {stall.sha256['a'][:12]}, could not be brought back either: ")
    assert found.text.endswith("it broke at apply begins")
    assert "serving" not in found.entry.detail
    assert found.entry.detail["why"] == INTERRUPTED


@pytest.mark.parametrize(
    ("serves", "mode", "event", "text"),
    [
        ("absent", "look", "stopped", "it is stopped"),
        ("absent", "restore", "stopped", "it is stopped"),
        ("a", "look", "failed", "prices is live; stop it again"),
        ("dead", "restore", "failed", "prices is dead; stop it again"),
        ("dead", "look", None, "prices is dead; `pizzeria stop prices` goes on"),
    ],
)
def test_a_stop_is_entered_as_what_serves_says(
    stall: Stall, serves: str, mode: Mode, event: str | None, text: str
) -> None:
    enter(stall, "promoted", "a", address=HERE)
    intent = enter(stall, "deploying", "a", action="stop")
    serve(serves, stall)
    found, _ = concluded(stall, intent, mode)
    assert ((found.entry and found.entry.event), found.text) == (event, text)
    assert (stall.ledger.champion("prices") is None) == (event == "stopped")


@pytest.mark.parametrize(
    ("phases", "kept"), [((), "a"), (("staged",), "a"), (("settling",), "b"), (("settling", "staged"), "a")]
)
def test_nobody_watches_a_canary_any_more(stall: Stall, phases: tuple[str, ...], kept: str) -> None:
    enter(stall, "promoted", "a", address=HERE)
    other = enter(stall, "deploying", "b")
    intent = enter(stall, "deploying", "b", rollout=[5, 50])
    for phase in phases:
        enter(stall, "canary", "b", intent=intent.id, phase=phase)
    enter(stall, "canary", "b", intent=other.id, phase="settling")
    assert [entry.detail["phase"] for entry in canary_steps(intent, stall.store)] == list(phases)
    serve("a", stall, staged=stall.sha256["b"], percent=5)
    found, _ = concluded(stall, intent, "look")
    assert stall.serves() == {"sha256": stall.sha256[kept], "port": 1}
    assert (found.entry and found.entry.event) == ("promoted" if kept == "b" else "failed")


def test_without_a_roll_out_no_canary_is_ended(stall: Stall) -> None:
    enter(stall, "promoted", "a", address=HERE)
    intent = enter(stall, "deploying", "b")
    serve("a", stall, staged=stall.sha256["b"])
    concluded(stall, intent, "look")
    assert stall.serves()["staged"] == stall.sha256["b"]


def test_a_look_closes_what_it_can_and_waits_for_nobody(stall: Stall) -> None:
    said = Said()
    assert look("prices", stall.store, said) == ""  # type: ignore[arg-type]
    assert settle_interrupted("prices", stall.store, said, "look") == ""  # type: ignore[arg-type]
    intent = enter(stall, "deploying", "b")
    with turn("prices", "deploy prices-b", stall.store, said):  # type: ignore[arg-type]
        told = look("prices", stall.store, said)  # type: ignore[arg-type]
        assert "deploy prices-b" in told
        assert told.endswith(" is at work on it")
    assert stall.ledger.interrupted("prices") == intent
    told = look("prices", stall.store, said)  # type: ignore[arg-type]
    assert told == f"`pizzeria deploy` of {intent.at} was interrupted: nothing is live under the name prices"
    assert look("prices", stall.store, said) == ""  # type: ignore[arg-type]
    stall.agree()


def test_what_goes_live_while_it_is_asked_for_is_deployed(stall: Stall, monkeypatch: pytest.MonkeyPatch) -> None:
    serve("b", stall)
    said, begun, champion = Said(), [enter(stall, "deploying", "b")], Ledger.champion

    def ends(ledger: Ledger, name: str) -> Entry | None:
        found = champion(ledger, name)
        if begun:
            enter(stall, "promoted", "b", address=HERE, intent=begun.pop().id)
        return found

    monkeypatch.setattr(Ledger, "champion", ends)
    with turn("prices", "deploy prices-b", stall.store, said):  # type: ignore[arg-type]
        [found] = deployed(stall.store, said, "prices")  # type: ignore[arg-type]
    assert (found.entry.event, found.well) == ("promoted", True)


def test_a_status_is_plain_data() -> None:
    from pizzeria.contracts import DeploymentStatus

    assert plain_status(DeploymentStatus("dead", HERE, "f", "why")) == {
        "state": "dead",
        "address": HERE,
        "sha256": "f",
        "detail": "why",
    }
