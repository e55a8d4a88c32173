"""The front: connections go to whom the file names, and those that are open stay where they are."""

from __future__ import annotations

import contextlib
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from pizzeria.ports import free_port
from pizzeria_plugins.targets.container_image import inside

_FRONT = Path(inside.__file__).parent / "front.py"


class _Echo:
    """Answers each line with its own name before it."""

    def __init__(self, name: bytes) -> None:
        self._name = name
        self._server = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._server.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._server.accept()
                threading.Thread(target=self._talk, args=(connection,), daemon=True).start()

    def _talk(self, connection: socket.socket) -> None:
        with contextlib.suppress(OSError), connection, connection.makefile("rb") as lines:
            for line in lines:
                connection.sendall(self._name + b" " + line)
            connection.sendall(self._name + b" ends\n")

    def close(self) -> None:
        # A thread in accept would go on, and take one more connection.
        self._server.shutdown(socket.SHUT_RDWR)
        self._server.close()


@pytest.fixture
def services() -> Iterator[list[_Echo]]:
    both = [_Echo(b"old"), _Echo(b"new")]
    yield both
    for one in both:
        with contextlib.suppress(OSError):
            one.close()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "service"


@pytest.fixture
def front(file: Path) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    port = free_port()
    argv = [sys.executable, "-I", str(_FRONT), "127.0.0.1", str(port), str(file)]
    with subprocess.Popen(argv, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline().startswith(b"listening")
        try:
            yield process, port
        finally:
            process.kill()


def _point(file: Path, address: str) -> None:
    new = file.with_name("new")
    new.write_text(address)
    new.replace(file)


def _say(connection: socket.socket, line: bytes) -> bytes:
    connection.sendall(line)
    return connection.recv(100)


def test_connections_change_over(services: list[_Echo], file: Path, front: tuple[subprocess.Popen[bytes], int]) -> None:
    old, new = services
    process, port = front
    _point(file, old.address)
    with socket.create_connection(("127.0.0.1", port), timeout=120) as first:
        assert _say(first, b"a\n") == b"old a\n"
        _point(file, new.address)
        with socket.create_connection(("127.0.0.1", port), timeout=120) as second:
            assert _say(second, b"b\n") == b"new b\n"
            assert _say(first, b"c\n") == b"old c\n"
            second.shutdown(socket.SHUT_WR)  # it is told, and can still answer
            assert second.recv(100) == b"new ends\n"
            assert second.recv(100) == b""
        process.send_signal(signal.SIGTERM)
        assert _say(first, b"d\n") == b"old d\n"  # what is open is not cut off
    assert process.wait(120) == 0


def test_a_service_that_is_being_started_is_waited_for(
    services: list[_Echo], file: Path, front: tuple[subprocess.Popen[bytes], int]
) -> None:
    old, new = services
    _, port = front
    old.close()
    _point(file, old.address)
    with socket.create_connection(("127.0.0.1", port), timeout=120) as connection:
        connection.sendall(b"a\n")
        _point(file, new.address)
        assert connection.recv(100) == b"new a\n"


def test_a_large_answer_to_a_client_that_goes(
    services: list[_Echo], file: Path, front: tuple[subprocess.Popen[bytes], int]
) -> None:
    _, new = services
    _, port = front
    _point(file, new.address)
    line = b"x" * 1_000_000 + b"\n"
    with socket.create_connection(("127.0.0.1", port), timeout=120) as connection:
        connection.sendall(line)
        with connection.makefile("rb") as lines:
            assert lines.readline() == b"new " + line
        connection.sendall(line)  # and nobody reads the answer
    with socket.create_connection(("127.0.0.1", port), timeout=120) as connection:
        assert _say(connection, b"b\n") == b"new b\n"
