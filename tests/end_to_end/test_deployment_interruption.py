"""kill -9 at any moment of real deployments, roll-backs and stops on this machine: after `status`, what the ledger says
is what answers."""

from __future__ import annotations

import contextlib
import random
import signal
import subprocess
import time
from collections.abc import Iterator

import httpx
import pytest

from ..engine.deployments import conftest as deployments
from ..engine.deployments.conftest import Stall
from ..ports import held_port

pytestmark = pytest.mark.slow

packed_stall = deployments.packed_stall
stall = deployments.stall


@pytest.fixture
def port() -> Iterator[int]:
    with held_port() as found:
        yield found


def _answers(port: int) -> str | None:
    with contextlib.suppress(httpx.TransportError, ValueError):
        found = httpx.get(f"http://127.0.0.1:{port}/readyz", trust_env=False, timeout=60)
        return str(found.json()["sha256"]) if found.status_code == 200 else None
    return None


def test_whatever_the_moment_the_ledger_and_what_serves_agree(stall: Stall, port: int) -> None:
    draw = random.Random(4)
    place = ("deployment=local", f"deployment.port={port}")
    assert stall.command("deploy", "prices-a", *place).returncode == 0
    assert stall.command("deploy", "prices-b", *place).returncode == 0
    seen = set()
    try:
        for command in (["deploy", "prices-a", *place], ["rollback", "prices"], ["deploy", "prices-b", *place]) * 2:
            process = stall.popen(*command)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(draw.uniform(0.4, 3.0))
            process.send_signal(signal.SIGKILL)
            said, _ = process.communicate()
            told = stall.command("status", "prices")
            if stall.ledger.interrupted("prices") is not None:  # nothing was left, and it says so
                assert "brings one up" in told.stdout, said + told.stdout
                assert stall.command("maintain", "prices").returncode == 0
            assert stall.ledger.interrupted("prices") is None
            assert _answers(port) == stall.champion(), said + told.stdout
            seen.add(stall.champion())
        assert None not in seen
    finally:
        stopped = stall.command("stop", "prices")
    assert stopped.returncode == 0, stopped.stderr
    until = time.monotonic() + 60
    while _answers(port) is not None and time.monotonic() < until:
        time.sleep(0.1)
    assert _answers(port) is None
    assert stall.champion() is None
