"""Which stages run, and why: on a small table with the real source, the real expectations and the real split."""

from __future__ import annotations

import csv
import errno
import random
import sqlite3
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from pizzeria.errors import DataError, ExpectationError, PizzeriaError, StorageError
from pizzeria.execution import execute
from pizzeria.graph import plan, run_id, stages
from pizzeria.loading import load_spec
from pizzeria.progress import PlainProgress
from pizzeria.runs.ledger import Ledger
from pizzeria.runs.store import Store
from pizzeria.runs.working import works
from pizzeria.spec.spec import Spec
from pizzeria.stages.stage import Job, Outcome

SPEC = """
defaults:
  - override /data: table
  - override /features: columns
  - override /model: tabular_network
name: prices
problem:
  need: Test.
  owner: tests
  task: tabular_regression
  target: price
  success: [{metric: r2, at_least: 0.5}]
data:
  path: prices.csv
  expectations:
    rows: [{expect_column_values_to_be_between: {column: area, min_value: 0, max_value: 100}}]
  leakage: {allow: [{what: target, column: area, reason: The price is three times the area.}]}
"""


@pytest.fixture
def folder(working_folder: Path) -> Path:
    (working_folder / "prices.yaml").write_text(SPEC)
    write_rows(working_folder / "prices.csv")
    return working_folder


