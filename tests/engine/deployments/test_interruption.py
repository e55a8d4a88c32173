"""kill -9 anywhere in a deployment, a roll-out, a roll-back or a stop: after the next command the ledger and what
serves agree. The commands are real processes, and the target is one that waits at named points to be killed."""

from __future__ import annotations

import pytest

from .conftest import Stall, make_run

APPLY = ("apply begins", "apply starts the new one", "apply has stopped the old one", "apply has switched")
FOLLOWING = ("history", "deploy", "stop")


@pytest.mark.parametrize("point", APPLY)
def test_the_first_deployment_is_killed(stall: Stall, point: str) -> None:
    stall.kill("deploy", "prices-a", at=point)
    done = stall.command("status")
    stall.agree()
    assert stall.champion() == (stall.sha256["a"] if point == "apply has switched" else None)
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("point", "following"),
    [*((point, "status") for point in APPLY), *((APPLY[i], what) for i, what in enumerate(FOLLOWING, start=1))],
)
def test_a_later_deployment_is_killed(stall: Stall, point: str, following: str) -> None:
    assert stall.command("deploy", "prices-a").returncode == 0
    stall.kill("deploy", "prices-b", at=point)
    arguments = {"status": [], "history": ["prices"], "deploy": ["prices-a"], "stop": ["prices"]}[following]
    done = stall.command(following, *arguments)
    assert done.returncode == 0, done.stderr
    stall.agree()
    switched = point == "apply has switched"
    left = {"deploy": stall.sha256["a"], "stop": None}.get(following, stall.sha256["b" if switched else "a"])
    assert stall.champion() == left
    outcome = "promoted" if switched else "failed"
    assert stall.events()[:4] == ["deploying", "promoted", "deploying", outcome]
    closing = stall.ledger.entries("prices")[3]
    assert closing.detail["reconciled"] is True
    if not switched:
        assert closing.detail["why"] == "interrupted"
        assert "interrupted" in done.stdout + done.stderr


@pytest.mark.parametrize("point", APPLY[1::2])
def test_a_roll_back_is_killed(stall: Stall, point: str) -> None:
    for run in ("prices-a", "prices-b"):
        assert stall.command("deploy", run).returncode == 0
    stall.kill("rollback", "prices", at=point)
    assert stall.command("status").returncode == 0
    stall.agree()
    back = point == "apply has switched"
    assert stall.champion() == stall.sha256["a" if back else "b"]
    assert stall.events()[-1] == ("rolled_back" if back else "failed")


@pytest.mark.parametrize("point", ["remove begins", "remove has removed"])
def test_a_stop_is_killed(stall: Stall, point: str) -> None:
    assert stall.command("deploy", "prices-a").returncode == 0
    stall.kill("stop", "prices", at=point)
    stall.command("status")
    stall.agree()
    assert stall.events()[-1] == ("stopped" if point == "remove has removed" else "failed")


@pytest.mark.parametrize(
    ("point", "taken_over"),
    [
        ("stage begins", False),
        ("stage has staged", False),
        ("shift 5 has shifted", False),
        ("observe 25", False),
        ("shift 50 begins", False),
        ("settle True begins", True),
        ("settle True has settled", True),
    ],
)
def test_a_roll_out_is_killed(stall: Stall, point: str, taken_over: bool) -> None:
    assert stall.command("deploy", "prices-a").returncode == 0
    stall.kill("promote", "prices-b", "--step-time", "0s", at=point)
    done = stall.command("status")
    assert done.returncode == 0, done.stderr
    stall.agree()
    assert stall.champion() == stall.sha256["b" if taken_over else "a"]
    assert "`pizzeria promote` of" in done.stdout
    assert stall.last().event == ("promoted" if taken_over else "failed")


def test_what_is_killed_while_it_settles_back_is_settled_back(stall: Stall) -> None:
    make_run(stall, "slow", 2.0, fault="slow")
    assert stall.command("deploy", "prices-a").returncode == 0
    stall.kill("promote", "prices-slow", "--step-time", "0s", at="settle False begins")
    assert stall.command("status").returncode == 0
    stall.agree()
    assert stall.champion() == stall.sha256["a"]


def test_what_left_nothing_is_told_and_brought_back_by_a_command_that_acts(stall: Stall) -> None:
    assert stall.command("deploy", "prices-a").returncode == 0
    process = stall.begin("deploy", "prices-b", stall_at="apply starts the new one")
    process.kill()
    process.communicate()
    (stall.folder / "here" / "prices.json").write_text('{"sha256": "", "dead": true}')

    told = stall.command("status")
    assert told.returncode == 1
    assert f"the one before, {stall.sha256['a'][:12]}, is dead (it ended by itself)" in told.stdout
    assert "`pizzeria rollback prices` or `pizzeria deploy RUN` brings one up" in told.stdout
    assert stall.ledger.interrupted("prices") is not None

    kept = stall.command("maintain", "prices")
    assert kept.returncode == 0, kept.stderr
    assert "was brought back and is live at http://here" in kept.stderr
    stall.agree()
    assert stall.champion() == stall.sha256["a"]


def test_nothing_is_concluded_while_the_command_is_at_work(stall: Stall) -> None:
    assert stall.command("deploy", "prices-a").returncode == 0
    process = stall.begin("deploy", "prices-b", stall_at="apply has switched")
    try:
        told = stall.command("status")
        assert f"`pizzeria deploy prices-b` (process {process.pid}, since " in told.stdout
        assert "is at work on it" in told.stdout
        assert stall.events() == ["deploying", "promoted", "deploying"]
    finally:
        process.kill()
        process.communicate()
    assert stall.command("status").returncode == 0
    stall.agree()
    assert stall.champion() == stall.sha256["b"]


def test_a_second_command_waits_and_says_for_whom(stall: Stall) -> None:
    first = stall.begin("deploy", "prices-a", stall_at="apply begins")
    waiting = stall.popen("deploy", "prices-b")
    assert waiting.stdout is not None
    line = waiting.stdout.readline()
    assert line.startswith(f"waiting for `pizzeria deploy prices-a` (process {first.pid}, since ")
    first.kill()
    first.communicate()
    rest, _ = waiting.communicate(timeout=60)
    assert waiting.returncode == 0, rest
    stall.agree()
    assert stall.champion() == stall.sha256["b"]
