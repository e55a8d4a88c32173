"""`problem`: the business need, its framing as a machine-learning task, and what counts as success."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from pizzeria.spec.section import Section
from pizzeria.spec.slices import value_name

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
    gain_over_champion: float | None = Field(
        default=None,
        description="The metric must be so much better than the live champion's on the same test rows: 0 is no worse, "
        "-0.01 at most 0.01 worse. Where there is no champion yet, it passes.",
    )
    of_class: str | None = Field(
        default=None, description="Judge this class alone; without it the criterion is on the whole test split."
    )
    slice: dict[str, str | int | float | bool] | None = Field(
        default=None,
        description="Judge one value of one column alone, such as {room: kitchen}; of numbers that are cut into "
        "thirds {brightness: low}. The column need not stand in evaluation.slices.",
    )
    lower_bound: bool = Field(
        default=False,
        description="Not the figure must reach the bound, but the end of its interval (evaluation.confidence): the "
        "lower one for at_least and gain_over_champion, the upper one for at_most.",
    )

    @model_validator(mode="after")
    def _one_bound(self) -> Criterion:
        if self.at_least is None and self.at_most is None and self.gain_over_champion is None:
            raise ValueError("a criterion needs at_least, at_most or gain_over_champion")
        if self.slice is not None and len(self.slice) != 1:
            raise ValueError("a slice is one column and one value of it, such as slice: {room: kitchen}")
        return self

    @property
    def part(self) -> tuple[str, str] | None:
        """The column of the slice, and the name of its value."""
        if self.slice is None:
            return None
        ((column, value),) = self.slice.items()
        return column, value_name(value)

    @property
    def subject(self) -> str:
        """What is judged, in words.

        Example:
            >>> Criterion(metric="f1", at_least=0.6, of_class="bed", slice={"room": "kitchen"}).subject
            'f1 of bed where room is kitchen'
        """
        text = self.metric if self.of_class is None else f"{self.metric} of {self.of_class}"
        return text if self.part is None else f"{text} where {self.part[0]} is {self.part[1]}"


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
