"""Section `cost`, and `sweep.metric`: refused where they cannot work."""

from __future__ import annotations

from pathlib import Path

import pytest

from pizzeria import registry
from pizzeria.errors import SpecError
from pizzeria.graph import plan
from pizzeria.loading import load_spec
from pizzeria.runs.store import Store
from pizzeria.spec.cost import Cost

CENSUS = "experiment=census"


def faults(*overrides: str) -> list[str]:
    with pytest.raises(SpecError) as caught:
        load_spec([CENSUS, *overrides])
    return [f"{fault.path}: {fault.message}; {fault.hint}" for fault in caught.value.faults]


def test_prices_of_targets_are_by_the_machine_or_by_the_request() -> None:
    found = Cost.model_validate(
        {"targets": {"vm": {"machine_hour": 0.1}, "aws_lambda": {"gb_second": 1, "memory_mb": 512}}}
    )
    assert found.targets["vm"].utilisation == 1.0
    assert found.cpu_core_hour is None  # no price is invented
    assert (
        "paid by machine_hour or by gb_second"
        in faults("cost.targets.vm.machine_hour=1", "cost.targets.vm.gb_second=1")[0]
    )
    assert "paid by machine_hour or by gb_second" in faults("cost.targets.vm.utilisation=0.5")[0]
    assert "belong together" in faults("cost.targets.aws_lambda.gb_second=1")[0]
    both = ("cost.targets.aws_lambda.gb_second=1", "cost.targets.aws_lambda.memory_mb=512")
    assert "no idle time" in faults(*both, "cost.targets.aws_lambda.utilisation=0.5")[0]


def test_an_unknown_target_currency_or_metric_is_refused() -> None:
    assert faults("cost.targets.aws_lamda.machine_hour=1") == [
        "cost.targets.aws_lamda: no plugin 'aws_lamda' among the targets; did you mean aws_lambda?"
    ]
    assert faults("cost.currency=dollars")[0].startswith("cost.currency: found 'dollars'")
    assert faults("sweep.metric=aurok") == [
        "sweep.metric: tabular_classification has no metric 'aurok'; did you mean auroc?"
    ]


def test_every_target_can_have_a_price() -> None:
    load_spec([CENSUS, *(f"cost.targets.{name}.machine_hour=0.1" for name in registry.find("targets"))])


def test_no_price_is_part_of_a_fingerprint(working_folder: Path) -> None:
    (working_folder / "adult.parquet").touch()
    mine = [CENSUS, "data.path=adult.parquet"]
    plain, priced = (load_spec([*mine, *more]) for more in ((), ("cost.cpu_core_hour=0.04", "sweep.metric=f1")))
    assert priced.cost.cpu_core_hour == 0.04
    before, after = (
        [step.name == "deploy" or step.fingerprint for step in plan(one, Store())] for one in (plain, priced)
    )
    assert before == after
