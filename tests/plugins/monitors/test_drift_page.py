"""docs/monitoring/drift.md: its spec is the shipped one, and it names every method and limit there is."""

from __future__ import annotations

import re
from pathlib import Path
from typing import get_args

import yaml

from pizzeria.loading import load_spec
from pizzeria.spec.monitoring import CategoryMethod, DriftThreshold, MultivariateMethod, NumberMethod, QualityThreshold

PAGE = (Path(__file__).parents[3] / "docs" / "monitoring" / "drift.md").read_text()


def test_its_spec_is_the_default_and_validates() -> None:
    [block] = re.findall(r"```yaml\n(.*?)```", PAGE, re.S)
    section = yaml.safe_load(block)["monitoring"]
    assert DriftThreshold(**section["drift"]) == DriftThreshold()
    assert QualityThreshold(**section["quality"]) == QualityThreshold()
    overrides = [
        f"monitoring.{name}={yaml.safe_dump(value, default_flow_style=True, width=1000).strip()}"
        for name, value in section.items()
    ]
    assert load_spec(["experiment=amenities", *overrides]).monitoring.chunk.size == 500


def test_it_names_every_method() -> None:
    for method in {*get_args(NumberMethod), *get_args(CategoryMethod), *get_args(MultivariateMethod)}:
        assert f"`{method}`" in PAGE, method
