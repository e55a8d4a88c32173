"""The option `class_weights`, which models that tell classes have in common."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Literal

from pydantic import Field

from pizzeria.errors import nearest
from pizzeria.spec.problem import Problem

ClassWeightsOption = Annotated[
    Literal["balanced"] | dict[str, Annotated[float, Field(gt=0, le=1000)]] | None,
    Field(
        default=None,
        description="How much what is true of each class counts in the loss: `balanced` lets all classes of the "
        "training split count the same altogether; or weights by class, where 1 is usual; null: 1 for each.",
    ),
]


def check(options: Any, problem: Problem) -> Sequence[tuple[str, str, str]]:
    """Faults of `class_weights` that only the problem shows; see `pizzeria.contracts.Model`."""
    weights = options.class_weights
    return [
        (f"class_weights.{name}", f"{name!r} is not among problem.classes", nearest(name, problem.classes))
        for name in (weights if isinstance(weights, dict) else ())
        if name not in problem.classes
    ]
