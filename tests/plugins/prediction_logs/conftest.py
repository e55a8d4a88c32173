"""A real PostgreSQL server, and every prediction log over an empty place of its own."""

from __future__ import annotations

import contextlib
import os
import pwd
import secrets
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from pizzeria.inference.records import new_prediction_id
from pizzeria.ports import free_port
from pizzeria_plugins.prediction_logs import lines, parquet, postgresql, sqlite

PASSWORD = "s3cr3t-" + secrets.token_hex(8)
ADDRESS = "PIZZERIA_TEST_DATABASE"
"""Environment variable with the server's address."""


def record(second: int = 0, sha256: str = "aa", **values: Any) -> dict[str, Any]:
    """What a service would log at that second."""
    return {
        "timestamp": f"2026-05-01T12:00:{second:02d}.500+00:00",
        "prediction_id": new_prediction_id(),
        "sha256": sha256,
        "input_id": f"photo-{second}.jpg",
        "listing_id": "",
        "latency_ms": 3.5,
        "p:bed": 0.25,
        "pred:bed": 0,
        **values,
    }


class Server:
    """A PostgreSQL server that can be stopped and started again."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._as = ()
        if os.geteuid() == 0:  # it refuses to run as root
            user = _some_user()
            self._as = ("setpriv", f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups")
            os.chown(folder, user.pw_uid, user.pw_gid)
        (folder / "password").write_text(PASSWORD)
        (folder / "password").chmod(0o644)
        self.port = free_port()  # a test stops the server, and nobody else is to have the port meanwhile
        self._run("initdb", "-U", "pizzeria", "-A", "scram-sha-256", f"--pwfile={folder}/password", "-N")
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def address(self) -> str:
        return f"postgresql://pizzeria:{PASSWORD}@127.0.0.1:{self.port}/postgres"

    def start(self) -> None:
        import psycopg

        own = ("-h", "127.0.0.1", "-p", str(self.port), "-k", str(self.folder), "-c", "fsync=off")
        with open(self.folder / "log", "ab") as log:
            self.process = subprocess.Popen(
                [*self._as, _program("postgres"), "-D", f"{self.folder}/data", *own],
                stdout=log,
                stderr=log,
                cwd=self.folder,
            )
        deadline = time.monotonic() + 240
        while True:
            try:
                psycopg.connect(self.address, connect_timeout=20).close()
                return
            except psycopg.OperationalError:
                assert self.process.poll() is None, (self.folder / "log").read_text()
                assert time.monotonic() < deadline, (self.folder / "log").read_text()
                time.sleep(0.1)

    def stop(self) -> None:
        if self.process is not None:
            self.process.send_signal(signal.SIGINT)  # "fast": sessions are ended
            self.process.wait(240)
            self.process = None

    def _run(self, program: str, *arguments: str) -> None:
        command = [*self._as, _program(program), "-D", f"{self.folder}/data", *arguments]
        subprocess.run(command, check=True, capture_output=True, cwd=self.folder)


def _some_user() -> pwd.struct_passwd:
    for name in ("postgres", "nobody"):
        with contextlib.suppress(KeyError):
            return pwd.getpwnam(name)
    pytest.skip("PostgreSQL cannot run as root, and there is no user postgres or nobody: the log is NOT TESTED")


def _program(name: str) -> str:
    found = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}")) or [Path(shutil.which(name) or "")]
    if not found[-1].name:
        pytest.skip(f"{name} is not installed: the PostgreSQL prediction log is NOT TESTED")
    return str(found[-1])


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    """A server that runs; it lies in /tmp, where another user may go."""
    folder = Path(tempfile.mkdtemp(prefix="pizzeria-postgresql-"))
    try:
        one = Server(folder)
        one.start()
        yield one
        one.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def database(server: Server, monkeypatch: pytest.MonkeyPatch) -> Iterator[postgresql.Options]:
    """Options with a schema that is not there yet; the server runs again when a test has stopped it."""
    monkeypatch.setenv(ADDRESS, server.address)
    patient = {"connect_timeout_s": 120, "statement_timeout_s": 120}  # a busy machine is no server that is gone
    yield postgresql.Options(dsn_from=ADDRESS, schema=f"log {uuid4().hex[:8]}", **patient)
    if server.process is None:
        server.start()


@dataclass
class Log:
    """One log plugin with its options."""

    plugin: Any
    options: Any
    folder: Path
    shared: bool = True
    """Whether another process sees it."""
    write: Callable[[Sequence[Mapping[str, Any]]], None] = field(init=False)

    def __post_init__(self) -> None:
        self.write = self.plugin.writer(self.options, self.folder)

    def read(self, sha256: str | None = None) -> Any:
        return self.plugin.read(self.options, self.folder, sha256=sha256)

    def photo(self, prediction_id: str) -> bytes | None:
        found: bytes | None = self.plugin.photo(self.options, self.folder, prediction_id)
        return found

    def prune(self, before: str) -> int:
        return int(self.plugin.prune(self.options, self.folder, datetime.fromisoformat(before)))


@pytest.fixture(params=["sqlite", "postgresql", "parquet", "parquet elsewhere", "lines"])
def log(request: pytest.FixtureRequest, tmp_path: Path) -> Log:
    """Every prediction log in turn, empty."""
    match request.param:
        case "sqlite":
            return Log(sqlite, sqlite.Options(), tmp_path)
        case "postgresql":
            return Log(postgresql, request.getfixturevalue("database"), tmp_path)
        case "lines":
            return Log(lines, lines.Options(path="records.jsonl"), tmp_path)
        case "parquet":
            return Log(parquet, parquet.Options(url=f"file://{tmp_path}/parts"), tmp_path)
        case _:
            return Log(parquet, parquet.Options(url=f"memory://{uuid4().hex}/parts"), tmp_path, shared=False)


@contextlib.contextmanager
def small_disk(folder: Path, megabytes: int) -> Iterator[Path]:
    """A file system of that size; the test is skipped where none can be mounted."""
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", str(folder)], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("no file system can be mounted here (root may): a full disk is NOT TESTED")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True, capture_output=True)
