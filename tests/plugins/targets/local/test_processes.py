"""A process is known by its marks, whatever it calls itself."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from pizzeria_plugins.targets import processes

NAMED = """
import sys, setproctitle
setproctitle.setproctitle("circusd")
print("up", flush=True)
sys.stdin.read()
"""


def test_a_process_that_names_itself_is_found(tmp_path: Path) -> None:
    """setproctitle writes over the environment, unless it is told not to."""
    pytest.importorskip("setproctitle")
    marks = processes.marks("a-token", tmp_path)
    with subprocess.Popen(
        [sys.executable, "-c", NAMED], env=os.environ | marks, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        assert [one.pid for one in processes.marked("a-token")] == [process.pid]
        assert [one.pid for one in processes.others(tmp_path)] == [process.pid]
        processes.stop(lambda: processes.marked("a-token"), 5)
        assert process.wait() != 0


def test_a_process_is_found_as_soon_as_it_is_started(tmp_path: Path) -> None:
    """While the kernel loads a program, its environment cannot be read: once in some 200 starts it looked dead."""
    read, write = os.pipe()
    try:
        for i in range(150):
            token = f"pizza-{os.getpid()}-{i}"
            environment = {**os.environ, **processes.marks(token, tmp_path)}
            pid = processes.start(["sleep", "60"], environment, tmp_path, tmp_path / "log", read)
            assert [found.pid for found in processes.marked(token)] == [pid]
            processes.stop(lambda token=token: processes.marked(token), 0)  # type: ignore[misc]
    finally:
        processes.stop(lambda: processes.others(tmp_path), 0)
        os.close(read)
        os.close(write)


def test_a_program_that_ends_at_once_is_not_waited_for(tmp_path: Path) -> None:
    read, write = os.pipe()
    environment = {**os.environ, **processes.marks("ended", tmp_path)}
    processes.start(["true"], environment, tmp_path, tmp_path / "log", read)
    os.close(read)
    os.close(write)
    processes.stop(lambda: processes.marked("ended"), 5)
    assert processes.marked("ended") == []
