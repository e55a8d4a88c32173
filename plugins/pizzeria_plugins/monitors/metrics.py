"""The metrics that NannyML estimates without labels, by what a task is judged on."""

from __future__ import annotations

from pizzeria.errors import nearest
from pizzeria.spec.monitoring import PerformanceThreshold
from pizzeria.spec.problem import Problem
from pizzeria.tasks import task

SCORES = ("f1", "roc_auc", "accuracy", "precision", "recall", "specificity", "average_precision")
ERRORS = ("mae", "rmse", "mse", "mape")


def known_metrics(problem: Problem) -> tuple[str, ...]:
    """What can be estimated for the task, the default first. Scores are better higher, errors lower."""
    return ERRORS if task(problem.task).JUDGED == "value" else SCORES


def metric_fault(rule: PerformanceThreshold | None, problem: Problem) -> tuple[str, str, str] | None:
    """What is wrong with the rule's metric, as (path below `monitoring`, message, hint); None when it is right."""
    known = known_metrics(problem)
    if rule is None or rule.metric in known:
        return None
    message = f"{rule.metric} cannot be estimated without labels for {problem.task}"
    return "performance.metric", message, nearest(rule.metric, known)
