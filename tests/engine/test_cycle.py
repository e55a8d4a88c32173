"""`pizzeria cycle`: passes by the clock, each a real process, until it is told to end."""

from __future__ import annotations

import signal
import time
from datetime import UTC, datetime, timedelta

import pytest

from pizzeria import clock
from pizzeria.cycle import due
from pizzeria.deployments import turn
from pizzeria.progress import PlainProgress

from .deployments import conftest as deployments
from .deployments.conftest import Stall
from .deployments.test_live import ok, pizzeria

packed_stall = deployments.packed_stall
stall = deployments.stall


def test_once_makes_a_pass_of_each_and_survives_one_that_fails(stall: Stall) -> None:
    ok("deploy", "prices-a")
    done = stall.command("cycle", "prices", "--once")
    first, second = done.stdout.splitlines()
    assert "monitor of prices: failed with " in first  # the run has no reference to compare with
    assert second.endswith(
        "maintain of prices: done: prices: kept: the model has not been monitored yet; run pizzeria monitor first"
    )
    assert done.returncode not in (0, 10, 11)
    assert stall.command("cycle", "prices", "--once", "--only", "maintain").returncode == 0
    assert len(stall.ledger.entries("prices", "decided")) == 2


def test_it_goes_round_until_sigterm(stall: Stall) -> None:
    ok("deploy", "prices-a")
    process = stall.popen("cycle", "prices", "--only", "maintain", "--maintain", "1s")
    assert process.stdout is not None
    assert process.stdout.readline().endswith("  maintain of prices every 1 s, next at once\n")
    for _ in range(2):
        assert "maintain of prices: done: prices: kept" in process.stdout.readline()
    process.send_signal(signal.SIGTERM)
    rest, _ = process.communicate(timeout=120)
    assert process.returncode == 0, rest
    assert rest.splitlines()[-1].endswith("  the cycle of prices ends")


def test_it_ends_in_the_middle_of_a_pass(stall: Stall) -> None:
    ok("deploy", "prices-a")
    with turn("prices", "maintain prices", stall.store, PlainProgress(), of="maintain"):  # the pass waits for this one
        process = stall.popen("cycle", "prices", "--only", "maintain")
        assert process.stdout is not None
        process.stdout.readline()
        time.sleep(0.5)  # wherever the pass is by then
        process.send_signal(signal.SIGTERM)
        rest, _ = process.communicate(timeout=120)
    assert process.returncode == 0, rest
    assert stall.ledger.entries("prices", "decided") == []


def test_it_ends_at_once_when_it_has_said_what_it_is_about_to_do(stall: Stall) -> None:
    ok("deploy", "prices-a")
    process = stall.popen("cycle", "prices")
    assert process.stdout is not None
    process.stdout.readline()
    process.send_signal(signal.SIGTERM)
    rest, _ = process.communicate(timeout=120)
    assert process.returncode == 0, rest
    assert rest.splitlines()[-1].endswith("  the cycle of prices ends")


def test_intervals_come_from_the_options_the_spec_or_the_default(stall: Stall) -> None:
    from pizzeria.cycle import intervals

    target = stall.folder / "plugins" / "targets" / "stalls.py"
    target.write_text(target.read_text() + "\nSCHEDULES = True\n")
    ok("deploy", "prices-a")
    assert intervals("prices", stall.store, {}) == {"monitor": 3600, "maintain": 86400}
    assert intervals("prices", stall.store, {"monitor": 5}) == {"monitor": 5, "maintain": 86400}
    ok("deploy", "prices-a", "deployment.schedule.monitor=15m")
    assert intervals("prices", stall.store, {}) == {"monitor": 900, "maintain": 86400}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [(["price"], "nothing named 'price' is deployed"), (["prices", "--monitor", "0s"], "0 is no interval")],
)
def test_mistakes(stall: Stall, arguments: list[str], said: str) -> None:
    ok("deploy", "prices-a")
    done = pizzeria("cycle", *arguments)
    assert done.exit_code == 2
    assert said in done.stderr


def test_a_second_cycle_is_told_of_the_first(stall: Stall) -> None:
    ok("deploy", "prices-a")
    with turn("prices", "cycle prices", stall.store, PlainProgress(), of="cycle"):
        done = stall.command("cycle", "prices")
    assert done.returncode == 8
    assert "`pizzeria cycle prices` (process" in done.stderr


def test_a_cycle_goes_on_in_the_rhythm_of_the_one_before(stall: Stall) -> None:
    """What was made a moment ago is not made again because the machine has restarted."""
    ok("deploy", "prices-a")
    before = datetime.now(UTC)
    stall.ledger.add("monitored", "prices")
    assert due("monitor", "prices", stall.store, 3601) >= before + timedelta(seconds=3600)  # ledgers keep milliseconds
    assert due("maintain", "prices", stall.store, 3600) <= datetime.now(UTC)
    with clock.at(before + timedelta(days=9)):
        assert due("monitor", "prices", stall.store, 3600) == before + timedelta(days=9)
    process = stall.popen("cycle", "prices")
    assert process.stdout is not None
    lines = [process.stdout.readline() for _ in range(3)]
    assert "monitor of prices every 3600 s, next at " in lines[0]
    assert lines[1].endswith("maintain of prices every 86400 s, next at once\n")
    assert "maintain of prices: done" in lines[2]
    process.send_signal(signal.SIGTERM)
    rest, _ = process.communicate(timeout=120)
    assert "monitor of prices: " not in rest


def test_monitoring_waits_for_no_training(stall: Stall) -> None:
    ok("deploy", "prices-a")
    with turn("prices", "maintain prices", stall.store, PlainProgress(), of="maintain"):  # hours of training
        process = stall.popen("cycle", "prices", "--monitor", "1s")
        assert process.stdout is not None
        process.stdout.readline(), process.stdout.readline()
        for _ in range(2):
            assert "monitor of prices: " in process.stdout.readline()
        process.send_signal(signal.SIGTERM)
        rest, _ = process.communicate(timeout=120)
    assert process.returncode == 0, rest
    assert stall.ledger.entries("prices", "decided") == []
