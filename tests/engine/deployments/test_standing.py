"""`status` tells of what is at work, and of what died."""

from __future__ import annotations

import json

import pytest

from pizzeria.conformance.asking import Quiet
from pizzeria.deployments import turn
from pizzeria.deployments.standing import standing
from pizzeria.errors import NotFoundError
from pizzeria.runs.store import Store
from pizzeria.runs.working import at_work

from .conftest import Stall

STAGES = {"train": "b" * 64}


def test_a_run_of_a_name_that_is_not_deployed(stall: Stall) -> None:
    store, run = stall.store, stall.runs["a"]
    assert standing(store, Quiet()) == []
    with at_work(run, "prices", STAGES):
        [found] = standing(store, Quiet(), "prices")
        told = found.plain()
        assert (told["name"], told["state"], found.well) == ("prices", "absent", True)
        assert [(one["run"], one["state"]) for one in told["runs"]] == [(run.id, "running")]
        with pytest.raises(NotFoundError, match="nothing named 'rooms' is deployed"):
            standing(store, Quiet(), "rooms")
    assert standing(store, Quiet()) == []


def test_commands_that_hold_a_turn_and_none_that_was_killed(stall: Stall) -> None:
    store: Store = stall.store
    stall.command("deploy", "prices-a")
    with turn("prices", "cycle prices", store, Quiet(), of="cycle"):
        [found] = standing(store, Quiet())
        assert [one["command"] for one in found.plain()["commands"]] == ["cycle prices"]
        text = (store.root / ".deployments" / ".prices.cycle").read_text()
        assert "`pizzeria cycle prices` is at work since" in stall.command("status").stdout
    (store.root / ".deployments" / ".prices.cycle").write_text(text)
    [found] = standing(store, Quiet())
    assert found.plain()["commands"] == []
    [told] = json.loads(stall.command("status", "--json").stdout)
    assert (told["state"], told["runs"], told["commands"]) == ("live", [], [])
