"""A small real server of the tests' own kind: a supervisor, and a worker in a session of its own."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from pizzeria.contracts import Release, Rendered
from pizzeria.inference.bundle import open_bundle, write_bundle
from pizzeria.ports import free_port
from pizzeria.spec.stages import Serving
from pizzeria_plugins.targets import local, processes

PROGRAM = """
import http.server, json, os, signal, socket, subprocess, sys, threading, time
mode, sha256 = sys.argv[1:]
print("hello from the service", flush=True)
if mode == "broken":
    sys.exit("RuntimeError: no oven")
if mode == "once":
    try:
        open("started", "x").close()
    except FileExistsError:
        sys.exit("RuntimeError: the oven is cold")
worker = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], start_new_session=True)
if mode == "mute":
    time.sleep(600)
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        log = {"log": {"waiting": 7, "dropped": 2, "trouble": True}} if mode == "troubled" else {}
        body = json.dumps({"status": "ready", "sha256": sha256, "key": os.environ.get("KEYS"), **log}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *_): pass
assert os.environ["LISTEN_FDS"] == "1"
listener = socket.socket(fileno=3)
server = http.server.ThreadingHTTPServer(listener.getsockname()[:2], Handler, bind_and_activate=False)
server.socket.close()
server.socket = listener
listener.setblocking(False)  # another process may take the connection
server.daemon_threads = False  # so that what they answer is waited for
def stop(*_):
    if mode != "stubborn":
        threading.Thread(target=server.shutdown).start()
signal.signal(signal.SIGTERM, stop)
with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
    said = "READY=1" if mode == "terse" else f"READY=1\\nX_SHA256={sha256}"
    manager.sendto(said.encode(), os.environ["NOTIFY_SOCKET"])
server.serve_forever(0.02)
server.server_close()
worker.terminate()
"""


@dataclass(frozen=True)
class SmallServer:
    """A server plugin; `mode` says how it misbehaves, `says` which bundle it claims to be."""

    mode: str = "good"
    says: str = ""

    def render(self, release: Release, host: str, port: int) -> Rendered:
        sha256 = self.says or release.sha256
        return Rendered(commands=[[sys.executable, "-c", PROGRAM, self.mode, sha256]])


class Silent:
    def __init__(self) -> None:
        self.lines: list[str] = []

    def say(self, text: str) -> None:
        self.lines.append(text)


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
    return local.Options(port=free_port(), ready_timeout_s=120, stop_timeout_s=60)


@pytest.fixture
def state(tmp_path: Path, options: local.Options) -> Iterator[Path]:
    folder = tmp_path / "state"
    folder.mkdir()
    yield folder
    for deployment in folder.iterdir():
        if deployment.is_dir() and deployment.name != "log":
            local.remove(deployment.name, options, folder)
            assert processes.others(deployment) == []


@pytest.fixture
def release(tmp_path: Path, state: Path) -> Release:
    return release_of(make_bundle(tmp_path / "one", "one"), state)


@pytest.fixture
def newer(tmp_path: Path, state: Path) -> Release:
    return release_of(make_bundle(tmp_path / "two", "two"), state)


@dataclass(frozen=True)
class Record:
    """What `deployment.json` says."""

    pid: int
    token: str
    keeper: int
    keeper_token: str
    control: str
    sha256: str


def record(state: Path) -> Record:
    found = json.loads((state / "amenities" / "deployment.json").read_text())
    return Record(**{name: found[name] for name in Record.__dataclass_fields__})


def token(state: Path) -> str:
    return record(state).token


def kill_all(state: Path) -> None:
    """Kill the keeper, and then what it kept."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(record(state).keeper, signal.SIGKILL)
    processes.stop(lambda: processes.others(state / "amenities"), 0)


def until(condition: Callable[[], Any], timeout_s: float = 120) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


class Asking(threading.Thread):
    """Asks `/readyz` all the time, each time on a connection of its own, and notes what it gets: once at least before
    what happens meanwhile, and once after it."""

    def __init__(self, port: int) -> None:
        super().__init__(daemon=True)
        self._port, self._done = port, threading.Event()
        self.found: list[str] = []

    def run(self) -> None:
        last = False
        while not last:
            last = self._done.is_set()
            connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=120)
            with contextlib.closing(connection):
                try:
                    connection.request("GET", "/readyz")
                    self.found.append(json.loads(connection.getresponse().read())["sha256"])
                except (OSError, http.client.HTTPException) as error:
                    self.found.append(repr(error))
            time.sleep(0.005)

    def __enter__(self) -> Asking:
        self.start()
        until(lambda: self.found)
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self.join()
