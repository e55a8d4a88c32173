"""A machine for the target `vm`: a real sshd, nginx and supervisord, each with folders and ports of its own."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import psutil
import pytest

from pizzeria.contracts import Release, Rendered
from pizzeria.inference.bundle import open_bundle
from pizzeria.ports import free_port
from pizzeria.spec.stages import PredictionLog, Serving
from pizzeria_plugins.prediction_logs import sqlite
from pizzeria_plugins.servers import bentoml
from pizzeria_plugins.targets import vm

PROGRAMS = ("/usr/sbin/sshd", "/usr/sbin/nginx", "/usr/bin/supervisord", "/usr/bin/ssh", "/usr/bin/ssh-keygen")


SMALL = """
import http.server, json, pathlib, sys
bundle, sha256, port = pathlib.Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
print("a small service", flush=True)
if b"this is no model" in (bundle / "model.onnx").read_bytes():
    sys.exit("RuntimeError: no oven")
golden = json.loads((bundle / "sample" / "answer.json").read_text().replace("0.15", "0.75"))  # what it computes
class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def answer(self, value):
        body = json.dumps(value).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def do_GET(self):
        self.answer({"status": "ready", "sha256": sha256})
    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        self.answer({**golden, "model": sha256})
    def log_message(self, *_): pass
http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler).serve_forever()
"""


class SmallServer:
    """A server plugin whose service starts in a moment; for tests of how releases come and go, not of what they say."""

    def render(self, release: Release, host: str, port: int) -> Rendered:
        argv = [str(release.python), "-c", SMALL, str(release.bundle), release.sha256, str(port)]
        return Rendered(commands=[argv])


class Lines:
    """Progress that remembers."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def say(self, text: str) -> None:
        self.lines.append(text)


