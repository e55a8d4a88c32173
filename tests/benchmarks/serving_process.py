"""Servers under measurement: started, looked at, paused while others have their turn, and stopped."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

import psutil

HERE = Path(__file__).parent
_WRK_THREADS = 1
_READY_S = 180


@dataclass(frozen=True)
class Load:
    """One turn of one server: requests each second, times in milliseconds, cores used, and what went wrong."""

    rate: float
    p50: float
    p99: float
    cores: float
    not_2xx: int = 0
    broken: int = 0

    @property
    def cpu_ms(self) -> float:
        """Of the server for each request; noise of other processes hardly moves it."""
        return 1000 * self.cores / self.rate


@dataclass(frozen=True)
class Memory:
    """MB: of the worker (the process with most of its own), resident and its own; own of all processes together."""

    resident: float
    own: float
    all_own: float


class Group:
    """A process with all its children; paused by SIGSTOP, so that a turn belongs to one server alone.

    Args:
        command: Argument list.
        environment: Added to this process' own.
        log: File for what it prints.
    """

    def __init__(self, command: Sequence[str], environment: Mapping[str, str], log: Path, **more: int) -> None:
        with open(log, "ab") as stream:
            self.process = subprocess.Popen(
                command,
                env={**os.environ, "PYTHONUNBUFFERED": "1", **environment},
                stderr=stream,
                cwd=log.parent,
                **{"stdout": stream.fileno(), **more},
            )
        self.log = log
        self.begun = time.perf_counter()

    def members(self) -> list[psutil.Process]:
        """All processes that are alive."""
        try:
            root = psutil.Process(self.process.pid)
            return [root, *root.children(recursive=True)]
        except psutil.NoSuchProcess:
            return []

    def pause(self) -> None:
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        self._signal(signal.SIGCONT)

    def cpu_seconds(self) -> float:
        """Used so far by all members."""
        total = 0.0
        for member in self.members():
            with contextlib.suppress(psutil.NoSuchProcess):
                times = member.cpu_times()
                total += times.user + times.system
        return total

    def memory(self) -> Memory:
        """Now."""
        found = []
        for member in self.members():
            with contextlib.suppress(psutil.NoSuchProcess):
                info = member.memory_full_info()
                found.append((info.uss / 1e6, info.rss / 1e6))
        own, resident = max(found)
        return Memory(resident, own, sum(uss for uss, _ in found))

    def stop(self) -> None:
        """End it, gently first."""
        members = self.members()
        self.resume()
        self.process.terminate()
        _, alive = psutil.wait_procs(members, timeout=15)
        for member in alive:
            with contextlib.suppress(psutil.NoSuchProcess):
                member.kill()
        self.process.wait()

    def fail(self, message: str) -> NoReturn:
        raise SystemExit(f"{message}\n{self.log}:\n{self.log.read_text(errors='replace')[-4000:]}")

    def _signal(self, number: int) -> None:
        for member in self.members():
            with contextlib.suppress(psutil.NoSuchProcess):
                member.send_signal(number)


class Server(Group):
    """A server on a port of its own.

    Attributes:
        url: Of its `/predict`.
        seconds: From its start to its first 200.
    """

    def __init__(
        self, command: Sequence[str], environment: Mapping[str, str], log: Path, port: int, ready: str = "/readyz"
    ) -> None:
        super().__init__(command, environment, log)
        self.url = f"http://127.0.0.1:{port}/predict"
        while not _answers(f"http://127.0.0.1:{port}{ready}"):
            if self.process.poll() is not None:
                self.fail(f"{' '.join(command)} ended with {self.process.returncode}")
            if time.perf_counter() - self.begun > _READY_S:
                self.stop()
                self.fail(f"{' '.join(command)} is not ready after {_READY_S} s")
            time.sleep(0.02)
        self.seconds = time.perf_counter() - self.begun

    def post(self, body: bytes, content_type: str) -> dict[str, object]:
        """One answer."""
        request = urllib.request.Request(self.url, body, {"Content-Type": content_type})
        try:
            with _direct.open(request, timeout=30) as answer:
                found: dict[str, object] = json.load(answer)
        except urllib.error.HTTPError as error:
            self.fail(f"{self.url} answered {error.code}: {error.read(2000).decode(errors='replace')}")
        return found

    def settle(self) -> None:
        """Wait until the requests that wrk gave up at its end are done with; they would be in the next turn's way."""
        quiet = 0
        for _ in range(50):
            before = self.cpu_seconds()
            time.sleep(0.1)
            quiet = quiet + 1 if self.cpu_seconds() - before < 0.02 else 0
            if quiet == 3:
                return

    def drive(self, connections: int, seconds: int, bodies: Path, count: int, content_type: str) -> Load:
        """Load it with wrk; bodies lie in files named 00, 01, ..."""
        before = self.cpu_seconds()
        done = subprocess.run(
            [
                *("wrk", f"-t{_WRK_THREADS}", f"-c{connections}", f"-d{seconds}s", "--timeout", "20s"),
                *("-s", str(HERE / "serving_rotate.lua"), self.url, "--", str(bodies), str(count), content_type),
            ],
            capture_output=True,
            text=True,
            check=True,
        )
        return load(json.loads(done.stdout.strip().splitlines()[-1]), self.cpu_seconds() - before)


class Limit(Group):
    """`serving_limit.py`, in a process of its own."""

    seconds = None

    def __init__(self, bundle: Path, bodies: Path, way: str, log: Path) -> None:
        command = [sys.executable, str(HERE / "serving_limit.py"), str(bundle), str(bodies), way]
        environment = {"OMP_NUM_THREADS": "1"}
        super().__init__(command, environment, log, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self._line()

    def measure(self, seconds: float) -> Load:
        before = self.cpu_seconds()
        assert self.process.stdin is not None
        self.process.stdin.write(f"{seconds}\n".encode())
        self.process.stdin.flush()
        return load(json.loads(self._line()), self.cpu_seconds() - before)

    def _line(self) -> bytes:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            self.fail("the limit's process ended")
        return line


def load(found: Mapping[str, float], cpu_seconds: float) -> Load:
    """From the line that wrk's script or the limit's process prints."""
    return Load(
        rate=found["requests"] / found["seconds"],
        p50=found["p50_ms"],
        p99=found["p99_ms"],
        cores=cpu_seconds / found["seconds"],
        not_2xx=int(found["not_2xx"]),
        broken=int(found["broken"]),
    )


def free_port() -> int:
    """One that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


_direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def _answers(url: str) -> bool:
    try:
        with _direct.open(url, timeout=5) as answer:
            return bool(answer.status == 200)
    except (OSError, urllib.error.URLError):
        return False
