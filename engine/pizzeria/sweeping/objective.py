"""What a member is worth: its metrics on the validation split.

Members are never chosen by the test split: the best of many would then look better than it is. Where a calibration is
fitted, it was fitted on the same split, so metrics of calibrated probabilities are a little flattered, all alike.
"""

from __future__ import annotations

import json
from pathlib import Path

from pizzeria import atomic, registry
from pizzeria.predictions import load_predictions
from pizzeria.spec.spec import Spec
from pizzeria.tasks import task


def metric_of(spec: Spec) -> str:
    """The metric that members are compared by: `sweep.metric`, or the main one of the task."""
    return spec.sweep.metric or task(spec.problem.task).MAIN_METRIC


def on_validation(spec: Spec, evaluated: Path) -> dict[str, float | None]:
    """Metrics on the validation split, by name; None where one could not be computed.

    Args:
        evaluated: Folder of the member's stage `evaluate`.
    """
    evaluator = registry.load("evaluators", spec.evaluation.use)
    found, truth = (load_predictions(evaluated / f"{name}.npz") for name in ("validation", "truth_validation"))
    calibration = json.loads((evaluated / "calibration.json").read_text())
    metrics = evaluator.evaluate(spec.evaluation.options, spec.problem, found, truth, calibration)["metrics"]
    return {str(name): atomic.finite(float(value)) for name, value in metrics.items()}
