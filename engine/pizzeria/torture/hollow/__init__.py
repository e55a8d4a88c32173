"""Gates that are asked about nothing: no row, no label, one class, NaN, no traffic, no test."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Question:
    """What one gate is asked.

    Attributes:
        gate: Which one.
        what: About what, so that somebody can do it again.
        ask: Returns whether it lets this through; a refusal of Pizzeria's own is an answer, too.
    """

    gate: str
    what: str
    ask: Callable[[], bool]
