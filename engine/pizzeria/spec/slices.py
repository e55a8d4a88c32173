"""`evaluation.slices`: parts of the test split that are judged apart, and what their values are called."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

from pydantic import Field, field_validator

from pizzeria.spec.section import Section


class Slice(Section):
    """One column whose values cut the test split into slices."""

    column: str = Field(
        min_length=1,
        description="A column of the photos, of their listings or of the rows; of photos also object_size and objects.",
    )
    edges: tuple[float, ...] = Field(
        default=(),
        description="For numbers: where one slice ends and the next begins. Without them few values are a slice each, "
        "and many are cut into thirds: low, middle and high.",
    )

    @field_validator("edges")
    @classmethod
    def _ascend(cls, edges: tuple[float, ...]) -> tuple[float, ...]:
        right = sorted(set(edges))
        if list(edges) != right:
            raise ValueError(f"edges ascend, each one once; write [{', '.join(f'{one:g}' for one in right)}]")
        return edges


def value_name(value: Any) -> str:
    """What a value of a column is called, in a spec as in a report.

    Example:
        >>> value_name("kitchen"), value_name(3.0), value_name(True)
        ('kitchen', '3', 'true')
    """
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)


def edge_names(edges: tuple[float, ...]) -> tuple[str, ...]:
    """What the slices between edges are called, the lowest first; one begins with its edge.

    Example:
        >>> edge_names((30, 60))
        ('below 30', '30 to 60', '60 or more')
    """
    inner = [f"{low:g} to {high:g}" for low, high in pairwise(edges)]
    return (f"below {edges[0]:g}", *inner, f"{edges[-1]:g} or more")
