"""The machine-learning tasks: one module each, that says which metrics make sense and how predictions are judged.

A task module has `METRICS` (what a success criterion may name), `MAIN_METRIC` (what training watches and a challenger
is compared by), `TABLES` (what a source must bring) and `JUDGED` (how monitoring judges predictions without labels).
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Literal, Protocol, cast

from pizzeria.tasks.metric import Metric

NAMES = (
    "object_detection",
    "image_classification",
    "multilabel_classification",
    "tabular_classification",
    "tabular_regression",
)


class Task(Protocol):
    """What a task module offers."""

    METRICS: Mapping[str, Metric]
    MAIN_METRIC: str
    TABLES: tuple[str, ...]
    JUDGED: Literal["presence", "class", "value"]
    """`presence`: each class on its own, present or not; `class`: one of the classes; `value`: a number."""


def task(name: str) -> Task:
    """The module of a task.

    Example:
        >>> task("object_detection").MAIN_METRIC
        'map_50'
    """
    return cast(Task, import_module(f"pizzeria.tasks.{name}"))
