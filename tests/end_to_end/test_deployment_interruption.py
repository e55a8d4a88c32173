"""kill -9 at any moment of real deployments, roll-backs and stops on this machine: after `status`, what the ledger says
is what answers."""

from __future__ import annotations

import contextlib
import random
import signal
import socket
import subprocess
import time
from pathlib import Path

import httpx
import pytest

from ..engine.deployments import conftest as deployments
from ..engine.deployments.conftest import Stall

pytestmark = pytest.mark.slow

packed_stall = deployments.packed_stall
stall = deployments.stall


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def _answers(port: int) -> str | None:
    with contextlib.suppress(httpx.TransportError, ValueError):
        found = httpx.get(f"http://127.0.0.1:{port}/readyz", trust_env=False)
        return str(found.json()["sha256"]) if found.status_code == 200 else None
    return None


def test_whatever_the_moment_the_ledger_and_what_serves_agree(stall: Stall, tmp_path: Path) -> None:
    port, draw = _free_port(), random.Random(4)
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
    until = time.monotonic() + 10
    while _answers(port) is not None and time.monotonic() < until:
        time.sleep(0.1)
    assert _answers(port) is None
    assert stall.champion() is None
