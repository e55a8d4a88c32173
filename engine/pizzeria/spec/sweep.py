"""`sweep`: what `pizzeria run --multirun` looks for."""

from __future__ import annotations

from pydantic import Field

from pizzeria.spec.section import Section


class Sweep(Section):
    """What the members of a sweep are compared by; which ones there are is said on the command line."""

    metric: str | None = Field(
        default=None,
        description="The metric, on the validation split, by which members are ordered and an optimising sweeper "
        "searches; null: the main metric of the task.",
    )
