"""What can be known to be wrong with success criteria and slices before any data are read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from pizzeria.errors import nearest
from pizzeria.spec.problem import Criterion, Problem
from pizzeria.spec.reading import YamlPath
from pizzeria.spec.slices import Slice, edge_names
from pizzeria.spec.stages import Evaluation
from pizzeria.tasks import task

OF_BOXES = ("object_size", "objects")
"""Slices of what the boxes of a photo tell."""
Found = tuple[YamlPath, str, str]
"""Path in the spec, message and hint."""


def faults(problem: Problem, evaluation: Evaluation) -> Iterator[Found]:
    """All that is wrong with `problem.success` and `evaluation.slices`."""
    edges = {one.column: one.edges for one in evaluation.slices or () if isinstance(one, Slice) and one.edges}
    for i, criterion in enumerate(problem.success):
        for path, message, hint in _of_criterion(criterion, problem, evaluation, edges):
            yield ("problem", "success", i, *path), message, hint
    for i, one in enumerate(evaluation.slices or ()):
        column = one if isinstance(one, str) else one.column
        if message := _no_boxes(column, problem):
            yield ("evaluation", "slices", i), message, "leave it out"


def _of_criterion(
    criterion: Criterion, problem: Problem, evaluation: Evaluation, edges: Mapping[str, tuple[float, ...]]
) -> Iterator[Found]:
    metrics = task(problem.task).METRICS
    metric = metrics.get(criterion.metric)
    if metric is None:
        hint = nearest(criterion.metric, metrics)
        yield ("metric",), f"{problem.task} has no metric {criterion.metric!r}", hint
        return
    if criterion.of_class is not None and criterion.of_class not in problem.classes:
        hint = nearest(criterion.of_class, problem.classes)
        yield ("of_class",), f"{criterion.of_class!r} is not among problem.classes", hint
    elif criterion.of_class is not None and not metric.by_class:
        hint = f"by class there is {', '.join(name for name, one in metrics.items() if one.by_class)}"
        yield ("of_class",), f"{criterion.metric} is not known class by class", hint
    if criterion.lower_bound and not evaluation.resamples:
        yield ("lower_bound",), "there is no interval: evaluation.resamples is 0", "set evaluation.resamples to 500"
    if criterion.part is None:
        return
    column, value = criterion.part
    if message := _no_boxes(column, problem):
        yield ("slice",), message, "name another column"
    if column in edges and value not in edge_names(edges[column]):
        names = edge_names(edges[column])
        yield ("slice", column), f"evaluation.slices cuts {column} into no slice {value!r}", nearest(value, names)


def _no_boxes(column: str, problem: Problem) -> str:
    if column not in OF_BOXES or problem.task == "object_detection":
        return ""
    return f"{column} is of boxes, and {problem.task} has none"