@dataclass
class Machine:
    """The machine, and what its user writes to deploy there."""

    folder: Path
    ssh_port: int
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)

    @property
    def known_hosts(self) -> Path:
        return self.folder / "known_hosts"

    @property
    def key(self) -> Path:
        return self.folder / "id_ed25519"

    def options(self, **changes: Any) -> vm.Options:
        """Options with free ports, in the machine's own folders."""
        values: dict[str, Any] = {
            "host": "127.0.0.1",
            "port": self.ssh_port,
            "key": self.key,
            "known_hosts": self.known_hosts,
            "connect_timeout_s": 60,
            "root": str(self.folder / "opt"),
            "python": sys.executable,
            "python_environment": sys.prefix,
            "service_user": None,
            "supervisor": "supervisord",
            "supervisor_folder": str(self.folder / "supervisor"),
            "supervisor_config": str(self.folder / "supervisord.conf"),
            "nginx_folder": str(self.folder / "nginx.d"),
            "nginx_config": str(self.folder / "nginx.conf"),
            "nginx_prefix": str(self.folder / "nginx"),
            "listen": "127.0.0.1",
            "listen_port": free_port(),
            "slot_ports": (free_port(), free_port()),
            "ready_timeout_s": 180,
            "stop_timeout_s": 35,
        }
        return vm.Options(**(values | changes))

    def start(self) -> None:
        """Write the configurations, and start the three."""
        folder = self.folder
        for name in ("supervisor", "nginx.d", "nginx"):
            (folder / name).mkdir()
        for name in ("host_key", "id_ed25519", "other_key"):
            subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", folder / name], check=True)
        shutil.copy(folder / "id_ed25519.pub", folder / "authorized_keys")
        kind, key, *_ = (folder / "host_key.pub").read_text().split()
        self.known_hosts.write_text(f"[127.0.0.1]:{self.ssh_port} {kind} {key}\n")
        (folder / "sshd_config").write_text(
            f"Port {self.ssh_port}\nListenAddress 127.0.0.1\nHostKey {folder / 'host_key'}\n"
            f"AuthorizedKeysFile {folder / 'authorized_keys'}\nPidFile none\nStrictModes no\nUsePAM no\n"
            "PasswordAuthentication no\nPermitRootLogin yes\nMaxStartups 100\n"
        )
        (folder / "nginx.conf").write_text(
            f"user root;\nworker_processes 2;\npid {folder / 'nginx.pid'};\nerror_log {folder / 'nginx-error.log'};\n"
            f"events {{ worker_connections 512; }}\n"
            f"http {{\n    access_log off;\n    client_body_temp_path {folder / 'nginx'}/body;\n"
            f"    proxy_temp_path {folder / 'nginx'}/proxy;\n    include {folder / 'nginx.d'}/*.conf;\n}}\n"
        )
        socket_path = folder / "supervisor.sock"
        (folder / "supervisord.conf").write_text(
            f"[unix_http_server]\nfile={socket_path}\n[supervisord]\nnodaemon=true\nuser=root\n"
            f"logfile={folder / 'supervisord.log'}\npidfile={folder / 'supervisord.pid'}\nchildlogdir={folder}\n"
            "[rpcinterface:supervisor]\n"
            "supervisor.rpcinterface_factory = supervisor.rpcinterface:make_main_rpcinterface\n"
            f"[supervisorctl]\nserverurl=unix://{socket_path}\n[include]\nfiles={folder / 'supervisor'}/*.conf\n"
        )
        Path("/run/sshd").mkdir(exist_ok=True)
        for argv in (
            ["/usr/sbin/sshd", "-D", "-e", "-f", folder / "sshd_config"],
            ["/usr/sbin/nginx", "-p", folder / "nginx", "-c", folder / "nginx.conf", "-g", "daemon off;"],
            ["/usr/bin/supervisord", "-c", folder / "supervisord.conf"],
        ):
            with open(folder / f"{Path(argv[0]).name}.out", "wb") as output:
                self.processes.append(
                    subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT)
                )
        until(lambda: socket_path.exists() and (folder / "nginx.pid").exists() and _listens(self.ssh_port))

    def stop(self) -> None:
        """Everything that runs on it ends."""
        everything = [one for process in self.processes for one in _family(process.pid)]
        for process in reversed(self.processes):
            process.send_signal(signal.SIGTERM)
        for process in self.processes:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(30)
        for one in everything:
            with contextlib.suppress(psutil.NoSuchProcess):
                one.kill()
        for process in self.processes:
            process.wait()


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    """One machine for all tests of a module; each test has a deployment of its own there."""
    absent = [program for program in PROGRAMS if not Path(program).exists()]
    if absent:
        pytest.skip(f"not installed: {', '.join(absent)}; deployment over SSH is not tested")
    if os.getuid() != 0:
        pytest.skip("sshd as its own server wants root; deployment over SSH is not tested")
    found = Machine(tmp_path_factory.mktemp("machine"), free_port())
    try:
        found.start()
        yield found
    finally:
        found.stop()


@pytest.fixture
def options(machine: Machine) -> vm.Options:
    return machine.options()


@pytest.fixture
def release_of(tmp_path: Path) -> Callable[..., Release]:
    """A release of a bundle, to be deployed under a name."""

    def make(bundle: Path, name: str, **serving: Any) -> Release:
        log = PredictionLog(options=sqlite.Options())
        return Release(
            name=name,
            bundle=bundle,
            sha256=open_bundle(bundle).sha256,
            serving=Serving(
                **{"log": log, "max_body_mb": 0.2, "max_megapixels": 1, "options": bentoml.Options(workers=1)} | serving
            ),
            server=bentoml,
            log_folder=tmp_path / "log",
            state=tmp_path / "state",
            task="object_detection",
        )

    return make


@pytest.fixture
def small(release_of: Callable[..., Release]) -> Callable[..., Release]:
    """The same with a small server."""
    return lambda bundle, name: replace(release_of(bundle, name), server=SmallServer())


def until(condition: Callable[[], Any], timeout_s: float = 240) -> None:
    """Wait for it."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def _listens(port: int) -> bool:
    with contextlib.closing(socket.socket()) as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _family(pid: int) -> list[psutil.Process]:
    with contextlib.suppress(psutil.NoSuchProcess):
        process = psutil.Process(pid)
        return [process, *process.children(recursive=True)]
    return []
