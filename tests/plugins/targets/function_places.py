"""Where tests let a function run: its zip, unpacked, under the platform's own program, behind a front that stays.

Nothing of this environment is on the function's `sys.path`: the base interpreter runs without `site`, with a folder of
what the platform itself brings. That folder is made once in a session.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
import zipfile
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path

from pizzeria.ports import free_port

PYTHON = f"3.{sys.version_info.minor}"
_BASE = Path(sys.base_prefix) / "bin" / f"python{PYTHON}"
_WORKER = ("azure-functions-runtime==1.3.0", "azurefunctions-extensions-base==1.2.0", "protobuf")
_HOST = Path(__file__).parent / "azure_host.py"

CACHE = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "pizzeria-tests"
"""What takes long to fetch and may be kept from one session to the next."""


class NotInstalledError(Exception):
    """What the platform brings cannot be had here."""


@cache
def platform(*requirements: str, file: str = "") -> Path:
    """A folder with packages, without their dependencies; `file` is the text of a `requirements.txt` with hashes."""
    folder = Path(tempfile.mkdtemp(prefix="pizzeria-platform-"))
    command = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--target", str(folder / "packages")]
    if file:
        (folder / "requirements.txt").write_text(file)
        command += ["--require-hashes", "--requirement", str(folder / "requirements.txt")]
    else:
        # Azure's worker library says that it is for Python 3.13; it runs with 3.11, and nothing newer may be here.
        command += ["--ignore-requires-python", *requirements]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    if ran.returncode:
        raise NotInstalledError(f"pip cannot install {requirements or 'requirements.txt'}: {ran.stderr[-500:]}")
    _folders.append(folder)
    return folder / "packages"


_folders: list[Path] = []


def clear() -> None:
    """Delete the folders of this session."""
    for folder in _folders:
        shutil.rmtree(folder, ignore_errors=True)
    _folders.clear()
    platform.cache_clear()


atexit.register(clear)


class Place:
    """One unpacked zip, and the process that serves it."""

    def __init__(self, package: Path, kind: str, environment: Mapping[str, str] | None = None) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix=f"pizzeria-{kind}-"))
        self.app = self.folder / "app"
        with zipfile.ZipFile(package) as archive:
            archive.extractall(self.app)
        self.port = free_port()
        self.output = self.folder / "output.log"
        own = {"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8", **(environment or {})}
        if kind == "google":
            own |= {
                "PYTHONPATH": str(platform(file=(self.app / "requirements.txt").read_text())),
                "FUNCTION_TARGET": "pizzeria",
                "FUNCTION_SIGNATURE_TYPE": "http",
                "PORT": str(self.port),
                "HOST": "127.0.0.1",
            }
            command = [str(_BASE), "-S", "-m", "functions_framework"]
        else:
            own |= {"PYTHONPATH": str(platform(*_WORKER))}
            command = [str(_BASE), "-S", str(_HOST), str(self.app), str(self.port)]
        self.begun = time.monotonic()
        with open(self.output, "wb") as stream:
            self.process = subprocess.Popen(
                command, cwd=self.app, env=own, stdout=stream, stderr=subprocess.STDOUT, start_new_session=True
            )

    def wait(self, timeout_s: float = 240) -> bool:
        """Whether it listens; False when it ended instead."""
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline and self.process.poll() is None:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), timeout=1):
                return True
            time.sleep(0.02)
        return False

    def stop(self) -> None:
        """End it, gracefully first."""
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(60)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)


class Front:
    """An address that stays while places come and go: connections go to whichever is `place` when they are made, and
    wait for one where there is none; where it is `broken`, they get a 503."""

    def __init__(self) -> None:
        self.place: Place | None = None
        self.broken = False
        self._server = socket.create_server(("127.0.0.1", 0), backlog=200)
        self.address = f"http://127.0.0.1:{self._server.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._server.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        deadline = time.monotonic() + 120
        while True:
            place = self.place
            if self.broken:
                with contextlib.suppress(OSError):
                    client.recv(65536)
                    client.sendall(
                        b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
                    )
                client.close()
                return
            if place is not None:
                with contextlib.suppress(OSError):
                    there = socket.create_connection(("127.0.0.1", place.port), timeout=120)
                    break
            if time.monotonic() > deadline or self._server.fileno() < 0:
                client.close()
                return
            time.sleep(0.02)
        back = threading.Thread(target=_pump, args=(there, client), daemon=True)
        back.start()
        _pump(client, there)
        back.join()
        client.close()
        there.close()

    def switch(self, place: Place | None) -> None:
        """Let new connections go to another place, and end the one before."""
        before, self.place = self.place, place
        if before is not None:
            before.stop()

    def close(self) -> None:
        """End all of it."""
        self._server.close()
        self.switch(None)


def _pump(source: socket.socket, target: socket.socket) -> None:
    source.settimeout(120)
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            target.sendall(data)
    with contextlib.suppress(OSError):
        target.shutdown(socket.SHUT_WR)


@contextlib.contextmanager
def fast_zips() -> Iterator[None]:
    """Zips of a release are packed for size; tests that make a dozen of them store what is in them as it is."""
    from pizzeria_plugins.functions import packing

    before, packing._LEVEL = packing._LEVEL, None
    try:
        yield
    finally:
        packing._LEVEL = before


def shared_packages(state: Path) -> None:
    """Let a state folder use the packages that tests before have installed."""
    common = CACHE / "functions"
    common.mkdir(parents=True, exist_ok=True)
    state.mkdir(parents=True, exist_ok=True)
    if not (state / ".functions").exists():
        (state / ".functions").symlink_to(common)
