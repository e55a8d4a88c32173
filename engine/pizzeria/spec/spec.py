"""The whole spec: ten sections of a life cycle, who signs, what it costs, what sweeps look for, and a name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import Field

from pizzeria.spec.cost import Cost
from pizzeria.spec.data import Data
from pizzeria.spec.deployment import Deployment
from pizzeria.spec.maintenance import Maintenance
from pizzeria.spec.monitoring import Monitoring
from pizzeria.spec.problem import Problem
from pizzeria.spec.section import PluginSection, Section
from pizzeria.spec.signing import Signing
from pizzeria.spec.stages import (
    Evaluation,
    Features,
    Model,
    Runner,
    Serving,
    Tracking,
    Training,
)
from pizzeria.spec.sweep import Sweep


class Spec(Section):
    """One model's whole life."""

    name: str = Field(pattern=r"^[a-z][a-z0-9_-]{0,62}$", description="Lower-case name of the model.")
    problem: Problem
    data: Data
    features: Features
    model: Model
    training: Training = Training()
    runner: Runner = Runner()
    evaluation: Evaluation = Evaluation()
    serving: Serving = Serving()
    signing: Signing = Signing()
    deployment: Deployment = Deployment()
    monitoring: Monitoring = Monitoring()
    maintenance: Maintenance = Maintenance()
    cost: Cost = Cost()
    sweep: Sweep = Sweep()
    tracking: tuple[Tracking, ...] = Field(
        default=(), description="Trackers that are told of the run: [{use: tensorboard}, {use: mlflow}]."
    )

    def resolved(self) -> dict[str, Any]:
        """Every setting with its value, as plain data: what `runs/<id>/spec.yaml` holds."""
        out: dict[str, Any] = {}
        for name in type(self).model_fields:
            value = getattr(self, name)
            out[name] = _plain(value)
        return out


def _plain(value: Any) -> Any:
    if isinstance(value, PluginSection):
        plain = value.resolved()
        for name in type(value).model_fields:
            if name in plain:
                plain[name] = _plain(getattr(value, name))
        return plain
    if isinstance(value, Section):
        return value.model_dump(mode="json", by_alias=True)
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    return value
