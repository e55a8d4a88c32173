"""The BentoML server on the target `local`: what `pizzeria deploy` does."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import time
from pathlib import Path

import httpx
import psutil
import pytest

from pizzeria.contracts import Release
from pizzeria.inference.bundle import open_bundle
from pizzeria.spec.stages import PredictionLog, Serving
from pizzeria_plugins.prediction_logs import sqlite
from pizzeria_plugins.servers import bentoml
from pizzeria_plugins.targets import local, processes

pytestmark = pytest.mark.slow


class Silent:
    def say(self, text: str) -> None:
        pass


def test_a_bundle_is_deployed_replaced_killed_and_deployed_again(
    detection_bundle: Path, slow_bundle: Path, tmp_path: Path
) -> None:
    with contextlib.closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        options = local.Options(port=probe.getsockname()[1])
    state = tmp_path / "state"
    state.mkdir()

    def release(bundle: Path) -> Release:
        return Release(
            name="amenities",
            bundle=bundle,
            sha256=open_bundle(bundle).sha256,
            serving=Serving(log=PredictionLog(options=sqlite.Options()), options=bentoml.Options(workers=2)),
            server=bentoml,
            log_folder=tmp_path / "log",
            state=state,
        )

    try:
        first = local.apply(release(detection_bundle), options, Silent())
        assert httpx.get(first.address + "/readyz", trust_env=False).json()["sha256"] == first.sha256
        old = _record(state)
        second = local.apply(release(slow_bundle), options, Silent())
        assert second.sha256 != first.sha256
        assert processes.marked(old["token"]) == []
        record = _record(state)
        workers = [one for one in processes.marked(record["token"]) if one.pid != record["pid"]]
        assert len(workers) == 2
        os.kill(record["pid"], signal.SIGKILL)
        deadline = time.monotonic() + 20
        while any(one.is_running() and one.status() != psutil.STATUS_ZOMBIE for one in workers):
            assert time.monotonic() < deadline, "a worker outlived its supervisor"
            time.sleep(0.05)
        assert local.status("amenities", options, state).state == "dead"
        assert local.apply(release(slow_bundle), options, Silent()).state == "live"
        last = _record(state)["token"]
    finally:
        local.remove("amenities", options, state)
    assert processes.marked(last) == []
    assert local.status("amenities", options, state).state == "absent"


def _record(state: Path) -> dict[str, str]:
    found: dict[str, str] = json.loads((state / "amenities" / "deployment.json").read_text())
    return found
