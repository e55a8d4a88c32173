"""Runs at work, and runs that died."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from pizzeria.runs.ledger import Ledger
from pizzeria.runs.store import Run, Store
from pizzeria.runs.working import at_work, settle, works

STAGES = {"collect": "a" * 64, "train": "b" * 64}


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return Store(tmp_path / "runs").open_run("prices-1", "name: prices\n")


def store_of(run: Run) -> Store:
    return Store(run.folder.parent)


def killed_at_train(run: Run) -> None:
    code = (
        "import os, signal\nfrom pathlib import Path\nfrom pizzeria.runs.ledger import Ledger\n"
        "from pizzeria.runs.store import Run, Store\nfrom pizzeria.runs.working import at_work\n"
        f"run = Run(Path({str(run.folder)!r})); store = Store(run.folder.parent)\n"
        f"with at_work(run, 'prices', {STAGES!r}):\n"
        "    Ledger(store.root).add('run_started', 'prices', run=run.id)\n"
        f"    with store.partial({STAGES['train']!r}, keep=True) as folder:\n"
        "        (folder / 'curves.csv').write_text('1')\n"
        "        os.kill(os.getpid(), signal.SIGKILL)"
    )
    done = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True)
    assert done.returncode == -signal.SIGKILL, done.stderr


def test_a_run_at_work_is_told_with_its_stage(run: Run) -> None:
    store = store_of(run)
    with at_work(run, "prices", STAGES), store.partial(STAGES["train"], keep=True):
        [found] = settle(store)
        assert (found.run, found.name, found.alive, found.at, found.pid) == (
            run.id,
            "prices",
            True,
            "train",
            os.getpid(),
        )
        assert found.told().startswith(f"run prices-1 is at work at train since {found.since} (process ")
        assert found.plain()["state"] == "running"
    assert works(store) == []
    assert not (run.folder / ".at_work").exists()


def test_a_killed_run_is_dead_and_the_ledger_is_told_once(run: Run) -> None:
    store = store_of(run)
    killed_at_train(run)
    for _ in range(2):
        [found] = settle(store)
        assert (found.alive, found.at, found.plain()["state"]) == (False, "train", "dead")
    started, stopped = Ledger(store.root).entries("prices")
    assert (started.event, stopped.event, stopped.detail["killed"]) == ("run_started", "run_stopped", True)
    assert "its process was killed; last seen at work 20" in stopped.detail["message"]


def test_a_process_that_was_given_the_number_of_a_dead_one_does_not_make_it_live(run: Run) -> None:
    killed_at_train(run)
    [path] = (run.folder / ".at_work").glob("*.json")
    path.write_text(json.dumps(json.loads(path.read_text()) | {"pid": os.getpid()}))
    [found] = works(store_of(run))
    assert not found.alive


def test_two_processes_at_work_on_one_run_are_two(run: Run) -> None:
    store = store_of(run)
    with at_work(run, "prices", STAGES):
        with at_work(run, "prices", STAGES):
            assert len(works(store)) == 2
        assert len(works(store)) == 1
    assert works(store) == []


def test_a_file_that_somebody_else_put_there_says_nothing(run: Run) -> None:
    (run.folder / ".at_work").mkdir()
    (run.folder / ".at_work" / "notes.json").write_text("[]")
    assert works(store_of(run)) == []
