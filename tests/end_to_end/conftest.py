"""One whole demo for all tests of this folder: trained, served and monitored, as a user would start it."""

from __future__ import annotations

import atexit
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from ..ports import held_port

PIZZERIA = (sys.executable, "-m", "pizzeria.cli")


@dataclass(frozen=True)
class Kitchen:
    """A working folder in which commands run as a user would type them."""

    folder: Path
    port: int
    demo: subprocess.CompletedProcess[str] | None = None

    def run(self, *arguments: str, timeout: float = 600) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*PIZZERIA, *arguments],
            cwd=self.folder,
            env={**os.environ, "COLUMNS": "140", "PIZZERIA_STORE": str(self.folder / "runs")},
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def only_run(self) -> Path:
        [run] = (self.folder / "runs").glob("amenities-*")
        return run


_PORTS = ExitStack()
atexit.register(_PORTS.close)


def open_kitchen(folder: Path) -> Kitchen:
    """A folder whose own config group moves the service to a port that is its own, however long the training lasts."""
    port = _PORTS.enter_context(held_port())
    (folder / "conf" / "deployment").mkdir(parents=True)
    (folder / "conf" / "deployment" / "local.yaml").write_text(f"use: local\nport: {port}\n")
    return Kitchen(folder, port)


@pytest.fixture(scope="session")
def kitchen(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kitchen]:
    """A folder after `pizzeria demo`; its service lives until the last test."""
    place = open_kitchen(tmp_path_factory.mktemp("kitchen"))
    done = place.run("demo", timeout=900)
    assert done.returncode == 0, done.stdout + done.stderr
    yield Kitchen(place.folder, place.port, done)
    stopped = place.run("stop", "amenities")
    assert stopped.returncode == 0, stopped.stderr
