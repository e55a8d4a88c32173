"""Policies are settings of maintenance, and nothing else."""

from __future__ import annotations

import pytest

from pizzeria.errors import SpecError
from pizzeria.simulation.policies import DEFAULT, read_policy

SECTION = {"retrain_on": ["performance", "drift"], "at_most_every": "7d", "approval": True, "probation": "1d"}


def test_on_alert_is_what_the_spec_says_but_for_the_approval_that_nobody_could_give() -> None:
    policy = read_policy("on_alert")
    assert policy.maintains
    assert policy.maintenance(SECTION) == {**SECTION, "approval": False, "trust": {"on_turn": "believe"}}


def test_a_period_asks_no_alert_and_is_not_held_up_by_the_rate_limit() -> None:
    found = read_policy("1d").maintenance(SECTION)
    assert (found["retrain_on"], found["retrain_every"], found["at_most_every"]) == ([], "1d", "1d")
    assert read_policy("30d").maintenance(SECTION)["at_most_every"] == "7d"
    assert found["probation"] == "1d"


def test_never_maintains_nothing() -> None:
    assert not read_policy("never").maintains
    assert [str(read_policy(name)) for name in DEFAULT] == ["never", "every 30d", "on alert"]


@pytest.mark.parametrize("text", ["monthly", "30", "0d", "onalert", "-1d", ""])
def test_what_is_no_policy_is_refused_with_what_there_is(text: str) -> None:
    with pytest.raises(SpecError, match="never"):
        read_policy(text)