def write_rows(path: Path, area: float | None = None) -> None:
    draw = random.Random(0)
    with open(path, "w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["area", "kind", "price"])
        for i in range(60):
            size = area if area is not None and i == 7 else round(draw.uniform(10, 90), 1)
            writer.writerow([size, draw.choice(["flat", "house"]), round(3 * size, 1)])


def spec(*overrides: str) -> Spec:
    return load_spec(["prices.yaml", *overrides])


def would_run(found: Spec) -> list[str]:
    return [step.name for step in plan(found, Store()) if step.result is None]


def features(found: Spec) -> tuple[str, ...]:
    return execute(found, Store(), PlainProgress(), until="features").ran


def test_stages_stand_in_the_order_of_their_inputs() -> None:
    names = [stage.NAME for stage in stages()]
    assert names == ["collect", "validate", "split", "leakage", "features", "train", "evaluate", "package", "deploy"]
    for stage in stages():
        assert all(names.index(name) < names.index(stage.NAME) for name in (*stage.INPUTS, *stage.AFTER))


def test_an_unchanged_run_executes_nothing_and_a_change_only_what_follows(folder: Path) -> None:
    assert features(spec()) == ("collect", "validate", "split", "leakage", "features")
    assert features(spec()) == ()

    changed = spec("training.max_epochs=3")
    assert would_run(changed) == ["train", "evaluate", "package", "deploy"]
    assert run_id(changed, plan(changed, Store())) != run_id(spec(), plan(spec(), Store()))

    resplit = spec("data.split.seed=4")
    assert would_run(resplit)[0] == "split"
    reason = {step.name: step.why for step in plan(resplit, Store())}["split"]
    assert reason == "data.split.seed: 0 -> 4"

    write_rows(folder / "prices.csv", area=55.5)
    steps = {step.name: step.why for step in plan(spec(), Store())}
    assert steps["collect"] == "data files changed"
    assert features(spec()) == ("collect", "validate", "split", "leakage", "features")


def test_a_changed_check_runs_again_and_nothing_behind_it(folder: Path) -> None:
    features(spec())
    file = folder / "prices.yaml"
    file.write_text(file.read_text().replace("max_value: 100", "max_value: 95").replace("three times", "thrice"))
    assert would_run(spec())[:2] == ["validate", "leakage"]
    assert features(spec()) == ("validate", "leakage")
    file.write_text(file.read_text().replace("max_value: 95", "max_value: 1"))
    with pytest.raises(ExpectationError):
        features(spec())


def test_a_sweep_makes_one_run_for_each_value(folder: Path) -> None:
    command = [sys.executable, "-m", "pizzeria.cli", "run", "-m", "prices.yaml", "training.max_epochs=1,2"]
    done = subprocess.run([*command, "--until", "features"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "[1/2] prices.yaml training.max_epochs=1" in done.stderr
    assert "[2/2] prices.yaml training.max_epochs=2" in done.stderr
    assert len(Store().runs()) == 2


def test_a_sweep_with_one_wrong_value_runs_nothing(folder: Path) -> None:
    command = [sys.executable, "-m", "pizzeria.cli", "run", "-m", "prices.yaml", "training.max_epochs=1,0"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "training.max_epochs: found 0" in done.stderr
    assert Store().runs() == []


def test_a_changed_plugin_reruns_its_stage(folder: Path) -> None:
    local = folder / "plugins" / "validators"
    local.mkdir(parents=True)
    text = "from pizzeria_plugins.validators.great_expectations import Options, check_names, validate\n"
    (local / "mine.py").write_text(text)
    mine = spec("data.validator=mine")
    assert features(mine) == ("collect", "validate", "split", "leakage", "features")
    (local / "mine.py").write_text(text + "# another version\n")
    from pizzeria import fingerprint

    fingerprint._read_once.cache_clear()  # a new process would have read the new version
    steps = {step.name: step.why for step in plan(mine, Store())}
    assert steps["collect"] == ""
    assert steps["validate"] == "code changed: pizzeria_local.validators.mine"


def test_a_failed_expectation_stops_the_run_names_the_row_and_stays_failed(folder: Path) -> None:
    write_rows(folder / "prices.csv", area=-5.0)
    with pytest.raises(ExpectationError, match=r"expect_column_values_to_be_between.*failed for 1 of 60.*-5"):
        features(spec())
    with pytest.raises(ExpectationError):  # at once, from the cache
        features(spec())
    assert would_run(spec())[0] == "split"
    assert [entry.event for entry in Ledger(Store().root).entries("prices")] == ["run_started", "run_stopped"] * 2


def test_missing_data_are_named(folder: Path) -> None:
    with pytest.raises(DataError, match=r"there is no .*prcies\.csv"):
        plan(spec("data.path=prcies.csv"), Store())


def test_a_stage_at_work_is_locked_against_another_process(folder: Path) -> None:
    store = Store()
    first = plan(spec(), store)[0]
    with store.partial(first.fingerprint, keep=False), pytest.raises(PizzeriaError, match="another process"):
        features(spec())
    assert features(spec())[0] == "collect"


def test_the_ledger_is_append_only(working_folder: Path) -> None:
    import sqlite3

    ledger = Ledger(Store().root)
    ledger.add("promoted", "m", run="m-1", sha256="a")
    ledger.add("promoted", "m", run="m-2", sha256="b")
    champion = ledger.champion("m")
    assert champion is not None
    assert champion.sha256 == "b"
    with sqlite3.connect(Store().root / "ledger.sqlite") as connection:
        for statement in ("delete from ledger", "update ledger set sha256 = 'c'"):
            with pytest.raises(sqlite3.IntegrityError, match="append-only"):
                connection.execute(statement)
    connection.close()
    ledger.add("stopped", "m")
    assert ledger.champion("m") is None


def test_a_member_of_a_sweep_waits_for_a_stage_at_work_and_takes_its_result(folder: Path) -> None:
    def collected(told: Told) -> tuple[str, ...]:
        return execute(spec(), Store(), told, until="collect", wait=True).ran

    store, told = Store(), Told()
    first = plan(spec(), store)[0]
    with ThreadPoolExecutor(2) as pool:
        with store.partial(first.fingerprint, keep=False):
            waiting = pool.submit(collected, told)
            while "collect: another process is at it; waiting" not in told.lines:
                time.sleep(0.01)
        waiting.result()
        assert (store.cache / first.fingerprint).is_dir()  # nobody had left it, so it was done

        (store.cache / first.fingerprint).rename(store.cache / "aside")
        told = Told()
        with store.partial(first.fingerprint, keep=False) as partial:
            waiting = pool.submit(collected, told)
            while "collect: another process is at it; waiting" not in told.lines:
                time.sleep(0.01)
            partial.rmdir()
            (store.cache / "aside").rename(partial)
            partial.rename(store.cache / first.fingerprint)  # as a commit does
        waiting.result()
    assert told.lines[-1] == "collect: another process has done it"
    assert not list(store.cache.glob("*.partial"))


class Told(PlainProgress):
    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []

    def say(self, text: str) -> None:
        self.lines.append(text)


def test_whatever_ends_a_run_the_ledger_is_told(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def breaks(*_: object) -> None:
        raise ZeroDivisionError("a fault of our own")

    monkeypatch.setattr("pizzeria.execution._run_stage", breaks)
    store = Store()
    with pytest.raises(ZeroDivisionError):
        execute(load_spec(["prices.yaml"]), store, PlainProgress(), until="split")
    started, stopped = Ledger(store.root).entries("prices")
    assert (started.event, stopped.event) == ("run_started", "run_stopped")
    assert "a fault of our own" in stopped.detail["message"]
    assert works(store) == []


@pytest.mark.parametrize("ledger_is_full", [False, True])
def test_a_stage_that_finds_no_room_says_which_disk_is_full_and_the_ledger_is_told_if_it_can_be(
    folder: Path, monkeypatch: pytest.MonkeyPatch, ledger_is_full: bool
) -> None:
    def cannot_add(*_args: object, **_details: object) -> None:
        error = sqlite3.OperationalError("database or disk is full")
        error.sqlite_errorcode = sqlite3.SQLITE_FULL
        raise error

    with monkeypatch.context() as full:

        def finds_no_room(job: Job) -> Outcome:
            if ledger_is_full:
                full.setattr(Ledger, "add", cannot_add)
            raise OSError(errno.ENOSPC, "No space left on device")

        full.setattr("pizzeria.stages.collect.run", finds_no_room)
        with pytest.raises(StorageError, match="has no room for what was to be written"):
            execute(spec(), Store(), PlainProgress(), until="collect")
    events = [entry.event for entry in Ledger(Store().root).entries("prices")]
    assert events == (["run_started"] if ledger_is_full else ["run_started", "run_stopped"])
    assert execute(spec(), Store(), PlainProgress(), until="collect").ran == ("collect",)
