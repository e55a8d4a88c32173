"""The target `local`, with a small real server of its own kind: a supervisor, and a worker in a session of its own."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import psutil
import pytest
from pydantic import ValidationError

from pizzeria.contracts import Release, Rendered
from pizzeria.errors import BundleError, DeploymentError
from pizzeria.inference.bundle import open_bundle, write_bundle
from pizzeria.spec.stages import Serving
from pizzeria_plugins.targets import local, processes

PROGRAM = """
import http.server, json, os, signal, subprocess, sys, time
mode, host, port, sha256 = sys.argv[1:]
print("hello from the service", flush=True)
if mode == "broken":
    sys.exit("RuntimeError: no oven")
worker = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], start_new_session=True)
def stop(*_):
    if mode != "stubborn":
        worker.terminate()
        os._exit(0)
signal.signal(signal.SIGTERM, stop)
if mode == "mute":
    time.sleep(600)
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        log = {"log": {"waiting": 7, "dropped": 2, "trouble": True}} if mode == "troubled" else {}
        body = json.dumps({"status": "ready", "sha256": sha256, **log}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *_): pass
http.server.HTTPServer((host, int(port)), Handler).serve_forever()
"""


@dataclass(frozen=True)
class SmallServer:
    """A server plugin; `mode` says how it misbehaves, `says` which bundle it claims to be."""

    mode: str = "good"
    says: str = ""

    def render(self, release: Release, host: str, port: int) -> Rendered:
        sha256 = self.says or release.sha256
        return Rendered(commands=[[sys.executable, "-c", PROGRAM, self.mode, host, str(port), sha256]])


class Silent:
    def __init__(self) -> None:
        self.lines: list[str] = []

    def say(self, text: str) -> None:
        self.lines.append(text)


def free_port() -> int:
    with contextlib.closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def make_bundle(folder: Path, name: str) -> Path:
    model = folder.parent / f"{folder.name}.onnx"
    model.write_bytes(name.encode())
    description: dict[str, Any] = {
        "format": 1,
        "name": name,
        "task": "object_detection",
        "classes": ["bed"],
        "preprocessing": {"kind": "photos", "size": [8, 8], "resize": "letterbox", "fill": 114},
        "calibration": {"method": "none", "thresholds": {"bed": 0.5}},
        "metrics": {},
        "gate": [],
        "lineage": {},
        "versions": {},
    }
    write_bundle(folder, description, model, ("request.jpg", b"photo"), {})
    return folder


def release_of(bundle: Path, state: Path, **changes: Any) -> Release:
    values = {
        "name": "amenities",
        "bundle": bundle,
        "sha256": open_bundle(bundle).sha256,
        "serving": Serving(),
        "server": SmallServer(),
        "log_folder": state / "log",
        "state": state,
    }
    return Release(**(values | changes))


@pytest.fixture
def options() -> local.Options:
    return local.Options(port=free_port(), ready_timeout_s=10, stop_timeout_s=5)


@pytest.fixture
def state(tmp_path: Path, options: local.Options) -> Iterator[Path]:
    folder = tmp_path / "state"
    folder.mkdir()
    yield folder
    for deployment in folder.glob("*/deployment.json"):
        local.remove(deployment.parent.name, options, folder)


@pytest.fixture
def release(tmp_path: Path, state: Path) -> Release:
    return release_of(make_bundle(tmp_path / "one", "one"), state)


@pytest.fixture
def newer(tmp_path: Path, state: Path) -> Release:
    return release_of(make_bundle(tmp_path / "two", "two"), state)


def token(state: Path) -> str:
    return str(json.loads((state / "amenities" / "deployment.json").read_text())["token"])


def test_a_service_comes_up_outlives_its_command_and_goes(
    release: Release, options: local.Options, state: Path
) -> None:
    assert local.status("amenities", options, state).state == "absent"
    live = local.apply(release, options, Silent())
    assert (live.state, live.sha256) == ("live", release.sha256)
    assert live.address == f"http://127.0.0.1:{options.port}"
    assert local.status("amenities", options, state).state == "live"
    found = processes.marked(token(state))
    assert len(found) == 2, "the supervisor and its worker"
    assert all(os.getsid(one.pid) != os.getsid(0) for one in found)
    assert (state / "amenities" / "deployment.json").stat().st_mode & 0o077 == 0
    mark = token(state)
    local.remove("amenities", options, state)
    assert processes.marked(mark) == []
    assert local.status("amenities", options, state).state == "absent"
    assert not (state / "amenities").exists()
    local.remove("amenities", options, state)


def test_a_second_apply_of_the_same_changes_nothing(release: Release, options: local.Options, state: Path) -> None:
    local.apply(release, options, Silent())
    before = token(state)
    again = local.apply(release, options, Silent())
    assert (again.state, again.detail) == ("live", "was live already")
    assert token(state) == before


def test_a_newer_bundle_replaces_the_older(
    release: Release, newer: Release, options: local.Options, state: Path
) -> None:
    local.apply(release, options, Silent())
    before = token(state)
    assert local.apply(newer, options, Silent()).sha256 == newer.sha256
    assert local.status("amenities", options, state).sha256 == newer.sha256
    assert processes.marked(before) == []


def test_a_newer_one_that_fails_brings_the_older_back(
    release: Release, newer: Release, options: local.Options, state: Path
) -> None:
    local.apply(release, options, Silent())
    with pytest.raises(DeploymentError, match=r"(?s)no oven.*one before.*was brought back and is live"):
        local.apply(replace(newer, server=SmallServer("broken")), options, Silent())
    now = local.status("amenities", options, state)
    assert (now.state, now.sha256) == ("live", release.sha256)
    assert "no oven" in (state / "amenities" / "service.failed.log").read_text()


def test_a_service_that_ends_at_once_shows_the_end_of_its_log(
    release: Release, options: local.Options, state: Path
) -> None:
    with pytest.raises(DeploymentError, match=r"(?s)ended before it was ready.*service\.log.*no oven"):
        local.apply(replace(release, server=SmallServer("broken")), options, Silent())
    assert local.status("amenities", options, state).state == "absent"


def test_a_service_that_never_is_ready_is_given_up_and_ended(
    release: Release, options: local.Options, state: Path
) -> None:
    short = options.model_copy(update={"ready_timeout_s": 0.5})
    with pytest.raises(DeploymentError, match=r"(?s)not ready after 0\.5 s.*hello from the service"):
        local.apply(replace(release, server=SmallServer("mute")), short, Silent())
    assert not [one for one in psutil.process_iter() if _has_argument(one, str(options.port))]


def test_a_service_with_another_bundle_is_refused(release: Release, options: local.Options, state: Path) -> None:
    with pytest.raises(DeploymentError, match=r"answers with bundle 123456789012, and .* was deployed"):
        local.apply(replace(release, server=SmallServer(says="123456789012345")), options, Silent())
    assert local.status("amenities", options, state).state == "absent"


def test_a_taken_port_is_named_with_who_has_it(release: Release, options: local.Options, state: Path) -> None:
    with contextlib.closing(socket.socket()) as other:
        other.bind(("127.0.0.1", options.port))
        other.listen()
        with pytest.raises(DeploymentError, match=f"port {options.port}") as caught:
            local.apply(release, options, Silent())
    assert "deployment.port=" in caught.value.hint
    local.apply(replace(release, name="rooms"), options, Silent())
    with pytest.raises(DeploymentError, match="the deployment 'rooms' has it"):
        local.apply(release, options, Silent())


def test_a_damaged_bundle_stops_nothing(release: Release, newer: Release, options: local.Options, state: Path) -> None:
    local.apply(release, options, Silent())
    before = token(state)
    (newer.bundle / "model.onnx").write_bytes(b"gone bad")
    with pytest.raises(BundleError):
        local.apply(newer, options, Silent())
    assert token(state) == before
    assert local.status("amenities", options, state).state == "live"


def test_a_killed_supervisor_is_dead_and_its_worker_does_not_survive_the_next_apply(
    release: Release, options: local.Options, state: Path
) -> None:
    local.apply(release, options, Silent())
    record = json.loads((state / "amenities" / "deployment.json").read_text())
    os.kill(record["pid"], signal.SIGKILL)
    _until(lambda: len(processes.marked(record["token"])) == 1)
    assert local.status("amenities", options, state).state == "starting", "a worker is left, and nobody answers"
    local.apply(release, options, Silent())
    assert processes.marked(record["token"]) == []
    assert local.status("amenities", options, state).state == "live"


def test_a_dead_service_is_known_as_dead(release: Release, options: local.Options, state: Path) -> None:
    local.apply(release, options, Silent())
    for process in processes.marked(token(state)):
        process.kill()
    _until(lambda: not processes.marked(token(state)))
    now = local.status("amenities", options, state)
    assert now.state == "dead"
    assert "service.log" in now.detail


def test_trouble_with_the_prediction_log_is_said(release: Release, options: local.Options, state: Path) -> None:
    well = local.apply(release, options, Silent())
    assert "prediction" not in local.status("amenities", options, state).detail
    local.apply(replace(release, server=SmallServer("troubled")), options, Silent())
    now = local.status("amenities", options, state)
    assert now.state == "live"
    assert now.address == well.address
    assert "its prediction log takes no records, 7 wait" in now.detail
    assert "2 prediction records are lost" in now.detail
    local.remove("amenities", options, state)


def test_a_stubborn_service_is_killed_in_the_end(release: Release, options: local.Options, state: Path) -> None:
    local.apply(replace(release, server=SmallServer("stubborn")), options, Silent())
    mark = token(state)
    local.remove("amenities", options.model_copy(update={"stop_timeout_s": 0.3}), state)
    assert processes.marked(mark) == []


def test_another_process_with_the_same_id_is_left_alone(release: Release, options: local.Options, state: Path) -> None:
    local.apply(release, options, Silent())
    path = state / "amenities" / "deployment.json"
    record = json.loads(path.read_text())
    for process in processes.marked(record["token"]):
        process.kill()
    _until(lambda: not processes.marked(record["token"]))
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"]) as stranger:
        path.write_text(json.dumps(record | {"pid": stranger.pid}))
        assert local.status("amenities", options, state).state == "dead"
        local.remove("amenities", options, state)
        assert stranger.poll() is None
        stranger.kill()


def test_render_is_the_servers_and_touches_nothing(release: Release, options: local.Options, state: Path) -> None:
    rendered = local.render(release, options)
    assert rendered == release.server.render(release, "127.0.0.1", options.port)
    assert not list(state.iterdir())


def test_no_proxy_of_the_environment_stands_between(
    release: Release, options: local.Options, state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    assert local.apply(release, options, Silent()).state == "live"
    connection = http.client.HTTPConnection("127.0.0.1", options.port, timeout=2)
    with contextlib.closing(connection):
        connection.request("GET", "/readyz")
        assert connection.getresponse().status == 200


def test_a_host_must_be_an_address() -> None:
    with pytest.raises(ValidationError, match=r"'localhost' is no IP address; write 127\.0\.0\.1"):
        local.Options(host="localhost")
    assert local.Options(host="::1").host == "::1"


def _has_argument(process: psutil.Process, argument: str) -> bool:
    with contextlib.suppress(psutil.Error, OSError):
        return argument in process.cmdline()
    return False


def _until(condition: Any, timeout_s: float = 5) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)
