"""The trial `kills` sees a run that ends otherwise when it was killed, and what it leaves behind."""

from __future__ import annotations

import random
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import pytest

from pizzeria.torture import endings
from pizzeria.torture.bench import Bench
from pizzeria.torture.commands import Case, Command
from pizzeria.torture.kills import BEFORE, Alone, one_try
from pizzeria.torture.warm import Warm

_WAITS_S = 300.0
_SCRIPT = Path(__file__).with_name("half_a_run.py")


@dataclass(frozen=True)
class _Broken(Case):
    """A spec whose run is `half_a_run.py`; `gc` and `stop` do nothing.

    A try waits with half of its weights when it is begun for the first time: it is killed there, however busy the
    machine is.
    """

    fault: str = "none"

    def start(self, name: str, *arguments: str, real: bool = False) -> Command:
        waits = not arguments and name == "try" and not self.log(name).exists()
        seconds = _WAITS_S if waits else 0
        work = [str(_SCRIPT), str(self.store(name)), self.fault, str(seconds)] if not arguments else ["-c", ""]
        with open(self.log(name), "ab") as log:
            process = subprocess.Popen(
                [sys.executable, *work], env=self.environment(name), stdout=log, stderr=log, start_new_session=True
            )
        weights = self.store(name) / ".cache" / "ab12.partial" / "model.safetensors"
        while waits and not weights.exists() and process.poll() is None:
            time.sleep(0.01)
        return Command(process.pid, process.wait)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(endings, "_SETTLES_S", 0.5)


def _tried(folder: Path, fault: str) -> tuple[str, str]:
    bench = Bench(folder, False, random.Random(0))
    spec = folder / "work" / "tiny.yaml"
    spec.parent.mkdir()
    case = _Broken(bench, cast(Warm, None), spec, folder, fault=fault)
    assert case.run("alone") == 0
    ended = endings.outcome(case.store("alone"), "tiny")
    alone = Alone({"train": "ab12"}, {"train": 0.4, BEFORE: 0.1}, ended, 0)
    return one_try(case, alone, "try", "train", real=False)


def test_a_run_that_goes_on_well_holds(tmp_path: Path) -> None:
    assert _tried(tmp_path, "none") == ("in train", "")
    assert not (tmp_path / "try").exists()


def test_a_run_that_takes_half_a_file_for_whole_is_seen(tmp_path: Path) -> None:
    assert _tried(tmp_path, "half") == ("in train", "another train: model.safetensors")


def test_a_process_that_outlives_the_killed_one_is_seen(tmp_path: Path) -> None:
    _, problem = _tried(tmp_path, "child")
    assert "1 processes of the killed command go on" in problem


def test_what_is_left_behind_is_seen(tmp_path: Path) -> None:
    _, problem = _tried(tmp_path, "litter")
    assert problem == f"left over after the next run and gc: {tmp_path}/try/.litter.tmp"
