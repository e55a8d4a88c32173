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
