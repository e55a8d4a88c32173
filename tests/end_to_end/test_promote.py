"""A roll-out in steps for real: two services behind nginx on a machine over SSH, and the engine that moves the traffic,
looks at both, goes back, and is killed on the way."""

from __future__ import annotations

import json
import signal
import time

import httpx
import pytest
import yaml

from ..engine.deployments import conftest as deployments
from ..engine.deployments.conftest import Stall
from ..plugins.targets.vm import conftest as machines
from ..plugins.targets.vm.conftest import Machine

pytestmark = pytest.mark.slow

packed_stall = deployments.packed_stall
stall = deployments.stall
machine = machines.machine


def _answer(address: str) -> str:
    return str(httpx.get(f"{address}/readyz", trust_env=False, timeout=60).json()["sha256"])


def _steps(stall: Stall) -> list[dict[str, object]]:
    found = [entry.detail for entry in stall.ledger.entries("prices", "canary")]
    return [one for one in found if one["phase"] == "step"]


def test_a_bundle_takes_over_goes_back_and_is_killed_on_the_way(stall: Stall, machine: Machine) -> None:
    options = machine.options()
    address = f"http://127.0.0.1:{options.listen_port}"
    conf = stall.folder / "conf" / "deployment"
    conf.mkdir(parents=True)
    (conf / "machine.yaml").write_text(yaml.safe_dump({"use": "vm"} | json.loads(options.model_dump_json())))
    a, b = stall.sha256["a"], stall.sha256["b"]
    there = "deployment=machine"
    # Four answers say little of how long they take, and one of them may be late on a busy machine.
    patient = "deployment.rollout.max_p95_ms=600000"
    try:
        done = stall.command("deploy", "prices-a", there)
        assert done.returncode == 0, done.stderr
        assert _answer(address) == a

        steps = ("--steps", "50", "--step-time", "0s", "--probes", "4")
        done = stall.command("promote", "prices-b", there, patient, *steps)
        assert done.returncode == 0, done.stderr
        assert _answer(address) == b == stall.champion()
        [step] = _steps(stall)
        assert step["verdict"] == "passed"
        assert step["staged"]["sha256"] == b  # type: ignore[index]
        assert step["staged"]["requests"] >= 4  # type: ignore[index]

        strict = ("deployment.rollout.max_p95_ms=0.001", "deployment.rollout.step_s=0")
        done = stall.command("deploy", "prices-a", there, *strict)
        assert done.returncode == 6
        assert f"{a[:12]} is sent back at 5% of the traffic: 95% of its answers took" in done.stderr
        assert f"{b[:12]} keeps serving at" in done.stderr
        assert {_answer(address) for _ in range(10)} == {b} == {stall.champion()}

        process = stall.popen("promote", "prices-a", there, patient, "--steps", "50,60,70,80", "--step-time", "10s")
        while len(_steps(stall)) < 3:
            assert process.poll() is None
            time.sleep(0.05)
        process.send_signal(signal.SIGKILL)
        process.communicate()
        told = stall.command("status")
        assert told.returncode == 0, told.stdout
        assert f"was interrupted: {b[:12]} keeps serving at" in told.stdout
        assert {_answer(address) for _ in range(10)} == {b} == {stall.champion()}
        assert stall.ledger.interrupted("prices") is None
    finally:
        stopped = stall.command("stop", "prices")
    assert stopped.returncode == 0, stopped.stderr
