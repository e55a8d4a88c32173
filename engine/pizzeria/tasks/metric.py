"""What a metric is called, what it means, and which way is better."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Metric:
    """A metric that a success criterion may name.

    Attributes:
        meaning: One line with the value range.
        better: Whether a higher or a lower value is better.
        by_class: Whether a criterion may judge one class alone (`of_class`).
        trivial: Whether an answer without a look can be perfect at it, as with recall by saying always yes.
    """

    meaning: str
    better: Literal["higher", "lower"] = "higher"
    by_class: bool = False
    trivial: bool = False
