"""What each part of the monitor offers: fitted once on the reference, it measures chunk by chunk, and judges later.

What was measured of a chunk is a reading: plain data that `memory` keeps, so that a chunk is measured once. What a
reading means is judged anew in each pass, over all chunks that are known: a changed threshold costs nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from pizzeria.contracts import Alarm, Finding
from pizzeria_plugins.monitors.chunks import Part

if TYPE_CHECKING:
    import pandas as pd

Reading = Mapping[str, Any]
"""Plain data as JSON has them; NaN is None. A row for each subject: {"f1": {"value": 0.8, "error": 0.02}}."""


@dataclass(frozen=True)
class Judgement:
    """What an instrument makes of its readings."""

    findings: tuple[Finding, ...] = ()
    alarms: tuple[Alarm, ...] = ()
    undecided: tuple[str, ...] = ()
    figures: Mapping[str, Any] = field(default_factory=dict)
    """Title to plotly figure."""


class Instrument(Protocol):
    """A fitted part of the monitor. It goes to other processes, so what it holds can be copied there."""

    name: str
    """Of its readings, the same for good: `performance`, `drift`."""

    settings: Mapping[str, Any]
    """What its readings depend on, besides the reference and the traffic: with others they are measured anew."""

    def measure(self, chunk: pd.DataFrame, part: Part) -> Reading:
        """Measure a chunk of traffic. Never raises for what a client sent: what cannot be measured is None.

        Args:
            chunk: [N] records, index 0 to N - 1; of any types, as clients sent them.
        """

    def judge(self, readings: Sequence[tuple[Part, Reading]], fresh: frozenset[str]) -> Judgement:
        """Say what readings mean.

        Args:
            readings: Of all chunks that are known, oldest first; an alarm may need those before.
            fresh: Names of the chunks whose findings and alarms are wanted: those of this pass.
        """
