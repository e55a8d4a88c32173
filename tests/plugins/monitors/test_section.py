"""The `monitoring` section: what it refuses, and that the shipped defaults are those of the models."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import ValidationError

from pizzeria.spec.monitoring import Alert, Chunk, DriftThreshold, Monitoring, PerformanceThreshold
from pizzeria_plugins.monitors import nannyml

SHIPPED = Path(__file__).parents[3] / "conf" / "monitoring" / "nannyml.yaml"


@pytest.mark.parametrize(
    ("section", "values", "message"),
    [
        (Chunk, {"size": 10, "period": "D"}, "exclude each other"),
        (Chunk, {"period": "fortnight"}, "should match pattern"),
        (PerformanceThreshold, {"metric": "f2"}, "Input should be 'f1'"),
        (PerformanceThreshold, {"metric": "f1", "below": 0.8, "above": 0.2}, "each would raise an alert"),
        (DriftThreshold, {"method": "wasserstein"}, "jensen_shannon"),
        (DriftThreshold, {"above": 1.5}, "less than or equal to 1"),
    ],
)
def test_refused(section: Any, values: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        section(**values)


def test_shipped_settings_are_the_defaults() -> None:
    shipped = yaml.safe_load(SHIPPED.read_text())
    own = {name: shipped.pop(name) for name in list(shipped) if name in nannyml.Options.model_fields}
    assert nannyml.Options(**own) == nannyml.Options()
    assert set(own) == set(nannyml.Options.model_fields)
    alerts = tuple(Alert(**alert) for alert in shipped.pop("alerts"))
    assert Monitoring(**shipped, alerts=alerts) == Monitoring()
