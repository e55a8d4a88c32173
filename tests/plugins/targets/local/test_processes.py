"""A process is known by its marks, whatever it calls itself."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from uuid import uuid4

import psutil
import pytest

from pizzeria_plugins.targets import processes

from .conftest import until

NAMED = """
import sys, setproctitle
setproctitle.setproctitle("circusd")
print("up", flush=True)
sys.stdin.read()
"""


def test_a_process_that_names_itself_is_found(tmp_path: Path) -> None:
    """setproctitle writes over the environment, unless it is told not to."""
    pytest.importorskip("setproctitle")
    token = uuid4().hex
    marks = processes.marks(token, tmp_path)
    with subprocess.Popen(
        [sys.executable, "-c", NAMED], env=os.environ | marks, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        assert [one.pid for one in processes.marked(token)] == [process.pid]
        assert [one.pid for one in processes.others(tmp_path)] == [process.pid]
        processes.stop(lambda: processes.marked(token), 60)
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


def test_a_process_is_found_while_its_program_is_loaded(tmp_path: Path) -> None:
    """It may have been started by a service, or by its keeper; whoever stops them must not take it for gone."""
    missed = 0
    for _ in range(150):
        token = uuid4().hex
        with subprocess.Popen(["sleep", "600"], env=os.environ | processes.marks(token, tmp_path)) as process:
            missed += processes._variable(psutil.Process(process.pid), "PIZZERIA_DEPLOYMENT") != token
            process.kill()
    assert missed == 0


def test_a_program_that_ends_at_once_is_not_waited_for(tmp_path: Path) -> None:
    read, write = os.pipe()
    token = uuid4().hex
    environment = {**os.environ, **processes.marks(token, tmp_path)}
    processes.start(["true"], environment, tmp_path, tmp_path / "log", read)
    os.close(read)
    os.close(write)
    processes.stop(lambda: processes.marked(token), 5)
    assert processes.marked(token) == []


def test_a_process_is_found_whose_id_was_another_ones(tmp_path: Path) -> None:
    """psutil remembers whom it has seen: a keeper that looks after weeks finds new processes under ids of old ones."""
    token = uuid4().hex
    with subprocess.Popen(["sleep", "600"], env=os.environ | processes.marks(token, tmp_path)) as process:
        until(lambda: processes.marked(token))
        list(psutil.process_iter())
        remembered = psutil._pmap[process.pid]
        remembered._create_time, remembered._ident = 1.0, (process.pid, 1.0)
        processes.stop(lambda: processes.marked(token), 60)
        assert process.wait(60) != 0
