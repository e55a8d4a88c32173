"""The service started as systemd starts it: on a socket that it is given, and telling how it is."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from pizzeria.contracts import Release
from pizzeria.errors import DeploymentError
from pizzeria.ports import free_port
from pizzeria.spec.stages import PredictionLog
from pizzeria_plugins.servers import activation, bentoml

from .conftest import Start

pytestmark = pytest.mark.slow

PASS_ON = """
import os, sys
os.dup2(int(sys.argv[1]), 3)
os.environ["LISTEN_PID"] = str(os.getpid())
os.execv(sys.argv[2], sys.argv[2:])
"""


class Manager:
    """Holds a listening socket, starts services on it, and hears what they say."""

    def __init__(self, folder: Path, release: Release) -> None:
        self._folder, self._release = folder, release
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.started: list[tuple[subprocess.Popen[bytes], socket.socket]] = []

    def start(self) -> tuple[subprocess.Popen[bytes], socket.socket]:
        notices = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        notices.settimeout(180)
        path = str(self._folder / f"notices-{len(self.started)}")
        notices.bind(path)
        rendered = bentoml.render(self._release, "127.0.0.1", 1)
        number = self.listener.fileno()
        process = subprocess.Popen(
            [sys.executable, "-c", PASS_ON, str(number), *rendered.commands[0]],
            env={**os.environ, **rendered.environment, "LISTEN_FDS": "1", "NOTIFY_SOCKET": path},
            pass_fds=(number,),
        )
        self.started.append((process, notices))
        return process, notices

    def close(self) -> None:
        self.listener.close()
        for process, notices in self.started:
            notices.close()
            process.terminate()
            process.wait(120)


@pytest.fixture
def manager(
    detection_bundle: Path, make_release: Callable[..., Release], tmp_path: Path
) -> Iterator[tuple[Manager, Release]]:
    release = make_release(detection_bundle, tmp_path)
    serving = release.serving.model_copy(update={"options": bentoml.Options(workers=2)})
    release = dataclasses.replace(release, serving=serving)
    made = Manager(tmp_path, release)
    with contextlib.closing(made):
        yield made, release


def test_services_come_and_go_on_one_socket(manager: tuple[Manager, Release]) -> None:
    keeper, release = manager
    first, said = keeper.start()
    # The socket takes connections from the start; they wait.
    early = socket.create_connection(("127.0.0.1", keeper.port), timeout=180)
    early.sendall(b"GET /readyz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    told = dict(line.split("=", 1) for line in said.recv(4096).decode().splitlines())
    assert told["READY"] == "1"
    assert told["X_SHA256"] == release.sha256
    with early, early.makefile("rb") as answer:
        assert json.loads(answer.read().split(b"\r\n\r\n")[1])["sha256"] == release.sha256
    url = f"http://127.0.0.1:{keeper.port}/readyz"
    assert httpx.get(url, trust_env=False, timeout=60).json()["sha256"] == release.sha256
    second, also_said = keeper.start()
    assert b"READY=1" in also_said.recv(4096)
    first.send_signal(signal.SIGTERM)
    assert said.recv(4096) == b"STOPPING=1"
    while first.poll() is None:
        assert httpx.get(url, trust_env=False, timeout=60).status_code == 200
    second.send_signal(signal.SIGTERM)
    second.wait(120)
    # The socket is there still.
    with socket.create_connection(("127.0.0.1", keeper.port), timeout=5):
        pass


def test_a_socket_meant_for_another_process_is_left_alone(detection_bundle: Path, start: Start) -> None:
    service = start(detection_bundle, environment={"LISTEN_FDS": "1", "LISTEN_PID": "1"})
    with service.client as client:
        assert client.get("/healthz").status_code == 200


def test_a_service_that_cannot_answer_is_never_ready(
    detection_bundle: Path, make_release: Callable[..., Release], tmp_path: Path
) -> None:
    log = PredictionLog(use="postgresql", options=None)
    release = make_release(detection_bundle, tmp_path, log=log)
    with contextlib.closing(Manager(tmp_path, release)) as keeper:
        process, said = keeper.start()
        process.wait(180)
        said.setblocking(False)
        heard = []
        with contextlib.suppress(BlockingIOError):
            while True:
                heard.append(said.recv(4096))
        assert heard == [b"STOPPING=1"]


def test_more_than_one_socket_is_refused() -> None:
    with pytest.raises(DeploymentError, match="LISTEN_FDS=2") as caught:
        activation.begin({"LISTEN_FDS": "2"}, 1)
    assert "one listening socket" in caught.value.hint


def test_what_is_no_socket_is_refused(tmp_path: Path) -> None:
    with (
        open(tmp_path / "file", "w") as file,
        pytest.raises(DeploymentError, match=f"file descriptor {file.fileno()} is no socket"),
    ):
        activation._check(file.fileno())
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as datagrams,
        pytest.raises(DeploymentError, match="is no stream socket"),
    ):
        activation._check(datagrams.fileno())


def test_a_manager_with_an_abstract_name_is_told() -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(f"\0pizzeria-{os.getpid()}")
        activation.notify(f"@pizzeria-{os.getpid()}", STOPPING="1")
        assert manager.recv(100) == b"STOPPING=1"
    activation.notify(f"@pizzeria-{os.getpid()}", STOPPING="1")  # one that is gone is no reason to fail


@pytest.mark.skipif(shutil.which("systemd-socket-activate") is None, reason="systemd-socket-activate is not installed")
def test_systemd_itself_may_pass_the_socket(
    detection_bundle: Path, make_release: Callable[..., Release], tmp_path: Path
) -> None:
    release = make_release(detection_bundle, tmp_path)
    rendered = bentoml.render(release, "127.0.0.1", 1)
    port = free_port()
    names = [f"--setenv={name}" for name in (*os.environ, *rendered.environment)]
    process = subprocess.Popen(
        ["systemd-socket-activate", f"--listen=127.0.0.1:{port}", *names, *rendered.commands[0]],
        env={**os.environ, **rendered.environment},
    )
    try:
        with httpx.Client(trust_env=False, timeout=180, transport=httpx.HTTPTransport(retries=8)) as client:
            answer = client.get(f"http://127.0.0.1:{port}/readyz")
        assert answer.json()["sha256"] == release.sha256
    finally:
        process.terminate()
        process.wait(120)
