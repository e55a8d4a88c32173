"""`pizzeria cycle`: passes by the clock, each a real process, until it is told to end."""

from __future__ import annotations

import signal
import time

import pytest

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
    rest, _ = process.communicate(timeout=60)
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
        rest, _ = process.communicate(timeout=60)
    assert process.returncode == 0, rest
    assert stall.ledger.entries("prices", "decided") == []


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
