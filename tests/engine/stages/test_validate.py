"""The stage, with the real source and the real validator: what stops a run, what is told, and what a reference adds."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from click.testing import CliRunner

from pizzeria.cli import main
from pizzeria.errors import DataError, ExpectationError
from pizzeria.execution import Executed, execute
from pizzeria.graph import plan
from pizzeria.loading import load_spec
from pizzeria.progress import PlainProgress
from pizzeria.runs.store import Store
from pizzeria.stages import validate as stage

SPEC = """
defaults:
  - override /data: table
  - override /features: columns
  - override /model: tabular_network
name: prices
problem:
  need: Test.
  owner: tests
  task: tabular_classification
  classes: ["0", "1"]
  target: sold
  success: [{metric: accuracy, at_least: 0.5}]
data:
  path: new.parquet
"""


def rows(count: int = 300, shift: float = 0, **more: object) -> pd.DataFrame:
    rng = np.random.default_rng(count)
    frame = pd.DataFrame({"area": rng.normal(80 + shift, 15, count).round(3)})
    frame["town"] = rng.choice(["Bath", "York"], count)
    frame["seen"] = pd.Timestamp("2024-01-01") + pd.to_timedelta(np.arange(count), unit="h")
    frame["sold"] = rng.integers(0, 2, count)
    return frame.assign(**more)


@pytest.fixture
def folder(working_folder: Path) -> Path:
    (working_folder / "prices.yaml").write_text(SPEC)
    rows().to_parquet("new.parquet", index=False)
    return working_folder


def run(*overrides: str) -> Executed:
    return execute(load_spec(["prices.yaml", *overrides]), Store(), PlainProgress(), until="validate")


def test_a_warning_is_told_and_stops_nothing(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    own = "{rows: [{expect_column_max_to_be_between: {column: area, max_value: 10, severity: warning}}]}"
    done = run(f"data.expectations={own}")
    assert done.results["validate"].facts["warnings"] == 1
    assert done.results["validate"].facts["not_met"] == 0
    assert "warning: rows: expect_column_max_to_be_between(column=area, max_value=10)" in capsys.readouterr().err
    kept = json.loads((done.results["validate"].folder / "expectations.json").read_text())
    assert {entry["severity"] for entry in kept} == {"critical", "warning"}
    assert (done.results["validate"].folder / "data_docs" / "index.html").exists()
    with pytest.raises(ExpectationError, match=r"failed: observed 1[0-9][0-9]"):
        run(f"data.expectations={own.replace('warning', 'critical')}")


def test_what_is_undecided_stops_the_run_unless_it_is_a_warning(folder: Path) -> None:
    rows(stars=np.nan).to_parquet("new.parquet", index=False)
    own = "{rows: [{expect_column_min_to_be_between: {column: stars, min_value: 1, severity: critical}}]}"
    with pytest.raises(ExpectationError, match="is undecided: no row to evaluate"):
        run(f"data.expectations={own}")
    assert run(f"data.expectations={own.replace('critical', 'info')}").results["validate"].refusal is None


@pytest.mark.parametrize("result", ["()", "(Expectation('rows', 'a', {}, True, 0, 0),)"])
def test_a_suite_that_evaluated_nothing_is_undecided(folder: Path, result: str) -> None:
    local = folder / "plugins" / "validators"
    local.mkdir(parents=True)
    (local / "empty.py").write_text(
        "from pizzeria.contracts import Expectation\n"
        "from pizzeria_plugins.validators.great_expectations import Options, check_names\n\n"
        f"def validate(tables, problem, expectations, folder):\n    return {result}\n"
    )
    with pytest.raises(ExpectationError, match="is undecided: no"):
        run("data.validator=empty")


def test_a_profile_is_pasted_holds_on_its_reference_and_fails_on_shifted_data(folder: Path) -> None:
    shown = CliRunner().invoke(main, ["data", "profile", "prices.yaml"], catch_exceptions=False)
    assert shown.exit_code == 0, shown.output
    learnt = yaml.safe_load(shown.stdout)
    names = [name for entry in learnt["data"]["expectations"]["rows"] for name in entry]
    assert {name.split("expect_")[1] for name in names} >= {
        *("table_columns_to_match_set", "column_values_to_be_of_type", "column_values_to_not_be_null"),
        *("column_max_to_be_between", "column_values_to_be_between", "column_values_to_be_in_set"),
        *("column_quantile_values_to_be_between", "column_kl_divergence_to_be_less_than"),
    }
    plain = yaml.safe_load(SPEC)
    plain["data"] |= learnt["data"]
    Path("prices.yaml").write_text(yaml.safe_dump(plain, sort_keys=False))
    assert run().results["validate"].facts["warnings"] == 0
    rows(shift=60).assign(seen=pd.Timestamp("2023-01-01"), town="Rome").to_parquet("new.parquet", index=False)
    kept = run().results["validate"].folder / "expectations.json"
    missed = {(e["name"], e["arguments"].get("column")) for e in json.loads(kept.read_text()) if not e["success"]}
    assert missed >= {
        ("expect_column_values_to_be_between", "area"),
        ("expect_column_quantile_values_to_be_between", "area"),
        ("expect_column_kl_divergence_to_be_less_than", "area"),
        ("expect_column_values_to_be_in_set", "town"),
        ("expect_column_max_to_be_between", "seen"),
    }
    rows().drop(columns="town").assign(area=[None, *rows()["area"][1:]]).to_parquet("new.parquet", index=False)
    with pytest.raises(ExpectationError, match=r"(?s)not_be_null\(column=area\) failed for 1 of 300"):
        run()


def test_a_profile_of_a_file_and_of_a_run(folder: Path) -> None:
    rows().to_csv("old.csv", index=False)
    of_file = CliRunner().invoke(main, ["data", "profile", "old.csv", "--without", "sold", "--out", "learnt.yaml"])
    assert of_file.output == "14 expectations are in learnt.yaml\n"
    learnt = yaml.safe_load(Path("learnt.yaml").read_text())["data"]["expectations"]["rows"]
    assert {arguments.get("column") for entry in learnt for arguments in entry.values()} == {
        *(None, "area", "town", "seen")
    }
    done = run()
    of_run = CliRunner().invoke(main, ["data", "profile", done.run.id, "--drift"], catch_exceptions=False)
    drift = yaml.safe_load(of_run.stdout)["data"]["expectations"]["rows"]
    assert {arguments["severity"] for entry in drift for arguments in entry.values()} == {"warning"}
    nothing = CliRunner().invoke(main, ["data", "profile", "no_such_run"])
    assert nothing.exit_code == 2
    assert "no_such_run" in nothing.output


def test_a_reference_is_compared_and_its_content_counts(folder: Path) -> None:
    rows(400).to_parquet("old.parquet", index=False)
    assert run("data.reference=old.parquet").results["validate"].facts["warnings"] == 0
    before = run("data.reference=old.parquet")
    assert before.ran == ()
    rows(400, shift=60).to_parquet("old.parquet", index=False)
    spec = load_spec(["prices.yaml", "data.reference=old.parquet"])
    assert {step.name: step.why for step in plan(spec, Store())}["validate"] == "data files changed"
    assert run("data.reference=old.parquet").results["validate"].facts["warnings"] >= 2
    stricter = "{rows: [{expect_column_kl_divergence_to_be_less_than: {column: area, threshold: 99, partition_object: "
    stricter += "{bins: [0, 80, 200], weights: [0.5, 0.5]}}}]}"
    own = run("data.reference=old.parquet", f"data.expectations={stricter}")
    kept = json.loads((own.results["validate"].folder / "expectations.json").read_text())
    on_area = [e for e in kept if "kl_divergence" in e["name"] and e["arguments"]["column"] == "area"]
    assert [(e["success"], e["severity"]) for e in on_area] == [(True, "critical")]


def test_a_run_is_a_reference_and_one_that_is_not_there_is_named(folder: Path) -> None:
    first = run()
    rows(shift=60).to_parquet("new.parquet", index=False)
    second = run(f"data.reference={first.run.id}")
    assert second.results["validate"].facts["warnings"] >= 2
    with pytest.raises(DataError, match="no_such"):
        run("data.reference=no_such")


def test_a_line_is_short() -> None:
    from pizzeria.contracts import Expectation

    examples = tuple(f"r{n}" for n in range(10))
    line = stage._line(Expectation("rows", "e", {"value_set": list(range(999))}, False, 20, 10, examples))
    assert line.endswith("...) failed for 10 of 20: r0; r1; r2; ...")
    assert len(line) < 300


def test_the_market_drifts_away_from_its_first_months(working_folder: Path, shared_data: Path) -> None:
    """Real data: Victoria's prices and demand start to move in May 1997, after the first 8,424 half-hours."""
    frame = pd.read_parquet(shared_data / "tabular" / "electricity.parquet")
    frame.head(8400).to_parquet("old.parquet", index=False)
    frame.iloc[8400:].to_parquet("new.parquet", index=False)
    Path("prices.yaml").write_text(SPEC.replace("sold", "price_up"))
    found = run("data.reference=old.parquet").results["validate"]
    kept = json.loads((found.folder / "expectations.json").read_text())
    moved = {e["arguments"]["column"] for e in kept if not e["success"]}
    assert moved >= {"vic_price", "vic_demand", "transfer", "nsw_price"}
    assert "period" not in moved
    assert found.refusal is None
