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
        (PerformanceThreshold, {"metric": "f1", "below": 0.8, "deviations": 2}, "exclude each other"),
        (DriftThreshold, {"numbers": "chi2"}, "jensen_shannon"),
        (DriftThreshold, {"above": 1.5}, "it goes from 0 to 1"),
        (Monitoring, {"workers": 0}, "greater than or equal to 1"),
        (Monitoring, {"runner": "dask"}, "'processes' or 'ray'"),
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


def test_performance_is_one_rule_or_a_list_with_the_headline_first() -> None:
    f1, auc = PerformanceThreshold(metric="f1"), PerformanceThreshold(metric="roc_auc", below=0.8)
    assert Monitoring().rules == ()
    assert Monitoring(performance=f1).rules == (f1,)
    assert Monitoring.model_validate(
        {"performance": [{"metric": "f1"}, {"metric": "roc_auc", "below": 0.8}]}
    ).rules == (
        f1,
        auc,
    )
