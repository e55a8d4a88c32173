"""The option `class_weights`, which models that tell classes have in common."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from pizzeria.errors import nearest
from pizzeria.spec.problem import Problem

_MOST = 1000


def _readable(value: object) -> object:
    """Refuse what is neither, in one message: pydantic would say of each part of the union why it is not that."""
    numbers = value.values() if isinstance(value, dict) else []
    right = all(isinstance(one, int | float) and not isinstance(one, bool) and 0 < one <= _MOST for one in numbers)
    if value in (None, "balanced") or (isinstance(value, dict) and right):
        return value
    raise ValueError(
        f"found {value!r}; write balanced, or for each class a weight above 0 and up to {_MOST}, such as {{bed: 2}}"
    )


ClassWeightsOption = Annotated[
    Literal["balanced"] | dict[str, Annotated[float, Field(gt=0, le=_MOST)]] | None,
    BeforeValidator(_readable),
    Field(
        default=None,
        description="How much what is true of each class counts in the loss: `balanced` lets all classes of the "
        "training split count the same altogether; or weights by class, where 1 is usual; null: 1 for each.",
    ),
]


def check(options: Any, problem: Problem) -> Sequence[tuple[str, str, str]]:
    """Faults of `class_weights` that only the problem shows; see `pizzeria.contracts.Model`."""
    weights = options.class_weights
    if weights is not None and not problem.classes:
        return [("class_weights", f"{problem.task} has no classes", "leave it out")]
    return [
        (f"class_weights.{name}", f"{name!r} is not among problem.classes", nearest(name, problem.classes))
        for name in (weights if isinstance(weights, dict) else ())
        if name not in problem.classes
    ]
