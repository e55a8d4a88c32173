"""What training, answers and a catalogue cost: worked out here by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from pizzeria.report.charges import charges
from pizzeria.report.cost import cost
from pizzeria.report.prices import batch_charge, serving_charge, training_charge
from pizzeria.report.run_folder import RunFolder
from pizzeria.report.wording import DASH

PRICES = {
    "currency": "EUR",
    "cpu_core_hour": 0.04,
    "gpu_hour": 2.5,
    "targets": {
        "vm": {"machine_hour": 0.36, "utilisation": 0.5},
        "aws_lambda": {"gb_second": 0.00002, "memory_mb": 2048, "million_requests": 0.2},
    },
    "catalogue": 500_000_000,
}


def test_training_is_charged_by_cores_or_by_gpus() -> None:
    cpu = training_charge(PRICES, {"seconds": 5400, "cores": 2, "gpus": 0})
    assert cpu is not None
    assert (cpu.unit, cpu.hours, cpu.price) == ("CPU-core hours", 3.0, pytest.approx(0.12))
    gpu = training_charge(PRICES, {"seconds": 1800, "cores": 64, "gpus": 4})
    assert gpu is not None
    assert (gpu.unit, gpu.hours, gpu.price) == ("GPU hours", 2.0, 5.0)
    old = training_charge(PRICES, {"seconds": 1800, "device": "cpu"})  # of a trainer that tells no cores
    assert old is not None
    assert (old.unit, old.hours, old.price) == ("hours", 0.5, None)
    assert training_charge(PRICES, {}) is None


def test_answers_are_charged_as_each_target_charges() -> None:
    # 1,000 answers of 36 ms are 36 s of work: 72 s of a machine that is busy half of the time.
    vm = serving_charge(PRICES["targets"]["vm"], 36.0, 1000)
    assert (vm.unit, vm.hours, vm.price) == ("machine hours", 0.02, pytest.approx(0.0072))
    # 36 s x 2 GB x 0.00002, and 1,000 of a million requests.
    function = serving_charge(PRICES["targets"]["aws_lambda"], 36.0, 1000)
    assert (function.unit, function.hours) == ("GB hours", pytest.approx(0.02))
    assert function.price == pytest.approx(36 * 2 * 0.00002 + 0.0002)
    assert serving_charge(None, 36.0, 1000).price is None
    bulk = batch_charge(PRICES, 36.0, 2, 500_000_000)
    assert (bulk.hours, bulk.price) == (10_000.0, pytest.approx(400.0))
    assert batch_charge({}, 36.0, 2, 1000).price is None


def run_of(folder: Path, prices: dict[str, Any] | None) -> RunFolder:
    spec = {"problem": {"task": "object_detection"}, "deployment": {"use": "local"}}
    (folder / "spec.yaml").write_text(yaml.safe_dump(spec | ({"cost": prices} if prices else {}), sort_keys=False))
    facts = {
        "train": '{"seconds": 5400, "cores": 2, "gpus": 0}',
        "package": '{"milliseconds": 36.0, "cores": 2, "bytes": 1}',
    }
    for stage, text in facts.items():
        (folder / "stages" / stage).mkdir(parents=True)
        (folder / "stages" / stage / "result.json").write_text(f'{{"seconds": 1.0, "facts": {text}}}')
    return RunFolder(folder)


def test_the_report_has_a_row_for_each_target_that_has_a_price_and_for_the_one_deployed(tmp_path: Path) -> None:
    found = charges(run_of(tmp_path, PRICES))
    assert found is not None
    rows = [(row["name"], row["how"], row["hours"], row["price"]) for row in found["rows"]]
    catalogue = "The catalogue, 500,000,000 photos"
    assert rows == [
        ("Training", "", "3", "0.12 EUR"),
        ("1,000 photos", "local", "36.0 s", DASH),
        ("1,000 photos", "vm", "1 min 12 s", "0.0072 EUR"),
        ("1,000 photos", "aws_lambda", "0.02", "0.0016 EUR"),
        (catalogue, "in bulk", "10000", "400.00 EUR"),
        (catalogue, "local", "5000 h 0 min", DASH),
        (catalogue, "vm", "10000 h 0 min", "3,600 EUR"),
        (catalogue, "aws_lambda", "10000", "820.00 EUR"),
    ]
    assert [row["how"] for row in found["rows"] if row["own"]] == ["local", "local"]
    assert found["note"].startswith("From 36 ms for one photo, as measured with ONNX Runtime on 2 cores.")


def test_without_a_price_there_are_hours_and_no_money(tmp_path: Path) -> None:
    section = cost(run_of(tmp_path, None))
    assert section is not None
    rows = section["charges"]["rows"]
    assert [(row["hours"], row["price"]) for row in rows] == [("3", DASH), ("36.0 s", DASH)]
    assert not section["charges"]["priced"]
