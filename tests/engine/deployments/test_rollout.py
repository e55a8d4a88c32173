"""A new bundle takes over in steps, or goes back by itself; each step is in the ledger with what was seen."""

from __future__ import annotations

import math
import signal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pizzeria.contracts import Observation
from pizzeria.deployments.rollout import SLACK_MS, judge
from pizzeria.spec.deployment import Rollout

from .conftest import Stall, make_run
from .test_live import ok, pizzeria

NOW = ("--step-time", "0s")


def test_it_takes_over_in_steps(stall: Stall) -> None:
    ok("deploy", "prices-a")
    said = ok("promote", "prices-b", "--steps", "10,60", "--probes", "7", *NOW)
    assert f"prices is live at http://here with {stall.sha256['b'][:12]}" in said
    stall.agree()
    steps = [entry.detail for entry in stall.ledger.entries("prices", "canary")]
    assert [one["phase"] for one in steps] == ["staged", "step", "step", "settling"]
    assert [one["percent"] for one in steps[1:3]] == [10, 60]
    assert steps[1]["verdict"] == "passed"
    assert steps[1]["staged"] == {"sha256": stall.sha256["b"], "requests": 7, "errors": 0, "p95_ms": 12.0}
    assert steps[1]["present"]["sha256"] == stall.sha256["a"]
    assert "10%: passed: 0 of 7 answers failed" in ok("history", "prices")


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ("errors", "sent back at 25% of the traffic: 10 of 20 answers failed, 50%, and 1% may"),
        ("slow", "sent back at 5% of the traffic: 95% of its answers took 700 ms or less, and 60 ms is the limit"),
        ("hash", "sent back at 5% of the traffic: it answers with 000000000000, and"),
        ("silence", "sent back at 5% of the traffic: nothing was observed"),
    ],
)
def test_it_goes_back_by_itself(stall: Stall, fault: str, said: str) -> None:
    make_run(stall, fault, 3.0, fault=fault)
    ok("deploy", "prices-a")
    failed = pizzeria("promote", f"prices-{fault}", *NOW)
    assert failed.exit_code == 6
    assert said in failed.stderr
    assert f"{stall.sha256['a'][:12]} keeps serving at http://here" in failed.stderr
    stall.agree()
    assert stall.champion() == stall.sha256["a"]
    assert stall.last().event == "failed"
    assert said in stall.last().detail["why"]
    assert "failed" in ok("history", "prices")


def test_a_plain_fault_ends_a_step_early(stall: Stall) -> None:
    make_run(stall, "hash", 3.0, fault="hash")
    ok("deploy", "prices-a")
    assert pizzeria("promote", "prices-hash", "--step-time", "10s").exit_code == 6
    [step] = [entry.detail for entry in stall.ledger.entries("prices", "canary") if entry.detail["phase"] == "step"]
    assert step["staged"]["requests"] == 2  # a look on the way; 20 requests would have been its end


@pytest.mark.parametrize("point", ["stage begins", "shift 25 begins", "settle True begins", "settle True has settled"])
def test_a_target_that_fails_on_the_way(stall: Stall, point: str) -> None:
    ok("deploy", "prices-a")
    failed = pizzeria("promote", "prices-b", *NOW, BREAK_AT=point)
    assert failed.exit_code == 6
    assert f"it broke at {point}" in failed.stderr
    stall.agree()
    assert stall.champion() == stall.sha256["b" if point == "settle True has settled" else "a"]


@pytest.mark.parametrize(
    ("how", "code", "why"),
    [(signal.SIGINT, 130, "interrupted by the user"), (signal.SIGTERM, 143, "told to end by SIGTERM")],
)
def test_ctrl_c_goes_back(stall: Stall, how: signal.Signals, code: int, why: str) -> None:
    ok("deploy", "prices-a")
    process = stall.begin("promote", "prices-b", *NOW, stall_at="observe 25")
    process.send_signal(how)
    said, _ = process.communicate(timeout=60)
    assert process.returncode == code, said
    assert f"{stall.sha256['a'][:12]} keeps serving at http://here" in said
    stall.agree()
    assert stall.champion() == stall.sha256["a"]
    assert stall.last().detail["why"] == why


def test_a_spec_with_a_rollout_is_deployed_in_steps(stall: Stall) -> None:
    make_run(stall, "d", 4.0, rollout={"steps": [50], "step_s": 0, "probes": 3})
    said = ok("deploy", "prices-d")  # there is nothing yet that it could take over from
    assert "it comes up all at once" in said
    assert stall.events() == ["deploying", "promoted"]
    ok("deploy", "prices-a")
    ok("deploy", "prices-d")
    assert stall.events()[4:] == ["deploying", "canary", "canary", "canary", "promoted"]
    ok("deploy", "prices-d")  # the same again needs no steps
    assert stall.events()[-2:] == ["deploying", "unchanged"]


def test_a_target_without_steps_refuses(stall: Stall) -> None:
    done = pizzeria("promote", "prices-a", "deployment=local")
    assert done.exit_code == 6
    assert "the target local puts a new model live all at once, not in steps" in done.stderr or "stage" in done.stderr


@pytest.mark.parametrize(
    "options", [["--steps", "50,5"], ["--steps", "a"], ["--steps", "0"], ["--step-time", "1x"], ["--probes", "0"]]
)
def test_mistakes_in_the_options(stall: Stall, options: list[str]) -> None:
    done = pizzeria("promote", "prices-b", *options)
    assert done.exit_code == 2
    assert options[0] in done.stderr


observations = st.builds(
    Observation,
    sha256=st.sampled_from(["new", "old", ""]),
    requests=st.integers(0, 50),
    errors=st.integers(0, 50),
    p95_ms=st.one_of(st.just(math.nan), st.floats(0, 1e5)),
)


@given(observations, observations, st.one_of(st.none(), st.floats(1, 1e4)))
def test_only_what_was_seen_to_do_well_passes(staged: Observation, present: Observation, limit: float | None) -> None:
    verdict, why = judge(staged, present, Rollout(max_p95_ms=limit), "new")
    assert why
    if verdict != "passed":
        return
    assert staged.sha256 == "new"
    assert staged.requests > 0
    assert staged.errors <= 0.01 * staged.requests
    assert staged.p95_ms <= (limit or max(3 * present.p95_ms, present.p95_ms + SLACK_MS))
