"""The section `deployment`: where the service runs, how a new model takes over, what keeps the cycle going."""

from __future__ import annotations

from itertools import pairwise
from typing import ClassVar, Literal

from pydantic import Field, field_validator

from pizzeria.spec.section import PluginSection, Section

Interval = Literal["5m", "10m", "15m", "20m", "30m", "1h", "2h", "3h", "4h", "6h", "8h", "12h", "1d", "7d"]
"""Those that every scheduler can say: divisors of an hour, of a day and of a week."""


class Schedule(Section):
    """What the target runs again and again, so that the cycle goes round; nothing unless it is named here."""

    monitor: Interval | None = Field(default=None, description="How often `pizzeria monitor` runs: 15m, 1h, 1d ...")
    maintain: Interval | None = Field(default=None, description="How often `pizzeria maintain` runs.")


class Rollout(Section):
    """How a new model takes over in steps, and what sends it back.

    At each step the golden request is asked of the new model, and what it answered to real traffic is looked at.
    """

    steps: tuple[int, ...] = Field(
        default=(5, 25, 50), min_length=1, description="Per cent of the traffic at each step before the last, 100."
    )
    step_s: float = Field(default=60, ge=0, description="Seconds that each step lasts.")
    probes: int = Field(default=20, gt=0, description="Golden requests that are sent to the new model at each step.")
    max_error_rate: float = Field(
        default=0.01, ge=0, lt=1, description="Share of its answers with a status of 500 or more that is let pass."
    )
    max_p95_ms: float | None = Field(
        default=None, gt=0, description="Longest 95th percentile of its latency; null: three times that of the old one."
    )

    @field_validator("steps")
    @classmethod
    def _rising(cls, steps: tuple[int, ...]) -> tuple[int, ...]:
        if not all(0 < step < 100 for step in steps) or not all(a < b for a, b in pairwise(steps)):
            raise ValueError(f"{list(steps)} is no rollout; write rising shares between 1 and 99, such as [5, 25, 50]")
        return steps


class Deployment(PluginSection):
    """Phase 8: where the service runs."""

    KIND: ClassVar[str] = "targets"

    use: str = Field(default="local", description="Target plugin.")
    rollout: Rollout | None = Field(default=None, description="Take over in steps; null: all at once.")
    schedule: Schedule = Field(default=Schedule(), description="What the target runs again and again.")
