"""`problem`: the business need, its framing as a machine-learning task, and what counts as success."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from pizzeria.spec.section import Section

TaskName = Literal[
    "object_detection",
    "image_classification",
    "multilabel_classification",
    "tabular_classification",
    "tabular_regression",
]


class Criterion(Section):
    """One success criterion, on the test split; a model that misses one is not packaged."""

    metric: str = Field(description="A metric of the task; `pizzeria schema` and docs/spec.md list them.")
    at_least: float | None = Field(default=None, description="The metric must be this or more.")
    at_most: float | None = Field(default=None, description="The metric must be this or less.")
    of_class: str | None = Field(
        default=None, description="Judge this class alone; without it the criterion is on the whole test split."
    )

    @model_validator(mode="after")
    def _one_bound(self) -> Criterion:
        if self.at_least is None and self.at_most is None:
            raise ValueError("a criterion needs at_least or at_most")
        return self


class Problem(Section):
    """Phases 1 and 2 of the life cycle: why, and what exactly."""

    need: str = Field(min_length=1, description="The business need, in a sentence; printed on every report.")
    owner: str = Field(min_length=1, description="The team or person who answers for the model.")
    task: TaskName = Field(description="The machine-learning task.")
    input: str = Field(default="", description="What one request carries, in words; printed on the report.")
    output: str = Field(default="", description="What one answer says, in words; printed on the report.")
    classes: tuple[str, ...] = Field(
        default=(), description="Class names, in the order of the model's outputs; empty for regression."
    )
    target: str | None = Field(default=None, description="Tabular tasks: the column to predict.")
    success: tuple[Criterion, ...] = Field(
        min_length=1, description="The gate: nothing is packaged or deployed that misses one of these."
    )

    @model_validator(mode="after")
    def _framing(self) -> Problem:
        tabular = self.task.startswith("tabular")
        if tabular and not self.target:
            raise ValueError(f"{self.task} needs `target`, the column to predict")
        if not tabular and self.target:
            raise ValueError(f"{self.task} has no target column; remove `target`")
        if self.task == "tabular_regression" and self.classes:
            raise ValueError("tabular_regression has no classes; remove `classes`")
        least = {"tabular_regression": 0, "object_detection": 1, "multilabel_classification": 1}.get(self.task, 2)
        if len(self.classes) < least:
            raise ValueError(f"{self.task} needs at least {least} class{'es' if least > 1 else ''} in `classes`")
        if len(set(self.classes)) < len(self.classes):
            twice = sorted({name for name in self.classes if self.classes.count(name) > 1})
            raise ValueError(f"classes named twice: {', '.join(twice)}")
        return self
