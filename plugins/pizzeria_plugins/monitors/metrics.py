"""The metrics that are estimated without labels, by what a task is judged on."""

from __future__ import annotations

from pizzeria.errors import nearest
from pizzeria.spec.monitoring import Monitoring
from pizzeria.spec.problem import Problem
from pizzeria.tasks import task

SCORES = ("f1", "roc_auc", "accuracy", "precision", "recall", "specificity", "average_precision")
ERRORS = ("mae", "rmse", "mse", "mape")
VERDICTS = "right_verdicts"
NEED_POSITIVES = ("f1", "precision", "recall", "average_precision")
"""Without any answer or truth of the class these are 0, or nothing."""


def known_metrics(problem: Problem) -> tuple[str, ...]:
    """What can be estimated for the task, the default first. Scores are better higher, errors lower."""
    judged = task(problem.task).JUDGED
    if judged == "value":
        return ERRORS
    return SCORES if judged == "class" else (*SCORES, VERDICTS)


def wanted_metrics(monitoring: Monitoring, problem: Problem) -> tuple[str, ...]:
    """The metrics of the rules, the headline first; the task's default without rules."""
    return tuple(rule.metric for rule in monitoring.rules) or known_metrics(problem)[:1]


def metric_faults(monitoring: Monitoring, problem: Problem) -> list[tuple[str, str, str]]:
    """What is wrong with the rules' metrics, as (path below `monitoring`, message, hint)."""
    known = known_metrics(problem)
    listed = isinstance(monitoring.performance, tuple)
    faults = []
    for i, rule in enumerate(monitoring.rules):
        path = f"performance.{i}.metric" if listed else "performance.metric"
        if rule.metric not in known:
            message = f"{rule.metric} cannot be estimated without labels for {problem.task}"
            faults.append((path, message, nearest(rule.metric, known)))
        elif rule.metric in [other.metric for other in monitoring.rules[:i]]:
            faults.append((path, f"{rule.metric} has a rule already", "keep one of them"))
    return faults
