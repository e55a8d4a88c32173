"""`pizzeria run -m` with Hydra's real sweepers and launchers, on a small table."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from pizzeria.cli import main
from pizzeria.graph import plan
from pizzeria.loading import load_spec
from pizzeria.runs.ledger import Ledger
from pizzeria.runs.store import Store
from pizzeria.sweeping.records import Member, find_sweep

OPTUNA = ("hydra/sweeper=optuna", "hydra.sweeper.n_trials=3", "hydra.sweeper.n_jobs=1")
SPACE = ("training.learning_rate=tag(log, interval(1e-3,1e-1))", "model.hidden=choice(8,16)")


def sweep(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["run", "-m", "prices.yaml", *arguments], catch_exceptions=False)


def members() -> list[Member]:
    return find_sweep(Store().root, None).ended()


def started() -> list[list[str]]:
    """Stages that each run which had something to do began with."""
    return [entry.detail["stages"] for entry in Ledger(Store().root).entries("prices") if entry.event == "run_started"]


def runs_started() -> list[str]:
    return [entry.run for entry in Ledger(Store().root).entries("prices") if entry.event == "run_started"]


def test_optuna_searches_on_validation_and_goes_on_by_asking_again(folder: Path) -> None:
    done = sweep(*OPTUNA, *SPACE)
    assert done.exit_code == 0, done.output
    found = members()
    assert [member.number for member in found] == [0, 1, 2]
    for member in found:
        assert member.state == "done"
        assert 1e-3 <= member.settings["training.learning_rate"] <= 1e-1
        assert member.settings["model.hidden"] in (8, 16)
        assert member.spec["model"]["hidden"] == member.settings["model.hidden"]
        # The trainer measured the same network on the same split.
        assert member.validation["mae"] == pytest.approx(member.training["validation_mae"], rel=1e-4)
        assert member.validation["mae"] != member.test["mae"]
    stages = started()
    assert stages[0][0] == "collect"
    assert stages[1:] == [["train", "evaluate"]] * 2  # what members share was done once

    newest = find_sweep(Store().root, None)
    told = (newest.folder / "optimization_results.yaml").read_text()
    best = min(found, key=lambda member: member.validation["mae"] or 0)  # less is better
    assert f"best_value: {best.validation['mae']}" in told

    again = sweep(*OPTUNA, *SPACE)
    assert again.exit_code == 0
    assert [member.settings for member in members()] == [member.settings for member in found]
    assert started() == stages  # nothing had to run
    check_best(newest.folder, best)
    check_comparison(best, found)


def check_best(sweep_folder: Path, best: Member) -> None:
    """The best spec is whole: everything up to its evaluation stands, and what is left is to package and to deploy."""
    text = (sweep_folder / "best.yaml").read_text()
    assert text.startswith(f"# The best of {sweep_folder.name}: member {best.number + 1}, ")
    steps = plan(load_spec([str(sweep_folder / "best.yaml")]), Store())
    assert [step.name for step in steps if step.result is None] == ["package", "deploy"]


def check_comparison(best: Member, found: list[Member]) -> None:
    def compared(*names: str) -> dict[str, Any]:
        done = CliRunner().invoke(main, ["compare", *names, "--json"], catch_exceptions=False)
        plain: dict[str, Any] = json.loads(done.stdout)
        return plain

    of_sweep = compared("prices")
    assert (of_sweep["metric"], of_sweep["split"], of_sweep["better"]) == ("mae", "validation", "lower")
    values = [row["validation"] for row in of_sweep["members"]]
    assert values == sorted(values)
    assert of_sweep["best"] == best.number + 1
    assert all(row["cost"]["unit"] == "CPU-core hours" and row["cost"]["price"] is None for row in of_sweep["members"])
    assert Path(of_sweep["page"]).read_text().count("</tr>") == 1 + len(found)

    of_runs = compared(*(member.run for member in found))  # the same by their runs alone
    assert [row["run"] for row in of_runs["members"]] == [row["run"] for row in of_sweep["members"]]
    assert [row["validation"] for row in of_runs["members"]] == values
    assert set(of_runs["members"][0]["settings"]) == {"training.learning_rate", "model.hidden"}

    printed = CliRunner().invoke(main, ["compare"], catch_exceptions=False).stdout.splitlines()
    assert printed[1].split()[:2] == [str(best.number + 1), "best"]


def test_members_in_two_processes_share_stages(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    done = sweep(
        *("hydra/launcher=joblib", "hydra.launcher.n_jobs=2", "training.max_epochs=1,2,3", "--until", "features")
    )
    assert done.exit_code == 0, done.output
    assert [member.settings for member in members()] == [{"training.max_epochs": n} for n in (1, 2, 3)]
    assert len({member.run for member in members()}) == 3
    lines = capfd.readouterr().err.splitlines()
    for stage in ("collect", "validate", "split", "leakage", "features"):
        assert sum(f"] {stage}: done in" in line for line in lines) == 1


@pytest.mark.slow
def test_members_run_on_a_ray_cluster(folder: Path) -> None:
    # A process of its own, so that the cluster ends with it.
    on_ray = (
        "hydra/launcher=ray",
        "+hydra.launcher.ray.init.num_cpus=2",
        "+hydra.launcher.ray.init.include_dashboard=false",
    )
    command = [sys.executable, "-m", "pizzeria.cli", "run", "-m", "prices.yaml", *on_ray]
    done = subprocess.run(
        [*command, "data.path=prices.csv,absent.csv", "--until", "collect"],
        env={**os.environ, "RAY_worker_niceness": "0"},
        capture_output=True,
        text=True,
        timeout=550,
        check=False,
    )
    assert done.returncode == 1, done.stderr
    assert "1 of 2 members failed: 2" in done.stderr
    assert [member.state for member in members()] == ["done", "failed"]
    assert started()[0] == ["collect"]


def test_a_sweep_goes_on_after_a_kill(folder: Path) -> None:
    for name in "abc":
        (folder / f"{name}.csv").write_bytes((folder / "prices.csv").read_bytes())
    arguments = ("data.path=a.csv,b.csv,c.csv", "--until", "collect")
    command = [sys.executable, "-m", "pizzeria.cli", "run", "-m", "prices.yaml", *arguments]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL, start_new_session=True) as one:
        until = time.monotonic() + 300
        while not list((Store().root / ".sweeps").glob("*/members/0000.json")) and time.monotonic() < until:
            time.sleep(0.01)
        os.killpg(one.pid, signal.SIGKILL)
    before = runs_started()
    assert sweep(*arguments).exit_code == 0
    found = members()
    assert [member.settings["data.path"] for member in found] == ["a.csv", "b.csv", "c.csv"]
    assert found[0].run in before
    assert found[0].run not in runs_started()[len(before) :]  # what stands is not run again
    assert {member.run for member in found} == set(runs_started())
    assert len(list((Store().root / ".sweeps").glob("*/sweep.json"))) == 1


def test_a_member_that_fails_is_told_and_the_rest_run(folder: Path) -> None:
    arguments = ("data.path=absent.csv,prices.csv", "--until", "collect")
    done = sweep(*arguments)
    assert done.exit_code == 1
    assert "1 of 2 members failed: 1" in done.stderr
    first, second = members()
    assert (first.state, second.state) == ("failed", "done")
    assert "there is no absent.csv" in first.message

    (folder / "absent.csv").write_bytes((folder / "prices.csv").read_bytes())
    assert sweep(*arguments).exit_code == 0
    assert [member.state for member in members()] == ["done", "done"]


def test_optuna_stops_at_failures_only_when_it_is_asked_to(folder: Path) -> None:
    absent = (*OPTUNA, "data.path=choice(a.csv,b.csv)")
    done = sweep(*absent)
    assert done.exit_code == 1
    assert "3 of 3 members failed: 1, 2, 3" in done.stderr
    done = sweep(*absent, "hydra.sweeper.max_failure_rate=0.5")
    assert done.exit_code == 1
    assert "the sweep cannot go on: there is no" in done.stderr
    assert len(members()) == 1


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("training.max_epochs=1,0",), "training.max_epochs: found 0"),
        (("hydra/sweeper=optuna", "training.max_epochs=interval(0,5)"), "training.max_epochs: found 0"),
        (("hydra/sweeper=optuna", "model.hidden=choice(8,0)"), "model.hidden: found 0"),
        (("training.learning_rate=interval(0.1,0.2)",), "does not support sweep type"),
        (("hydra/sweeper=optuna", "model.hidden=8,16", "--until", "split"), "leaves no mae to search by"),
        (
            ("hydra/sweeper=optuna", "hydra.sweeper.direction=maximize", "model.hidden=8,16"),
            "it is minimize, by the met",
        ),
        (
            ("hydra/sweeper=optuna", "hydra.sweeper.storage=sqlite:///a.db", "model.hidden=8,16"),
            "hydra.sweeper.storage",
        ),
        (("hydra/sweeper=optuma", "model.hidden=8,16"), "did you mean optuna?"),
        (("hydra/launcher=joblib", "hydra.launcher.jobs=2", "model.hidden=8,16"), "hydra.launcher.jobs"),
        (("+hydra.sweeper.params={data.split.seed: '1,2'}",), "what is varied is written as keys of the spec"),
        (("hydra.sweep.dir=elsewhere", "model.hidden=8,16"), "only sweeper and launcher of Hydra can be set"),
        (("hydra.launcher._target_=os.system",), "a spec is data and cannot name code to run"),
        (("hydra/sweeper=optuna", "hydra.sweeper.sampler._target_=os.system"), "cannot name code to run: os.system"),
        (("hydra/sweeper=optuna", "hydra.sweeper.custom_search_space=os.system"), "cannot name code to run: os.system"),
        (("model.hidden=8,16", "--until", "evaluat"), "there is no stage 'evaluat'"),
    ],
)
def test_what_cannot_work_is_refused_and_nothing_runs(folder: Path, arguments: tuple[str, ...], told: str) -> None:
    done = sweep(*arguments)
    assert done.exit_code == 2
    assert told in done.stderr
    assert not list(Store().root.glob("prices-*"))
    assert not (Store().root / ".sweeps").exists()


def test_what_is_not_installed_is_named_with_what_brings_it(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from hydra.core.config_store import ConfigStore

    monkeypatch.delitem(ConfigStore.instance().repo["hydra"]["launcher"], "joblib.yaml")
    done = sweep("hydra/launcher=joblib", "model.hidden=8,16")
    assert done.exit_code == 2
    assert "hydra/launcher=joblib is not installed\n    pip install 'pizzeria[sweep]'" in done.stderr


def test_settings_of_hydra_are_of_a_sweep(folder: Path) -> None:
    done = CliRunner().invoke(main, ["run", "prices.yaml", "hydra/launcher=joblib"])
    assert done.exit_code == 2
    assert "hydra/launcher: this is of a sweep\n    add -m" in done.stderr


def test_unknown_names_are_told(folder: Path) -> None:
    for names, told in (([], "there is no sweep in"), (["pries"], "there is no sweep and no run 'pries'")):
        done = CliRunner().invoke(main, ["compare", *names])
        assert done.exit_code == 2
        assert told in done.stderr
